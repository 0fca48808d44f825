/*
 * What a successor makes of records that were left broken, and of memory that is not a table at
 * all. Deaths at every moment: test_flow_table_crash.c.
 */
#include "shared/flow_table/test_table.h"

enum { CAPACITY = 40 };

static struct mos_flow_table table;

/* ---- one record at a time ---- */

/* Break a record that is in use as `how` says. Returns whether it survives. */
static bool break_record(struct mos_flow *f, int how)
{
	switch (how) {
	case 0: return true;
	case 1: f->seqcount |= 1; return true;
	case 2: f->flags |= MOS_FLOW_SUSPECT; return true;
	case 3: f->flags = 0; return false;
	case 4: f->flags = 0, f->seqcount |= 1; return false;
	case 5: f->flags = MOS_FLOW_SUSPECT; return false;
	case 6: f->state[0] = 11; return false;
	case 7: f->state[1] = 255; return false;
	case 8: f->key.ip_version = 5; return false;
	case 9: f->half[1].wscale = 15; return false;
	case 10: f->id = (uint64_t)INT64_MAX / 2 + 1; return false;
	case 11: f->seqcount |= 1, f->state[0] = 11; return false;
	default: return true;
	}
}

START_TEST(broken_record_is_mended_or_freed)
{
	size_t len = mos_flow_table_footprint(CAPACITY);
	struct twice mem = map_twice(len);
	uint32_t mended, slot, seqcount;
	bool survives;

	ck_assert_int_eq(mos_flow_table_new(mem.a, CAPACITY), 0);
	join_or_die(&table, mem.a, len, NULL);
	insert_n(&table, 1);
	slot = insert_n(&table, 2);
	insert_n(&table, 3);
	change(mos_flow_at(&table, slot));
	seqcount = mos_flow_at(&table, slot)->seqcount;
	survives = break_record(mos_flow_at(&table, slot), _i);
	mos_flow_table_leave(&table);

	join_or_die(&table, mem.b, len, &mended);
	check_sound(&table);
	ck_assert_uint_eq(table.count, survives ? 3 : 2);
	ck_assert_uint_eq(mended, _i == 1);
	ck_assert_uint_eq(lookup_n(&table, 2), survives ? slot : MOS_FLOW_NONE);
	ck_assert_uint_ne(lookup_n(&table, 1), MOS_FLOW_NONE);
	ck_assert_uint_ne(lookup_n(&table, 3), MOS_FLOW_NONE);
	ck_assert_uint_eq(table.next_id, 4);
	if (_i == 1) {
		ck_assert_uint_eq(mos_flow_at(&table, slot)->seqcount, seqcount + 2);
		ck_assert_uint_eq(mos_flow_at(&table, slot)->flags,
		                  MOS_FLOW_IN_USE | MOS_FLOW_SUSPECT | MOS_FLOW_TORN);
	}
	mos_flow_table_leave(&table);
	unmap_twice(&mem);
}
END_TEST

START_TEST(of_two_records_of_one_connection_the_newer_stays)
{
	size_t len = mos_flow_table_footprint(CAPACITY);
	struct twice mem = map_twice(len);
	uint32_t old, new;

	ck_assert_int_eq(mos_flow_table_new(mem.a, CAPACITY), 0);
	join_or_die(&table, mem.a, len, NULL);
	old = insert_n(&table, 1);
	new = insert_n(&table, 1);
	if (_i & 1) /* whichever is met first */
		mos_flow_at(&table, old)->id = 9;
	if (_i & 2) { /* and whoever called himself the client */
		struct mos_flow *f = mos_flow_at(&table, new);

		f->key = reverse_of(f->key);
	}
	mos_flow_table_leave(&table);

	join_or_die(&table, mem.b, len, NULL);
	check_sound(&table);
	ck_assert_uint_eq(table.count, 1);
	ck_assert_uint_eq(mos_flow_table_next(&table, 0), _i & 1 ? old : new);
	mos_flow_table_leave(&table);
	unmap_twice(&mem);
}
END_TEST

START_TEST(ids_are_not_given_out_again)
{
	size_t len = mos_flow_table_footprint(CAPACITY);
	struct twice mem = map_twice(len);
	uint64_t last;
	uint32_t slot;

	ck_assert_int_eq(mos_flow_table_new(mem.a, CAPACITY), 0);
	join_or_die(&table, mem.a, len, NULL);
	for (uint32_t n = 0; n < 5; n++)
		slot = insert_n(&table, n);
	last = mos_flow_at(&table, slot)->id;
	mos_flow_table_remove(&table, slot); /* the newest one, too */
	mos_flow_table_leave(&table);
	join_or_die(&table, mem.b, len, NULL);
	ck_assert_uint_gt(mos_flow_at(&table, insert_n(&table, 9))->id, last);
	mos_flow_table_leave(&table);
	unmap_twice(&mem);
}
END_TEST

/* ---- garbage ---- */

/* Overwrite parts of the memory after `from`: everything, or a few places. */
static void scribble(struct rng *r, uint8_t *mem, size_t from, size_t len, bool everything)
{
	uint32_t places = 1 + rng_below(r, 400);

	for (size_t i = from; everything && i < len; i++)
		mem[i] = (uint8_t)rng_next(r);
	for (uint32_t i = 0; i < places; i++)
		mem[from + rng_below(r, (uint32_t)(len - from))] = (uint8_t)rng_next(r);
}

/* Records that pass for sane, but with few keys and hashes, so that they clash. */
static void plausible(struct rng *r, struct mos_flow *flows, uint32_t capacity)
{
	uint32_t hashes = 1 + rng_below(r, 3), keys = 1 + rng_below(r, capacity);

	for (uint32_t i = 0; i < capacity; i++) {
		struct mos_flow *f = &flows[i];

		f->key = key_of(rng_below(r, keys));
		if (rng_below(r, 2))
			f->key = reverse_of(f->key);
		f->hash = rng_below(r, hashes);
		f->seqcount = (uint32_t)rng_next(r);
		f->flags = rng_below(r, 8)   ? MOS_FLOW_IN_USE
		           : rng_below(r, 2) ? MOS_FLOW_REMOVED
		                             : 0;
		if (rng_below(r, 2))
			f->flags |= MOS_FLOW_TWO_KEYS;
		f->out = key_of(rng_below(r, keys));
		if (rng_below(r, 2))
			f->out = reverse_of(f->out);
		f->out_hash = rng_below(r, hashes);
		f->id = rng_next(r) >> (1 + rng_below(r, 60));
	}
}

/* A table that was recovered from anything can be emptied and filled. */
static void use(uint32_t capacity)
{
	check_sound(&table);
	for (uint32_t s = mos_flow_table_next(&table, 0); s != MOS_FLOW_NONE;
	     s = mos_flow_table_next(&table, s + 1))
		mos_flow_table_remove(&table, s);
	must(table.count == 0);
	must(mos_flow_limbo_close(&table) == (table.limbo.count != 0));
	mos_flow_limbo_free(&table, capacity);
	check_sound(&table);
	for (uint32_t n = 0; n < capacity; n++)
		must(insert_n(&table, n) != MOS_FLOW_NONE);
	must(insert_n(&table, capacity) == MOS_FLOW_NONE);
	check_sound(&table);
}

/* What a worker does: look up, check what is found, and change it, remove it, or add to it. */
static void work_on_garbage(struct rng *r, uint32_t capacity)
{
	for (uint32_t i = 0; i < 2 * capacity; i++) {
		uint32_t n = rng_below(r, 2 * capacity), slot;
		struct mos_flow_key k = key_of(n);
		int side;

		if (rng_below(r, 2))
			k = reverse_of(k);
		slot = mos_flow_table_lookup(&table, &k, hash_of(n), &side);
		if (slot != MOS_FLOW_NONE && mos_flow_table_check(&table, slot) == MOS_FLOW_FREE)
			slot = MOS_FLOW_NONE;
		if (slot == MOS_FLOW_NONE)
			slot = insert_n(&table, n);
		if (slot == MOS_FLOW_NONE)
			continue;
		must(slot < table.fresh && table.fresh <= capacity);
		must(mos_flow_at(&table, slot)->flags & MOS_FLOW_IN_USE);
		switch (rng_below(r, 4)) {
		case 0: mos_flow_table_remove(&table, slot); break;
		case 1: change(mos_flow_at(&table, slot)); break;
		case 2:
			k = key_of(rng_below(r, 2 * capacity));
			mos_flow_table_set_out(&table, slot, &k, hash_of(n));
			break;
		default: break;
		}
	}
}

START_TEST(garbage_is_refused_or_becomes_a_sound_table)
{
	static const uint32_t capacities[] = {1, 5, 64, 1000, 3000};
	struct rng r = rng_new();
	uint32_t joined = 0;

	for (int round = 0; round < 1000; round++) {
		uint32_t capacity = capacities[rng_below(&r, 5)];
		size_t len = mos_flow_table_footprint(capacity);
		size_t from = rng_below(&r, 4) ? sizeof(struct mos_flow_table_hdr) : 0;
		uint8_t *mem = aligned_alloc(MOS_CACHE_LINE, len);
		uint32_t mended;

		ck_assert_int_eq(mos_flow_table_new(mem, capacity), 0);
		join_or_die(&table, mem, len, NULL);
		for (uint32_t n = rng_below(&r, capacity); n > 0; n--)
			insert_n(&table, n);
		if (rng_below(&r, 2))
			plausible(&r, table.flows, capacity);
		mos_flow_table_leave(&table);
		if (rng_below(&r, 2))
			scribble(&r, mem, from, len, rng_below(&r, 2));

		if (mos_flow_table_join(&table, mem, len, &mended) == 0) {
			must(table.capacity == capacity);
			use(capacity);
			mos_flow_table_leave(&table);
			joined++;
		} else {
			must(from == 0);
		}
		free(mem);
	}
	ck_assert_uint_ge(joined, 600);
}
END_TEST

/*
 * A worker takes over garbage that says it is whole. No call goes astray; flows may be lost, but
 * not one that nothing was written to.
 */
START_TEST(garbage_that_passes_for_whole_costs_flows_alone)
{
	static const uint32_t capacities[] = {1, 5, 64, 1000, 3000};
	struct rng r = rng_new();
	uint32_t lazy = 0, lost = 0;

	for (int round = 0; round < 1000; round++) {
		uint32_t capacity = capacities[rng_below(&r, 5)];
		size_t len = mos_flow_table_footprint(capacity);
		uint8_t *mem = aligned_alloc(MOS_CACHE_LINE, len);
		uint32_t mended, flows = rng_below(&r, capacity + 1), after = 0;
		size_t records;

		ck_assert_int_eq(mos_flow_table_new(mem, capacity), 0);
		join_or_die(&table, mem, len, NULL);
		for (uint32_t n = 0; n < flows; n++)
			insert_n(&table, n);
		records = (size_t)((uint8_t *)table.flows - mem);
		if (rng_below(&r, 4) == 0)
			plausible(&r, table.flows, capacity);
		mos_flow_table_leave(&table);
		/* Either the index, or all but the header. */
		if (rng_below(&r, 2))
			scribble(&r, mem, sizeof(struct mos_flow_table_hdr), records,
			         rng_below(&r, 2));
		else
			scribble(&r, mem, sizeof(struct mos_flow_table_hdr), len, rng_below(&r, 2));

		adopt_or_die(&table, mem, len, &mended);
		lazy += table.unchecked_count == flows;
		work_on_garbage(&r, capacity);
		check_rest(&table);
		must(table.count + table.free_count + table.limbo.count == table.fresh);
		for (uint32_t n = 0; n < flows; n++) {
			struct mos_flow_key k = key_of(n);
			int side;

			after += mos_flow_table_lookup(&table, &k, hash_of(n), &side) !=
			         MOS_FLOW_NONE;
		}
		lost += flows - after;
		work_on_garbage(&r, capacity);
		mos_flow_table_leave(&table);

		/* The next one builds it anew, if it is told that this one died. */
		join_or_die(&table, mem, len, &mended);
		use(capacity);
		mos_flow_table_leave(&table);
		free(mem);
	}
	printf("%u of 1000 taken as whole, %u flows lost\n", lazy, lost);
	ck_assert_uint_ge(lazy, 900);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("flow_table_recover");
	TCase *tc = tcase_create("flow_table_recover");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 100);
	tcase_add_loop_test(tc, broken_record_is_mended_or_freed, 0, 12);
	tcase_add_loop_test(tc, of_two_records_of_one_connection_the_newer_stays, 0, 4);
	tcase_add_test(tc, ids_are_not_given_out_again);
	tcase_add_test(tc, garbage_is_refused_or_becomes_a_sound_table);
	tcase_add_test(tc, garbage_that_passes_for_whole_costs_flows_alone);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
