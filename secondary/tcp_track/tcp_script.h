/*
 * Scripts for the tests of tcp_track: rows of segments and what each update has to answer.
 *
 * Numbers in a row are relative: seq to the iss of its sender, ack to that of the other side. A
 * script runs with many pairs of iss, so that each of its numbers is once the one that wraps.
 *
 *   who    c, s   the side that sends; a SYN of it must not be taken for a new connection
 *          C, S   the same, but its SYN must be a new connection: that side is the client from here
 *          =      no segment: seq is what the server, ack what the client expects next
 *          >      no segment: the monitor gives up waiting for what the server has not got below seq
 *   flags  letters of S A F R P; on a SYN, /N offers window scaling by N; @V,E: timestamps, TSval
 *          relative to the clock of its sender, TSecr to that of the other side. As a worker does,
 *          the script reads them when both SYNs had them
 *   sent, rcvd  letters of T (START) S (STATE) R (REXMIT) D (DATA) B (BOGUS); W in rcvd: beyond the
 *               window of its receiver
 *   cli, svr    states behind the row
 *
 * An update that answers B must leave the record as it was.
 */
#ifndef MOS_SECONDARY_TCP_SCRIPT_H
#define MOS_SECONDARY_TCP_SCRIPT_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/tcp_track/tcp_track.h"

enum {
	CL = MOS_TCPS_CLOSED,
	LI = MOS_TCPS_LISTEN,
	SS = MOS_TCPS_SYN_SENT,
	SR = MOS_TCPS_SYN_RCVD,
	ES = MOS_TCPS_ESTABLISHED,
	F1 = MOS_TCPS_FIN_WAIT_1,
	F2 = MOS_TCPS_FIN_WAIT_2,
	CW = MOS_TCPS_CLOSE_WAIT,
	CG = MOS_TCPS_CLOSING,
	LA = MOS_TCPS_LAST_ACK,
	TW = MOS_TCPS_TIME_WAIT,
};

struct row {
	char who;
	const char *flags;
	uint32_t seq, ack, len;
	uint16_t wnd;
	const char *sent, *rcvd;
	uint8_t cli, svr;
};

#define WND 1000 /* what most rows advertise */

/* clang-format off */
#define SYN       {'c', "S",  0, 0, 0, WND, "TS", "TS", SS, SR}
#define SYN_ACK   {'s', "SA", 0, 1, 0, WND, "",   "S",  ES, SR}
#define HANDSHAKE SYN, SYN_ACK, {'c', "A", 1, 1, 0, WND, "", "S", ES, ES}
/* clang-format on */

static inline unsigned script_letters(const char *text, const char *letters)
{
	unsigned bits = 0;

	for (; *text != '\0'; text++)
		for (unsigned i = 0; letters[i] != '\0'; i++)
			bits |= (unsigned)(letters[i] == *text) << i;
	return bits;
}

static inline uint8_t script_flags(const char *text)
{
	return (uint8_t)script_letters(text, "FSRPA"); /* in the order of the header's bits */
}

static inline struct mos_tcp_opts script_opts(const char *flags)
{
	const char *scale = strchr(flags, '/');

	return (struct mos_tcp_opts){
		.mss = 1460,
		.has_wscale = scale != NULL,
		.wscale = scale != NULL ? (uint8_t)atoi(scale + 1) : 0,
	};
}

/* What the clocks that timestamps are taken from show at 0. Odd: an even number is not made 0. */
static uint32_t script_clock[2] = {1001, 7000001};

static inline void script_ts(struct mos_tcp_opts *o, const char *flags, int from)
{
	const char *at = strchr(flags, '@');
	char *echo;

	if (at == NULL)
		return;
	o->has_ts = true;
	o->ts_val = script_clock[from] + (uint32_t)strtoul(at + 1, &echo, 10);
	o->ts_ecr = *echo == ',' ? script_clock[!from] + (uint32_t)strtoul(echo + 1, NULL, 10) : 0;
}

static inline unsigned script_bits(const char *text)
{
	return script_letters(text, "TSRDB"); /* in the order of MOS_TRACK_* */
}

static inline void script_check(const char *what, size_t row, const uint32_t iss[2], unsigned want,
                                unsigned got, const struct mos_flow *was, const struct mos_flow *f)
{
	ck_assert_msg(want == got, "row %zu, iss %u %u: %s answered %#x, not %#x", row, iss[0],
	              iss[1], what, got, want);
	if (got & MOS_TRACK_BOGUS)
		ck_assert_msg(memcmp(was, f, sizeof(*f)) == 0, "row %zu: %s changed the record",
		              row, what);
}

/* What is asked between the two updates. Payload that is resent is always found to be. */
static inline void script_ask(const struct mos_flow *f, int to, const struct mos_tcp_seg *seg,
                              const struct row *r, size_t row)
{
	bool resent = strchr(r->rcvd, 'R') != NULL && r->len > 0 && !(seg->flags & MOS_TCP_SYN);

	ck_assert_msg(mos_tcp_resent(f, to, seg) == resent, "row %zu: resent?", row);
	ck_assert_msg(mos_tcp_beyond_window(f, to, seg) == (strchr(r->rcvd, 'W') != NULL),
	              "row %zu: beyond the window?", row);
}

static inline void script_expect(const struct row *r, size_t row, const uint32_t iss[2],
                                 const struct mos_flow *f)
{
	const struct mos_half *cli = &f->half[MOS_CLI], *svr = &f->half[MOS_SVR];

	ck_assert_msg(svr->rcv_nxt - iss[MOS_CLI] == r->seq, "row %zu: server expects %u, not %u",
	              row, svr->rcv_nxt - iss[MOS_CLI], r->seq);
	ck_assert_msg(cli->rcv_nxt - iss[MOS_SVR] == r->ack, "row %zu: client expects %u, not %u",
	              row, cli->rcv_nxt - iss[MOS_SVR], r->ack);
}

static inline void script_segment(struct mos_flow *f, const struct row *r, size_t row,
                                  uint32_t iss[2])
{
	struct mos_tcp_opts opts = script_opts(r->flags);
	int from = r->who == 's' || r->who == 'S' ? MOS_SVR : MOS_CLI;
	bool is_new = r->who == 'C' || r->who == 'S';
	struct mos_tcp_seg seg = {
		.seq = iss[from] + r->seq,
		.ack = iss[!from] + r->ack,
		.payload_len = r->len,
		.wnd = r->wnd,
		.flags = script_flags(r->flags),
		.opts = &opts,
	};
	struct mos_flow was = *f;

	script_ts(&opts, r->flags, from);
	if (mos_tcp_uses_ts(f)) {
		seg.has_ts = opts.has_ts;
		seg.ts_val = opts.ts_val;
		seg.ts_ecr = opts.ts_ecr;
	}
	ck_assert_msg(mos_tcp_syn_is_new(f, from, &seg) == is_new, "row %zu: new connection?", row);
	if (is_new) {
		iss[0] = seg.seq;
		from = MOS_CLI;
		mos_tcp_open(f);
	}
	was = *f;
	script_check("sent", row, iss, script_bits(r->sent), mos_tcp_sent(f, from, &seg), &was, f);
	script_ask(f, !from, &seg, r, row);
	was = *f;
	script_check("received", row, iss, script_bits(r->rcvd), mos_tcp_received(f, !from, &seg),
	             &was, f);
	ck_assert_msg(f->state[MOS_CLI] == r->cli && f->state[MOS_SVR] == r->svr,
	              "row %zu, iss %u %u: %s / %s, not %s / %s", row, iss[0], iss[1],
	              mos_tcp_state_name(f->state[MOS_CLI]), mos_tcp_state_name(f->state[MOS_SVR]),
	              mos_tcp_state_name(r->cli), mos_tcp_state_name(r->svr));
}

static inline void script_skip(struct mos_flow *f, const struct row *r, size_t row,
                               const uint32_t iss[2])
{
	ck_assert_msg(mos_tcp_unheard(f, MOS_SVR), "row %zu: the server is heard", row);
	script_check("skip", row, iss, script_bits(r->rcvd),
	             mos_tcp_skip(f, MOS_SVR, iss[MOS_CLI] + r->seq, false), f, f);
	ck_assert_msg(f->state[MOS_CLI] == r->cli && f->state[MOS_SVR] == r->svr,
	              "row %zu: %s / %s", row, mos_tcp_state_name(f->state[MOS_CLI]),
	              mos_tcp_state_name(f->state[MOS_SVR]));
}

/* Run once; the record is left in *f. */
static inline void script_run_at(struct mos_flow *f, const struct row *rows, size_t count,
                                 uint32_t cli_iss, uint32_t svr_iss)
{
	uint32_t iss[2] = {cli_iss, svr_iss};

	memset(f, 0, sizeof(*f));
	mos_tcp_open(f);
	for (size_t i = 0; i < count; i++) {
		if (rows[i].who == '=')
			script_expect(&rows[i], i, iss, f);
		else if (rows[i].who == '>')
			script_skip(f, &rows[i], i, iss);
		else
			script_segment(f, &rows[i], i, iss);
	}
}

static inline void script_run(const struct row *rows, size_t count)
{
	struct mos_flow f;

	script_run_at(&f, rows, count, 1000000, 3000000000);
	for (size_t i = 0; i < count; i++) {
		for (uint32_t d = 0; d < 3; d++) {
			script_run_at(&f, rows, count, d - 1 - rows[i].seq, d - 1 - rows[i].ack);
			script_run_at(&f, rows, count, d - 1 - rows[i].ack, d - 1 - rows[i].seq);
			script_run_at(&f, rows, count, d - 1 - rows[i].seq - rows[i].len, 0);
			script_run_at(&f, rows, count, 0, d - 1 - rows[i].seq - rows[i].len);
		}
	}
}

#define RUN(rows) script_run(rows, sizeof(rows) / sizeof((rows)[0]))

#endif
