/*
 * All ways in which two or three segments can lie to each other: the 13 relations of Allen for a
 * pair, the 409 for a triplet, found as the weak orders of their ends. Each arrangement comes in
 * each order of arrival, under both policies, where the stream stands and behind a hole, and spread
 * so that ends fall on, before and behind the borders of words and of chunks. Each segment is
 * filled with its own byte. A table of one entry per rank says what must be read at the end; the
 * model of stream_rig.h says the same of each step.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/stream/stream_rig.h"

enum { THREE = 3, ENDS_MAX = 2 * THREE, ISN = 0xfffff000, LOST = 0, HOLE_BYTE = 9 };

/* Ranks of the ends of n segments: [first[i], behind[i]). */
struct arrangement {
	unsigned n, ranks;
	uint8_t first[THREE], behind[THREE];
};

/* Bytes between rank i and i + 1, and before rank 0. */
struct spread {
	uint16_t before, step[ENDS_MAX - 1];
};

static const struct spread spreads[] = {
	{0, {1, 1, 1, 1, 1}},
	{1790, {1, 1, 1, 1, 1}},
	{60, {1, 2, 1, 2, 1}},
	{0, {64, 64, 64, 64, 64}},
	{63, {1, 64, 65, 63, 2}},
	{1730, {62, 63, 65, 1, 64}},
	{0, {1792, 1792, 1792, 1792, 1792}},
	{1791, {1, 1793, 1791, 3584, 64}},
	{700, {1460, 1460, 1460, 1460, 1460}},
};

static struct rig rig;

/* ---- arrangements ---- */

/* Every rank below the highest is the end of something, and no segment is empty. */
static bool make_arrangement(struct arrangement *a, unsigned n, unsigned code)
{
	unsigned used = 0, ends = 2 * n;

	*a = (struct arrangement){.n = n};
	for (unsigned i = 0; i < ends; i++) {
		unsigned rank = code % ends;

		code /= ends;
		used |= 1u << rank;
		*(i % 2 ? &a->behind[i / 2] : &a->first[i / 2]) = (uint8_t)rank;
	}
	while (used >> a->ranks)
		a->ranks++;
	for (unsigned i = 0; i < n; i++)
		if (a->first[i] >= a->behind[i])
			return false;
	return used == (1u << a->ranks) - 1;
}

static unsigned for_all(unsigned n, void (*each)(const struct arrangement *))
{
	unsigned codes = 1, count = 0;

	for (unsigned i = 0; i < 2 * n; i++)
		codes *= 2 * n;
	for (unsigned code = 0; code < codes; code++) {
		struct arrangement a;

		if (!make_arrangement(&a, n, code))
			continue;
		count++;
		each(&a);
	}
	return count;
}

/* ---- one of them on the rig ---- */

static uint8_t payload[RIG_PAYLOAD_MAX];

static void send(int end, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len, uint8_t byte)
{
	const struct mos_tcp_opts opts = {.mss = 1460};
	struct mos_tcp_seg seg = {.seq = seq,
	                          .ack = ack,
	                          .payload_len = len,
	                          .wnd = 60000,
	                          .flags = flags,
	                          .opts = &opts};

	memset(payload, byte, len);
	rig_segment(&rig, 0, end, &seg, payload, RIG_PAYLOAD_MAX, RIG_LIVES);
}

/* Client's data, from an offset of its stream. */
static void send_data(uint32_t off, uint32_t len, uint8_t byte)
{
	send(0, MOS_TCP_ACK, ISN + 1 + off, 1, len, byte);
}

static void open_flow(bool last)
{
	send(0, MOS_TCP_SYN, ISN, 0, 0, 0);
	send(1, MOS_TCP_SYN | MOS_TCP_ACK, 0, ISN + 1, 0, 0);
	send_data(0, 0, 0);
	rig_add_reader(&rig, 0, MOS_SVR, 0);
	rig_set_limit(&rig, 0, MOS_SVR, 50000);
	rig_set_last(&rig, 0, MOS_SVR, last);
}

/* What each step between two ranks holds at the end: the segment's number + 1. */
static void expect(const struct arrangement *a, const uint8_t *order, bool last, uint8_t *held)
{
	memset(held, LOST, ENDS_MAX);
	for (unsigned i = 0; i < a->n; i++)
		for (unsigned rank = a->first[order[i]]; rank < a->behind[order[i]]; rank++)
			if (last || held[rank] == LOST)
				held[rank] = (uint8_t)(order[i] + 1);
}

static int64_t read_some(uint8_t *buf, size_t len)
{
	int64_t n = mos_stream_read(&rig.streams, rig.flow[0].slot, MOS_SVR, 0, false, buf, len);

	rig.flow[0].in[MOS_SVR].pos[0] = *mos_stream_pos(rig_record(&rig, 0), MOS_SVR, 0);
	return n;
}

/* The next len bytes are all alike. *lost: so many before them are lost, which is told first. */
static void read_step(uint32_t len, uint8_t byte, uint32_t *lost)
{
	static uint8_t buf[8192];

	if (byte == LOST) {
		*lost += len;
		return;
	}
	if (*lost > 0)
		RIG_CHECK(&rig, read_some(buf, len) == -(int64_t)*lost);
	*lost = 0;
	RIG_CHECK(&rig, read_some(buf, len) == len);
	for (uint32_t i = 0; i < len; i++)
		RIG_CHECK(&rig, buf[i] == byte);
}

static void play(const struct arrangement *a, const uint8_t *order, const struct spread *s,
                 bool last, bool hole)
{
	uint32_t at[ENDS_MAX], hole_len = hole ? 100 : 0, lost = 0;
	uint8_t held[ENDS_MAX];

	open_flow(last);
	at[0] = s->before + hole_len;
	for (unsigned i = 1; i < a->ranks; i++)
		at[i] = at[i - 1] + s->step[i - 1];
	if (s->before > 0)
		send_data(0, s->before, HOLE_BYTE);
	for (unsigned i = 0; i < a->n; i++) {
		uint32_t from = at[a->first[order[i]]];

		send_data(from, at[a->behind[order[i]]] - from, (uint8_t)(order[i] + 1));
	}
	if (hole)
		send_data(s->before, hole_len, HOLE_BYTE);
	send(1, MOS_TCP_ACK, 1, ISN + 1 + at[a->ranks - 1], 0, 0);
	expect(a, order, last, held);
	read_step(at[0], HOLE_BYTE, &lost);
	for (unsigned i = 0; i + 1 < a->ranks; i++)
		read_step(s->step[i], held[i], &lost);
	RIG_CHECK(&rig, rig_read(&rig, 0, MOS_SVR, 0, false, 1) == 0);
	rig_end_flow(&rig, 0);
}

static void each_way(const struct arrangement *a)
{
	static const uint8_t orders[6][THREE] = {{0, 1, 2}, {1, 0, 2}, {0, 2, 1},
	                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	unsigned order_count = a->n == 2 ? 2 : 6;

	for (unsigned i = 0; i < sizeof(spreads) / sizeof(spreads[0]); i++)
		for (unsigned o = 0; o < order_count; o++)
			for (unsigned way = 0; way < 4; way++)
				play(a, orders[o], &spreads[i], way & 1, way & 2);
}

/* ---- tests ---- */

static void setup(void)
{
	rig_open(&rig, MOS_CHUNK_COUNT_MIN);
}

static void teardown(void)
{
	rig_close(&rig);
}

START_TEST(pairs_are_told_apart)
{
	ck_assert_uint_eq(for_all(2, each_way), 13);
}
END_TEST

START_TEST(triplets_are_told_apart)
{
	ck_assert_uint_eq(for_all(THREE, each_way), 409);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stream_overlap");
	TCase *tc = tcase_create("overlap");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 100);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, pairs_are_told_apart);
	tcase_add_test(tc, triplets_are_told_apart);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
