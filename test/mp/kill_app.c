/*
 * kill_app: the application that test_kill_points kills at each of the kill points. Between its
 * sockets it does all that changes shared memory. What it does with a flow, the client's port says:
 *
 *   10000..  steady: one flow in four is never read, one read in a timer, one at once; of one each
 *            packet is dropped and a copy sent. Its area knows which packets were worked on
 *   20000..  streams, read in a timer; odd ports: of two versions of a byte the later counts. Timers
 *            send the last packet again
 *   30000..  the client's port is translated: to 40000 + (port - 30000) / 2, so that two flows want
 *            the same; from 33000 on to port + 10000. From 36000 on only of the first SYN
 *   50000..  the first byte of the payload says how it is edited
 *
 *   kill_app -f mos.conf
 *
 * It prints "app: up" when it is ready, "app: again ..." when a packet of a steady flow is worked on
 * a second time, and on SIGUSR1
 *   app: steady N established E missed M of K
 * where M of K packets of steady flows were never worked on.
 */
#include "mos_api.h"
#include "mos_ext.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "test/mp/kill_ports.h"

#define TIMER_US  2000
#define SENT_MAX  256 /* bytes of a packet that a timer sends again */
#define ROUND_MAX 64  /* reads of one side in a timer */

struct area {             /* of a steady flow */
	uint64_t next[2]; /* number of the packet that each side sends next */
	uint64_t missed;
};

struct flow {
	int sock;        /* 0 = not live */
	bool translated; /* a SYN was, by this process */
	uint16_t kept;   /* bytes of its last packet */
	uint8_t packet[SENT_MAX];
};

static struct flow flows[65536]; /* by the client's port */
static unsigned long long raw_packets;
static volatile sig_atomic_t asked;

/* ---- flows ---- */

static int client_port(mctx_t mctx, int sock)
{
	struct sockaddr_in client;
	socklen_t len = sizeof(client);

	if (mtcp_getpeername(mctx, sock, (struct sockaddr *)&client, &len, MOS_SIDE_CLI) < 0)
		return 0;
	return ntohs(client.sin_port);
}

static unsigned port_of(const struct flow *f)
{
	return (unsigned)(f - flows);
}

/* Of an active socket. The first packet is told of before the flow's start. */
static struct flow *flow_of(mctx_t mctx, int sock)
{
	struct flow *f = mtcp_get_uctx(mctx, sock);
	int last = MOS_OVERLAP_POLICY_LAST;

	if (f != NULL)
		return f;
	f = &flows[client_port(mctx, sock)];
	*f = (struct flow){.sock = sock};
	mtcp_set_uctx(mctx, sock, f);
	if (port_of(f) / PORTS == STREAMS / PORTS && port_of(f) % 2 == 1)
		mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SVROVERLAP, &last, sizeof(last));
	return f;
}

static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	flow_of(mctx, sock);
}

static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	flow_of(mctx, sock)->sock = 0;
}

static bool is_established(mctx_t mctx, int sock)
{
	int client = TCP_CLOSED, server = TCP_CLOSED;
	socklen_t len = sizeof(client);

	mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &client, &len);
	len = sizeof(server);
	mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_TCP_STATE_SVR, &server, &len);
	return client == TCP_ESTABLISHED && server == TCP_ESTABLISHED;
}

/* ---- steady flows ---- */

struct steady_payload {
	uint32_t magic, flow, direction, number;
};

/* Once for each packet, in their order; what makes it count is stored last. */
static void note_number(mctx_t mctx, int sock, int side, const struct pkt_info *p)
{
	struct area *area = mtcp_flow_area(mctx, sock, NULL);
	struct steady_payload data;

	if (area == NULL || p->payloadlen < sizeof(data))
		return;
	memcpy(&data, p->payload, sizeof(data));
	if (data.number < area->next[side])
		printf("app: again flow %u side %d number %u\n", data.flow, side, data.number);
	else
		area->missed += data.number - area->next[side];
	area->next[side] = data.number + 1;
}

static void on_steady(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	const struct flow *f = flow_of(mctx, sock);
	struct pkt_info p;

	if (mtcp_getlastpkt(mctx, sock, side, &p) < 0)
		return;
	note_number(mctx, sock, side, &p);
	if (port_of(f) % STEADY_KINDS == SENT_AGAIN && mtcp_sendpkt(mctx, sock, &p) == 0)
		mtcp_setlastpkt(mctx, sock, side, 0, NULL, 0, MOS_DROP);
}

static void read_side(mctx_t mctx, int sock, int side)
{
	char bytes[1000];

	for (unsigned i = 0; i < ROUND_MAX; i++)
		if (mtcp_peek(mctx, sock, side, bytes, sizeof(bytes)) == 0)
			return;
}

static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	const struct flow *f = flow_of(mctx, sock);

	if (port_of(f) / PORTS == STEADY / PORTS && port_of(f) % STEADY_KINDS == READ_AT_ONCE)
		read_side(mctx, sock, side);
}

/* ---- streams ---- */

static void on_stream(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *f = flow_of(mctx, sock);
	struct pkt_info p;

	if (side != MOS_SIDE_CLI || mtcp_getlastpkt(mctx, sock, side, &p) < 0)
		return;
	if (p.ip_len > SENT_MAX || p.payloadlen == 0)
		return;
	memcpy(f->packet, p.iph, p.ip_len); /* the copy is in one piece from there on */
	f->kept = p.ip_len;
}

static void send_kept(mctx_t mctx, struct flow *f)
{
	struct iphdr *ip = (struct iphdr *)f->packet;
	struct tcphdr *tcp = (struct tcphdr *)(f->packet + ip->ihl * 4);
	uint8_t *payload = (uint8_t *)tcp + tcp->doff * 4;
	struct pkt_info p = {.iph = ip, .tcph = tcp, .payload = payload};

	p.payloadlen = (uint16_t)(f->packet + f->kept - payload);
	mtcp_sendpkt(mctx, f->sock, &p);
	f->kept = 0;
}

/* ---- translated ports ---- */

static uint16_t outside_of(unsigned port)
{
	return (uint16_t)(port < OWN_OUTSIDE ? OUTSIDE + (port - TRANSLATED) / 2 : port + PORTS);
}

static void on_translated(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct flow *f = flow_of(mctx, sock);
	struct pkt_info p;
	uint16_t port_be;

	if (mtcp_getlastpkt(mctx, sock, side, &p) < 0)
		return;
	if (f->translated && port_of(f) >= TRANSLATED_ONCE)
		return;
	f->translated |= p.tcph->syn;
	port_be = htons((uint16_t)(side == MOS_SIDE_CLI ? outside_of(port_of(f)) : port_of(f)));
	mtcp_setlastpkt(mctx, sock, side, side == MOS_SIDE_CLI ? 0 : 2, (byte *)&port_be, 2,
	                MOS_TCP_HDR | MOS_OVERWRITE | MOS_UPDATE_TCP_CHKSUM);
}

/* ---- edits ---- */

static void insert(mctx_t mctx, int sock, int side, uint16_t len)
{
	static byte bytes[1000];

	mtcp_setlastpkt(mctx, sock, side, 1, bytes, len,
	                MOS_TCP_PAYLOAD | MOS_INSERT | MOS_UPDATE_IP_CHKSUM |
	                        MOS_UPDATE_TCP_CHKSUM);
}

static void on_edited(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	struct pkt_info p;
	char verb;

	if (mtcp_getlastpkt(mctx, sock, side, &p) < 0 || p.payloadlen == 0)
		return;
	verb = (char)p.payload[0];
	if (verb == EDIT_INSERT || verb == EDIT_DROP)
		insert(mctx, sock, side, EDIT_BYTES);
	else if (verb == EDIT_INSERT_LONG)
		insert(mctx, sock, side, EDIT_BYTES_LONG);
	else if (verb == EDIT_CHOMP)
		mtcp_setlastpkt(mctx, sock, side, 1, NULL, EDIT_BYTES,
		                MOS_TCP_PAYLOAD | MOS_CHOMP | MOS_UPDATE_IP_CHKSUM |
		                        MOS_UPDATE_TCP_CHKSUM);
	if (verb == EDIT_DROP)
		mtcp_setlastpkt(mctx, sock, side, 0, NULL, 0, MOS_DROP);
}

/* ---- timers ---- */

static void answer(mctx_t mctx)
{
	unsigned steady = 0, established = 0;
	uint64_t missed = 0, known = 0;

	for (unsigned port = STEADY; port < STEADY + PORTS; port++) {
		const struct area *area;

		if (flows[port].sock == 0)
			continue;
		area = mtcp_flow_area(mctx, flows[port].sock, NULL);
		steady++;
		established += is_established(mctx, flows[port].sock);
		if (area == NULL)
			continue;
		missed += area->missed;
		known += area->next[MOS_SIDE_CLI] + area->next[MOS_SIDE_SVR];
	}
	printf("app: steady %u established %u missed %llu of %llu\n", steady, established,
	       (unsigned long long)missed, (unsigned long long)known);
}

static void on_timer(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
	struct timeval interval = {.tv_usec = TIMER_US};

	for (unsigned port = STEADY; port < STREAMS + PORTS; port++) {
		struct flow *f = &flows[port];
		bool steady = port < STREAMS;

		if (f->sock == 0 || (steady && port % STEADY_KINDS != READ_IN_TIMER))
			continue;
		read_side(mctx, f->sock, MOS_SIDE_CLI);
		read_side(mctx, f->sock, MOS_SIDE_SVR);
		if (f->kept > 0)
			send_kept(mctx, f);
	}
	if (asked) {
		asked = 0;
		answer(mctx);
	}
	mtcp_settimer(mctx, id, &interval, on_timer);
}

/* ---- set-up ---- */

static void on_raw(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	raw_packets++;
}

static void on_usr1(int sig)
{
	asked = 1;
}

/* A socket for the flows whose client has one of the ports from `first` on. */
static int listen_to(mctx_t mctx, unsigned first, callback_t on_packet)
{
	int sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	union monitor_filter filter = {0};
	char text[64];

	snprintf(text, sizeof(text), "src portrange %u-%u", first, first + PORTS - 1);
	filter.stream_syn_filter = text;
	if (sock < 0 || mtcp_bind_monitor_filter(mctx, sock, &filter) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start) < 0 ||
	    mtcp_register_callback(mctx, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0)
		return -1;
	return sock;
}

static bool set_buffers(mctx_t mctx, int sock, int bytes)
{
	return mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_CLIBUF, &bytes, sizeof(bytes)) == 0 &&
	       mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SVRBUF, &bytes, sizeof(bytes)) == 0;
}

static bool edit_lengths(mctx_t mctx, int sock, int side)
{
	seq_remap_info info = {.side = side};

	return mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SEQ_REMAP, &info, sizeof(info)) == 0;
}

static bool set_up(mctx_t mctx)
{
	struct timeval interval = {.tv_usec = TIMER_US};
	int raw = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
	int steady = listen_to(mctx, STEADY, on_steady),
	    streams = listen_to(mctx, STREAMS, on_stream);
	int translated = listen_to(mctx, TRANSLATED, on_translated);
	int edited = listen_to(mctx, EDITED, on_edited);

	return raw >= 0 && steady >= 0 && streams >= 0 && translated >= 0 && edited >= 0 &&
	       mtcp_register_callback(mctx, raw, MOS_ON_PKT_IN, MOS_NULL, on_raw) == 0 &&
	       mtcp_register_callback(mctx, steady, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data) == 0 &&
	       set_buffers(mctx, steady, STEADY_BUFFER) &&
	       set_buffers(mctx, streams, STREAM_BUFFER) && set_buffers(mctx, translated, 0) &&
	       set_buffers(mctx, edited, STREAM_BUFFER) &&
	       edit_lengths(mctx, edited, MOS_SIDE_CLI) &&
	       edit_lengths(mctx, edited, MOS_SIDE_SVR) &&
	       mtcp_settimer(mctx, steady, &interval, on_timer) == 0;
}

int main(int argc, char **argv)
{
	mctx_t mctx;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3 || strcmp(argv[1], "-f") != 0)
		return EXIT_FAILURE;
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGUSR1, on_usr1);
	if (mtcp_init(argv[2]) < 0)
		return EXIT_FAILURE;
	mctx = mtcp_create_context(0);
	if (mctx == NULL)
		return EXIT_FAILURE;
	if (!set_up(mctx)) {
		perror("app: set-up");
		return EXIT_FAILURE;
	}
	printf("app: up\n");
	mtcp_app_join(mctx);
	mtcp_destroy();
	return EXIT_SUCCESS;
}
