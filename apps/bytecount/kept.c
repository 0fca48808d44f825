#include "apps/bytecount/kept.h"

void kept_begin(struct kept *k, const struct flow_count *f)
{
	atomic_store_explicit(&k->begun, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release); /* what is changed does not count any more */
	k->begin_ns = f->begin_ns;
	k->joined = f->joined;
	for (int direction = 0; direction < 2; direction++)
		atomic_store_explicit(&k->now[direction], 0, memory_order_relaxed);
	atomic_store_explicit(&k->begun, 1, memory_order_release); /* pairs with kept_load */
}

void kept_store(struct kept *k, const struct flow_count *f, int direction)
{
	const struct direction *d = &f->direction[direction];
	uint8_t next = atomic_load_explicit(&k->now[direction], memory_order_relaxed) == 1;
	struct kept_slot *slot = &k->slot[direction][next];

	/* or what is stored now might be seen without the store that made this slot the other one */
	atomic_thread_fence(memory_order_release);
	slot->volume = d->volume;
	slot->end_ns = f->end_ns;
	slot->fin_at = d->fin_at;
	slot->peer_acked = f->direction[!direction].acked;
	slot->seq_begin = d->seq_begin;
	slot->begun = d->begun;
	slot->fin = d->fin;
	slot->reset = f->reset;
	slot->range_count = (uint8_t)ranges_save(&d->seen, slot->range, KEPT_RANGES, &slot->base,
	                                         &slot->given_up);
	/* pairs with kept_load: a slot is whole before it counts */
	atomic_store_explicit(&k->now[direction], (uint8_t)(next + 1), memory_order_release);
}

static void load_direction(struct flow_count *f, int direction, const struct kept_slot *slot)
{
	struct direction *d = &f->direction[direction];

	d->volume = slot->volume;
	d->fin_at = slot->fin_at;
	d->seq_begin = slot->seq_begin;
	d->begun = slot->begun;
	d->fin = slot->fin;
	f->direction[!direction].acked = slot->peer_acked;
	if (slot->end_ns > f->end_ns)
		f->end_ns = slot->end_ns;
	f->reset = f->reset || slot->reset;
	ranges_load(&d->seen, slot->range,
	            slot->range_count < KEPT_RANGES ? slot->range_count : KEPT_RANGES, slot->base,
	            slot->given_up);
}

bool kept_load(const struct kept *k, struct flow_count *f)
{
	if (atomic_load_explicit(&k->begun, memory_order_acquire) == 0)
		return false;
	flow_count_init(f, k->joined, k->begin_ns);
	for (int direction = 0; direction < 2; direction++) {
		uint8_t now = atomic_load_explicit(&k->now[direction], memory_order_acquire);

		if (now == 1 || now == 2)
			load_direction(f, direction, &k->slot[direction][now - 1]);
	}
	return true;
}
