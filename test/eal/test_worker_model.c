/*
 * Random packets of several connections, in bursts, against the reference of worker_model.h, while
 * the callbacks of some sockets register, unregister, stop flows and raise events. Every other
 * episode has no witness: there nobody must hear of a side he has stopped, or of a flow that is
 * over, and flows that nobody watches must be gone.
 *
 * MOS_TEST_SEED=N repeats a run.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "test/eal/worker_model.h"

#define EPISODES 60
#define ROUNDS   60
#define TUPLES   5
#define PLAYERS  3

static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 20) % n);
}

static bool one_in(uint32_t n)
{
	return rnd(n) == 0;
}

/* ---- packets ---- */

static struct hs_pkt burst[MOS_BURST_MAX];
static struct rte_mbuf *mbufs[MOS_BURST_MAX];
static struct wm_round round_;

/* What the two ends of a connection send next. */
static uint32_t next[TUPLES][2];

static void some_payload(struct hs_pkt *p, uint32_t *nxt)
{
	p->payload = 1 + rnd(300);
	if (one_in(4))
		p->seq -= rnd(400);
	else if (one_in(6))
		p->seq += rnd(one_in(3) ? 200000 : 400);
	if (mos_seq_gt(p->seq + p->payload, *nxt) && !one_in(5))
		*nxt = p->seq + p->payload;
}

static void some_flags(struct hs_pkt *p, uint32_t nxt[2])
{
	switch (rnd(24)) {
	case 0:
		p->flags = MOS_TCP_SYN;
		nxt[p->from] = p->seq = one_in(2) ? nxt[p->from] - 1 : rnd(UINT32_MAX);
		nxt[p->from]++;
		break;
	case 1:
	case 2:
		p->flags = MOS_TCP_SYN | MOS_TCP_ACK;
		p->seq = nxt[p->from] - 1;
		break;
	case 3:
		p->flags = MOS_TCP_RST | (one_in(2) ? MOS_TCP_ACK : 0);
		p->seq += one_in(2) ? rnd(1u << 20) : 0;
		break;
	case 4:
	case 5:
		p->flags |= MOS_TCP_FIN;
		nxt[p->from]++;
		break;
	default:
		if (one_in(2))
			some_payload(p, &nxt[p->from]);
	}
}

static struct hs_pkt some_packet(void)
{
	uint32_t tuple = rnd(TUPLES);
	struct hs_pkt p = {.from = (int)rnd(2), .flow = tuple, .flags = MOS_TCP_ACK};

	p.seq = next[tuple][p.from];
	p.ack = next[tuple][!p.from];
	if (one_in(8))
		p.ack -= rnd(300);
	some_flags(&p, next[tuple]);
	return p;
}

/* Three packets that open a connection, so that most are in a good state. */
static unsigned add_handshake(unsigned n)
{
	uint32_t tuple = rnd(TUPLES), iss = rnd(UINT32_MAX), irs = rnd(UINT32_MAX);
	int c = (int)rnd(2);

	if (n + 3 > MOS_BURST_MAX)
		return n;
	burst[n++] = (struct hs_pkt){c, MOS_TCP_SYN, iss, 0, .flow = tuple};
	burst[n++] = (struct hs_pkt){!c, MOS_TCP_SYN | MOS_TCP_ACK, irs, iss + 1, .flow = tuple};
	burst[n++] = (struct hs_pkt){c, MOS_TCP_ACK, iss + 1, irs + 1, .flow = tuple};
	next[tuple][c] = iss + 1;
	next[tuple][!c] = irs + 1;
	return n;
}

static void send_burst(void)
{
	unsigned n = 0, want = rnd(MOS_BURST_MAX + 1);

	while (n < want) {
		unsigned before = n;

		if (one_in(8))
			n = add_handshake(n);
		if (n == before)
			burst[n++] = some_packet();
	}
	for (unsigned i = 0; i < n; i++) {
		if (one_in(100))
			hs.now_ns += rnd(40000) * UINT64_C(1000000);
		mbufs[i] = hs_send(&burst[i]);
	}
	round_.pkt = burst;
	round_.pkts = (int)n;
}

/* ---- user-defined events ---- */

static event_t asked, raised, below_raised; /* asked: defined on PKT_IN; raised: below it */

/* The dispatch in which the filter of `asked` said yes last, and in which `raised` was raised. */
struct place {
	const void *mbuf;
	int sock, side;
};
static struct place said_yes, was_raised;

static struct place here(int sock, int side)
{
	return (struct place){hs.c->cur.mbuf, sock, side};
}

static bool is_here(const struct place *p, int sock, int side)
{
	return p->mbuf == hs.c->cur.mbuf && p->sock == sock && p->side == side;
}

static void raise_some(mctx_t mctx, int sock, int side, event_t event)
{
	if (mtcp_raise_event(mctx, event) != 0)
		return;
	ck_assert_uint_eq(event, raised);
	was_raised = here(sock, side);
}

static bool some_filter(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	bool yes = one_in(2);

	ck_assert_uint_eq(event, asked);
	ck_assert_uint_eq(arg->len, sizeof(int));
	ck_assert(!is_here(&said_yes, sock, side)); /* once per dispatch */
	if (one_in(2))
		raise_some(mctx, sock, side, raised);
	said_yes = yes ? here(sock, side) : (struct place){0};
	return yes;
}

static bool always(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	ck_assert(is_here(&was_raised, sock, side));
	return true;
}

static void define_events(void)
{
	int number = 1;
	filter_arg_t arg = {&number, sizeof(number)};

	asked = mtcp_define_event(MOS_ON_PKT_IN, some_filter, &arg);
	raised = mtcp_alloc_event(asked);
	below_raised = mtcp_define_event(raised, always, NULL);
	ck_assert(asked != MOS_NULL_EVENT && raised != MOS_NULL_EVENT &&
	          below_raised != MOS_NULL_EVENT);
}

static void check_user_event(int sock, int side, event_t event)
{
	if (event == asked || event == raised || event == below_raised)
		ck_assert(is_here(&said_yes, sock, side));
	if (event == raised || event == below_raised)
		ck_assert(is_here(&was_raised, sock, side));
}

/* ---- sockets ---- */

static int witness; /* passive number, -1: none */

/* What a socket has stopped, of which flow. */
static struct {
	uint64_t id;
	int sides; /* bit per side */
	int ends;  /* CONN_END heard, per side and hook */
} heard[PLAYERS + 1][64];

static void note(int sock, int side, event_t event, int hook)
{
	struct wm_note *n = &round_.note[round_.notes];
	const struct mos_flow *f;
	uint32_t flow = MOS_FLOW_NONE;

	ck_assert_uint_lt(round_.notes, WM_NOTES);
	*n = (struct wm_note){.pkt = WM_NONE,
	                      .turn = hs.shard->ledger.cur,
	                      .sock = sock,
	                      .hook = hook,
	                      .side = side,
	                      .event = event,
	                      .cause = event == MOS_ON_ERROR ? hs.c->told.cause : 0,
	                      .slot = MOS_FLOW_NONE};
	for (int i = 0; i < round_.pkts; i++)
		if (hs.c->cur.mbuf == mbufs[i])
			n->pkt = i;
	ck_assert(hs.c->cur.mbuf == NULL || n->pkt != WM_NONE);
	if (sock >= MOS_MON_ID_MAX) {
		ck_assert_ptr_nonnull(mos_socket_active(&hs.c->sockets, sock, &flow));
		f = mos_flow_at(&hs.c->flows, flow);
		n->sock = (sock - MOS_MON_ID_MAX) / (int)hs.shard->max_flows;
		n->slot = flow;
		n->id = f->id;
		memcpy(n->state, f->state, 2);
		n->rcv_nxt[0] = f->half[0].rcv_nxt;
		n->rcv_nxt[1] = f->half[1].rcv_nxt;
	}
	round_.notes++;
}

/* What holds for any socket, whoever else listens. */
static void check_alone(const struct wm_note *n)
{
	int bit = n->hook == MOS_HK_SND ? 0 : 1;

	if (n->slot == MOS_FLOW_NONE)
		return;
	if (heard[n->sock][n->slot].id != n->id) {
		memset(&heard[n->sock][n->slot], 0, sizeof(heard[0][0]));
		heard[n->sock][n->slot].id = n->id;
	}
	ck_assert_msg(!(heard[n->sock][n->slot].sides >> n->side & 1), "a stopped side is told");
	ck_assert_msg(!(heard[n->sock][n->slot].ends >> (2 * n->side + bit) & 1),
	              "something is told after the end");
	if (n->event == MOS_ON_CONN_END)
		heard[n->sock][n->slot].ends |= 1 << (2 * n->side + bit);
}

static void any_callback(mctx_t mctx, int sock, int side, event_t event, int hook);

static void on_snd(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	any_callback(mctx, sock, side, event, MOS_HK_SND);
}

static void on_rcv(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	any_callback(mctx, sock, side, event, MOS_HK_RCV);
}

static void on_null(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	any_callback(mctx, sock, side, event, MOS_NULL);
}

static const struct {
	int point;
	callback_t cb;
} hooks[] = {{MOS_NULL, on_null}, {MOS_HK_SND, on_snd}, {MOS_HK_RCV, on_rcv}};

static event_t some_event(void)
{
	const event_t all[] = {MOS_ON_PKT_IN,   MOS_ON_CONN_START, MOS_ON_TCP_STATE_CHANGE,
	                       MOS_ON_CONN_END, MOS_ON_REXMIT,     MOS_ON_CONN_NEW_DATA,
	                       MOS_ON_ERROR,    MOS_ON_ORPHAN,     asked,
	                       raised,          below_raised};

	return all[rnd(RTE_DIM(all))];
}

/* Most combinations are no valid ones. */
static void change_callback(mctx_t mctx, int sock)
{
	unsigned h = rnd(RTE_DIM(hooks));

	mtcp_register_callback(mctx, sock, some_event(), hooks[h].point,
	                       one_in(3) ? NULL : hooks[h].cb);
}

static void stop_some_side(mctx_t mctx, int sock, const struct wm_note *n)
{
	int side = (int)rnd(3);

	ck_assert_int_eq(
		mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_STOP_MON, &side, sizeof(side)), 0);
	heard[n->sock][n->slot].sides |= side == MOS_SIDE_BOTH ? 3 : 1 << side;
}

/* Any socket may read any half of its flow at any time. */
static void read_some(const struct wm_note *n)
{
	unsigned k = (unsigned)n->sock;
	int side = (int)rnd(2);
	uint64_t pos, end;
	char bytes[400];
	int64_t got;

	if (!mos_flow_read_by(hs.c, n->slot, side, k))
		return;
	pos = *mos_stream_pos(mos_flow_at(&hs.c->flows, n->slot), side, k);
	end = mos_flow_at(&hs.c->flows, n->slot)->stream[side].next;
	got = mos_stream_read(&hs.c->streams, n->slot, side, k, mos_flow_in_hand(hs.c, n->slot),
	                      bytes, 1 + rnd(sizeof(bytes)));
	ck_assert_msg((got == 0) == (pos >= end), "%d bytes read of %d", (int)got,
	              (int)(end - pos));
}

/* How much is kept, for all sockets of the flow. */
static void change_buffer(const struct wm_note *n)
{
	int side = (int)rnd(2);

	if (one_in(2))
		mos_flow_set_buffer(hs.c, n->slot, side, one_in(3) ? 0 : rnd(4000));
	else
		mos_flow_set_stream_flag(hs.c, n->slot, side,
		                         one_in(2) ? MOS_STREAM_LAST : MOS_STREAM_KEEP, one_in(2));
}

static void any_callback(mctx_t mctx, int sock, int side, event_t event, int hook)
{
	const struct wm_note *n = &round_.note[round_.notes];

	note(sock, side, event, hook);
	check_alone(n);
	check_user_event(sock, side, event);
	if (n->slot != MOS_FLOW_NONE && one_in(10))
		read_some(n);
	if (n->sock == witness)
		return;
	if (witness < 0 && n->slot != MOS_FLOW_NONE && one_in(30))
		change_buffer(n);
	if (one_in(6))
		change_callback(mctx, sock);
	if (one_in(30) && n->sock < PLAYERS)
		change_callback(mctx, n->sock);
	if (one_in(witness >= 0 ? 40 : 8) && n->slot != MOS_FLOW_NONE)
		stop_some_side(mctx, sock, n);
	if (one_in(20))
		raise_some(mctx, sock, side, some_event());
}

static void open_player(bool all)
{
	int sock = mtcp_socket(hs_mctx(), AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

	ck_assert_int_ge(sock, 0);
	for (unsigned h = 0; h < RTE_DIM(hooks); h++)
		for (unsigned bit = 0; bit < MOS_EVENT_BITS; bit++)
			if (all || one_in(2))
				mtcp_register_callback(hs_mctx(), sock, (event_t)1 << bit,
				                       hooks[h].point, hooks[h].cb);
	for (int i = 0; i < 10 && !all; i++)
		change_callback(hs_mctx(), sock);
}

/* ---- episodes ---- */

/* Nobody watches a flow that every socket has stopped. */
static void no_flow_is_left_behind(void)
{
	for (uint32_t i = mos_flow_table_next(&hs.c->flows, 0); i != MOS_FLOW_NONE;
	     i = mos_flow_table_next(&hs.c->flows, i + 1))
		ck_assert(!mos_sockets_unwatched(&hs.c->sockets, i));
}

static void run_round(void)
{
	round_.notes = 0;
	round_.pkts = 0;
	said_yes = was_raised = (struct place){0};
	if (one_in(10))
		hs.now_ns += rnd(40000) * UINT64_C(1000000);
	send_burst();
	hs_round();
	if (witness >= 0)
		wm_check(&round_, witness);
	no_flow_is_left_behind();
}

static void end_all(void)
{
	for (int i = 0; i < 5; i++) {
		round_.notes = 0;
		round_.pkts = 0;
		hs.now_ns += 20 * UINT64_C(1000000000);
		hs.root->clock_ns = hs.now_ns;
		hs_round();
		if (witness >= 0)
			wm_check(&round_, witness);
	}
	ck_assert_uint_eq(hs.c->flows.count, 0);
	ck_assert_uint_eq(hs.c->streams.pool.free_count, hs.c->streams.pool.count);
	ck_assert_uint_eq(wm_alive(), 0);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOWS_CREATED),
	                  hs_count(MOS_CTR_W_FLOWS_ENDED) + hs_count(MOS_CTR_W_FLOWS_FORGOTTEN));
}

static unsigned forgotten;

static void run_episode(int number)
{
	hs_close();
	hs_open(&(struct hs_opt){.trust_csum = true, .flows = one_in(4) ? 3 : 64});
	wm_reset();
	memset(heard, 0, sizeof(heard));
	witness = number % 2 == 0 ? (int)rnd(PLAYERS) : -1;
	for (int i = 0; i < PLAYERS; i++)
		open_player(i == witness);
	for (int i = 0; i < ROUNDS; i++)
		run_round();
	end_all();
	forgotten += (unsigned)hs_count(MOS_CTR_W_FLOWS_FORGOTTEN);
}

START_TEST(events_run_in_the_order_of_a_naive_reference)
{
	const char *given = getenv("MOS_TEST_SEED");

	seed = given != NULL ? strtoull(given, NULL, 0)
	                     : (uint64_t)time(NULL) * UINT64_C(0x9e3779b97f4a7c15);
	seed |= 1;
	printf("MOS_TEST_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	hs_open(NULL);
	define_events();
	for (int i = 0; i < EPISODES; i++)
		run_episode(i);
	for (unsigned bit = 0; bit < MOS_EVENT_BITS; bit++)
		printf("%s%u", bit != 0 ? " " : "notes by event: ", wm_seen[bit]);
	printf(", %u flows forgotten\n", forgotten);
	ck_assert_uint_gt(forgotten, 0);
	ck_assert(wm_seen[4] && wm_seen[5] && wm_seen[8] && wm_seen[9] && wm_seen[10]);
}
END_TEST

TCase *model_case(void)
{
	TCase *tc = tcase_create("model");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, events_run_in_the_order_of_a_naive_reference);
	return tc;
}
