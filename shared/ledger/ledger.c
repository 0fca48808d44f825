#include "shared/ledger/ledger.h"

bool mos_ledger_resolve(const struct mos_ledger *l, uint32_t rx_cons_tail, uint32_t tx_prod_tail,
                        uint32_t waiting, struct mos_ledger_verdict *out)
{
	/* Acquire pairs with the releases of the dead worker, for formality's sake. */
	uint32_t count = __atomic_load_n(&l->count, __ATOMIC_ACQUIRE);
	uint32_t cur = l->cur, outbox = l->outbox;

	*out = (struct mos_ledger_verdict){.flow = UINT32_MAX, .stage = l->stage};
	if (count == 0) {
		if (l->stage == MOS_STAGE_AFTER)
			out->flow = l->flow;
		return true;
	}
	if (count > MOS_BURST_MAX || outbox > MOS_OUTBOX_MAX || cur > count ||
	    l->stage > MOS_STAGE_AFTER)
		return false;
	if (rx_cons_tail != l->rx_tail) /* the dequeue was completed: nothing in hand */
		return rx_cons_tail - l->rx_tail == count;
	if (count > waiting)
		return false;
	if (tx_prod_tail != l->tx_tail) {
		if (tx_prod_tail - l->tx_tail != count + outbox) /* bursts go out whole */
			return false;
		out->done = count;
		out->sent = true;
		return true;
	}
	out->done = cur;
	out->outbox = outbox;
	if (cur < count && l->stage == MOS_STAGE_DATA)
		out->done++; /* its verdict stands */
	else
		out->suspect = cur < count && l->stage != MOS_STAGE_IDLE;
	if (out->suspect || l->stage == MOS_STAGE_DATA || l->stage == MOS_STAGE_AFTER)
		out->flow = l->flow;
	return true;
}

void mos_ledger_reset(struct mos_ledger *l)
{
	l->count = 0;
	l->outbox = 0;
	l->cur = 0;
	l->stage = MOS_STAGE_IDLE;
	l->flow = UINT32_MAX;
}

const char *mos_ledger_stage_name(unsigned stage)
{
	static const char *const names[] = {"idle", "raw",  "lookup", "snd",
	                                    "rcv",  "data", "end",    "after"};

	return stage < sizeof(names) / sizeof(names[0]) ? names[stage] : "?";
}
