#include "shared/flow_table/flow_out.h"

#include <errno.h>

#include "shared/flow_table/flow_index.h"
#include "shared/flow_table/flow_table_layout.h"
#include "shared/kill_point/kill_point.h"

static bool same(const struct mos_flow_key *a, const struct mos_flow_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Whether the flow knows its server by this key, through this kind of entry. */
static bool expects(const struct mos_flow *f, bool by_out, const struct mos_flow_key *out)
{
	if (!(f->flags & MOS_FLOW_IN_USE))
		return false;
	if (by_out)
		return mos_flow_has_out(f) && same(&f->out, out);
	return !(f->flags & MOS_FLOW_TWO_KEYS) && same(&f->key, out);
}

uint32_t mos_flow_find_out(const struct mos_flow_table *t, uint32_t slot,
                           const struct mos_flow_key *out, uint32_t hash)
{
	uint64_t spread = mos_flow_spread(hash);
	uint32_t at = mos_flow_home(spread, t->bucket_mask);
	unsigned left = MOS_BUCKET_CHAIN_MAX;

	do {
		const struct mos_flow_bucket *b = &t->buckets[at];
		unsigned match = mos_bucket_match(b, mos_flow_tag(spread));

		for (; match; match &= match - 1) {
			uint32_t entry = b->slot[__builtin_ctz(match)];
			uint32_t found = entry & ~MOS_ENTRY_OUT;

			if (found != slot && found < t->fresh &&
			    expects(&t->flows[found], entry & MOS_ENTRY_OUT, out))
				return found;
		}
		at = mos_bucket_next(t, b);
	} while (at && --left);
	return MOS_FLOW_NONE;
}

/* Nothing names the key from here on: it may be written. */
static void void_out(struct mos_flow *f)
{
	__atomic_store_n(&f->out.ip_version, 0, __ATOMIC_RELAXED);
	mos_kill_point("out.void");
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void set_flags(struct mos_flow *f, unsigned flags)
{
	__atomic_store_n(&f->flags, (uint8_t)flags, __ATOMIC_RELEASE); /* `out` is as they say */
}

static void forget_entry(struct mos_flow_table *t, uint32_t slot)
{
	if (mos_flow_index_del(t, t->flows[slot].out_hash, slot | MOS_ENTRY_OUT))
		t->out_count--;
	mos_kill_point("out.unindexed");
}

void mos_flow_void_out(struct mos_flow *f)
{
	mos_flow_write_begin(f);
	void_out(f);
	set_flags(f, f->flags | MOS_FLOW_TWO_KEYS);
	mos_flow_write_end(f);
}

void mos_flow_lose_out(struct mos_flow_table *t, uint32_t slot)
{
	struct mos_flow *f = &t->flows[slot];

	if (mos_flow_has_out(f))
		forget_entry(t, slot);
	mos_flow_void_out(f);
}

void mos_flow_take_out(struct mos_flow_table *t, uint32_t slot, const struct mos_flow_key *out,
                       uint32_t hash)
{
	uint32_t other = mos_flow_find_out(t, slot, out, hash);

	if (mos_unlikely(other != MOS_FLOW_NONE)) {
		mos_flow_lose_out(t, other);
		mos_kill_point("out.taken");
	}
}

/* The server sees the client as it is. */
static void one_key_again(struct mos_flow_table *t, uint32_t slot)
{
	struct mos_flow *f = &t->flows[slot];

	if (mos_flow_has_out(f))
		forget_entry(t, slot);
	mos_flow_write_begin(f);
	mos_kill_point("out.one_key");
	set_flags(f, f->flags & ~(unsigned)MOS_FLOW_TWO_KEYS);
	mos_kill_point("out.one_key_set");
	mos_flow_write_end(f);
}

static void write_out(struct mos_flow *f, const struct mos_flow_key *out, uint32_t hash)
{
	struct mos_flow_key no_key = *out;

	no_key.ip_version = 0;
	mos_flow_write_begin(f);
	void_out(f);
	f->out = no_key;
	mos_kill_point("out.key");
	f->out_hash = hash;
	__atomic_store_n(&f->out.ip_version, out->ip_version, __ATOMIC_RELEASE); /* it is whole */
	mos_kill_point("out.whole");
	set_flags(f, f->flags | MOS_FLOW_TWO_KEYS);
	mos_flow_write_end(f);
}

int mos_flow_table_set_out(struct mos_flow_table *t, uint32_t slot, const struct mos_flow_key *out,
                           uint32_t out_hash)
{
	struct mos_flow *f = &t->flows[slot];

	assert(slot < t->capacity && (f->flags & MOS_FLOW_IN_USE));
	assert(out->ip_version == 4 || out->ip_version == 6);
	if (same(out, &f->key)) {
		if (f->flags & MOS_FLOW_TWO_KEYS) {
			mos_flow_index_begin(t);
			mos_flow_take_out(t, slot, out, out_hash);
			one_key_again(t, slot);
			mos_flow_index_end(t);
		}
		return 0;
	}
	if (mos_flow_has_out(f) && same(out, &f->out))
		return 0;
	mos_flow_index_begin(t);
	/* What can fail comes first, while the old entry is still there. */
	if (!mos_flow_index_add(t, out_hash, slot | MOS_ENTRY_OUT)) {
		mos_flow_index_end(t);
		return -ENOSPC;
	}
	if (mos_flow_has_out(f))
		forget_entry(t, slot);
	mos_kill_point("out.indexed");
	t->out_count++;
	mos_flow_take_out(t, slot, out, out_hash);
	mos_kill_point("out.claimed");
	write_out(f, out, out_hash);
	mos_flow_index_end(t);
	return 0;
}
