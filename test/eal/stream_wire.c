#include "test/eal/stream_wire.h"

struct stream_wire sw;

uint8_t sw_byte(int side, uint64_t off)
{
	return (uint8_t)((off * 2654435761u + (off >> 8) + (unsigned)side * 77) >> 7);
}

void sw_clear(void)
{
	memset(&sw, 0, sizeof(sw));
}

/* ---- the application ---- */

static void take(struct sw_reader *r, int side, const uint8_t *bytes, int64_t n)
{
	if (n < 0) {
		r->lost += (uint64_t)-n;
		r->pos += (uint64_t)-n;
		return;
	}
	ck_assert_uint_le(r->pos + (uint64_t)n, SW_ROOM);
	for (int64_t i = 0; i < n; i++, r->pos++) {
		r->bytes[r->pos] = bytes[i];
		r->known[r->pos]++;
	}
}

void sw_read(int k, int side)
{
	struct mos_ctx *c = hs.c;
	uint8_t bytes[1000];
	int64_t n;

	if (!mos_flow_read_by(c, 0, side, (unsigned)k))
		return;
	while ((n = mos_stream_read(&c->streams, 0, side, (unsigned)k, mos_flow_in_hand(c, 0),
	                            bytes, sizeof(bytes))) != 0)
		take(&sw.reader[k][side], side, bytes, n);
}

static void act(int sock, int side, event_t event, int hook)
{
	int k = (sock - MOS_MON_ID_MAX) / (int)hs.shard->max_flows;
	bool reads = event == MOS_ON_CONN_NEW_DATA;

	if (sock < MOS_MON_ID_MAX)
		return;
	if (event == MOS_ON_ERROR) {
		ck_assert_uint_lt(sw.errors, RTE_DIM(sw.error));
		ck_assert_uint_eq(hs.c->told.flow, 0);
		ck_assert_int_eq(hs.c->told.side, side);
		sw.error[sw.errors++] = (struct sw_error){k, hs.c->told};
	} else {
		ck_assert_uint_eq(hs.c->told.flow, MOS_FLOW_NONE);
	}
	if (sw.may_read != NULL)
		reads = sw.may_read(k, side, event, hook);
	if (reads)
		sw_read(k, side);
}

void sw_socket(void)
{
	hs_passive_all();
	hs.act = act;
}

void sw_open(const struct hs_opt *opt, int sockets)
{
	hs_open(opt);
	for (int i = 0; i < sockets; i++)
		sw_socket();
	sw_clear();
	hs_handshake(0);
}

/* ---- the ends ---- */

static const uint32_t first[2] = {5001, 1001}; /* of what goes to the client, to the server */

static void send_bytes(int side, uint64_t off, uint32_t len, unsigned twist)
{
	struct hs_pkt p = PKT(!side, MOS_TCP_ACK, first[side] + (uint32_t)off, 0, len);
	uint8_t bytes[2000];

	ck_assert_uint_le(len, sizeof(bytes));
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(sw_byte(side, off + i) ^ twist);
	p.ack = first[!side];
	p.bytes = bytes;
	hs_send(&p);
}

void sw_send(int side, uint64_t off, uint32_t len)
{
	send_bytes(side, off, len, 0);
}

void sw_send_other(int side, uint64_t off, uint32_t len)
{
	send_bytes(side, off, len, 0x55);
}

void sw_ack(int side, uint64_t off)
{
	struct hs_pkt p = PKT(side, MOS_TCP_ACK, first[!side], first[side] + (uint32_t)off, 0);

	hs_send(&p);
}

/* ---- what it heard ---- */

void sw_check(int k, int side, uint64_t end, uint64_t lost)
{
	const struct sw_reader *r = &sw.reader[k][side];
	uint64_t read = 0;

	ck_assert_uint_eq(r->pos, end);
	ck_assert_uint_eq(r->lost, lost);
	for (uint64_t i = 0; i < end; i++) {
		ck_assert_uint_le(r->known[i], 1);
		read += r->known[i];
		if (r->known[i])
			ck_assert_msg(r->bytes[i] == sw_byte(side, i), "byte %u is another",
			              (unsigned)i);
	}
	ck_assert_uint_eq(read + lost, end);
}

void sw_check_error(unsigned i, int k, int side, int cause, uint64_t from, uint64_t end)
{
	const struct sw_error *e = &sw.error[i];

	ck_assert_uint_lt(i, sw.errors);
	ck_assert_int_eq(e->sock, k);
	ck_assert_int_eq(e->told.side, side);
	ck_assert_int_eq(e->told.cause, cause);
	ck_assert_uint_eq(e->told.range.from, from);
	ck_assert_uint_eq(e->told.range.end, end);
}
