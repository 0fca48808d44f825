#include "secondary/last_packet/last_packet.h"

#include <errno.h>
#include <stdlib.h>

#define ROOM_SMALL 256  /* a flow may have nothing but ACKs */
#define ROOM_STEP  2048 /* else frames of the usual MTU come sooner or later */

struct mos_last_flow {
	uint8_t socks; /* that ask: bit per passive number */
	struct mos_last_packet side[2];
};

void mos_last_init(struct mos_last_packets *l, uint32_t max_flows)
{
	*l = (struct mos_last_packets){.max_flows = max_flows};
}

void mos_last_fini(struct mos_last_packets *l)
{
	for (uint32_t i = 0; l->flow != NULL && i < l->max_flows; i++)
		mos_last_free(l, i);
	free(l->flow);
	l->flow = NULL;
}

int mos_last_watch(struct mos_last_packets *l, uint32_t flow, uint8_t socks)
{
	if (l->flow == NULL)
		l->flow = calloc(l->max_flows, sizeof(*l->flow));
	if (l->flow == NULL)
		return -ENOMEM;
	if (l->flow[flow] == NULL)
		l->flow[flow] = calloc(1, sizeof(*l->flow[flow]));
	if (l->flow[flow] == NULL)
		return -ENOMEM;
	l->flow[flow]->socks |= socks;
	return 0;
}

bool mos_last_unwatch(struct mos_last_packets *l, uint32_t flow, uint8_t socks)
{
	if (l->flow == NULL || l->flow[flow] == NULL)
		return false;
	l->flow[flow]->socks &= (uint8_t)~socks;
	if (l->flow[flow]->socks != 0)
		return true;
	mos_last_free(l, flow);
	return false;
}

void mos_last_free(struct mos_last_packets *l, uint32_t flow)
{
	struct mos_last_flow *f = l->flow != NULL ? l->flow[flow] : NULL;

	if (f == NULL)
		return;
	free(f->side[0].frame);
	free(f->side[1].frame);
	free(f);
	l->flow[flow] = NULL;
}

bool mos_last_is_watched(const struct mos_last_packets *l, uint32_t flow, unsigned k)
{
	return l->flow != NULL && l->flow[flow] != NULL && (l->flow[flow]->socks >> k & 1);
}

static uint32_t room_for(uint32_t len)
{
	return len <= ROOM_SMALL ? ROOM_SMALL : (len + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
}

struct mos_last_packet *mos_last_keep(struct mos_last_packets *l, uint32_t flow, int side,
                                      uint32_t len)
{
	struct mos_last_packet *p = &l->flow[flow]->side[side];

	p->len = 0;
	if (len > p->room) {
		free(p->frame);
		p->frame = malloc(room_for(len));
		p->room = p->frame != NULL ? room_for(len) : 0;
		if (p->frame == NULL)
			return NULL;
	}
	p->len = len;
	return p;
}

const struct mos_last_packet *mos_last_get(const struct mos_last_packets *l, uint32_t flow,
                                           int side)
{
	const struct mos_last_packet *p = &l->flow[flow]->side[side];

	return p->len > 0 ? p : NULL;
}
