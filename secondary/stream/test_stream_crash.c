/*
 * Workers that are killed at random points of random work, and what their successors find: held
 * against a book of what must be there. test_stream.h tells how streams are put on the bench.
 */
#include <signal.h>
#include <sys/wait.h>

#include "secondary/stream/test_stream.h"

enum { HANDS = 8, SPAN = 1 << 17, ROUNDS = 150 };

/* What must be there after a death, in memory that outlives it; in_hand as in the ledger. */
struct book {
	int in_hand; /* flow, or -1 */
	uint64_t steps;
	bool held[HANDS][SPAN];
};
static struct book *book;

static void take_in_hand(int flow)
{
	__atomic_store_n(&book->in_hand, flow, __ATOMIC_SEQ_CST);
}

static void step_packet(struct rng *r, uint32_t flow)
{
	struct mos_stream *st = stream_at(flow, SVR);
	uint64_t from = st->next + rng_below(r, 20000), len = 1 + rng_below(r, 3000);

	if (rng_below(r, 2) == 0)
		from = st->next - (st->next < 2000 ? 0 : rng_below(r, 2000));
	if (from + len > SPAN)
		return;
	for (uint64_t off = from; off < from + len; off++)
		book->held[flow][off] |= off >= st->next;
	arrive(flow, from, (uint32_t)len);
	for (unsigned k = 0; k < 2; k++)
		if (rng_below(r, 3) != 0)
			read_as(flow, k, rng_below(r, 6000));
	settle(flow);
}

static void step_ack(struct rng *r, uint32_t flow)
{
	struct mos_stream_range gap;
	uint64_t to = stream_at(flow, SVR)->next + rng_below(r, 9000);

	if (to <= SPAN)
		ack(flow, to, &gap);
}

/* A new connection in the record's place would have another id; here it begins again. */
static void step_end(uint32_t flow)
{
	struct mos_stream *st = stream_at(flow, SVR);

	mos_streams_free_flow(&b.s, flow);
	memset(book->held[flow], 0, sizeof(book->held[flow]));
	flow_at(flow)->half[SVR].irs += 12345;
	flow_at(flow)->half[SVR].rcv_nxt = flow_at(flow)->half[SVR].irs + 1;
	st->next = st->pos0 = flow_at(flow)->pos[SVR][1] = 0;
}

static void step(struct rng *r)
{
	uint32_t flow = rng_below(r, HANDS);
	uint8_t buf[4000];

	if (rng_below(r, 10) == 0) { /* in a timer: the ledger names nobody */
		mos_stream_read(&b.s, flow, SVR, rng_below(r, 2), false, buf, rng_below(r, 4000));
		mos_streams_settle_read(&b.s);
		return;
	}
	take_in_hand((int)flow);
	if (stream_at(flow, SVR)->next + 30000 > SPAN)
		step_end(flow);
	else if (rng_below(r, 10) == 0)
		step_ack(r, flow);
	else
		step_packet(r, flow);
	b.s.evicted_count = 0;
	take_in_hand(-1);
}

static void work_until_killed(struct rng r)
{
	bench_join();
	for (;;) {
		step(&r);
		__atomic_fetch_add(&book->steps, 1, __ATOMIC_SEQ_CST);
	}
}

/* Of a whole flow: what was held and is unread is there (exact), and is what it was. */
static void check_whole(uint32_t flow, bool exact)
{
	struct mos_stream *st = stream_at(flow, SVR);
	uint64_t pos1 = flow_at(flow)->pos[SVR][1], least = st->pos0 < pos1 ? st->pos0 : pos1;
	static uint8_t buf[SPAN];
	struct mos_stream_range r;
	uint64_t off = least;

	must(st->pos0 <= st->next && pos1 <= st->next);
	must(st->next ==
	     (uint32_t)(flow_at(flow)->half[SVR].rcv_nxt - flow_at(flow)->half[SVR].irs - 1));
	while (mos_stream_held(&b.s, flow, SVR, off, &r)) {
		must(mos_stream_at(&b.s, flow, SVR, buf, r.end - r.from, r.from) == r.end - r.from);
		must(are_bytes_of(buf, r.from, r.end - r.from));
		for (; off < r.end; off++)
			must(book->held[flow][off] == (off >= r.from) || !exact);
	}
	for (; off < SPAN; off++)
		must(!book->held[flow][off] || !exact);
}

static void bury(struct rng *r, bool exact)
{
	int torn = book->in_hand;

	bench_join_table();
	if (torn >= 0)
		flow_at((uint32_t)torn)->flags |= MOS_FLOW_TORN;
	bench_join_streams();
	check_pool();
	for (uint32_t flow = 0; flow < HANDS; flow++) {
		if ((int)flow != torn)
			check_whole(flow, exact);
	}
	if (torn >= 0) {
		must(stream_at((uint32_t)torn, SVR)->chunks == 0);
		memset(book->held[torn], 0, sizeof(book->held[torn]));
		check_whole((uint32_t)torn, exact);
		flow_at((uint32_t)torn)->flags &= (uint8_t)~MOS_FLOW_TORN;
	}
	take_in_hand(-1);
	for (int i = 0; i < 50; i++)
		step(r);
	bench_leave();
}

static void kill_many_workers(uint32_t chunks, bool exact)
{
	struct rng r = rng_new();
	unsigned torn = 0;

	bench_open_with(chunks);
	book = mmap(NULL, sizeof(*book), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(book != MAP_FAILED);
	for (uint32_t i = 0; i < HANDS; i++)
		stream_at(new_flow(), SVR)->readers = 3;
	take_in_hand(-1);
	bench_leave();
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t before = book->steps;
		struct rng seed = {.state = rng_next(&r)};
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid == 0)
			work_until_killed(seed);
		while (__atomic_load_n(&book->steps, __ATOMIC_SEQ_CST) < before + 20)
			usleep(50);
		usleep(rng_below(&r, 1500));
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		torn += book->in_hand >= 0;
		bury(&r, exact);
	}
	ck_assert_uint_gt(torn, 0); /* else nothing was tried */
	munmap(book, sizeof(*book));
	bench_join();
	bench_close();
}

START_TEST(kill_loses_no_byte_but_those_of_the_flow_in_hand)
{
	kill_many_workers(1024, true);
}
END_TEST

START_TEST(kill_under_pressure_leaves_a_sound_pool)
{
	kill_many_workers(64, false);
}
END_TEST

static TCase *deaths(void)
{
	TCase *tc = tcase_create("deaths");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, kill_loses_no_byte_but_those_of_the_flow_in_hand);
	tcase_add_test(tc, kill_under_pressure_leaves_a_sound_pool);
	return tc;
}

int main(void)
{
	static TCase *(*const cases[])(void) = {deaths};

	return run_cases("stream_crash", cases, 1);
}
