/*
 * What a writer's death leaves behind, and what its successor makes of it.
 *
 * Deaths come in two kinds. A child is stepped through each call one instruction at a time, and
 * after every step a copy of its memory is recovered: no death is left out, but the calls are few.
 * And children that work at full speed are killed at random moments: anything may be going on.
 */
#include "shared/flow_table/test_table.h"
#include "shared/test_stepped.h"

enum { CAPACITY = 40 };

static struct mos_flow_table table;

/* ---- death at every instruction ---- */

/* What the stepped child does between its two stops. Flows 0..9 exist before; 9 alone is touched. */
static void steps_of_life(struct mos_flow_table *t, void *mem, size_t len)
{
	struct mos_flow_table again;

	change(mos_flow_at(t, lookup_n(t, 9)));
	insert_n(t, 10);
	mos_flow_table_remove(t, lookup_n(t, 9));
	insert_n(t, 11); /* gets the record of 9 */
	mos_flow_limbo_set(t, true);
	mos_flow_table_remove(t, lookup_n(t, 11));
	mos_flow_limbo_close(t);
	mos_flow_limbo_free(t, 1);
	mos_flow_table_join(&again, mem, len, NULL);
}

static pid_t start_stepped(void *mem, size_t len)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct mos_flow_table t;

		stepped_begin();
		if (mos_flow_table_join(&t, mem, len, NULL) != 0)
			_exit(1);
		raise(SIGSTOP);
		steps_of_life(&t, mem, len);
		raise(SIGSTOP);
		_exit(0);
	}
	return pid;
}

static unsigned deaths_whole; /* that left the index as it is to be */

/*
 * Take over a copy of what the child has done so far: in one go, or as a worker does, to which each
 * record is known when it has been met. All of them are, now.
 */
static void take_copy(const struct stepped_body *b, bool in_one_go)
{
	uint32_t mended;

	memcpy(b->copy, b->mem, b->len);
	if (in_one_go) {
		join_or_die(&table, b->copy, b->len, NULL);
		return;
	}
	adopt_or_die(&table, b->copy, b->len, &mended);
	deaths_whole += table.unchecked_count != 0;
	for (uint32_t n = 0; n < 9; n++)
		must(lookup_n(&table, n) != MOS_FLOW_NONE); /* before anything was checked */
	check_rest(&table);
}

/* Returns which of 9, 10 and 11 are there. */
static unsigned examine(void)
{
	unsigned alive = 0;

	check_sound(&table);
	for (uint32_t n = 0; n < 12; n++) {
		uint32_t slot = lookup_n(&table, n);
		const struct mos_flow *f;

		if (slot == MOS_FLOW_NONE) {
			must(n >= 9);
			continue;
		}
		f = mos_flow_at(&table, slot);
		if (n >= 9)
			alive |= 1u << (n - 9);
		if (n >= 10)
			must(agrees(f, 0) && f->id == n + 1);
		if (n < 9)
			must(agrees(f, n));
	}
	must(table.count == 9 + (uint32_t)__builtin_popcount(alive));
	mos_flow_table_leave(&table);
	return alive;
}

static unsigned autopsy(const struct stepped_body *b)
{
	unsigned alive;

	take_copy(b, false);
	alive = examine();
	take_copy(b, true);
	must(examine() == alive);
	return alive;
}

START_TEST(death_between_any_two_instructions_is_recovered)
{
	size_t len = mos_flow_table_footprint(CAPACITY);
	struct twice mem = map_twice(len);
	struct stepped_body body = {
		.mem = mem.b,
		.copy = aligned_alloc(MOS_CACHE_LINE, mos_align(len, MOS_CACHE_LINE)),
		.len = len,
	};
	static const unsigned order[] = {1, 3, 2, 6, 2}; /* 9; 9 10; 10; 10 11; 10 */

	ck_assert_int_eq(mos_flow_table_new(mem.a, CAPACITY), 0);
	join_or_die(&table, mem.a, len, NULL);
	for (uint32_t n = 0; n < 10; n++) {
		uint32_t slot = insert_n(&table, n);

		for (uint32_t i = 0; i < n; i++)
			change(mos_flow_at(&table, slot));
	}
	mos_flow_table_leave(&table);

	deaths_whole = 0;
	stepped_through(start_stepped(mem.a, len), autopsy, &body, order, 5);
	printf("%u of these deaths left the index whole\n", deaths_whole);
	ck_assert_uint_gt(deaths_whole, 0);
	free(body.copy);
	unmap_twice(&mem);
}
END_TEST

/* ---- death at full speed ---- */

enum { KEYS = 64, KILLS = 250 };

/* What should be in the table, by key: written by the child around each of its calls. */
struct journal {
	struct {
		uint32_t busy;
		uint32_t present;
		uint64_t changes;
	} key[KEYS];
	uint32_t ready;
};

/* The stores before come before, in the order in which a death reveals them. */
static void note(uint32_t *where, uint32_t value)
{
	__atomic_store_n(where, value, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void live_until_killed(void *mem, size_t len, struct journal *j, struct rng r)
{
	uint32_t mended;

	adopt_or_die(&table, mem, len, &mended);
	for (uint32_t s = 0; s < table.fresh; s++)
		if (rng_below(&r, 2))
			mos_flow_table_check(&table, s);
	note(&j->ready, 1);
	for (;;) {
		uint32_t n = rng_below(&r, KEYS);
		uint32_t slot = lookup_n(&table, n);

		if (slot != MOS_FLOW_NONE)
			must(mos_flow_table_check(&table, slot) != MOS_FLOW_FREE);
		note(&j->key[n].busy, 1);
		if (slot == MOS_FLOW_NONE) {
			if (insert_n(&table, n) != MOS_FLOW_NONE) {
				j->key[n].changes = 0;
				j->key[n].present = 1;
			}
		} else if (rng_below(&r, 4) == 0) {
			mos_flow_table_remove(&table, slot);
			j->key[n].present = 0;
		} else {
			for (int i = 0; i < 32; i++)
				change(mos_flow_at(&table, slot));
			j->key[n].changes += 32;
		}
		note(&j->key[n].busy, 0);
	}
}

/* The successor's table against the journal, which is then brought in line for the next life. */
static void check_journal(struct journal *j, uint32_t mended)
{
	uint32_t present = 0, busy = 0, suspects = 0;

	check_sound(&table);
	for (uint32_t n = 0; n < KEYS; n++) {
		uint32_t slot = lookup_n(&table, n);
		bool found = slot != MOS_FLOW_NONE;

		if (!j->key[n].busy) {
			must(found == j->key[n].present);
			must(!found || agrees(mos_flow_at(&table, slot), j->key[n].changes));
			present += found;
			continue;
		}
		busy++;
		if (found) {
			suspects += mos_flow_at(&table, slot)->flags ==
			            (MOS_FLOW_IN_USE | MOS_FLOW_SUSPECT | MOS_FLOW_TORN);
			mos_flow_table_remove(&table, slot);
		}
		j->key[n].busy = 0;
		j->key[n].present = 0;
	}
	must(busy <= 1 && suspects == mended);
	must(table.count == present);
}

START_TEST(killed_writer_loses_no_flow_but_the_one_in_hand)
{
	size_t len = mos_flow_table_footprint(CAPACITY);
	struct twice mem = map_twice(len);
	struct twice notes = map_twice(sizeof(struct journal));
	struct journal *j = notes.a;
	struct rng r = rng_new();
	uint32_t mended_all = 0, whole = 0;

	ck_assert_int_eq(mos_flow_table_new(mem.a, CAPACITY), 0);
	for (int i = 0; i < KILLS; i++) {
		uint32_t mended;
		int status;
		pid_t pid;

		j->ready = 0;
		pid = fork();
		if (pid == 0)
			live_until_killed(mem.a, len, j, r);
		ck_assert_int_gt(pid, 0);
		/* Some die while they join. */
		while (i % 4 && !__atomic_load_n(&j->ready, __ATOMIC_ACQUIRE))
			mos_pause();
		usleep(rng_below(&r, 1000));
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		if (i % 2) {
			join_or_die(&table, mem.b, len, &mended);
		} else {
			adopt_or_die(&table, mem.b, len, &mended);
			whole += table.unchecked_count != 0;
			mended += check_rest(&table);
		}
		check_journal(j, mended);
		mended_all += mended;
		mos_flow_table_leave(&table);
	}
	printf("%d kills, %u torn records mended, %u of %d indices whole\n", KILLS, mended_all,
	       whole, KILLS / 2);
	ck_assert_uint_gt(whole, 0);
	unmap_twice(&notes);
	unmap_twice(&mem);
}
END_TEST

START_TEST(reader_never_sees_half_a_change)
{
	size_t len = mos_flow_table_footprint(CAPACITY);
	struct twice mem = map_twice(len);
	struct twice notes = map_twice(sizeof(struct journal));
	struct rng r = rng_new();
	const struct mos_flow *records;
	uint64_t whole = 0, most = 0;
	uint32_t capacity;
	int status;
	pid_t pid;

	ck_assert_int_eq(mos_flow_table_new(mem.a, CAPACITY), 0);
	pid = fork();
	if (pid == 0)
		live_until_killed(mem.a, len, notes.a, r);
	records = mos_flow_table_records(mem.b, len, &capacity);
	ck_assert_ptr_nonnull(records);
	for (uint32_t i = 0; i < 3000000; i++) {
		struct mos_flow f;

		if (!mos_flow_snapshot(&f, &records[i % capacity]))
			continue;
		must(agrees(&f, f.packets[0]));
		must(f.flags == MOS_FLOW_IN_USE && f.id > 0);
		must(f.key.ip_version == 4 || f.key.ip_version == 6);
		whole++;
		most = f.packets[0] > most ? f.packets[0] : most;
	}
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_uint_gt(whole, 1000);
	ck_assert_uint_gt(most, 0);
	unmap_twice(&notes);
	unmap_twice(&mem);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("flow_table_crash");
	TCase *tc = tcase_create("flow_table_crash");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, death_between_any_two_instructions_is_recovered);
	tcase_add_test(tc, killed_writer_loses_no_flow_but_the_one_in_hand);
	tcase_add_test(tc, reader_never_sees_half_a_change);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
