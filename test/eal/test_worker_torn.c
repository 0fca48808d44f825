/*
 * Streams and deaths: a worker dies before or after any of its callbacks, while three connections
 * share its bursts; what it and its successor have read together is compared with what was sent.
 * Of the flows that were not in hand every byte is read, once.
 */
#include <setjmp.h>

#include "test/eal/stream_wire.h"

#define FLOWS 3
#define PIECE 100u
#define BYTES (8 * PIECE)

static jmp_buf death;
static int die_at; /* counted down before and after each callback's work */
static unsigned turn;
static uint8_t seen[FLOWS][BYTES]; /* how often each byte was read */
static uint64_t lost[FLOWS];
static unsigned restarts[FLOWS];

static void may_die(void)
{
	if (die_at-- == 0)
		longjmp(death, 1);
}

static void read_flow(uint32_t flow)
{
	uint64_t *pos = mos_stream_pos(mos_flow_at(&hs.c->flows, flow), MOS_SVR, 0), at = *pos;
	uint8_t bytes[3 * PIECE / 2];
	int64_t n;

	ck_assert(mos_flow_read_by(hs.c, flow, MOS_SVR, 0));
	while ((n = mos_stream_read(&hs.c->streams, flow, MOS_SVR, 0, mos_flow_in_hand(hs.c, flow),
	                            bytes, sizeof(bytes))) != 0) {
		if (n < 0)
			lost[flow] += (uint64_t)-n;
		for (int64_t i = 0; i < n; i++) {
			ck_assert_uint_eq(bytes[i], sw_byte((int)flow, at + (uint64_t)i));
			seen[flow][at + (uint64_t)i]++;
		}
		at += (uint64_t)(n < 0 ? -n : n);
		ck_assert_uint_eq(*pos, at);
	}
}

/* What each third NEW_DATA finds is read, the rest is left. */
static void act(int sock, int side, event_t event, int hook)
{
	uint32_t flow = ((uint32_t)sock - MOS_MON_ID_MAX) % hs.shard->max_flows;

	may_die();
	if (event == MOS_ON_CONN_NEW_DATA && turn++ % 3 == 2)
		read_flow(flow);
	if (event == MOS_ON_ERROR && hs.c->told.cause == MOS_GAP_RESTART)
		restarts[flow]++;
	may_die();
}

static void send_piece(uint32_t flow, unsigned at)
{
	struct hs_pkt p = DATA(1001 + at * PIECE, 5001, PIECE);
	uint8_t bytes[PIECE];

	for (unsigned i = 0; i < PIECE; i++)
		bytes[i] = sw_byte((int)flow, at * PIECE + i);
	p.flow = flow;
	p.bytes = bytes;
	hs_send(&p);
}

static void send_all(void)
{
	static const unsigned order[] = {0, 2, 1, 3, 6, 5, 4, 7};

	for (unsigned i = 0; i < RTE_DIM(order); i++)
		for (uint32_t flow = 0; flow < FLOWS; flow++)
			send_piece(flow, order[i]);
}

static void open_flows(void)
{
	hs_open(NULL);
	hs_passive_all();
	for (uint32_t flow = 0; flow < FLOWS; flow++)
		hs_handshake(flow);
	memset(seen, 0, sizeof(seen));
	memset(lost, 0, sizeof(lost));
	memset(restarts, 0, sizeof(restarts));
	turn = 0;
}

/* True when the worker died. */
static bool work(int n)
{
	die_at = n;
	hs.act = act;
	if (setjmp(death) != 0)
		return true;
	while (!rte_ring_empty(hs.shard->rx))
		mos_loop_round(hs.c);
	return false;
}

static void check_flow(uint32_t flow, bool in_hand)
{
	uint64_t next = mos_flow_at(&hs.c->flows, flow)->stream[MOS_SVR].next, read = 0;

	for (unsigned i = 0; i < BYTES; i++) {
		ck_assert_uint_le(seen[flow][i], 1);
		read += seen[flow][i];
	}
	ck_assert_uint_eq(read + lost[flow], next);
	ck_assert_uint_eq(restarts[flow] > 0, lost[flow] > 0);
	if (in_hand)
		return;
	ck_assert_uint_eq(lost[flow], 0);
	ck_assert_uint_eq(next, BYTES);
}

/* True when the worker died at this point. */
static bool die_once(int n, unsigned *stages, uint64_t *all_lost)
{
	struct mos_ledger_verdict v = {.flow = MOS_FLOW_NONE};
	bool died;

	open_flows();
	send_all();
	died = work(n);
	if (died) {
		v = hs_bury();
		*stages |= 1u << v.stage;
		hs_attach(1);
		hs_passive_all();
		ck_assert(!work(-1));
	}
	hs_round();
	for (uint32_t flow = 0; flow < FLOWS; flow++) {
		read_flow(flow);
		check_flow(flow, flow == v.flow);
		*all_lost += lost[flow];
	}
	hs_round();
	hs.act = NULL;
	hs_advance(60000);
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(hs.c->streams.pool.free_count, hs.c->streams.pool.count);
	hs_close();
	return died;
}

START_TEST(death_loses_and_doubles_no_byte_but_of_the_flow_in_hand)
{
	uint64_t all_lost = 0;
	unsigned stages = 0;
	int n = 0;

	while (die_once(n, &stages, &all_lost))
		n++;
	ck_assert_int_gt(n, 100);
	ck_assert_uint_eq(stages, 1u << MOS_STAGE_SND | 1u << MOS_STAGE_RCV | 1u << MOS_STAGE_DATA);
	ck_assert_uint_gt(all_lost, 0);
	hs_open(NULL); /* for the fixture that closes it */
}
END_TEST

TCase *torn_case(void)
{
	TCase *tc = tcase_create("torn");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, death_loses_and_doubles_no_byte_but_of_the_flow_in_hand);
	return tc;
}
