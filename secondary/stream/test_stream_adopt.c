/*
 * What a successor makes of the streams of its predecessor, and of garbage.
 * test_stream.h tells how they are put on the bench.
 */
#include <errno.h>

#include "secondary/stream/test_stream.h"

/* Another worker takes over. */
static void restart(void)
{
	bench_leave();
	bench_join();
}

/* ---- what is whole ---- */

START_TEST(successor_goes_on_where_its_predecessor_was)
{
	uint32_t flow = new_flow();
	struct mos_stream_range r;

	stream_at(flow, SVR)->readers = 1 | 1 << 5;
	packet(flow, 0, 3000);
	ck_assert_int_eq(read_as(flow, 0, 2500), 2500);
	ck_assert_int_eq(read_as(flow, 5, 1000), 1000);
	packet(flow, 5000, 3000);
	settle(flow);
	restart();
	check_pool();
	ck_assert_int_eq(read_as(flow, 5, 5000), 2000);
	ck_assert_int_eq(read_as(flow, 0, 5000), 500);
	ck_assert(mos_stream_held(&b.s, flow, SVR, 3000, &r));
	ck_assert(r.from == 5000 && r.end == 8000);
	ck_assert_uint_eq(packet(flow, 3000, 2000), 5000);
	ck_assert_int_eq(read_all(flow), 5000);
}
END_TEST

START_TEST(age_outlives_a_worker)
{
	uint32_t old = new_flow(), young = new_flow(), flow = new_flow();

	packet(old, 10, 10);
	packet(young, 10, 10);
	restart();
	while (b.s.evicted_count == 0)
		packet(flow, stream_at(flow, SVR)->next, PAGE);
	ck_assert_uint_eq(b.s.evicted[0].flow, old);
	ck_assert_uint_eq(stream_at(young, SVR)->ahead, 1);
}
END_TEST

START_TEST(chunks_that_all_had_read_are_free)
{
	uint32_t flow = new_flow();
	uint8_t buf[4 * PAGE];

	packet(flow, 0, 3 * PAGE + 10);
	mos_stream_read(&b.s, flow, SVR, 0, false, buf, 2 * PAGE + 7); /* and it dies */
	ck_assert_uint_eq(chunks_used(), 4);
	restart();
	check_pool();
	ck_assert_uint_eq(chunks_used(), 2);
	ck_assert_int_eq(read_all(flow), PAGE + 3);
}
END_TEST

START_TEST(read_bytes_in_a_page_that_is_still_needed_are_forgotten)
{
	uint32_t flow = new_flow();
	struct mos_stream_range r;
	uint8_t buf[100];

	packet(flow, 0, 1000);
	mos_stream_read(&b.s, flow, SVR, 0, false, buf, 100); /* and it dies */
	restart();
	ck_assert(mos_stream_held(&b.s, flow, SVR, 0, &r));
	ck_assert(r.from == 100 && r.end == 1000);
}
END_TEST

START_TEST(chunk_of_another_first_number_or_far_away_is_free)
{
	uint32_t flow = new_flow();
	struct mos_half *h = &flow_at(flow)->half[SVR];

	packet(flow, 100, 100);
	restart();
	ck_assert_uint_eq(chunks_used(), 1);
	h->irs++;
	h->rcv_nxt++;
	restart();
	ck_assert_uint_eq(chunks_used(), 0);
	packet(flow, 100, 100);
	mos_chunk_at(&b.s.pool, mos_chunk_first(&b.s.pool, stream_at(flow, SVR)->chunks))->page =
		MOS_CHUNK_PAGE_MAX;
	restart();
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

START_TEST(position_beyond_what_is_in_order_is_put_there)
{
	uint32_t flow = new_flow();

	packet(flow, 0, 1000);
	stream_at(flow, SVR)->pos0 = 1500;
	restart();
	ck_assert_uint_eq(stream_at(flow, SVR)->pos0, 1000);
	ck_assert_uint_eq(packet(flow, 1000, 700), 700);
	ck_assert_int_eq(read_all(flow), 700);
}
END_TEST

START_TEST(torn_flow_loses_what_it_held_and_goes_on_at_rcv_nxt)
{
	uint32_t torn = new_flow(), whole = new_flow();

	packet(torn, 0, 3000);
	ck_assert_int_eq(read_as(torn, 0, 1000), 1000);
	packet(torn, 5000, 100);
	packet(whole, 0, 3000);
	flow_at(torn)->half[SVR].rcv_nxt += 500; /* a packet was in hand */
	flow_at(torn)->flags |= MOS_FLOW_TORN;
	restart();
	check_pool();
	ck_assert_uint_eq(chunks_used(), 2);
	ck_assert(flow_at(torn)->flags & MOS_FLOW_TORN); /* for the pipeline to tell */
	ck_assert_uint_eq(stream_at(torn, SVR)->next, 3500);
	ck_assert_uint_eq(stream_at(torn, SVR)->pos0, 1000);
	ck_assert_int_eq(read_all(torn), -2500);
	ck_assert_uint_eq(packet(torn, 3500, 10), 10);
	ck_assert_int_eq(read_all(torn), 10);
	ck_assert_int_eq(read_all(whole), 3000);
}
END_TEST

START_TEST(flow_that_ended_without_giving_back_leaves_nothing)
{
	uint32_t flow = new_flow(), again;

	packet(flow, 0, 3000);
	mos_flow_table_remove(&b.table, flow); /* and it dies */
	again = new_flow();
	ck_assert_uint_eq(again, flow);
	restart();
	ck_assert_uint_eq(chunks_used(), 0);
	check_pool();
}
END_TEST

START_TEST(pool_that_was_never_made_is_not_opened)
{
	static uint8_t nothing[MOS_CHUNK_BYTES] MOS_CACHE_ALIGNED;
	struct mos_streams s;

	ck_assert_int_eq(mos_streams_join(&s, nothing, sizeof(nothing), &b.table, &b.counters),
	                 -EAGAIN);
}
END_TEST

/* ---- garbage ---- */

static void scribble(struct rng *r, void *mem, size_t len)
{
	uint8_t *at = mem;

	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)rng_next(r);
}

/* Work on whatever is there: nothing may go astray, whatever the answers are. */
static void use_flow(struct rng *r, uint32_t flow)
{
	struct mos_flow *f = flow_at(flow);
	uint64_t next = f->stream[SVR].next;
	struct mos_stream_range gap;
	uint8_t buf[3000];

	for (int i = 0; i < 20; i++) {
		uint64_t from = next + rng_below(r, 9000), len = 1 + rng_below(r, 3000);

		from -= from >= 4000 ? rng_below(r, 4000) : 0;
		arrive_bytes(flow, from, bytes_of(from, (uint32_t)len), (uint32_t)len, from + 5000);
		mos_stream_read(&b.s, flow, SVR, rng_below(r, 8), true, buf, rng_below(r, 3000));
		settle(flow);
		mos_stream_advance(&b.s, flow, SVR, &gap);
		next = f->stream[SVR].next;
	}
	check_pool();
}

START_TEST(nothing_that_lies_in_a_record_is_believed)
{
	struct rng r = rng_new();
	uint32_t flow[4];

	for (int i = 0; i < 4; i++)
		flow[i] = new_flow();
	for (int round = 0; round < 2000; round++) {
		for (int i = 0; i < 4; i++)
			use_flow(&r, flow[i]);
		for (int i = 0; i < 4; i++) {
			struct mos_flow *f = flow_at(flow[i]);

			switch (rng_below(&r, 6)) {
			case 0: scribble(&r, f->stream, sizeof(f->stream)); break;
			case 1: scribble(&r, f->pos, sizeof(f->pos)); break;
			case 2: f->half[SVR].rcv_nxt = (uint32_t)rng_next(&r); break;
			case 3: f->half[SVR].irs = (uint32_t)rng_next(&r); break;
			case 4: scribble(&r, &f->stream[SVR], 16); break;
			default: f->stream[SVR].next = rng_next(&r) >> rng_below(&r, 64); break;
			}
			f->half[SVR].flags |= MOS_HALF_RCVD;
		}
		restart();
		check_pool();
		for (int i = 0; i < 4; i++) {
			stream_at(flow[i], SVR)->readers |= 1;
			stream_at(flow[i], SVR)->flags &= (uint8_t)~MOS_STREAM_OFF;
		}
	}
}
END_TEST

START_TEST(nothing_that_lies_in_a_chunk_is_believed)
{
	struct rng r = rng_new();
	uint32_t flow = new_flow();

	for (int round = 0; round < 2000; round++) {
		use_flow(&r, flow);
		for (uint32_t i = 0; i < CHUNKS; i++) {
			struct mos_chunk *c = mos_chunk_at(&b.s.pool, i);

			switch (rng_below(&r, 8)) {
			case 0: c->page = rng_next(&r) >> rng_below(&r, 64); break;
			case 1: c->flow = (uint32_t)rng_next(&r) >> rng_below(&r, 32); break;
			case 2: c->owner = rng_next(&r) >> rng_below(&r, 64); break;
			case 3: memset(c->valid, 0, sizeof(c->valid)); break;
			case 4: scribble(&r, c->valid, sizeof(c->valid)); break;
			case 5: /* as if it were one of the flow's */
				c->owner = mos_chunk_owner(flow_at(flow)->id, SVR);
				c->flow = flow;
				c->base = flow_at(flow)->half[SVR].irs + 1;
				c->page = stream_at(flow, SVR)->next / PAGE + rng_below(&r, 20);
				break;
			default: break;
			}
		}
		restart();
		check_pool();
	}
}
END_TEST

static TCase *whole(void)
{
	TCase *tc = tcase_create("whole");

	tcase_add_checked_fixture(tc, bench_open, bench_close);
	tcase_add_test(tc, successor_goes_on_where_its_predecessor_was);
	tcase_add_test(tc, age_outlives_a_worker);
	tcase_add_test(tc, chunks_that_all_had_read_are_free);
	tcase_add_test(tc, read_bytes_in_a_page_that_is_still_needed_are_forgotten);
	tcase_add_test(tc, chunk_of_another_first_number_or_far_away_is_free);
	tcase_add_test(tc, position_beyond_what_is_in_order_is_put_there);
	tcase_add_test(tc, torn_flow_loses_what_it_held_and_goes_on_at_rcv_nxt);
	tcase_add_test(tc, flow_that_ended_without_giving_back_leaves_nothing);
	tcase_add_test(tc, pool_that_was_never_made_is_not_opened);
	return tc;
}

static TCase *garbage(void)
{
	TCase *tc = tcase_create("garbage");

	tcase_add_checked_fixture(tc, bench_open, bench_close);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, nothing_that_lies_in_a_record_is_believed);
	tcase_add_test(tc, nothing_that_lies_in_a_chunk_is_believed);
	return tc;
}

int main(void)
{
	static TCase *(*const cases[])(void) = {whole, garbage};

	return run_cases("stream_adopt", cases, 2);
}
