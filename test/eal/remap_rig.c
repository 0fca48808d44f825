#include "test/eal/remap_rig.h"

#include <rte_tcp.h>

struct remap_wire wire;
int edit_errno;

void read_wire(void)
{
	struct mos_pkt_meta m;
	const struct rte_tcp_hdr *tcp;

	mos_pkt_parse(&m, edit_out.b, edit_out.len, edit_out.len, 0);
	tcp = (const struct rte_tcp_hdr *)(edit_out.b + m.l4_off);
	wire.seq = rte_be_to_cpu_32(tcp->sent_seq);
	wire.ack = rte_be_to_cpu_32(tcp->recv_ack);
	wire.flags = tcp->tcp_flags;
	wire.len = m.payload_len;
	wire.opt = (const uint8_t *)(tcp + 1);
	memcpy(wire.bytes, edit_out.b + m.payload_off, m.payload_len);
	wire.bytes[m.payload_len] = 0;
}

/* Send a packet with these bytes; wire is what becomes of it. */
void send_text(int from, uint8_t flags, uint32_t seq, uint32_t ack, const char *text)
{
	const struct hs_pkt p = {
		.from = from,
		.flags = flags | MOS_TCP_ACK,
		.seq = seq,
		.ack = ack,
		.payload = (uint32_t)strlen(text),
		.bytes = text,
	};

	hs_send(&p);
	hs_round();
	edit_out_is_right();
	read_wire();
}

void cli(uint32_t seq, const char *text)
{
	send_text(MOS_CLI, MOS_TCP_PSH, seq, 5001, text);
}

void svr(uint32_t seq, uint32_t ack, const char *text)
{
	send_text(MOS_SVR, 0, seq, ack, text);
}

int edit(int sock, int side, off_t at, const char *data, size_t len, int option)
{
	byte copy[64] = {0};

	if (data != NULL)
		memcpy(copy, data, len);
	return mtcp_setlastpkt(hs_mctx(), sock, side, at, copy, (uint16_t)len,
	                       MOS_TCP_PAYLOAD | option);
}

/* Naive: it does not care whether it has seen the packet before. */
void rewrite(int sock, int side)
{
	struct pkt_info p;
	char text[2000], *at;

	ck_assert_int_eq(mtcp_getlastpkt(hs_mctx(), sock, side, &p), 0);
	memcpy(text, p.payload, p.payloadlen);
	text[p.payloadlen] = 0;
	while ((at = strstr(text, "bad")) != NULL || (at = strstr(text, "cut")) != NULL) {
		bool bad = *at == 'b';

		if (edit(sock, side, at - text, NULL, 3, MOS_CHOMP | SUMS) != 0) {
			edit_errno = errno;
			memset(at, '#', 3);
			continue;
		}
		if (bad)
			ck_assert_int_eq(
				edit(sock, side, at - text, "LONGER", 6, MOS_INSERT | SUMS), 0);
		memmove(at, at + 3, strlen(at + 3) + 1);
		if (bad) {
			memmove(at + 6, at, strlen(at) + 1);
			memcpy(at, "LONGER", 6);
		}
	}
}

int option(int sock, int side, int64_t off)
{
	const seq_remap_info info = {.side = side, .seq_off = off};

	return mtcp_setsockopt(hs_mctx(), sock, SOL_MONSOCKET, MOS_SEQ_REMAP, &info, sizeof(info));
}

/* An established flow of which both sides are edited. */
void open_flow(void)
{
	int sock;

	hs_open(NULL);
	sock = hs_passive_all();
	ck_assert_int_eq(option(sock, MOS_SIDE_CLI, 0), 0);
	ck_assert_int_eq(option(sock, MOS_SIDE_SVR, 0), 0);
	hs_handshake(0);
	edit_keep_output();
	hs.may_drop = true;
	edit_errno = 0;
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, rewrite);
}

const struct mos_flow *flow(void)
{
	uint32_t slot = mos_flow_table_next(&hs.c->flows, 0);

	ck_assert_uint_ne(slot, MOS_FLOW_NONE);
	return mos_flow_at(&hs.c->flows, slot);
}
