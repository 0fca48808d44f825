/*
 * Filters against libpcap on the same bytes in one piece, without the padding: many expressions,
 * frames of all kinds, whole, in segments and damaged.
 *
 * And a SYN made up from a record against the SYN that made the record.
 */
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#include "secondary/filter/syn_frame.h"
#include "secondary/filter/test_rig.h"

/* About what a flow record holds: addresses, ports, protocol, VLAN. Classic programs use these. */
static const char *const flow_exprs[] = {
	"",
	"tcp",
	"not tcp",
	"tcp src port 40000",
	"tcp dst port 443",
	"tcp port 443",
	"port 443",
	"src port 40000",
	"dst port 443",
	"dst port 444",
	"src port 443",
	"not port 443",
	"not dst port 443",
	"not src port 443",
	"portrange 400-500",
	"src portrange 1-39999",
	"src portrange 40000-40000",
	"dst portrange 444-65535",
	"dst portrange 1-442 or dst port 443",
	"host 10.0.0.1",
	"host 10.0.1.2",
	"host 10.0.0.3",
	"src host 10.0.0.1",
	"src host 10.0.1.2",
	"dst host 10.0.1.2",
	"dst host 10.0.0.1",
	"not host 10.0.0.1",
	"net 10.0.0.0 mask 255.255.255.0",
	"net 10.0.2.0 mask 255.255.255.0",
	"src net 10.0.0.0 mask 255.255.255.0",
	"src net 10.0.1.0 mask 255.255.255.0",
	"dst net 10.0.1.0 mask 255.255.255.254",
	"dst net 10 and tcp",
	"net 10.0",
	"src net 10.0.0.0/24",
	"net 10.0.0.0/8 and not net 10.0.0.0/30",
	"tcp and src host 10.0.0.1",
	"tcp and dst host 10.0.1.2 and dst port 443",
	"tcp and dst host 10.0.1.2 and not dst port 443",
	"tcp and src net 10.0.0.0 mask 255.255.0.0 and dst portrange 440-450",
	"host 10.0.0.1 and host 10.0.1.2",
	"host 10.0.0.1 or host 192.168.0.1",
	"src host 10.0.0.1 or dst host 10.0.0.1",
	"dst port 80 or dst port 443 or dst port 8080",
	"port 80 or 443 or 8080",
	"tcp and not port 22 and not port 25",
	"not host 10.0.0.1 and not host 10.0.1.2",
	"tcp and port 443 and host 10.0.0.1 and not host 10.0.0.2",
	"src port 40000 and dst port 443 or src port 443 and dst port 40000",
	"host 2001:db8::1",
	"src host 2001:db8::1",
	"dst host 2001:db8:1::2",
	"dst host 2001:db8::1",
	"net 2001:db8::/32",
	"net 2001:db8:1::/48",
	"src net 2001:db8:1::/48",
	"ip6",
	"ip",
	"not ip",
	"not ip6",
	"ip6 and tcp and dst port 443",
	"ip and tcp and dst port 443",
	"ip proto 6",
	"ip6 proto 6",
	"proto 6",
	"ether src 02:02:02:02:02:01",
	"ether dst 02:02:02:02:02:01",
	"ether host 02:02:02:02:02:02",
	"ether proto 0x86dd",
	"vlan",
	"vlan 5",
	"vlan 6",
	"not vlan",
	"vlan and tcp",
	"vlan 5 and dst port 443",
	"vlan 5 and host 10.0.1.2",
	"vlan 5 and ip6 and dst host 2001:db8:1::2",
	"tcp or vlan 5 and tcp",
	"(tcp or udp) and (port 443 or port 53)",
	"tcp && (dst port 443 || dst port 80)",
	"!(tcp && dst port 443)",
	"tcp[0:2] = 40000",
	"tcp[2:2] > 442 and tcp[2:2] < 444",
	"ip[12:4] = 0x0a000001",
	"ip[9] = 6",
	"ip6[6] = 6",
	"tcp[2:2] & 1 = 1",
	"tcp[2:2] / 2 = 221",
	"tcp[2:2] * 2 = 886",
	"tcp[2:2] % 100 = 43",
	"tcp[2:2] - tcp[0:2] != 0",
	"tcp[2:2] | 0x8000 = 33211",
	"tcp[2:2] ^ 1 = 442",
	"tcp[2:2] << 1 > 800",
	"-tcp[2:2] + 444 = 1",
	"tcp[2:2] > tcp[0:2]",
	"tcp[2:2] >= tcp[0:2] or ip[16:4] >= ip[12:4]",
	"ip[12:4] & 0xff000000 = 0x0a000000",
	"ip[16:4] >= 0x80000000",
	"ip[16:4] < 0xffffffff",
};

/* About more than that. */
static const char *const other_exprs[] = {
	"udp",
	"udp port 53",
	"sctp or icmp or icmp6",
	"arp",
	"less 60",
	"greater 60",
	"greater 1500",
	"len = 54",
	"len > 9000",
	"len & 1 = 1",
	"ip multicast or ip6 multicast",
	"ether broadcast or ether multicast",
	"ip[8] = 64",
	"ip[8] < 5",
	"ip[0] & 0xf > 5",
	"ip[0] & 0xf = 5",
	"ip[6:2] & 0x3fff != 0",
	"ip[6:2] & 0x4000 != 0",
	"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
	"tcp[tcpflags] = tcp-ack",
	"tcp[13] & 0x10 != 0",
	"tcp[13] & 2 = 0",
	"tcp[12] & 0xf0 > 0x50",
	"tcp[12] >> 4 = 5",
	"tcp[((tcp[12] & 0xf0) >> 2):4] = 0x78787878",
	"tcp[((tcp[12] & 0xf0) >> 2)] = 120",
	"ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) != 0",
	"tcp[4:4] = 0",
	"tcp[4:4] + tcp[8:4] > 0x7fffffff",
	"tcp[16:2] != 0 and tcp[18:2] = 0",
	"udp[4:2] = 8",
	"ip[2:2] / ip[8] > 1",
	"ip[2:2] % ip[8] > 1",
	"ip[2:2] / ip[1] > 1",
	"ip[2:2] % (ip[1] - ip[1]) = 1",
	"ip[ip[0] & 0xf] = 0",
	"ether[ether[0]] = 2",
	"ether[ether[0:2]] = 2",
	"ether[12:2] = 0x8100 and ether[14:2] & 0xfff = 5",
	"ether[60] = 0xee",
	"ether[9000] = 0x78",
	"ether[8997:4] = 0x78787878",
	"ether[100:2] = 0x7878 and ether[101] = 0x78",
	"ether[2040:4] = 0x78787878 or ether[2041:4] != 0",
	"ether[0xfffffffe:4] = 0",
	"ether[0x7fffffff] = 0 or tcp",
	"tcp[tcp[4:4]] = 1",
	"1 << ip[8] = 1",
	"1 << (ip[8] & 31) = 1",
	"0x80000000 >> (ip[8] & 31) > 1",
	"vlan 5 and vlan 7",
	"vlan and vlan and tcp",
	"mpls 7",
	"pppoes",
	"ip protochain 6",
	"ip6 protochain 6",
	"ip6 protochain 17",
	"ip6[40] = 6 or ip6[4:2] > 30",
	"ip6 proto 44 or ip6 proto 0",
	"ether[0] & 1 = 0 and ip[16] >= 224",
	"not ip[12:4] = ip[16:4] and tcp[0:2] != tcp[2:2]",
	"(ip[2:2] > 40 and (tcp[13] & 8 != 0 or (tcp[13] & 1 != 0 and not port 80))) or udp",
};

/* ---- frames ---- */

#define JUMBO_LEN 9014

struct frames {
	struct {
		uint8_t b[JUMBO_LEN];
		uint32_t len;
	} row[32];
	unsigned count;
};

static void add(struct frames *all, const struct test_frame *f)
{
	ck_assert_uint_lt(all->count, RTE_DIM(all->row));
	memcpy(all->row[all->count].b, f->b, f->len);
	all->row[all->count++].len = f->len;
}

/* What lies below TCP, and how much above. */
static void add_tcp(struct frames *all, uint16_t outer, uint16_t inner, bool ip6, uint32_t opts,
                    uint32_t payload)
{
	struct test_frame f;

	tf_start(&f);
	if (outer != 0)
		tf_vlan(&f, inner != 0 ? ETH_P_8021AD : ETH_P_8021Q, outer);
	if (inner != 0)
		tf_vlan(&f, ETH_P_8021Q, inner);
	if (ip6)
		tf_ip6(&f, IPPROTO_TCP);
	else
		tf_ip4(&f, opts, IPPROTO_TCP);
	if (ip6 && opts != 0)
		tf_ext6(&f, IPPROTO_DSTOPTS, 0, 8);
	tf_tcp(&f, opts);
	tf_payload(&f, payload);
	tf_finish(&f);
	if (f.len < 60)
		tf_pad(&f, 60 - f.len);
	add(all, &f);
}

static void add_other(struct frames *all, bool ip6, uint8_t proto, uint16_t fragment)
{
	struct test_frame f;

	tf_start(&f);
	if (ip6)
		tf_ip6(&f, proto);
	else
		tf_ip4(&f, 0, proto);
	tf_payload(&f, 40);
	if (!ip6) {
		f.b[f.l3_off + 6] = (uint8_t)(fragment >> 8);
		f.b[f.l3_off + 7] = (uint8_t)fragment;
	}
	tf_finish(&f);
	tf_pad(&f, 7);
	add(all, &f);
}

static void add_bytes(struct frames *all, uint16_t type, uint32_t len)
{
	struct test_frame f;

	tf_start(&f);
	tf_be16(&f, 12, type);
	tf_payload(&f, 46);
	f.len = len;
	add(all, &f);
}

static void add_jumbo(struct frames *all)
{
	struct test_frame f = rig_tcp4(0);
	uint8_t *b = all->row[all->count].b;

	tf_be16(&f, f.l3_off + 2, JUMBO_LEN - ETH_HLEN);
	tf_ip4_sum(&f);
	memset(b, 'x', JUMBO_LEN);
	memcpy(b, f.b, f.len);
	all->row[all->count++].len = JUMBO_LEN;
}

static struct frames *all_frames(void)
{
	struct frames *all = calloc(1, sizeof(*all));

	ck_assert_ptr_nonnull(all);
	for (int ip6 = 0; ip6 <= 1; ip6++) {
		add_tcp(all, 0, 0, ip6, 0, 0);
		add_tcp(all, 0, 0, ip6, 12, 100);
		add_tcp(all, 0, 0, ip6, 40, 1400);
		add_tcp(all, 5, 0, ip6, 0, 0);
		add_tcp(all, 5, 7, ip6, 8, 33);
		add_other(all, ip6, IPPROTO_UDP, 0);
		add_other(all, ip6, IPPROTO_ICMP, 0);
		add_other(all, ip6, IPPROTO_TCP, 0x2000);
		add_other(all, ip6, IPPROTO_TCP, 0x0010);
		add_other(all, ip6, IPPROTO_FRAGMENT, 0);
	}
	add_jumbo(all);
	add_bytes(all, ETH_P_ARP, 60);
	add_bytes(all, ETH_P_IP, 14); /* truncated */
	add_bytes(all, ETH_P_IP, 20);
	add_bytes(all, ETH_P_IPV6, 30);
	add_bytes(all, ETH_P_8021Q, 16);
	add_bytes(all, ETH_P_IP, 1);
	return all;
}

/* ---- the model ---- */

/* Bytes that a filter may see: padding behind an IP packet is not there. */
static uint32_t seen_len(const uint8_t *b, uint32_t len, const struct mos_pkt_meta *meta)
{
	const uint8_t *ip = b + meta->l3_off;

	if (meta->pkt_class != MOS_PKT_TCP && meta->pkt_class != MOS_PKT_IP)
		return len;
	if (meta->ip_version == 4)
		return meta->l3_off + (uint32_t)(ip[2] << 8 | ip[3]);
	return meta->l3_off + 40 + (uint32_t)(ip[4] << 8 | ip[5]);
}

/* An expression, run by us and by the model. */
struct trial {
	const char *expr;
	struct mos_filter *f;
	struct bpf_program model;
};

static void trial_begin(struct trial *t, const char *expr)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 262144);

	ck_assert_msg(pcap_compile(pcap, &t->model, expr, 1, PCAP_NETMASK_UNKNOWN) == 0, "%s: %s",
	              expr, pcap_geterr(pcap));
	pcap_close(pcap);
	t->expr = expr;
	t->f = rig_filter(expr);
}

static void trial_end(struct trial *t)
{
	mos_filter_destroy(t->f);
	pcap_freecode(&t->model);
}

static void trial_frame(const struct trial *t, const uint8_t *b, uint32_t len, uint32_t seg_len)
{
	struct packet p = rig_packet(b, len, seg_len);
	uint32_t seen = seen_len(b, len, &p.meta);
	struct pcap_pkthdr header = {.caplen = seen, .len = seen};
	bool expect = pcap_offline_filter(&t->model, &header, b) != 0;

	ck_assert_msg(mos_filter_match(t->f, p.m, &p.meta) == expect,
	              "\"%s\": not %d; %u bytes in segments of %u", t->expr, expect, len, seg_len);
	rte_pktmbuf_free(p.m);
}

/* xorshift64, from a fixed seed */
static uint64_t rnd(void)
{
	static uint64_t x = 88172645463325252;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* Damage a few bytes among the headers; now and then the end is missing. */
static void trial_damaged(const struct trial *t, const uint8_t *b, uint32_t len)
{
	uint8_t copy[JUMBO_LEN];
	uint32_t head = RTE_MIN(len, 80u);

	memcpy(copy, b, len);
	for (uint64_t n = 1 + rnd() % 4; n > 0; n--)
		copy[rnd() % head] = (uint8_t)rnd();
	if (rnd() % 4 == 0)
		len = 1 + (uint32_t)(rnd() % len);
	trial_frame(t, copy, len, rnd() % 2 ? len : 1 + len / 256 + (uint32_t)(rnd() % len));
}

static void trial_run(const struct trial *t, const struct frames *all)
{
	for (unsigned i = 0; i < all->count; i++) {
		const uint8_t *b = all->row[i].b;
		uint32_t len = all->row[i].len;

		trial_frame(t, b, len, len);
		trial_frame(t, b, len, len > 256 ? len / 5 : 13);
		for (int n = 0; n < 20; n++)
			trial_damaged(t, b, len);
	}
}

static void run_exprs(const char *const *exprs, unsigned count)
{
	struct frames *all = all_frames();

	for (unsigned i = 0; i < count; i++) {
		struct trial t;

		trial_begin(&t, exprs[i]);
		trial_run(&t, all);
		trial_end(&t);
	}
	free(all);
}

START_TEST(classic_expressions_agree_with_libpcap)
{
	run_exprs(flow_exprs, RTE_DIM(flow_exprs));
}
END_TEST

START_TEST(whole_language_agrees_with_libpcap)
{
	run_exprs(other_exprs, RTE_DIM(other_exprs));
}
END_TEST

TCase *model_case(void)
{
	TCase *tc = tcase_create("model");

	tcase_add_test(tc, classic_expressions_agree_with_libpcap);
	tcase_add_test(tc, whole_language_agrees_with_libpcap);
	return tc;
}

/* ---- made-up SYNs ---- */

/* A SYN as a client sends it: with options, and numbers of its own. */
static struct test_frame real_syn(uint16_t vlan, bool ip6)
{
	struct test_frame f;

	tf_start(&f);
	if (vlan != 0)
		tf_vlan(&f, ETH_P_8021Q, 0xa000 | vlan);
	if (ip6)
		tf_ip6(&f, IPPROTO_TCP);
	else
		tf_ip4(&f, 0, IPPROTO_TCP);
	if (!ip6) {
		tf_be16(&f, f.l3_off + 4, 0x1234);
		f.b[f.l3_off + 8] = 57;
	}
	tf_tcp(&f, 20);
	f.b[f.l4_off + 13] = 0x02;
	tf_be16(&f, f.l4_off + 4, 0xfedc);
	tf_be16(&f, f.l4_off + 6, 0xba98);
	tf_finish(&f);
	return f;
}

static struct mos_flow record_of(const struct test_frame *f, uint16_t vlan, bool ip6)
{
	const uint8_t *ip = f->b + f->l3_off, *tcp = f->b + f->l4_off;
	struct mos_flow flow = {.key.vlan = vlan, .key.ip_version = ip6 ? 6 : 4};

	memcpy(flow.mac[MOS_SVR], f->b, 6);
	memcpy(flow.mac[MOS_CLI], f->b + 6, 6);
	if (ip6) {
		memcpy(flow.key.src, ip + 8, 16);
		memcpy(flow.key.dst, ip + 24, 16);
	} else {
		memset(flow.key.src + 10, 0xff, 2);
		memset(flow.key.dst + 10, 0xff, 2);
		memcpy(flow.key.src + 12, ip + 12, 4);
		memcpy(flow.key.dst + 12, ip + 16, 4);
	}
	memcpy(&flow.key.src_port_be, tcp, 2);
	memcpy(&flow.key.dst_port_be, tcp + 2, 2);
	flow.half[MOS_CLI].iss = 0xfedcba98;
	return flow;
}

START_TEST(made_up_syn_is_accepted_like_the_real_one)
{
	for (unsigned i = 0; i < RTE_DIM(flow_exprs) * 4; i++) {
		const char *expr = flow_exprs[i / 4];
		uint16_t vlan = i & 1 ? 5 : 0;
		bool ip6 = (i & 2) != 0;
		struct test_frame syn = real_syn(vlan, ip6);
		struct mos_flow flow = record_of(&syn, vlan, ip6);
		struct packet p = rig_packet(syn.b, syn.len, syn.len);
		struct mos_filter *f = rig_filter(expr);

		ck_assert_msg(mos_filter_match_flow(f, &flow) == mos_filter_match(f, p.m, &p.meta),
		              "\"%s\", VLAN %u, IPv%d", expr, vlan, ip6 ? 6 : 4);
		mos_filter_destroy(f);
		rte_pktmbuf_free(p.m);
	}
}
END_TEST

START_TEST(made_up_syn_is_a_packet_like_any_other)
{
	for (unsigned i = 0; i < 4; i++) {
		uint16_t vlan = i & 1 ? 5 : 0;
		bool ip6 = (i & 2) != 0;
		struct test_frame syn = real_syn(vlan, ip6);
		struct mos_flow flow = record_of(&syn, vlan, ip6);
		uint8_t b[MOS_SYN_FRAME_MAX];
		uint32_t len = mos_syn_frame(b, &flow);
		struct mos_pkt_meta meta;

		ck_assert_uint_eq(len, 14 + (vlan ? 4 : 0) + (ip6 ? 40 : 20) + 20);
		ck_assert_int_eq(mos_pkt_parse(&meta, b, len, len, 7), MOS_PKT_TCP);
		ck_assert_uint_eq(meta.vlan, vlan);
		ck_assert_uint_eq(meta.payload_off, len);
		ck_assert_uint_eq(meta.payload_len, 0);
		ck_assert(mos_csum_tcp_ok(b + meta.l3_off, meta.ip_version, b + meta.l4_off, 20));
		ck_assert_mem_eq(b + meta.l4_off, syn.b + syn.l4_off, 8); /* ports, number */
		ck_assert_uint_eq(b[meta.l4_off + 13], 0x02);
	}
}
END_TEST

TCase *syn_case(void)
{
	TCase *tc = tcase_create("syn");

	tcase_add_test(tc, made_up_syn_is_accepted_like_the_real_one);
	tcase_add_test(tc, made_up_syn_is_a_packet_like_any_other);
	return tc;
}
