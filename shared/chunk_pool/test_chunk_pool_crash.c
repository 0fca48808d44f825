/*
 * A worker that dies while it uses the pool. A child is stopped after each single instruction of a
 * short life, and each time its successor's view is taken from a copy of the memory. And children
 * that work at full speed are killed at random moments.
 */
#include "shared/chunk_pool/test_pool.h"
#include "shared/test_stepped.h"

enum { COUNT = 64 };

static struct mos_chunk_pool pool;
static struct streams streams;

/* What a chunk of this page holds when its holder has written it. */
static uint64_t mark_of(uint32_t n, uint64_t page)
{
	return page << 8 | n | UINT64_C(1) << 63;
}

static void get_marked(struct mos_chunk_pool *p, uint32_t n, uint64_t page)
{
	uint32_t c = get_n(p, &streams, n, page);

	if (c != MOS_CHUNK_NONE)
		mos_chunk_at(p, c)->valid[0] = mark_of(n, page);
}

static void put_n(struct mos_chunk_pool *p, uint32_t n, uint64_t page)
{
	mos_chunk_put(p, &streams.list[n], lookup_n(p, n, page));
}

/* Nothing of what the chunk held before shines through. */
static bool is_whole(const struct mos_chunk *c, uint32_t n, uint64_t page)
{
	return c->flow == flow_of(n) && c->page == page &&
	       (c->valid[0] == 0 || c->valid[0] == mark_of(n, page));
}

/* ---- death at every instruction ---- */

/* What the stepped child does between its two stops: there is page 3 of stream 1. */
static void steps_of_life(struct mos_chunk_pool *p, void *mem, size_t len)
{
	struct mos_chunk_pool again;

	get_marked(p, 1, 7);
	put_n(p, 1, 3);
	get_marked(p, 4, 9); /* gets the chunk that held page 3 */
	memset(&streams, 0, sizeof(streams));
	(void)mos_chunk_pool_join(&again, mem, len, keep_known, &streams, NULL);
}

static pid_t start_stepped(void *mem, size_t len)
{
	pid_t pid = fork();

	if (pid == 0) {
		stepped_begin();
		join_or_die(&pool, mem, len, &streams);
		raise(SIGSTOP);
		steps_of_life(&pool, mem, len);
		raise(SIGSTOP);
		_exit(0);
	}
	return pid;
}

/* Recover a copy of what the child has done so far. Returns which of 3, 7 and 9 are there. */
static unsigned autopsy(const struct stepped_body *b)
{
	static const struct {
		uint32_t n;
		uint64_t page;
	} known[] = {{1, 3}, {1, 7}, {4, 9}};
	unsigned alive = 0;

	memcpy(b->copy, b->mem, b->len);
	join_or_die(&pool, b->copy, b->len, &streams);
	check_sound(&pool, &streams);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t c = lookup_n(&pool, known[i].n, known[i].page);

		if (c == MOS_CHUNK_NONE)
			continue;
		must(is_whole(mos_chunk_at(&pool, c), known[i].n, known[i].page));
		alive |= 1u << i;
	}
	must(pool.count - pool.free_count == (uint32_t)__builtin_popcount(alive));
	mos_chunk_pool_leave(&pool);
	return alive;
}

START_TEST(death_between_any_two_instructions_is_recovered)
{
	size_t len = mos_chunk_pool_footprint(COUNT);
	struct twice mem = map_twice(len);
	struct stepped_body body = {
		.mem = mem.b,
		.copy = aligned_alloc(MOS_CACHE_LINE, len),
		.len = len,
	};
	static const unsigned order[] = {1, 3, 2, 6}; /* 3; 3 7; 7; 7 9 */

	ck_assert_int_eq(mos_chunk_pool_new(mem.a, COUNT), 0);
	join_or_die(&pool, mem.a, len, &streams);
	get_marked(&pool, 1, 3);
	mos_chunk_pool_leave(&pool);

	stepped_through(start_stepped(mem.a, len), autopsy, &body, order, 4);
	free(body.copy);
	unmap_twice(&mem);
}
END_TEST

/* ---- death at full speed ---- */

enum { PAGES = 10, KILLS = 250 };

/* What should be in the pool: written by the child around each of its calls. */
struct journal {
	uint32_t busy; /* with n * PAGES + page, + 1 */
	uint32_t ready;
	uint8_t present[STREAMS][PAGES];
};

/* The stores before come before, in the order in which a death reveals them. */
static void note(uint32_t *where, uint32_t value)
{
	__atomic_store_n(where, value, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void live_until_killed(void *mem, size_t len, struct journal *j, struct rng r)
{
	join_or_die(&pool, mem, len, &streams);
	note(&j->ready, 1);
	for (;;) {
		uint32_t n = rng_below(&r, STREAMS), page = rng_below(&r, PAGES);
		uint32_t c = lookup_n(&pool, n, page);

		note(&j->busy, n * PAGES + page + 1);
		if (c == MOS_CHUNK_NONE && pool.free_count > 0) {
			get_marked(&pool, n, page);
			j->present[n][page] = 1;
		} else if (c != MOS_CHUNK_NONE && rng_below(&r, 2)) {
			mos_chunk_put(&pool, &streams.list[n], c);
			j->present[n][page] = 0;
		} else if (c != MOS_CHUNK_NONE) {
			mos_chunk_in_order(&pool, c);
		}
		note(&j->busy, 0);
	}
}

/* The successor's pool against the journal, which is then brought in line for the next life. */
static void check_journal(struct journal *j)
{
	uint32_t present = 0;

	check_sound(&pool, &streams);
	for (uint32_t n = 0; n < STREAMS; n++) {
		for (uint32_t page = 0; page < PAGES; page++) {
			uint32_t c = lookup_n(&pool, n, page);
			const struct mos_chunk *at = mos_chunk_at(&pool, c);
			bool found = c != MOS_CHUNK_NONE;

			must(!found || is_whole(at, n, page));
			if (j->busy == n * PAGES + page + 1)
				j->present[n][page] = found;
			else
				must(!found || at->valid[0] == mark_of(n, page));
			must(found == j->present[n][page]);
			if (found) /* so that a get that was cut short is judged once */
				mos_chunk_at(&pool, c)->valid[0] = mark_of(n, page);
			present += found;
		}
	}
	must(pool.count - pool.free_count == present);
	j->busy = 0;
}

START_TEST(killed_worker_loses_no_chunk)
{
	size_t len = mos_chunk_pool_footprint(COUNT);
	struct twice mem = map_twice(len);
	struct twice notes = map_twice(sizeof(struct journal));
	struct journal *j = notes.a;
	struct rng r = rng_new();
	uint32_t in_hand = 0;

	ck_assert_int_eq(mos_chunk_pool_new(mem.a, COUNT), 0);
	for (int i = 0; i < KILLS; i++) {
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
		in_hand += j->busy != 0;
		join_or_die(&pool, mem.b, len, &streams);
		check_journal(j);
		mos_chunk_pool_leave(&pool);
	}
	printf("%d kills, %u inside a call\n", KILLS, in_hand);
	unmap_twice(&notes);
	unmap_twice(&mem);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("chunk_pool_crash");
	TCase *tc = tcase_create("chunk_pool_crash");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, death_between_any_two_instructions_is_recovered);
	tcase_add_test(tc, killed_worker_loses_no_chunk);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
