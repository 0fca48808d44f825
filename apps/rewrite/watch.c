#include "apps/rewrite/watch.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "mos_ext.h"
#include "apps/common/tcp_options.h"
#include "apps/common/watching.h"
#include "apps/rewrite/mss.h"
#include "apps/rewrite/track.h"

#define FORWARDED_FOR "X-Forwarded-For: "
#define ADD_MAX       (sizeof(FORWARDED_FOR "\r\n") + INET6_ADDRSTRLEN)
#define TCP_HEADER    20  /* bytes, without options */
#define MSS_DEFAULT   536 /* of an end that says nothing: RFC 9293 section 3.7.1 */
#define SUMS          (MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM)
#define PAYLOAD       (MOS_TCP_PAYLOAD | SUMS)

/* "REW", 1: MOS_AREA_VERSION; grows with each change of the layout. */
#define AREA_VERSION 0x52455701u

/* The flow area. Indices: the side that sends, or that has announced the MSS. */
struct area {
	uint16_t mss[2];
	struct track track[2];
};
static_assert(sizeof(struct area) <= 128, "what README.md says of flow_area");

static const struct watch_plan *plan;

static atomic_ullong replaced, left, strays;

/* ---- The packet at hand ---- */

static bool set(mctx_t mctx, int sock, size_t at, const char *bytes, size_t len, int option)
{
	union {
		const char *bytes;
		byte *data; /* which the library does not write to */
	} u = {bytes};

	return len == 0 ||
	       mtcp_setlastpkt(mctx, sock, 0, (off_t)at, u.data, (uint16_t)len, option) == 0;
}

/* From the last one to the first: then the offsets stay right. */
static bool apply(mctx_t mctx, int sock, const struct edits *e)
{
	bool ok = true;

	for (unsigned i = e->count; ok && i-- > 0;) {
		const struct edit *edit = &e->edit[i];

		ok = set(mctx, sock, edit->at, NULL, edit->cut, MOS_CHOMP | PAYLOAD) &&
		     set(mctx, sock, edit->at, e->text + edit->text, edit->put,
		         MOS_INSERT | PAYLOAD);
	}
	return ok;
}

/* A SYN: the peer is told to send segments that may grow. */
static void clamp(mctx_t mctx, int sock, int side, const struct pkt_info *p, struct area *area)
{
	struct tcp_options options;
	uint16_t mss, smaller;
	char value[2];

	tcp_options_read(&options, p->tcph);
	mss = options.has_mss ? options.mss : MSS_DEFAULT;
	area->mss[side] = mss;
	if (side == MOS_SIDE_CLI)
		smaller = mss_for_word(mss, plan->word.len, plan->word.by_len);
	else
		smaller = mss_for_line(mss, plan->forwarded_for ? ADD_MAX : 0);
	value[0] = (char)(smaller >> 8);
	value[1] = (char)smaller;
	if (options.has_mss && smaller < mss &&
	    !set(mctx, sock, options.mss_at, value, sizeof(value),
	         MOS_OVERWRITE | MOS_TCP_HDR | SUMS))
		drop_packet(mctx, sock, side);
}

/* ---- Directions ---- */

/* What a request gets; "" when that is not known, or not wanted. */
static void write_line(char line[static ADD_MAX], mctx_t mctx, int sock)
{
	struct sockaddr_storage addr;
	const struct sockaddr_in *in = (const struct sockaddr_in *)&addr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr;
	socklen_t len = sizeof(addr);
	char text[INET6_ADDRSTRLEN];

	line[0] = '\0';
	if (!plan->forwarded_for ||
	    mtcp_getpeername(mctx, sock, (struct sockaddr *)&addr, &len, MOS_SIDE_CLI) < 0)
		return;
	if (addr.ss_family == AF_INET)
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
	else
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
	snprintf(line, ADD_MAX, FORWARDED_FOR "%s\r\n", text);
}

static bool edit_request(mctx_t mctx, int sock, struct http_state *state, struct edits *e,
                         size_t from)
{
	char line[ADD_MAX];
	struct http_plan http = {.add = line};

	write_line(line, mctx, sock);
	http.add_len = strlen(line);
	return http_edit_request(state, &http, e, from);
}

/* A response to what was no request of ours stays as it is. */
static bool edit_response(const struct area *area, struct http_state *state, struct edits *e,
                          size_t from, bool last, struct word_count *count)
{
	struct http_plan http = {.word = &plan->word};

	if (!track_is_done(&area->track[MOS_SIDE_CLI])) {
		state->phase = HTTP_PASS;
		return true;
	}
	return http_edit_response(state, &http, e, from, last, count);
}

/* How long the payload may become, for its receiver and so for the network. */
static size_t room(const struct area *area, int side, const struct pkt_info *p)
{
	size_t mss = area->mss[!side], options = p->tcph->doff * 4u - TCP_HEADER;

	return mss > options ? mss - options : 0;
}

/* Edit what is new of the segment: what lies at `decided` and behind it. */
static void edit(mctx_t mctx, int sock, int side, const struct pkt_info *p, struct area *area,
                 uint32_t decided, struct http_state *state)
{
	static _Thread_local struct edits e;
	struct word_count count = {0};
	size_t from = decided - p->seq;
	bool ok;

	edits_begin(&e, (const char *)p->payload, p->payloadlen, room(area, side, p),
	            mss_in_one_place(area->mss[!side]));
	if (side == MOS_SIDE_CLI)
		ok = edit_request(mctx, sock, state, &e, from);
	else
		ok = edit_response(area, state, &e, from, p->tcph->fin, &count);
	if (!ok || !apply(mctx, sock, &e)) {
		drop_packet(mctx, sock, side);
		return;
	}
	track_store(&area->track[side], decided, p->seq + p->payloadlen + p->tcph->fin, state);
	atomic_fetch_add_explicit(&replaced, count.replaced, memory_order_relaxed);
	atomic_fetch_add_explicit(&left, count.left, memory_order_relaxed);
}

static void begin(struct track *t, int side, uint32_t seq)
{
	struct http_state state;

	if (side == MOS_SIDE_CLI)
		http_begin_request(&state);
	else
		http_begin_response(&state);
	track_begin(t, seq, &state);
}

/* Up to where the library has decided what becomes of the bytes of a side. */
static bool get_decided(mctx_t mctx, int sock, int side, uint32_t *seq)
{
	struct seq_remap_info info = {.side = side};
	socklen_t len = sizeof(info);
	bool ok = mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_SEQ_REMAP, &info, &len) == 0;

	*seq = info.base_seq;
	return ok;
}

static void on_segment(mctx_t mctx, int sock, int side, const struct pkt_info *p, struct area *area)
{
	struct track *t = &area->track[side];
	struct http_state state;
	uint32_t decided;

	if (!get_decided(mctx, sock, side, &decided))
		return;
	if (track_is_new(t))
		begin(t, side, decided);
	switch (track_find(t, decided, p->seq, (uint32_t)p->payloadlen + p->tcph->fin, &state)) {
	case TRACK_PASS: break;
	case TRACK_WAIT: drop_packet(mctx, sock, side); break;
	case TRACK_EDIT: edit(mctx, sock, side, p, area, decided, &state); break;
	case TRACK_STRAY:
		state.phase = HTTP_PASS;
		track_begin(t, decided, &state);
		atomic_fetch_add_explicit(&strays, 1, memory_order_relaxed);
		break;
	}
}

/* ---- Callbacks ---- */

/* side sends. */
static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct area *area = area_of(mctx, sock, sizeof(*area), AREA_VERSION);
	struct pkt_info p;

	if (area == NULL || mtcp_getlastpkt(mctx, sock, side, &p) < 0)
		return;
	if (p.tcph->syn)
		clamp(mctx, sock, side, &p, area);
	else if (p.payloadlen > 0 || p.tcph->fin)
		on_segment(mctx, sock, side, &p, area);
}

/* ---- Start and end ---- */

static bool has_area(mctx_t mctx)
{
	ssize_t len = mtcp_flow_area_len(mctx);

	if (len >= (ssize_t)sizeof(struct area))
		return true;
	fprintf(stderr, "rewrite: flow_area = %zd is too small: mos.conf needs %zu\n", len,
	        sizeof(struct area));
	return false;
}

/* Lengths change on both sides. */
static bool set_options(mctx_t mctx, int sock)
{
	bool ok = true;

	for (int side = MOS_SIDE_CLI; side <= MOS_SIDE_SVR; side++) {
		struct seq_remap_info info = {.side = side};

		ok = ok && mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SEQ_REMAP, &info,
		                           sizeof(info)) == 0;
	}
	return ok;
}

bool watch_start(mctx_t mctx, const struct watch_plan *the_plan)
{
	int sock;

	if (!has_area(mctx))
		return false;
	plan = the_plan;
	sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	if (sock >= 0 && !watch_only("rewrite", mctx, sock, plan->expression))
		return false;
	if (sock < 0 || !set_options(mctx, sock) || !watch_area(mctx, sock, AREA_VERSION) ||
	    mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0) {
		fprintf(stderr, "rewrite: cannot edit connections: %s\n", strerror(errno));
		return false;
	}
	return true;
}

struct watch_sum watch_sum(void)
{
	return (struct watch_sum){
		.replaced = atomic_load_explicit(&replaced, memory_order_relaxed),
		.left = atomic_load_explicit(&left, memory_order_relaxed),
		.strays = atomic_load_explicit(&strays, memory_order_relaxed),
	};
}
