/*
 * packet_tool: a worker for tests that reads, edits and sends packets as a script says.
 *
 *   packet_tool -f mos.conf -s SCRIPT
 *
 * Each line of the script is a rule: when it applies, and what is done then.
 *
 *   WHERE [port=N] [from=cli|svr] [nth=N] VERB [KEY=VALUE]...
 *
 *   WHERE   setup (once, before all packets), raw, orphan, start, snd, rcv, data, end, timer
 *   port    the client's; of raw and orphan either one
 *   from    who has sent the packet
 *   nth     the n-th time (1..) that all this is so; else each time
 *
 *   show    [side=N]                      mtcp_getlastpkt(), mtcp_getlastpkt_ext()
 *   keep                                  that packet, by the client's port
 *   resend                                what mtcp_getlastpkt() shows, as it is
 *   send    [of=none|kept] [l2= ip= ip6= tcp= data=BYTES] [turn=1] [flags=N] [len=N] [if=N]
 *           [vlan=N]                      the packet at hand, or that one, with other parts; turned
 *                                         around: what its receiver would send when it comes
 *   edit    option=N [off=N] [data=BYTES] [len=N]
 *   timer   ms=N                          rules of timer apply then, to this socket
 *   set     option=N value=N              an int, level SOL_MONSOCKET
 *   peek    side=N
 *   die                                   by SIGKILL, at once
 *
 * BYTES: in hex; xN for N letters x; - for none at all, a NULL pointer. All verbs also take
 *
 *   as=passive|raw|bad  another socket than that of the event (setup: the passive one)
 *   mctx=null  info=null  thread=other
 *   times=N    do it so often
 *   quiet=1    print failures only
 *
 * Each call prints "LINE VERB RESULT ERRNO", `show` and `peek` with "KEY=VALUE..." behind.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mos_ext.h"

#define RULES_MAX  1024
#define DUE_MAX    256 /* for one packet */
#define WORDS_MAX  16
#define LINE_BYTES (1 << 16)
#define PART_BYTES (1 << 16)
#define NO_SOCKET  65000

enum where { SETUP, RAW, ORPHAN, START, SND, RCV, DATA, END, TIMER, WHERES };

static const char *const where_names[WHERES] = {"setup", "raw",  "orphan", "start", "snd",
                                                "rcv",   "data", "end",    "timer"};

/* Where a verb is carried out. */
struct place {
	mctx_t mctx;
	int sock, side;
};

struct rule;

struct verb {
	const char *name;
	void (*run)(const struct rule *r, const struct place *at);
};

struct rule {
	unsigned line, nth, seen;
	enum where where;
	int port, from; /* -1: any */
	const struct verb *verb;
	char *word[WORDS_MAX]; /* KEY=VALUE, NULL behind the last */
};

enum part { L2, L3, L4, PAYLOAD, PARTS };

static const char *const part_names[PARTS] = {"l2", "ip", "tcp", "data"};

struct packet {
	struct pkt_info info;
	struct pkt_info_ext ext;
	struct {
		bool there;
		uint16_t len;
		uint8_t bytes[PART_BYTES];
	} part[PARTS];
};

static struct rule rules[RULES_MAX];
static unsigned rule_count;
static int passive_sock = -1, raw_sock = -1;
static struct packet *kept[UINT16_MAX + 1];
static _Atomic(mctx_t) context;

static void fail(const char *what)
{
	fprintf(stderr, "packet_tool: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* ---- Words of a rule ---- */

static const char *word(const struct rule *r, const char *key)
{
	size_t len = strlen(key);

	for (char *const *w = r->word; *w != NULL; w++)
		if (strncmp(*w, key, len) == 0 && (*w)[len] == '=')
			return *w + len + 1;
	return NULL;
}

static long number(const struct rule *r, const char *key, long otherwise)
{
	const char *value = word(r, key);

	return value != NULL ? strtol(value, NULL, 0) : otherwise;
}

static bool says(const struct rule *r, const char *key, const char *value)
{
	const char *given = word(r, key);

	return given != NULL && strcmp(given, value) == 0;
}

/* BYTES, which are not "-". Returns how many. */
static uint16_t read_bytes(const char *text, uint8_t bytes[static PART_BYTES])
{
	uint16_t len = 0;

	if (*text == 'x') {
		len = (uint16_t)atoi(text + 1);
		memset(bytes, 'x', len);
		return len;
	}
	for (unsigned value; sscanf(text + (size_t)2 * len, "%2x", &value) == 1; len++)
		bytes[len] = (uint8_t)value;
	return len;
}

/* ---- Output ---- */

static void say_result(const struct rule *r, ssize_t result)
{
	printf("%u %s %zd %s", r->line, r->verb->name, result,
	       result < 0 ? strerrorname_np(errno) : "0");
}

/* What a call has returned, as a line of its own. */
static void say(const struct rule *r, ssize_t result)
{
	if (result >= 0 && word(r, "quiet") != NULL)
		return;
	say_result(r, result);
	putchar('\n');
}

static void say_bytes(const char *name, const void *bytes, size_t len)
{
	printf(" %s=", name);
	if (bytes == NULL)
		putchar('-');
	for (size_t i = 0; bytes != NULL && i < len; i++)
		printf("%02x", ((const uint8_t *)bytes)[i]);
}

/* ---- Packets ---- */

static void copy_part(struct packet *p, enum part part, const void *from, const void *end)
{
	p->part[part].there = from != NULL;
	p->part[part].len = 0;
	if (from == NULL)
		return;
	p->part[part].len = (uint16_t)((const uint8_t *)end - (const uint8_t *)from);
	memcpy(p->part[part].bytes, from, p->part[part].len);
}

/* The packet at hand. 0 or -1. */
static int take(const struct rule *r, const struct place *at, struct packet *p)
{
	const struct pkt_info *i = &p->info;
	const void *l3;

	if (mtcp_getlastpkt_ext(at->mctx, at->sock, (int)number(r, "side", at->side), &p->info,
	                        &p->ext) < 0)
		return -1;
	l3 = i->iph != NULL ? (const void *)i->iph : p->ext.ip6h;
	copy_part(p, L2, i->ethh, l3);
	copy_part(p, L3, l3,
	          i->tcph != NULL ? (const uint8_t *)i->tcph : (const uint8_t *)l3 + i->ip_len);
	copy_part(p, L4, i->tcph, i->payload);
	copy_part(p, PAYLOAD, i->payload, i->payload + i->payloadlen);
	return 0;
}

/* Replace the parts that the rule names. */
static void replace_parts(const struct rule *r, struct packet *p)
{
	for (enum part part = 0; part < PARTS; part++) {
		const char *text = word(r, part_names[part]);

		if (part == L3 && word(r, "ip6") != NULL)
			text = word(r, "ip6");
		if (text == NULL)
			continue;
		p->part[part].there = strcmp(text, "-") != 0;
		p->part[part].len = 0;
		if (p->part[part].there)
			p->part[part].len = read_bytes(text, p->part[part].bytes);
	}
	if (word(r, "ip6") != NULL || word(r, "ip") != NULL)
		p->ext.ip_version = word(r, "ip6") != NULL ? 6 : 4;
}

static void swap_bytes(uint8_t *a, uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t was = a[i];

		a[i] = b[i];
		b[i] = was;
	}
}

/* Addresses, ports and numbers as the other end has them, which acknowledges the packet. */
static void turn(struct packet *p, uint32_t payload_len)
{
	uint8_t *ip = p->part[L3].bytes, *tcp = p->part[L4].bytes;
	bool six = p->ext.ip_version == 6;
	uint32_t ack;

	swap_bytes(p->part[L2].bytes, p->part[L2].bytes + 6, 6);
	swap_bytes(ip + (six ? 8 : 12), ip + (six ? 24 : 16), six ? 16 : 4);
	swap_bytes(tcp, tcp + 2, 2);
	swap_bytes(tcp + 4, tcp + 8, 4);
	memcpy(&ack, tcp + 8, sizeof(ack));
	ack = htonl(ntohl(ack) + payload_len);
	memcpy(tcp + 8, &ack, sizeof(ack));
}

/*
 * Lay the parts one behind the other, as in a frame, and let the pointers lead there. All else that
 * describes a packet is not looked at, and gets lies.
 */
static void lay_out(const struct rule *r, struct packet *p,
                    uint8_t frame[static PARTS * PART_BYTES])
{
	int8_t ifidx = (int8_t)number(r, "if", p->info.in_ifidx);
	uint16_t vlan = (uint16_t)number(r, "vlan", p->ext.vlan);
	uint8_t *start[PARTS];
	bool six = p->ext.ip_version == 6;

	for (enum part part = 0; part < PARTS; part++) {
		start[part] = p->part[part].there ? frame : NULL;
		memcpy(frame, p->part[part].bytes, p->part[part].len);
		frame += p->part[part].len;
	}
	memset(&p->info, 0xee, sizeof(p->info));
	memset(&p->ext, 0xee, sizeof(p->ext));
	p->info.in_ifidx = ifidx;
	p->info.payloadlen = (uint16_t)number(r, "len", p->part[PAYLOAD].len);
	p->info.ethh = (struct ethhdr *)start[L2];
	p->info.iph = six ? NULL : (struct iphdr *)start[L3];
	p->info.tcph = (struct tcphdr *)start[L4];
	p->info.payload = start[PAYLOAD];
	p->ext.ip6h = six ? (struct ip6_hdr *)start[L3] : NULL;
	p->ext.vlan = vlan;
}

/* ---- Verbs ---- */

static int client_port(const struct place *at)
{
	struct sockaddr_in6 addr;
	socklen_t len = sizeof(addr);
	struct pkt_info p;

	if (mtcp_getpeername(at->mctx, at->sock, (struct sockaddr *)&addr, &len, MOS_SIDE_CLI) == 0)
		return ntohs(addr.sin6_port); /* as in sockaddr_in */
	if (mtcp_getlastpkt(at->mctx, at->sock, MOS_SIDE_BOTH, &p) < 0 || p.tcph == NULL)
		return 0;
	return ntohs(p.tcph->source);
}

static void keep(const struct rule *r, const struct place *at)
{
	struct packet **mine = &kept[client_port(at)];

	if (*mine == NULL && (*mine = malloc(sizeof(**mine))) == NULL)
		fail("keep");
	say(r, take(r, at, *mine));
}

static void show(const struct rule *r, const struct place *at)
{
	static struct packet p;
	struct pkt_info plain, *info = says(r, "info", "null") ? NULL : &plain;
	int result = mtcp_getlastpkt(at->mctx, at->sock, (int)number(r, "side", at->side), info);

	if (result < 0 || take(r, at, &p) < 0) {
		say(r, -1);
		return;
	}
	say_result(r, 0);
	printf(" same=%d ts=%u if=%d eth_len=%u ip_len=%u offset=%llu payloadlen=%u seq=%u ack=%u "
	       "window=%u ts_ns=%llu frame_len=%u vlan=%u version=%u proto=%u iph=%d ip6h=%d",
	       memcmp(&p.info, &plain, PKT_INFO_LEN) == 0, plain.cur_ts, plain.in_ifidx,
	       plain.eth_len, plain.ip_len, (unsigned long long)plain.offset, plain.payloadlen,
	       plain.seq, plain.ack_seq, plain.window, (unsigned long long)p.ext.ts_ns,
	       p.ext.frame_len, p.ext.vlan, p.ext.ip_version, p.ext.ip_proto, plain.iph != NULL,
	       p.ext.ip6h != NULL);
	for (enum part part = 0; part < PARTS; part++)
		say_bytes(part_names[part], p.part[part].there ? p.part[part].bytes : NULL,
		          p.part[part].len);
	putchar('\n');
}

static void resend(const struct rule *r, const struct place *at)
{
	struct pkt_info p;
	struct pkt_info_ext x;

	if (mtcp_getlastpkt_ext(at->mctx, at->sock, at->side, &p, &x) < 0)
		say(r, -1);
	else if (x.ip6h != NULL)
		say(r, mtcp_sendpkt_ext(at->mctx, at->sock, &p, &x));
	else
		say(r, mtcp_sendpkt(at->mctx, at->sock, &p));
}

/* What the rule changes, and what it does not. */
static void choose(const struct rule *r, const struct place *at, struct packet *p)
{
	const struct packet *old = kept[number(r, "port", 0)];

	memset(p, 0, sizeof(*p));
	if (says(r, "of", "kept") && old != NULL)
		*p = *old;
	else if (!says(r, "of", "none") && take(r, at, p) < 0)
		memset(p, 0, sizeof(*p));
	if (word(r, "turn") != NULL)
		turn(p, p->part[PAYLOAD].len);
	replace_parts(r, p);
	p->part[L4].bytes[13] = (uint8_t)number(r, "flags", p->part[L4].bytes[13]);
}

static void send_packet(const struct rule *r, const struct place *at)
{
	static uint8_t frame[PARTS * PART_BYTES];
	static struct packet p;
	const struct pkt_info *info = says(r, "info", "null") ? NULL : &p.info;

	choose(r, at, &p);
	lay_out(r, &p, frame);
	if (p.ext.ip6h != NULL || word(r, "vlan") != NULL)
		say(r, mtcp_sendpkt_ext(at->mctx, at->sock, info, &p.ext));
	else
		say(r, mtcp_sendpkt(at->mctx, at->sock, info));
}

static void edit(const struct rule *r, const struct place *at)
{
	static uint8_t bytes[PART_BYTES];
	const char *text = word(r, "data");
	uint16_t len = text != NULL && *text != '-' ? read_bytes(text, bytes) : 0;

	say(r, mtcp_setlastpkt(at->mctx, at->sock, at->side, (off_t)number(r, "off", 0),
	                       text != NULL && *text != '-' ? bytes : NULL,
	                       (uint16_t)number(r, "len", len), (int)number(r, "option", 0)));
}

static void set(const struct rule *r, const struct place *at)
{
	int value = (int)number(r, "value", 0);

	say(r, mtcp_setsockopt(at->mctx, at->sock, SOL_MONSOCKET, (int)number(r, "option", 0),
	                       &value, sizeof(value)));
}

static void peek(const struct rule *r, const struct place *at)
{
	static char buf[PART_BYTES];
	ssize_t n =
		mtcp_peek(at->mctx, at->sock, (int)number(r, "side", at->side), buf, sizeof(buf));

	say_result(r, n);
	say_bytes("data", buf, n > 0 ? (size_t)n : 0);
	putchar('\n');
}

static void die(const struct rule *r, const struct place *at)
{
	raise(SIGKILL);
}

static void on_timer(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);

static void timer(const struct rule *r, const struct place *at)
{
	long ms = number(r, "ms", 0);
	struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	say(r, mtcp_settimer(at->mctx, at->sock, &t, on_timer));
}

static const struct verb verbs[] = {
	{"show", show}, {"keep", keep}, {"resend", resend}, {"send", send_packet}, {"edit", edit},
	{"set", set},   {"peek", peek}, {"die", die},       {"timer", timer},
};

/* ---- When ---- */

struct task {
	const struct rule *r;
	struct place at;
};

static void *carry_out(void *arg)
{
	const struct task *t = arg;

	for (long n = number(t->r, "times", 1); n > 0; n--)
		t->r->verb->run(t->r, &t->at);
	return NULL;
}

static void carry_out_as_told(const struct rule *r, const struct place *at)
{
	struct task task = {r, *at};
	pthread_t other;

	if (says(r, "as", "passive"))
		task.at.sock = passive_sock;
	if (says(r, "as", "raw"))
		task.at.sock = raw_sock;
	if (says(r, "as", "bad"))
		task.at.sock = NO_SOCKET;
	if (says(r, "mctx", "null"))
		task.at.mctx = NULL;
	if (!says(r, "thread", "other")) {
		carry_out(&task);
		return;
	}
	if ((errno = pthread_create(&other, NULL, carry_out, &task)) != 0)
		fail("thread");
	pthread_join(other, NULL);
}

static bool port_fits(const struct rule *r, const struct place *at, enum where where)
{
	struct pkt_info p;

	if (r->port < 0 || where == SETUP)
		return true;
	if (where != RAW && where != ORPHAN)
		return client_port(at) == r->port;
	return mtcp_getlastpkt(at->mctx, at->sock, at->side, &p) == 0 && p.tcph != NULL &&
	       (ntohs(p.tcph->source) == r->port || ntohs(p.tcph->dest) == r->port);
}

/* Which rules apply is decided before any of them changes the packet. */
static void apply(enum where where, const struct place *at)
{
	int from = where == RCV ? !at->side : at->side;
	const struct rule *due[DUE_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < rule_count && count < DUE_MAX; i++) {
		struct rule *r = &rules[i];

		if (r->where == where && (r->from < 0 || r->from == from) &&
		    port_fits(r, at, where) && (++r->seen == r->nth || r->nth == 0))
			due[count++] = r;
	}
	for (unsigned i = 0; i < count; i++)
		carry_out_as_told(due[i], at);
}

#define CALLBACK(name, where)                                                               \
	static void name(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg) \
	{                                                                                   \
		apply(where, &(struct place){mctx, sock, side});                            \
	}

CALLBACK(on_raw, RAW)
CALLBACK(on_orphan, ORPHAN)
CALLBACK(on_start, START)
CALLBACK(on_sent, SND)
CALLBACK(on_received, RCV)
CALLBACK(on_data, DATA)
CALLBACK(on_end, END)
CALLBACK(on_timer, TIMER)

static const struct {
	event_t event;
	int hook;
	callback_t callback;
} events[WHERES] = {
	[RAW] = {MOS_ON_PKT_IN, MOS_NULL, on_raw},
	[ORPHAN] = {MOS_ON_ORPHAN, MOS_NULL, on_orphan},
	[START] = {MOS_ON_CONN_START, MOS_HK_SND, on_start},
	[SND] = {MOS_ON_PKT_IN, MOS_HK_SND, on_sent},
	[RCV] = {MOS_ON_PKT_IN, MOS_HK_RCV, on_received},
	[DATA] = {MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data},
	[END] = {MOS_ON_CONN_END, MOS_HK_SND, on_end},
};

/* Register for what the script has rules for, and no more. */
static void watch(mctx_t mctx)
{
	passive_sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
	raw_sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
	if (passive_sock < 0 || raw_sock < 0)
		fail("socket");
	apply(SETUP, &(struct place){mctx, passive_sock, MOS_SIDE_BOTH});
	for (unsigned i = 0; i < rule_count; i++) {
		enum where where = rules[i].where;

		if (events[where].callback != NULL &&
		    mtcp_register_callback(mctx, where == RAW ? raw_sock : passive_sock,
		                           events[where].event, events[where].hook,
		                           events[where].callback) < 0)
			fail(where_names[where]);
	}
}

/* ---- Script ---- */

static enum where find_where(const char *name)
{
	enum where where = 0;

	while (where < WHERES && strcmp(where_names[where], name) != 0)
		where++;
	return where;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* False: a mistake. */
static bool parse_rule(struct rule *r, char *text)
{
	char *rest, *w = strtok_r(text, " \n", &rest);
	unsigned n = 0;

	r->where = w != NULL ? find_where(w) : WHERES;
	while ((w = strtok_r(NULL, " \n", &rest)) != NULL) {
		if (strchr(w, '=') != NULL && n < WORDS_MAX - 1)
			r->word[n++] = strdup(w);
		else if (r->verb == NULL && (r->verb = find_verb(w)) == NULL)
			return false;
	}
	r->port = (int)number(r, "port", -1);
	r->nth = (unsigned)number(r, "nth", 0);
	r->from = says(r, "from", "svr")   ? MOS_SIDE_SVR
	          : says(r, "from", "cli") ? MOS_SIDE_CLI
	                                   : -1;
	return r->where < WHERES && r->verb != NULL;
}

static void read_script(const char *path)
{
	static char line[LINE_BYTES];
	FILE *file = fopen(path, "re");

	if (file == NULL)
		fail(path);
	while (fgets(line, sizeof(line), file) != NULL) {
		struct rule *r = &rules[rule_count++];

		r->line = rule_count;
		if (rule_count >= RULES_MAX || !parse_rule(r, line)) {
			fprintf(stderr, "packet_tool: %s:%u: a mistake\n", path, rule_count);
			exit(EXIT_FAILURE);
		}
	}
	fclose(file);
}

/* ---- Start and end ---- */

/* Also the signal handler's. */
static void stop(void)
{
	mctx_t mctx = atomic_exchange(&context, NULL);

	if (mctx != NULL)
		mtcp_destroy_context(mctx);
}

static void on_signal(int signum)
{
	stop();
}

int main(int argc, char **argv)
{
	mctx_t mctx;

	if (argc != 5 || strcmp(argv[1], "-f") != 0 || strcmp(argv[3], "-s") != 0) {
		fprintf(stderr, "usage: packet_tool -f mos.conf -s SCRIPT\n");
		return 2;
	}
	setlinebuf(stdout);
	read_script(argv[4]);
	if (mtcp_init(argv[2]) < 0)
		return EXIT_FAILURE;
	mtcp_register_signal(SIGTERM, on_signal);
	context = mctx = mtcp_create_context(0);
	if (mctx == NULL)
		return EXIT_FAILURE;
	watch(mctx);
	printf("ready\n");
	mtcp_app_join(mctx);
	stop();
	mtcp_destroy();
	return EXIT_SUCCESS;
}
