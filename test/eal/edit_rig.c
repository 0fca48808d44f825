#include "test/eal/edit_rig.h"

#include "shared/packet/test_frame.h"

struct edit_bytes edit_in, edit_out;

static void keep(struct rte_mbuf *m)
{
	const void *frame = rte_pktmbuf_read(m, 0, m->pkt_len, edit_out.b);

	ck_assert_ptr_nonnull(frame);
	if (frame != edit_out.b)
		memcpy(edit_out.b, frame, m->pkt_len);
	edit_out.len = m->pkt_len;
	rte_mbuf_sanity_check(m, 1);
}

void edit_keep_output(void)
{
	hs.out = keep;
}

void edit_cut(struct rte_mbuf *m, uint32_t first, uint32_t each)
{
	uint8_t rest[4096];
	uint32_t left = m->data_len - first;

	ck_assert_uint_le(left, sizeof(rest));
	memcpy(rest, rte_pktmbuf_mtod_offset(m, void *, first), left);
	m->data_len = (uint16_t)first;
	m->pkt_len = first;
	for (uint32_t done = 0; done < left; done += each) {
		struct rte_mbuf *part = rte_pktmbuf_alloc(hs.pool);
		uint32_t n = RTE_MIN(each, left - done);

		memcpy(rte_pktmbuf_append(part, (uint16_t)n), rest + done, n);
		ck_assert_int_eq(rte_pktmbuf_chain(m, part), 0);
	}
}

static const struct {
	const char *what;
	bool ip6, ext6, udp;
	uint32_t vlans, ip_opt, tcp_opt, payload, pad, cut;
} shapes[] = {
	{.what = "short, padded", .payload = 5, .pad = 1},
	{.what = "short, not padded", .payload = 5},
	{.what = "nothing but headers", .pad = 6},
	{.what = "with options", .ip_opt = 8, .tcp_opt = 12, .payload = 33},
	{.what = "long", .tcp_opt = 12, .payload = 1400},
	{.what = "full", .payload = 1460},
	{.what = "full of options", .ip_opt = 40, .tcp_opt = 40, .payload = 7, .pad = 30},
	{.what = "VLAN", .vlans = 1, .payload = 6, .pad = 0},
	{.what = "two VLANs", .vlans = 2, .tcp_opt = 4, .payload = 101},
	{.what = "IPv6", .ip6 = true, .payload = 5},
	{.what = "IPv6 with extensions", .ip6 = true, .ext6 = true, .tcp_opt = 8, .payload = 9},
	{.what = "several mbufs", .tcp_opt = 12, .payload = 1201, .cut = 301},
	{.what = "headers alone in an mbuf", .payload = 1200, .ip_opt = 4, .cut = 58},
	{.what = "IPv6 in mbufs", .ip6 = true, .vlans = 1, .payload = 800, .cut = 79},
	{.what = "UDP", .udp = true, .payload = 40, .ip_opt = 4},
};

const unsigned edit_shape_count = RTE_DIM(shapes);

static void build(struct test_frame *f, unsigned n)
{
	tf_start(f);
	for (uint32_t i = 0; i < shapes[n].vlans; i++)
		tf_vlan(f, ETH_P_8021Q, (uint16_t)(5 + i));
	if (shapes[n].ip6)
		tf_ip6(f, IPPROTO_TCP);
	else
		tf_ip4(f, shapes[n].ip_opt, shapes[n].udp ? IPPROTO_UDP : IPPROTO_TCP);
	if (shapes[n].ext6)
		tf_ext6(f, IPPROTO_DSTOPTS, 2, 24);
	if (!shapes[n].udp)
		tf_tcp(f, shapes[n].tcp_opt);
	tf_payload(f, shapes[n].payload);
	for (uint32_t i = 0; i < shapes[n].payload; i++)
		f->b[f->payload_off + i] = (uint8_t)('a' + i % 26);
	tf_finish(f);
	tf_pad(f, shapes[n].pad);
}

void edit_make_shape(struct edit_shape *s, unsigned n)
{
	struct test_frame f;

	build(&f, n);
	s->what = shapes[n].what;
	s->cut = shapes[n].cut;
	memcpy(s->frame.b, f.b, f.len);
	s->frame.len = f.len;
	s->frame.head = s->cut != 0 ? s->cut : f.len;
	mos_pkt_parse(&s->meta, f.b, f.len, f.len, 0);
	if (s->meta.pkt_class == MOS_PKT_TCP)
		edit_model_sum_tcp(&s->frame, &s->meta);
}

void edit_out_is_right(void)
{
	struct mos_pkt_meta m;

	mos_pkt_parse(&m, edit_out.b, edit_out.len, edit_out.len, 0);
	ck_assert_uint_eq(m.defect, MOS_DEFECT_NONE);
	if (m.pkt_class == MOS_PKT_TCP)
		ck_assert(mos_csum_tcp_ok(edit_out.b + m.l3_off, m.ip_version,
		                          edit_out.b + m.l4_off,
		                          (uint32_t)(m.payload_off - m.l4_off) + m.payload_len));
}
