#include "test/e2e/packet_tool.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A packet in parts, which lie one behind the other in a frame. */
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

static struct packet *kept[UINT16_MAX + 1]; /* by the client's port */

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
	copy_part(p, PAYLOAD, i->payload, i->payload != NULL ? i->payload + i->payloadlen : NULL);
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

int client_port(const struct place *at)
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

const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}
