/*
 * Streams on the bench: a flow table and a chunk pool in memory that is mapped twice, and flows
 * whose halves are moved by hand, as secondary/tcp_track would. The byte at an offset follows from
 * the offset, so that whatever is read can be checked without having been kept. What is also done by
 * children that will be killed uses must(): it writes nothing.
 */
#ifndef MOS_SECONDARY_TEST_STREAM_H
#define MOS_SECONDARY_TEST_STREAM_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/stream/stream.h"
#include "shared/test_rng.h"
#include "shared/test_twice.h"

enum { FLOWS = 40, CHUNKS = 64, PAGE = MOS_CHUNK_PAGE, SVR = MOS_SVR, CLI = MOS_CLI };

#define FAR (UINT64_C(1) << 60) /* a window that takes everything */

struct bench {
	struct twice table_mem, pool_mem;
	struct mos_flow_table table;
	struct mos_counters counters;
	struct mos_streams s;
};

static struct bench b;
static struct mos_stream_range lost;

static inline void bench_join_table(void)
{
	must(mos_flow_table_join(&b.table, b.table_mem.a, b.table_mem.len, NULL) == 0);
}

static inline void bench_join_streams(void)
{
	must(mos_streams_join(&b.s, b.pool_mem.a, b.pool_mem.len, &b.table, &b.counters) == 0);
}

static inline void bench_join(void)
{
	bench_join_table();
	bench_join_streams();
}

static inline void bench_leave(void)
{
	mos_streams_leave(&b.s);
	mos_flow_table_leave(&b.table);
}

static inline void bench_open_with(uint32_t chunks)
{
	memset(&b, 0, sizeof(b));
	b.table_mem = map_twice(mos_flow_table_footprint(FLOWS));
	b.pool_mem = map_twice(mos_chunk_pool_footprint(chunks));
	ck_assert_int_eq(mos_flow_table_new(b.table_mem.a, FLOWS), 0);
	ck_assert_int_eq(mos_chunk_pool_new(b.pool_mem.a, chunks), 0);
	bench_join();
}

static inline void bench_open(void)
{
	bench_open_with(CHUNKS);
}

static inline void bench_close(void)
{
	bench_leave();
	unmap_twice(&b.table_mem);
	unmap_twice(&b.pool_mem);
}

static inline struct mos_flow *flow_at(uint32_t flow)
{
	return mos_flow_at(&b.table, flow);
}

static inline struct mos_stream *stream_at(uint32_t flow, int side)
{
	return &flow_at(flow)->stream[side];
}

static inline uint32_t chunks_used(void)
{
	return b.s.pool.count - b.s.pool.free_count;
}

static inline uint64_t counted(enum mos_counter which)
{
	return mos_counter_get(&b.counters, which);
}

/* A flow whose halves have each other's SYN; socket 0 reads what the server receives. */
static inline uint32_t new_flow_at(uint32_t irs)
{
	static uint16_t port;
	struct mos_flow_key key = {.src_port_be = ++port, .ip_version = 4};
	uint32_t flow = mos_flow_table_insert(&b.table, &key, port);
	struct mos_flow *f = flow_at(flow);

	ck_assert_uint_ne(flow, MOS_FLOW_NONE);
	for (int side = CLI; side <= SVR; side++) {
		f->half[side].flags = MOS_HALF_RCVD | MOS_HALF_ISS;
		f->half[side].irs = irs;
		f->half[side].rcv_nxt = irs + 1;
		f->stream[side].limit = 1u << 20;
	}
	f->stream[SVR].readers = 1;
	return flow;
}

static inline uint32_t new_flow(void)
{
	return new_flow_at(UINT32_MAX - 5000); /* wraps soon */
}

/* ---- bytes ---- */

static inline uint8_t byte_at(uint64_t off)
{
	return (uint8_t)(off * 31 + (off >> 8) * 7 + (off >> 16));
}

static inline const uint8_t *bytes_of(uint64_t from, uint32_t len)
{
	static uint8_t buf[1 << 17];

	must(len <= sizeof(buf));
	for (uint32_t i = 0; i < len; i++)
		buf[i] = byte_at(from + i);
	return buf;
}

static inline bool are_bytes_of(const uint8_t *bytes, uint64_t from, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		if (bytes[i] != byte_at(from + i))
			return false;
	return true;
}

/* ---- packets ---- */

/* The server receives [from, from + len), as in the order of stream.h. Not settled. */
static inline uint64_t arrive_bytes(uint32_t flow, uint64_t from, const uint8_t *bytes,
                                    uint32_t len, uint64_t window_end)
{
	struct mos_flow *f = flow_at(flow);
	struct mos_piece piece = {from, bytes, len};

	if (from <= f->stream[SVR].next && from + len > f->stream[SVR].next)
		f->half[SVR].rcv_nxt = f->half[SVR].irs + 1 + (uint32_t)(from + len) +
		                       mos_stream_follows(&b.s, flow, SVR, from + len);
	return mos_stream_arrive(&b.s, flow, SVR, &piece, window_end, true, &lost);
}

static inline uint64_t arrive(uint32_t flow, uint64_t from, uint32_t len)
{
	return arrive_bytes(flow, from, bytes_of(from, len), len, FAR);
}

static inline void settle(uint32_t flow)
{
	mos_stream_settle(&b.s, flow, SVR);
	mos_stream_settle(&b.s, flow, CLI);
}

/* A whole packet that nobody reads when it comes. */
static inline uint64_t packet(uint32_t flow, uint64_t from, uint32_t len)
{
	uint64_t n = arrive(flow, from, len);

	settle(flow);
	return n;
}

/* The server acknowledges all below `end`. */
static inline uint64_t ack(uint32_t flow, uint64_t end, struct mos_stream_range *gap)
{
	struct mos_flow *f = flow_at(flow);
	uint32_t number = f->half[SVR].irs + 1 + (uint32_t)end;
	uint64_t n;

	if (mos_seq_gt(number, f->half[SVR].rcv_nxt))
		f->half[SVR].rcv_nxt = number;
	mos_stream_acked(f, SVR, number);
	n = mos_stream_advance(&b.s, flow, SVR, gap);
	settle(flow);
	return n;
}

/* ---- reading ---- */

/* Read up to len bytes as socket k and check them. */
static inline int64_t read_as(uint32_t flow, unsigned k, size_t len)
{
	static uint8_t buf[1 << 17];
	uint64_t from = *mos_stream_pos(flow_at(flow), SVR, k);
	int64_t n;

	must(len <= sizeof(buf));
	n = mos_stream_read(&b.s, flow, SVR, k, true, buf, len);
	if (n > 0)
		must(are_bytes_of(buf, from, (uint64_t)n));
	return n;
}

static inline int64_t read_all(uint32_t flow)
{
	return read_as(flow, 0, 1 << 17);
}

/* Each chunk is free, or in the list of the stream that owns it, with a bit set and a page of it. */
static inline void check_pool(void)
{
	uint32_t owned = 0;

	for (uint32_t flow = 0; flow < FLOWS; flow++) {
		for (int side = CLI; side <= SVR; side++) {
			struct mos_stream *st = stream_at(flow, side);
			uint32_t ahead = 0;

			if (!(flow_at(flow)->flags & MOS_FLOW_IN_USE))
				continue;
			for (uint32_t c = mos_chunk_first(&b.s.pool, st->chunks);
			     c != MOS_CHUNK_NONE; c = mos_chunk_next(&b.s.pool, c)) {
				const struct mos_chunk *chunk = mos_chunk_at(&b.s.pool, c);
				bool any = false;

				must(chunk->flow == flow);
				must(chunk->owner == mos_chunk_owner(flow_at(flow)->id, side));
				must(mos_chunk_lookup(&b.s.pool, chunk->owner, flow, chunk->page) ==
				     c);
				for (unsigned w = 0; w < MOS_CHUNK_WORDS; w++)
					any |= chunk->valid[w] != 0;
				must(any);
				ahead += mos_chunk_has_age(&b.s.pool, c);
				owned++;
			}
			must(ahead == st->ahead);
		}
	}
	must(owned == chunks_used());
}

static inline int run_cases(const char *name, TCase *(*const cases[])(void), int count)
{
	Suite *s = suite_create(name);
	SRunner *sr;
	int failed;

	for (int i = 0; i < count; i++)
		suite_add_tcase(s, cases[i]());
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
