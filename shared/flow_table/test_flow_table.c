/*
 * The flow table in a memfd that is mapped twice: the writer works on one mapping, what another
 * process would see is checked on the other. Deaths of the writer: test_flow_table_crash.c.
 */
#include "shared/flow_table/test_table.h"

#include <errno.h>

static struct twice mem;
static struct mos_flow_table table;

/* A fresh table, opened on the first mapping. */
static void open_table(uint32_t capacity)
{
	mem = map_twice(mos_flow_table_footprint(capacity));
	ck_assert_int_eq(mos_flow_table_new(mem.b, capacity), 0);
	ck_assert_int_eq(mos_flow_table_join(&table, mem.a, mem.len, NULL), 0);
}

static void close_table(void)
{
	mos_flow_table_leave(&table);
	unmap_twice(&mem);
}

START_TEST(capacity_out_of_range_has_no_footprint)
{
	struct mos_flow_table_hdr hdr;

	ck_assert_uint_eq(mos_flow_table_footprint(0), 0);
	ck_assert_uint_eq(mos_flow_table_footprint(MOS_FLOW_CAP_MAX + 1), 0);
	ck_assert_uint_eq(mos_flow_table_footprint(UINT32_MAX), 0);
	ck_assert_uint_gt(mos_flow_table_footprint(1), sizeof(struct mos_flow));
	ck_assert_uint_gt(mos_flow_table_footprint(MOS_FLOW_CAP_MAX),
	                  MOS_FLOW_CAP_MAX * sizeof(struct mos_flow));
	ck_assert_int_eq(mos_flow_table_new(&hdr, 0), -EINVAL);
	ck_assert_int_eq(mos_flow_table_new((uint8_t *)&hdr + 8, 1), -EINVAL);
	ck_assert_int_eq(mos_flow_table_new(NULL, 1), -EINVAL);
}
END_TEST

START_TEST(damaged_header_is_refused)
{
	static const struct {
		size_t offset, size;
		uint64_t value;
		int rc;
	} rows[] = {
#define HDR(member) offsetof(struct mos_flow_table_hdr, member)
		{HDR(magic), 8, 0, -EAGAIN},
		{HDR(magic), 8, MOS_FLOW_TABLE_MAGIC ^ 1, -EPROTO},
		{HDR(version), 4, MOS_FLOW_TABLE_VERSION + 1, -EPROTO},
		{HDR(capacity), 4, 0, -EPROTO},
		{HDR(capacity), 4, 99, -EPROTO},
		{HDR(capacity), 4, 101, -EPROTO},
		{HDR(capacity), 4, UINT32_MAX, -EPROTO},
		{HDR(bytes), 8, 64, -EPROTO},
		{HDR(bytes), 8, UINT64_MAX, -EPROTO},
#undef HDR
	};
	uint32_t capacity;

	open_table(100);
	mos_flow_table_leave(&table);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t saved;

		memcpy(&saved, (uint8_t *)mem.b + rows[i].offset, rows[i].size);
		memcpy((uint8_t *)mem.b + rows[i].offset, &rows[i].value, rows[i].size);
		ck_assert_int_eq(mos_flow_table_join(&table, mem.a, mem.len, NULL), rows[i].rc);
		ck_assert_ptr_null(mos_flow_table_records(mem.a, mem.len, &capacity));
		memcpy((uint8_t *)mem.b + rows[i].offset, &saved, rows[i].size);
	}
	ck_assert_int_eq(mos_flow_table_join(&table, mem.a, mem.len - 1, NULL), -ENOSPC);
	ck_assert_int_eq(mos_flow_table_join(&table, mem.a, 63, NULL), -ENOSPC);
	ck_assert_int_eq(mos_flow_table_join(&table, mem.a, mem.len, NULL), 0);
	close_table();
}
END_TEST

START_TEST(flow_is_found_from_both_sides)
{
	struct mos_flow_key key = key_of(1), back = reverse_of(key), other;
	uint32_t slot;
	int side = -1;

	open_table(16);
	slot = insert_n(&table, 1);
	ck_assert_uint_ne(slot, MOS_FLOW_NONE);
	ck_assert_uint_eq(mos_flow_table_lookup(&table, &key, hash_of(1), &side), slot);
	ck_assert_int_eq(side, MOS_CLI);
	ck_assert_uint_eq(mos_flow_table_lookup(&table, &back, hash_of(1), &side), slot);
	ck_assert_int_eq(side, MOS_SVR);

	/* Each byte of the key counts; so does swapping but the ports, or but the addresses. */
	for (size_t i = 0; i < sizeof(key); i++) {
		other = key;
		((uint8_t *)&other)[i] ^= 0x40;
		ck_assert_uint_eq(mos_flow_table_lookup(&table, &other, hash_of(1), &side),
		                  MOS_FLOW_NONE);
	}
	other = key;
	other.src_port_be = key.dst_port_be;
	other.dst_port_be = key.src_port_be;
	ck_assert_uint_eq(mos_flow_table_lookup(&table, &other, hash_of(1), &side), MOS_FLOW_NONE);
	other = back;
	other.src_port_be = key.src_port_be;
	other.dst_port_be = key.dst_port_be;
	ck_assert_uint_eq(mos_flow_table_lookup(&table, &other, hash_of(1), &side), MOS_FLOW_NONE);
	close_table();
}
END_TEST

START_TEST(both_ends_alike_is_the_client)
{
	struct mos_flow_key key = key_of(2);
	int side = -1;

	open_table(4);
	memcpy(key.dst, key.src, sizeof(key.dst));
	key.dst_port_be = key.src_port_be;
	ck_assert_uint_ne(mos_flow_table_insert(&table, &key, 0), MOS_FLOW_NONE);
	ck_assert_uint_ne(mos_flow_table_lookup(&table, &key, 0, &side), MOS_FLOW_NONE);
	ck_assert_int_eq(side, MOS_CLI);
	check_sound(&table);
	close_table();
}
END_TEST

START_TEST(record_given_out_again_is_clean)
{
	struct mos_flow expect, *f;
	uint32_t slot;

	open_table(1);
	slot = insert_n(&table, 1);
	f = mos_flow_at(&table, slot);
	mos_flow_write_begin(f);
	memset(f->half, 0x55, sizeof(*f) - offsetof(struct mos_flow, half));
	f->state[0] = f->state[1] = 4;
	f->strikes = 2;
	f->last_seen_ms = 77;
	mos_flow_write_end(f);
	f->flags |= MOS_FLOW_SUSPECT;
	mos_flow_table_remove(&table, slot);

	ck_assert_uint_eq(insert_n(&table, 2), slot);
	memset(&expect, 0, sizeof(expect));
	expect.key = key_of(2);
	expect.hash = hash_of(2);
	expect.flags = MOS_FLOW_IN_USE;
	expect.id = 2;
	expect.seqcount = f->seqcount;
	ck_assert_uint_eq(f->seqcount & 1, 0);
	ck_assert_mem_eq(f, &expect, sizeof(expect));
	close_table();
}
END_TEST

START_TEST(full_table_is_an_answer_not_a_crash)
{
	static const uint32_t capacities[] = {1, 2, 7, 8, 9, 63, 100, 1000, 4096, 5000};

	for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
		uint32_t capacity = capacities[i];

		open_table(capacity);
		for (uint32_t n = 0; n < capacity; n++)
			ck_assert_uint_ne(insert_n(&table, n), MOS_FLOW_NONE);
		for (uint32_t n = 0; n < 10; n++)
			ck_assert_uint_eq(insert_n(&table, capacity + n), MOS_FLOW_NONE);
		check_sound(&table);
		mos_flow_table_remove(&table, lookup_n(&table, capacity / 2));
		ck_assert_uint_ne(insert_n(&table, capacity), MOS_FLOW_NONE);
		check_sound(&table);
		for (uint32_t n = 0; n <= capacity; n++)
			if (n != capacity / 2)
				mos_flow_table_remove(&table, lookup_n(&table, n));
		ck_assert_uint_eq(table.count, 0);
		check_sound(&table);
		close_table();
	}
}
END_TEST

START_TEST(flows_of_one_hash_are_bounded_and_others_unharmed)
{
	const uint32_t most = MOS_BUCKET_CHAIN_MAX * MOS_BUCKET_SLOTS;
	struct mos_flow_key key;
	uint32_t slot = 0;

	open_table(10 * most);
	for (uint32_t n = 0; n < most; n++) {
		key = key_of(n);
		slot = mos_flow_table_insert(&table, &key, 0xabcd);
		ck_assert_uint_ne(slot, MOS_FLOW_NONE);
	}
	key = key_of(most);
	ck_assert_uint_eq(mos_flow_table_insert(&table, &key, 0xabcd), MOS_FLOW_NONE);
	check_sound(&table);
	ck_assert_uint_ne(insert_n(&table, most + 1), MOS_FLOW_NONE);
	mos_flow_table_remove(&table, slot);
	ck_assert_uint_ne(mos_flow_table_insert(&table, &key, 0xabcd), MOS_FLOW_NONE);
	check_sound(&table);
	close_table();
}
END_TEST

START_TEST(tags_are_compared_alike_on_all_machines)
{
	struct rng r = rng_new();
	struct mos_flow_bucket b = {.next = 0};

	for (int i = 0; i < 100000; i++) {
		uint16_t tag = (uint16_t)rng_below(&r, 4);

		for (unsigned j = 0; j < MOS_BUCKET_SLOTS; j++)
			b.tag[j] = (uint16_t)(rng_below(&r, 4) | (rng_below(&r, 4) ? 0 : 0xff00));
		must(mos_bucket_match(&b, tag) == mos_bucket_match_portable(&b, tag));
	}
}
END_TEST

/* A million random steps against an array; hash_mask makes hashes, and so buckets, collide. */
static void run_model(uint32_t hash_mask)
{
	enum { KEYS = 600, CAPACITY = 512, STEPS = 1000000 };
	struct {
		uint32_t slot;
		uint64_t id;
	} model[KEYS];
	struct rng r = rng_new();
	uint32_t count = 0;

	open_table(CAPACITY);
	for (uint32_t n = 0; n < KEYS; n++)
		model[n].slot = MOS_FLOW_NONE;
	for (uint32_t step = 0; step < STEPS; step++) {
		uint32_t n = rng_below(&r, KEYS);
		struct mos_flow_key key = key_of(n), back = reverse_of(key);
		uint32_t hash = hash_of(n) & hash_mask;
		bool from_server = rng_below(&r, 2);
		int side = -1;

		mos_flow_table_prefetch_bucket(&table, hash);
		mos_flow_table_prefetch_flow(&table, hash, MOS_FLOW_LINES);
		must(mos_flow_table_lookup(&table, from_server ? &back : &key, hash, &side) ==
		     model[n].slot);
		if (model[n].slot == MOS_FLOW_NONE) {
			uint32_t slot = mos_flow_table_insert(&table, &key, hash);

			must((slot == MOS_FLOW_NONE) == (count == CAPACITY));
			if (slot == MOS_FLOW_NONE)
				continue;
			model[n].slot = slot;
			model[n].id = mos_flow_at(&table, slot)->id;
			count++;
			continue;
		}
		must(side == (from_server ? MOS_SVR : MOS_CLI));
		must(mos_flow_at(&table, model[n].slot)->id == model[n].id);
		/* The table swings between empty and full. */
		if (rng_below(&r, 8) < (step & 0x8000 ? 7u : 1u)) {
			mos_flow_table_remove(&table, model[n].slot);
			model[n].slot = MOS_FLOW_NONE;
			count--;
		}
		must(table.count == count);
		if (step % 10000 == 0)
			check_sound(&table);
	}
	check_sound(&table);
	close_table();
}

START_TEST(table_agrees_with_a_naive_array)
{
	run_model(UINT32_MAX);
}
END_TEST

START_TEST(table_agrees_with_a_naive_array_when_hashes_collide)
{
	run_model(15);
}
END_TEST

START_TEST(other_process_sees_the_records)
{
	const struct mos_flow *records;
	struct mos_flow copy, *f;
	uint32_t capacity, slot;

	open_table(10);
	slot = insert_n(&table, 3);
	f = mos_flow_at(&table, slot);
	records = mos_flow_table_records(mem.b, mem.len, &capacity);
	ck_assert_ptr_nonnull(records);
	ck_assert_uint_eq(capacity, 10);
	ck_assert(mos_flow_snapshot(&copy, &records[slot]));
	ck_assert_mem_eq(&copy, f, sizeof(copy));
	ck_assert(!mos_flow_snapshot(&copy, &records[slot + 1]));

	mos_flow_write_begin(f); /* and never ends */
	ck_assert(!mos_flow_snapshot(&copy, &records[slot]));
	mos_flow_write_end(f);
	ck_assert(mos_flow_snapshot(&copy, &records[slot]));
	mos_flow_table_remove(&table, slot);
	ck_assert(!mos_flow_snapshot(&copy, &records[slot]));
	close_table();
}
END_TEST

/* ---- limbo ---- */

START_TEST(record_in_limbo_is_neither_found_nor_given_out)
{
	struct mos_flow copy;
	uint32_t slot;

	open_table(3);
	mos_flow_limbo_set(&table, true);
	insert_n(&table, 1);
	slot = insert_n(&table, 2);
	mos_flow_table_remove(&table, slot);
	check_sound(&table);
	ck_assert_uint_eq(table.count, 1);
	ck_assert_uint_eq(table.limbo.count, 1);
	ck_assert_uint_eq(lookup_n(&table, 2), MOS_FLOW_NONE);
	ck_assert(!mos_flow_snapshot(&copy, mos_flow_at(&table, slot)));
	ck_assert_uint_ne(insert_n(&table, 3), slot);
	ck_assert_uint_eq(insert_n(&table, 4), MOS_FLOW_NONE); /* as if the table were full */
	ck_assert_uint_eq(mos_flow_at(&table, slot)->id, 2);   /* as it was */
	close_table();
}
END_TEST

START_TEST(batch_comes_free_and_the_open_one_does_not)
{
	uint32_t first, second;

	open_table(2);
	first = insert_n(&table, 1);
	second = insert_n(&table, 2);
	ck_assert(!mos_flow_limbo_close(&table)); /* nothing to wait for */
	mos_flow_limbo_set(&table, true);
	mos_flow_table_remove(&table, first);
	ck_assert(!mos_flow_limbo_waits(&table));
	ck_assert(mos_flow_limbo_close(&table));
	ck_assert(mos_flow_limbo_waits(&table));
	mos_flow_table_remove(&table, second);
	ck_assert(!mos_flow_limbo_close(&table)); /* another one waits */
	mos_flow_limbo_free(&table, 8);
	check_sound(&table);
	ck_assert(!mos_flow_limbo_waits(&table));
	ck_assert_uint_eq(table.limbo.count, 1);
	ck_assert_uint_eq(insert_n(&table, 3), first);
	ck_assert_uint_eq(insert_n(&table, 4), MOS_FLOW_NONE);
	ck_assert(mos_flow_limbo_close(&table));
	mos_flow_limbo_free(&table, 8);
	ck_assert_uint_eq(insert_n(&table, 4), second);
	check_sound(&table);
	close_table();
}
END_TEST

START_TEST(no_more_records_come_free_than_asked_for)
{
	enum { N = 100 };

	open_table(N);
	mos_flow_limbo_set(&table, true);
	for (uint32_t i = 0; i < N; i++)
		insert_n(&table, i);
	for (uint32_t i = 0; i < N; i++)
		mos_flow_table_remove(&table, lookup_n(&table, i));
	ck_assert(mos_flow_limbo_close(&table));
	for (uint32_t left = N; left > 0;) {
		mos_flow_limbo_free(&table, 33);
		left -= left < 33 ? left : 33;
		ck_assert_uint_eq(table.limbo.count, left);
		ck_assert(mos_flow_limbo_waits(&table) == (left > 0));
		check_sound(&table);
	}
	mos_flow_limbo_set(&table, false);
	insert_n(&table, 1);
	mos_flow_table_remove(&table, lookup_n(&table, 1));
	ck_assert_uint_eq(table.limbo.count, 0);
	check_sound(&table);
	close_table();
}
END_TEST

/* Readers outlive the worker: what they may look at is not its successor's to give out. */
START_TEST(successor_finds_limbo_as_it_was)
{
	uint32_t slot[3];

	open_table(3);
	mos_flow_limbo_set(&table, true);
	for (uint32_t i = 0; i < 3; i++)
		slot[i] = insert_n(&table, i);
	mos_flow_table_remove(&table, slot[0]);
	ck_assert(mos_flow_limbo_close(&table));
	mos_flow_table_remove(&table, slot[1]);
	mos_flow_table_leave(&table);

	ck_assert_int_eq(mos_flow_table_join(&table, mem.b, mem.len, NULL), 0);
	check_sound(&table);
	ck_assert_uint_eq(table.count, 1);
	ck_assert_uint_eq(table.limbo.count, 2);
	ck_assert_uint_eq(insert_n(&table, 4), MOS_FLOW_NONE);
	ck_assert(mos_flow_limbo_close(&table)); /* both: how far the other was is not known */
	mos_flow_limbo_free(&table, 8);
	ck_assert_uint_ne(insert_n(&table, 4), MOS_FLOW_NONE);
	ck_assert_uint_ne(insert_n(&table, 5), MOS_FLOW_NONE);
	check_sound(&table);
	close_table();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("flow_table");
	TCase *tc = tcase_create("flow_table");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, capacity_out_of_range_has_no_footprint);
	tcase_add_test(tc, damaged_header_is_refused);
	tcase_add_test(tc, flow_is_found_from_both_sides);
	tcase_add_test(tc, both_ends_alike_is_the_client);
	tcase_add_test(tc, record_given_out_again_is_clean);
	tcase_add_test(tc, full_table_is_an_answer_not_a_crash);
	tcase_add_test(tc, flows_of_one_hash_are_bounded_and_others_unharmed);
	tcase_add_test(tc, tags_are_compared_alike_on_all_machines);
	tcase_add_test(tc, table_agrees_with_a_naive_array);
	tcase_add_test(tc, table_agrees_with_a_naive_array_when_hashes_collide);
	tcase_add_test(tc, other_process_sees_the_records);
	tcase_add_test(tc, record_in_limbo_is_neither_found_nor_given_out);
	tcase_add_test(tc, batch_comes_free_and_the_open_one_does_not);
	tcase_add_test(tc, no_more_records_come_free_than_asked_for);
	tcase_add_test(tc, successor_finds_limbo_as_it_was);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
