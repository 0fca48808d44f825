#include "secondary/flow_area/flow_area.h"

#include <errno.h>
#include <string.h>

#include "shared/root/user_area.h"

static size_t bytes_of(const struct mos_shard *s)
{
	return s->user_area_bytes - sizeof(struct mos_area);
}

void mos_flow_area_begin(const struct mos_shard *s, uint32_t flow, uint32_t version)
{
	struct mos_area *area = mos_shard_user_area(s, flow);

	if (area == NULL)
		return;
	memset(area, 0, s->user_area_bytes);
	area->version = version;
}

void *mos_flow_area_bytes(const struct mos_shard *s, uint32_t flow, size_t *len)
{
	struct mos_area *area = mos_shard_user_area(s, flow);

	if (area == NULL)
		return NULL;
	*len = bytes_of(s);
	return area->bytes;
}

/* ---- version ---- */

int mos_flow_area_version(const struct mos_shard *s, uint32_t flow, uint32_t *version)
{
	const struct mos_area *area = mos_shard_user_area(s, flow);

	if (area == NULL)
		return -ENOSYS;
	*version = area->version;
	return 0;
}

int mos_flow_area_set_version(const struct mos_shard *s, uint32_t flow, uint32_t version)
{
	struct mos_area *area = mos_shard_user_area(s, flow);

	if (area == NULL)
		return -ENOSYS;
	/* What the application has stored before it said so is there, whenever we die. */
	__atomic_store_n(&area->version, version, __ATOMIC_RELEASE);
	return 0;
}

/* ---- uctx ---- */

void mos_flow_area_keep_uctx(const struct mos_shard *s, uint32_t flow, uint32_t nth,
                             const void *uctx)
{
	struct mos_area *area = mos_shard_user_area(s, flow);
	uintptr_t off;

	if (area == NULL || nth >= MOS_SOCKETS_MAX)
		return;
	off = (uintptr_t)uctx - (uintptr_t)area->bytes; /* wraps for what lies in front of it */
	/* What it leads to is there, whenever we die. */
	__atomic_store_n(&area->uctx[nth], off < bytes_of(s) ? (uint16_t)(off + 1) : 0,
	                 __ATOMIC_RELEASE);
}

bool mos_flow_area_find_uctx(const struct mos_shard *s, uint32_t flow, void *uctx[MOS_SOCKETS_MAX])
{
	struct mos_area *area = mos_shard_user_area(s, flow);
	bool any = false;

	if (area == NULL)
		return false;
	for (unsigned n = 0; n < MOS_SOCKETS_MAX; n++) {
		uint16_t kept = area->uctx[n];

		uctx[n] = kept != 0 && kept <= bytes_of(s) ? (char *)area->bytes + kept - 1 : NULL;
		any |= uctx[n] != NULL;
	}
	return any;
}
