/*
 * Flows with a second key: who is found by what, against a naive model; what a writer that dies in
 * the middle leaves; what a successor makes of it. Numbers stand for keys, as in test_table.h: a
 * flow whose client sends with key n may go out with key m.
 */
#include "shared/flow_table/test_table.h"

#include <errno.h>

#include "shared/test_stepped.h"

enum { CAPACITY = 40 };

static struct mos_flow_table table;
static struct twice mem;

static void open_table(uint32_t capacity)
{
	mem = map_twice(mos_flow_table_footprint(capacity));
	ck_assert_int_eq(mos_flow_table_new(mem.b, capacity), 0);
	join_or_die(&table, mem.a, mem.len, NULL);
}

static void close_table(void)
{
	mos_flow_table_leave(&table);
	unmap_twice(&mem);
}

/* The successor's turn, on the other mapping. */
static void succeed(void)
{
	void *swap = mem.a;

	mos_flow_table_leave(&table);
	mem.a = mem.b;
	mem.b = swap;
	join_or_die(&table, mem.a, mem.len, NULL);
	check_sound(&table);
}

static int set_out_n(struct mos_flow_table *t, uint32_t slot, uint32_t n)
{
	struct mos_flow_key k = key_of(n);

	return mos_flow_table_set_out(t, slot, &k, hash_of(n));
}

/* The flow whose server answers key n. */
static uint32_t answer_n(const struct mos_flow_table *t, uint32_t n)
{
	struct mos_flow_key back = reverse_of(key_of(n));
	int side = -1;
	uint32_t slot = mos_flow_table_lookup(t, &back, hash_of(n), &side);

	if (slot != MOS_FLOW_NONE)
		must(side == MOS_SVR);
	return slot;
}

START_TEST(server_is_known_by_the_second_key_alone)
{
	uint32_t slot;

	open_table(CAPACITY);
	slot = insert_n(&table, 1);
	ck_assert_uint_eq(answer_n(&table, 1), slot);
	ck_assert_int_eq(set_out_n(&table, slot, 20), 0);
	for (int i = 0; i < 2; i++) {
		check_sound(&table);
		ck_assert_uint_eq(lookup_n(&table, 1), slot);
		ck_assert_uint_eq(answer_n(&table, 20), slot);
		ck_assert_uint_eq(answer_n(&table, 1), MOS_FLOW_NONE);
		ck_assert_uint_eq(lookup_n(&table, 20), MOS_FLOW_NONE);
		succeed();
	}
	mos_flow_table_remove(&table, slot);
	ck_assert_uint_eq(answer_n(&table, 20), MOS_FLOW_NONE);
	check_sound(&table);
	close_table();
}
END_TEST

START_TEST(second_key_may_have_the_hash_of_the_first)
{
	struct mos_flow_key out = key_of(20), back = reverse_of(out);
	uint32_t slot;
	int side;

	open_table(CAPACITY);
	slot = insert_n(&table, 1);
	ck_assert_int_eq(mos_flow_table_set_out(&table, slot, &out, hash_of(1)), 0);
	check_sound(&table);
	ck_assert_uint_eq(lookup_n(&table, 1), slot);
	ck_assert_uint_eq(mos_flow_table_lookup(&table, &back, hash_of(1), &side), slot);
	mos_flow_table_remove(&table, slot);
	ck_assert_uint_eq(lookup_n(&table, 1), MOS_FLOW_NONE);
	check_sound(&table);
	close_table();
}
END_TEST

START_TEST(second_key_that_finds_no_room_changes_nothing)
{
	const uint32_t most = MOS_BUCKET_CHAIN_MAX * MOS_BUCKET_SLOTS;
	struct mos_flow_key out = key_of(900);
	struct mos_flow before;
	uint32_t slot;

	open_table(10 * most);
	for (uint32_t n = 0; n < most; n++) {
		struct mos_flow_key key = key_of(n);

		slot = mos_flow_table_insert(&table, &key, 0xabcd);
	}
	slot = insert_n(&table, most + 1);
	ck_assert_int_eq(set_out_n(&table, slot, 800), 0);
	before = *mos_flow_at(&table, slot);
	ck_assert_int_eq(mos_flow_table_set_out(&table, slot, &out, 0xabcd), -ENOSPC);
	ck_assert_mem_eq(&before, mos_flow_at(&table, slot), sizeof(before));
	ck_assert_uint_eq(answer_n(&table, 800), slot);
	check_sound(&table);
	close_table();
}
END_TEST

/* ---- a naive model ---- */

enum { KEYS = 300, FLOWS = 256, STEPS = 400000 };
enum { ABSENT = -3, LOST = -2, NOBODY = -1 };

/* Of flow n: the key it goes out with. Of key n: the flow that expects its answers. */
static int goes_as[KEYS], expects[KEYS];
static uint32_t slots[KEYS];

static void model_free(uint32_t n)
{
	if (goes_as[n] >= 0)
		expects[goes_as[n]] = NOBODY;
}

static void model_set(uint32_t n, uint32_t out)
{
	if (goes_as[n] == (int)out)
		return;
	model_free(n);
	if (expects[out] != NOBODY)
		goes_as[expects[out]] = LOST;
	goes_as[n] = (int)out;
	expects[out] = (int)n;
}

static void model_insert(uint32_t n)
{
	bool taken = expects[n] != NOBODY;

	goes_as[n] = taken ? LOST : (int)n;
	if (!taken)
		expects[n] = (int)n;
}

static void check_model(uint32_t n)
{
	uint32_t answer = answer_n(&table, n);
	const struct mos_flow *f;

	must(lookup_n(&table, n) == (goes_as[n] == ABSENT ? MOS_FLOW_NONE : slots[n]));
	must(answer == (expects[n] == NOBODY ? MOS_FLOW_NONE : slots[expects[n]]));
	if (goes_as[n] == ABSENT)
		return;
	f = mos_flow_at(&table, slots[n]);
	must(mos_flow_lost_out(f) == (goes_as[n] == LOST));
	must(mos_flow_has_out(f) == (goes_as[n] >= 0 && goes_as[n] != (int)n));
}

static void step(struct rng *r)
{
	uint32_t n = rng_below(r, KEYS), out = rng_below(r, 4) ? rng_below(r, KEYS) : n;

	if (goes_as[n] == ABSENT) {
		slots[n] = insert_n(&table, n);
		if (slots[n] != MOS_FLOW_NONE)
			model_insert(n);
		else
			must(table.count == FLOWS);
	} else if (rng_below(r, 4) == 0) {
		mos_flow_table_remove(&table, slots[n]);
		model_free(n);
		goes_as[n] = ABSENT;
	} else {
		must(set_out_n(&table, slots[n], out) == 0);
		model_set(n, out);
	}
	check_model(n);
	check_model(out);
}

START_TEST(table_agrees_with_a_naive_model)
{
	struct rng r = rng_new();

	open_table(FLOWS);
	for (uint32_t n = 0; n < KEYS; n++) {
		goes_as[n] = ABSENT;
		expects[n] = NOBODY;
	}
	for (uint32_t i = 0; i < STEPS; i++) {
		step(&r);
		if (i % 4000 == 0)
			succeed();
		if (i % 4000 == 0)
			for (uint32_t n = 0; n < KEYS; n++)
				check_model(n);
	}
	check_sound(&table);
	close_table();
}
END_TEST

/* All flows with two keys: the most entries there can be. */
START_TEST(full_table_of_translated_flows_is_no_other)
{
	static const uint32_t capacities[] = {1, 2, 3, 4, 5, 7, 8, 63, 1000, 4096};

	for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
		uint32_t capacity = capacities[i];

		open_table(capacity);
		for (uint32_t n = 0; n < capacity; n++)
			must(set_out_n(&table, insert_n(&table, n), 10000 + n) == 0);
		for (uint32_t n = 0; n < capacity; n++) /* and one more for a moment */
			must(set_out_n(&table, lookup_n(&table, n), 20000 + n) == 0);
		ck_assert_uint_eq(table.out_count, capacity);
		succeed();
		for (uint32_t n = 0; n < capacity; n++)
			must(answer_n(&table, 20000 + n) == lookup_n(&table, n));
		for (uint32_t n = 0; n < capacity; n++)
			mos_flow_table_remove(&table, lookup_n(&table, n));
		check_sound(&table);
		close_table();
	}
}
END_TEST

/* ---- death at every instruction ---- */

enum { A = 30, B = 31 };

static pid_t start_stepped(void *where, size_t len)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct mos_flow_table t;
		uint32_t one, two;

		stepped_begin();
		if (mos_flow_table_join(&t, where, len, NULL) != 0)
			_exit(1);
		one = lookup_n(&t, 1);
		two = lookup_n(&t, 2);
		raise(SIGSTOP);
		set_out_n(&t, one, A);
		set_out_n(&t, one, B);
		set_out_n(&t, two, B);
		set_out_n(&t, two, 2);
		mos_flow_table_remove(&t, one);
		raise(SIGSTOP);
		_exit(0);
	}
	return pid;
}

/* How the servers of flow n are known: 0 no flow, 1 its key, 2 A, 3 B, 4 not at all. */
static unsigned known_by(const struct mos_flow_table *t, uint32_t n)
{
	uint32_t slot = lookup_n(t, n);

	if (slot == MOS_FLOW_NONE)
		return 0;
	if (answer_n(t, n) == slot)
		return 1;
	if (answer_n(t, A) == slot)
		return 2;
	return answer_n(t, B) == slot ? 3 : 4;
}

static unsigned autopsy(const struct stepped_body *b)
{
	struct mos_flow_table t;
	unsigned what;

	memcpy(b->copy, b->mem, b->len);
	join_or_die(&t, b->copy, b->len, NULL);
	check_sound(&t);
	what = 10 * known_by(&t, 1) + known_by(&t, 2);
	for (uint32_t slot = 0; slot < CAPACITY; slot++) {
		const struct mos_flow *f = mos_flow_at(&t, slot);

		must(!mos_flow_has_out(f) || f->out_hash == hash_of(A) ||
		     f->out_hash == hash_of(B));
	}
	mos_flow_table_leave(&t);
	return what;
}

START_TEST(death_while_the_second_key_changes_leaves_a_whole_one_or_none)
{
	static const unsigned order[] = {11, 21, 41, 31, 41, 43, 41, 1};
	struct stepped_body body;

	open_table(CAPACITY);
	insert_n(&table, 1);
	insert_n(&table, 2);
	mos_flow_table_leave(&table);
	body = (struct stepped_body){
		.mem = mem.b,
		.copy = aligned_alloc(MOS_CACHE_LINE, mos_align(mem.len, MOS_CACHE_LINE)),
		.len = mem.len,
	};
	stepped_through(start_stepped(mem.a, mem.len), autopsy, &body, order, 8);
	free(body.copy);
	unmap_twice(&mem);
}
END_TEST

/* ---- what a successor makes of it ---- */

START_TEST(of_two_flows_with_one_second_key_the_newer_has_it)
{
	uint32_t old, new;

	open_table(CAPACITY);
	old = insert_n(&table, 1);
	new = insert_n(&table, 2);
	ck_assert_int_eq(set_out_n(&table, old, 20), 0);
	ck_assert_int_eq(set_out_n(&table, new, 21), 0);
	mos_flow_at(&table, new)->out = key_of(20); /* nobody has written this */
	mos_flow_at(&table, new)->out_hash = hash_of(20);
	if (_i) /* whichever is met first */
		mos_flow_at(&table, old)->id = 9;
	succeed();
	ck_assert_uint_eq(answer_n(&table, 20), _i ? old : new);
	ck_assert(mos_flow_lost_out(mos_flow_at(&table, _i ? new : old)));
	ck_assert_uint_eq(table.count, 2);
	close_table();
}
END_TEST

START_TEST(second_key_of_a_newer_flow_may_be_the_first_of_an_older)
{
	uint32_t old, new;

	open_table(CAPACITY);
	old = insert_n(&table, 1);
	new = insert_n(&table, 2);
	ck_assert_int_eq(set_out_n(&table, new, 20), 0);
	mos_flow_at(&table, new)->out = key_of(1);
	mos_flow_at(&table, new)->out_hash = hash_of(1);
	if (_i)
		mos_flow_at(&table, old)->id = 9;
	succeed();
	ck_assert_uint_eq(answer_n(&table, 1), _i ? old : new);
	ck_assert_uint_eq(lookup_n(&table, 1), old);
	ck_assert(mos_flow_lost_out(mos_flow_at(&table, _i ? new : old)));
	close_table();
}
END_TEST

START_TEST(second_key_that_is_none_is_lost)
{
	uint32_t slot;

	open_table(CAPACITY);
	slot = insert_n(&table, 1);
	ck_assert_int_eq(set_out_n(&table, slot, 20), 0);
	mos_flow_at(&table, slot)->out.ip_version = 5;
	succeed();
	ck_assert_uint_eq(lookup_n(&table, 1), slot);
	ck_assert(mos_flow_lost_out(mos_flow_at(&table, slot)));
	ck_assert_uint_eq(answer_n(&table, 1), MOS_FLOW_NONE);
	ck_assert_int_eq(set_out_n(&table, slot, 20), 0); /* and may come again */
	ck_assert_uint_eq(answer_n(&table, 20), slot);
	check_sound(&table);
	close_table();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("flow_table_out");
	TCase *tc = tcase_create("flow_table_out");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, server_is_known_by_the_second_key_alone);
	tcase_add_test(tc, second_key_may_have_the_hash_of_the_first);
	tcase_add_test(tc, second_key_that_finds_no_room_changes_nothing);
	tcase_add_test(tc, table_agrees_with_a_naive_model);
	tcase_add_test(tc, full_table_of_translated_flows_is_no_other);
	tcase_add_test(tc, death_while_the_second_key_changes_leaves_a_whole_one_or_none);
	tcase_add_loop_test(tc, of_two_flows_with_one_second_key_the_newer_has_it, 0, 2);
	tcase_add_loop_test(tc, second_key_of_a_newer_flow_may_be_the_first_of_an_older, 0, 2);
	tcase_add_test(tc, second_key_that_is_none_is_lost);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
