#include "test/eal/stream_rig.h"

struct stream_rig sr;

void sr_open(const struct hs_opt *opt)
{
	memset(&sr, 0, sizeof(sr));
	hs_open(opt);
	sr.passive = sr_passive();
}

int sr_passive(void)
{
	static const event_t at_null[] = {MOS_ON_CONN_NEW_DATA, MOS_ON_ERROR};
	mctx_t m = hs_mctx();
	int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

	ck_assert_int_ge(sock, 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(mtcp_register_callback(m, sock, at_null[i], MOS_NULL, hs_on_null),
		                 0);
	ck_assert_int_eq(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, hs_on_rcv),
	                 0);
	return sock;
}

/* ---- packets ---- */

static void send_bits(int from, uint8_t bits, uint32_t seq, uint32_t ack, const void *bytes,
                      uint32_t len)
{
	const struct hs_pkt p = {
		.from = from,
		.flags = bits,
		.seq = seq,
		.ack = ack,
		.payload = len,
		.flow = sr.flow,
		.wnd = sr.wnd,
		.bytes = bytes,
	};

	hs_send(&p);
}

static uint32_t next_seq(int side, uint64_t off)
{
	return sr.isn[!side] + 1 + (uint32_t)off;
}

static uint32_t ack_of(int side)
{
	return next_seq(side, sr.took[side]);
}

void sr_flow_from(uint32_t flow, uint32_t isn_cli, uint32_t isn_svr)
{
	unsigned k = (unsigned)hs.c->sockets.mon[sr.passive].passive;

	sr.flow = flow;
	sr.isn[MOS_CLI] = isn_cli;
	sr.isn[MOS_SVR] = isn_svr;
	sr.took[0] = sr.took[1] = 0;
	send_bits(MOS_CLI, MOS_TCP_SYN, isn_cli, 0, NULL, 0);
	send_bits(MOS_SVR, MOS_TCP_SYN | MOS_TCP_ACK, isn_svr, isn_cli + 1, NULL, 0);
	send_bits(MOS_CLI, MOS_TCP_ACK, isn_cli + 1, isn_svr + 1, NULL, 0);
	hs_round();
	for (uint32_t i = 0; i < hs.shard->max_flows; i++) {
		const struct mos_flow *f = mos_flow_at(&hs.c->flows, i);

		if ((f->flags & MOS_FLOW_IN_USE) && f->key.src[15] == (uint8_t)(1 + flow))
			sr.sock = mos_active_id(&hs.c->sockets, (int)k, i);
	}
	hs_clear();
}

void sr_flow(uint32_t flow)
{
	sr_flow_from(flow, 1000, 5000);
}

int sr_sock_of(int passive)
{
	int from = hs.c->sockets.mon[sr.passive].passive;
	int to = hs.c->sockets.mon[passive].passive;

	return sr.sock + (to - from) * (int)hs.shard->max_flows;
}

uint8_t sr_byte(int side, uint64_t off)
{
	return (uint8_t)(off * 31 + (off >> 8) * 7 + (unsigned)side * 101 + 5);
}

static void send_pattern(int side, uint64_t off, uint32_t len, uint8_t differ)
{
	uint8_t bytes[2048];

	ck_assert_uint_le(len, sizeof(bytes));
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = sr_byte(side, off + i) ^ differ;
	send_bits(!side, MOS_TCP_ACK | MOS_TCP_PSH, next_seq(side, off), ack_of(!side), bytes, len);
}

void sr_send(int side, uint64_t off, uint32_t len)
{
	send_pattern(side, off, len, 0);
}

void sr_send_other(int side, uint64_t off, uint32_t len)
{
	send_pattern(side, off, len, 0xff);
}

void sr_data(int side, uint64_t off, uint32_t len)
{
	sr_send(side, off, len);
	ck_assert_uint_eq(hs_round(), 1);
}

void sr_other(int side, uint64_t off, uint32_t len)
{
	sr_send_other(side, off, len);
	ck_assert_uint_eq(hs_round(), 1);
}

void sr_ack(int side, uint64_t off)
{
	sr.took[side] = off;
	send_bits(side, MOS_TCP_ACK, next_seq(!side, sr.took[!side]), ack_of(side), NULL, 0);
	ck_assert_uint_eq(hs_round(), 1);
}

void sr_fin(int side, uint64_t off)
{
	send_bits(!side, MOS_TCP_FIN | MOS_TCP_ACK, next_seq(side, off), ack_of(!side), NULL, 0);
	ck_assert_uint_eq(hs_round(), 1);
}

/* ---- events ---- */

static void (*on_new_data)(int sock, int side);

static void watch(int sock, int side, event_t event, int hook)
{
	if (event == MOS_ON_CONN_END)
		sr.ends++;
	if (event == MOS_ON_ERROR) {
		sr.errors++;
		sr.gap_side = side;
		ck_assert_int_eq(mtcp_stream_gap(hs_mctx(), sock, side, &sr.gap), 0);
	}
	if (event == MOS_ON_CONN_NEW_DATA) {
		sr.new_data++;
		if (on_new_data != NULL)
			on_new_data(sock, side);
	}
}

void sr_watch(void (*body)(int sock, int side))
{
	on_new_data = body;
	hs.act = watch;
}

/* ---- checks ---- */

void sr_is(const void *bytes, int side, uint64_t off, uint32_t len)
{
	const uint8_t *b = bytes;

	for (uint32_t i = 0; i < len; i++)
		ck_assert_msg(b[i] == sr_byte(side, off + i), "byte %llu is 0x%02x",
		              (unsigned long long)(off + i), b[i]);
}

void sr_reads(int sock, int side, uint64_t off, uint32_t len)
{
	static char buf[SR_MAX];

	ck_assert_uint_le(len, SR_MAX);
	errno = 0;
	ck_assert_int_eq(mtcp_peek(hs_mctx(), sock, side, buf, len), len);
	ck_assert_int_eq(errno, 0);
	sr_is(buf, side, off, len);
}

void sr_reads_nothing(int sock, int side)
{
	char buf[16];

	errno = 0;
	ck_assert_int_eq(mtcp_peek(hs_mctx(), sock, side, buf, sizeof(buf)), 0);
	ck_assert_int_eq(errno, 0);
}

void sr_loses(int sock, int side, int64_t n)
{
	char buf[16];

	errno = 0;
	ck_assert_int_eq(mtcp_peek(hs_mctx(), sock, side, buf, sizeof(buf)), -n);
	ck_assert_int_eq(errno, ENODATA);
}

void sr_holds(int sock, int side, uint64_t off, uint32_t len)
{
	static char buf[SR_MAX];

	ck_assert_int_eq(mtcp_ppeek(hs_mctx(), sock, side, buf, sizeof(buf), off), len);
	sr_is(buf, side, off, len);
}

void sr_holds_not(int sock, int side, uint64_t off)
{
	char buf[16];

	fails(ENODATA, mtcp_ppeek(hs_mctx(), sock, side, buf, sizeof(buf), off));
}

int sr_set(int sock, int option, int value)
{
	return mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, option, &value, sizeof(value));
}

uint32_t sr_chunks_in_use(void)
{
	return hs.c->streams.pool.count - hs.c->streams.pool.free_count;
}
