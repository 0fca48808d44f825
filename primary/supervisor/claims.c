#include "primary/supervisor/claims.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

int mos_claims_add(struct mos_claims *c, const struct mos_claim *claim)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (c->claim[i].worker == claim->worker && c->claim[i].ctx == claim->ctx)
			return -EEXIST;
	if (claim->shard != MOS_CLAIM_ANY && mos_claims_promised(c, claim->shard) != NULL)
		return -EBUSY;
	if (c->count == MOS_CLAIM_MAX)
		return -ENOSPC;
	c->claim[c->count++] = *claim;
	return 0;
}

/* The oldest claim that is for exactly this. */
static const struct mos_claim *oldest_for(const struct mos_claims *c, uint32_t shard)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (c->claim[i].shard == shard)
			return &c->claim[i];
	return NULL;
}

const struct mos_claim *mos_claims_promised(const struct mos_claims *c, uint32_t shard)
{
	return oldest_for(c, shard);
}

const struct mos_claim *mos_claims_next(const struct mos_claims *c, uint32_t shard)
{
	const struct mos_claim *claim = oldest_for(c, shard);

	return claim != NULL ? claim : oldest_for(c, MOS_CLAIM_ANY);
}

static void take_out(struct mos_claims *c, uint32_t i, struct mos_claim *out)
{
	*out = c->claim[i];
	c->count--;
	memmove(&c->claim[i], &c->claim[i + 1], (c->count - i) * sizeof(c->claim[0]));
}

bool mos_claims_remove(struct mos_claims *c, uint32_t worker, uint32_t ctx, struct mos_claim *out)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (c->claim[i].worker == worker && c->claim[i].ctx == ctx) {
			take_out(c, i, out);
			return true;
		}
	return false;
}

bool mos_claims_remove_any(struct mos_claims *c, uint32_t worker, struct mos_claim *out)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (c->claim[i].worker == worker) {
			take_out(c, i, out);
			return true;
		}
	return false;
}
