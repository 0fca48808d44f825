/*
 * Edits of the packet in hand, on the bench (see harness.h): each place and action, what is
 * refused, and the lengths and checksums of what goes out.
 */
#include "shared/packet/test_frame.h"
#include "test/eal/edit_rig.h"

#define ETHH MOS_ETH_HDR
#define IPH  MOS_IP_HDR
#define TCPH MOS_TCP_HDR
#define PAY  MOS_TCP_PAYLOAD
#define SUMS (MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM)

static const struct hs_pkt data = DATA(1001, 5001, 5);

/* ---- what is refused ---- */

/* Of an IPv4 segment with 5 bytes: headers of 14, 20, 20 bytes. */
static const struct {
	int option;
	off_t offset;
	uint16_t len;
	bool null_data;
	int err;
} refused[] = {
	{0, 0, 0, false, EAGAIN},
	{PAY, 0, 1, false, EAGAIN},
	{PAY | MOS_OVERWRITE | MOS_CHOMP, 0, 1, false, EAGAIN},
	{MOS_DROP | MOS_INSERT, 0, 0, false, EAGAIN},
	{0, -1, 0, false, EINVAL},
	{MOS_DROP, -1, 0, false, EINVAL},
	{PAY | MOS_OVERWRITE, INT64_MIN, 1, false, EINVAL},
	{MOS_OVERWRITE, 0, 1, false, EINVAL},
	{MOS_OVERWRITE | MOS_UPDATE_IP_CHKSUM, 0, 1, false, EINVAL},
	{ETHH | MOS_CHOMP, 0, 1, false, EACCES},
	{ETHH | MOS_INSERT, 0, 1, false, EACCES},
	{ETHH | MOS_OVERWRITE, 1, 14, false, EINVAL},
	{ETHH | PAY | MOS_OVERWRITE, 0, 15, false, EINVAL}, /* the outermost counts */
	{IPH | TCPH | PAY | MOS_CHOMP, 0, 5, false, EINVAL},
	{IPH | MOS_OVERWRITE, 17, 4, false, EINVAL},
	{IPH | MOS_OVERWRITE, INT64_MAX, 1, false, EINVAL},
	{IPH | MOS_OVERWRITE, 0, 20, true, EFAULT},
	{IPH | MOS_CHOMP, 0, 20, true, EINVAL}, /* nothing would be left */
	{IPH | MOS_CHOMP, 16, 4, true, EINVAL},
	{IPH | MOS_CHOMP, 0, 21, true, EINVAL},
	{IPH | MOS_INSERT, 20, 3, false, EINVAL},
	{IPH | MOS_INSERT, 20, 44, false, EINVAL},
	{IPH | MOS_INSERT, 21, 4, false, EINVAL},
	{TCPH | MOS_OVERWRITE, 18, 3, false, EINVAL},
	{TCPH | MOS_CHOMP, 0, 20, true, EINVAL},
	{TCPH | MOS_INSERT, 20, 2, false, EINVAL},
	{TCPH | MOS_INSERT, 20, 4, true, EFAULT},
	{PAY | MOS_OVERWRITE, 0, 6, false, EINVAL},
	{PAY | MOS_OVERWRITE, 5, 1, false, EINVAL},
	{PAY | MOS_OVERWRITE, 0, 1, true, EFAULT},
	{PAY | MOS_CHOMP, 1, 5, true, EINVAL},
	{PAY | MOS_INSERT, 6, 1, false, EINVAL},
	{PAY | MOS_INSERT, 5, 65535, true, EFAULT},
	{PAY | MOS_INSERT, 5, 65535, false, EMSGSIZE},
	{PAY | MOS_INSERT, 5, 1456, false, EMSGSIZE}, /* one more than 1500 */
};

static void try_refused(int sock, int side)
{
	static byte bytes[65535];

	for (unsigned i = 0; i < RTE_DIM(refused); i++) {
		int res;

		errno = 0;
		res = mtcp_setlastpkt(hs_mctx(), sock, side, refused[i].offset,
		                      refused[i].null_data ? NULL : bytes, refused[i].len,
		                      refused[i].option);
		ck_assert_msg(res == -1 && errno == refused[i].err, "row %u: %d, errno %d", i, res,
		              errno);
	}
}

START_TEST(edits_are_refused_for_their_reason)
{
	struct rte_mbuf *m;

	hs_open(NULL);
	hs_passive();
	hs_handshake(0);
	edit_keep_output();
	hs_act_on(MOS_ON_PKT_IN, MOS_HK_SND, try_refused);
	m = hs_send(&data);
	memcpy(edit_in.b, rte_pktmbuf_mtod(m, void *), m->pkt_len);
	edit_in.len = m->pkt_len;
	hs_round();
	ck_assert_uint_eq(hs.acted, 1);
	ck_assert_uint_eq(edit_out.len, edit_in.len);
	ck_assert_mem_eq(edit_out.b, edit_in.b, edit_in.len);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_EDITED), 0);
}
END_TEST

static void edit_ipv6(int sock, int side)
{
	byte b = 0;
	const int overwrite[] = {IPH | MOS_OVERWRITE, TCPH | MOS_OVERWRITE, PAY | MOS_OVERWRITE};

	fails(EACCES, mtcp_setlastpkt(hs_mctx(), sock, side, 0, &b, 1, overwrite[0]));
	fails(EINVAL, mtcp_setlastpkt(hs_mctx(), sock, side, 0, &b, 1, overwrite[1]));
	fails(EINVAL, mtcp_setlastpkt(hs_mctx(), sock, side, 0, &b, 1, overwrite[2]));
}

START_TEST(part_that_a_packet_lacks_cannot_be_edited)
{
	struct test_frame f;

	hs_open(NULL);
	hs_raw();
	hs_act_on(MOS_ON_PKT_IN, MOS_NULL, edit_ipv6);
	tf_start(&f);
	tf_ip6(&f, IPPROTO_UDP);
	tf_payload(&f, 30);
	tf_finish(&f);
	hs_send_frame(f.b, f.len);
	hs_round();
	ck_assert_uint_eq(hs.acted, 1);
}
END_TEST

/* ---- each edit, on frames of many shapes, against a naive array ---- */

static const struct edit_row {
	const char *what;
	int option;
	off_t offset;
	const char *data; /* also of what goes, for its length */
	uint16_t len;
} rows[] = {
	{"link address", ETHH | MOS_OVERWRITE, 0, "\x02\x09\x09\x09\x09\x09", 6},
	{"TTL", IPH | MOS_OVERWRITE, 8, "\x05", 1},
	{"source address", IPH | MOS_OVERWRITE, 12, "\x0a\x09\x08\x07", 4},
	{"part of both addresses", IPH | MOS_OVERWRITE, 15, "\x05\x06", 2},
	{"option into IP", IPH | MOS_INSERT, 20, "\x01\x01\x01\x00", 4},
	{"40 bytes into IP", IPH | MOS_INSERT, 20, "0123456789012345678901234567890123456789", 40},
	{"bytes out of IP", IPH | MOS_CHOMP, 20, "1234", 4},
	{"source port", TCPH | MOS_OVERWRITE, 0, "\x12\x34", 2},
	{"one byte of a port", TCPH | MOS_OVERWRITE, 3, "\x77", 1},
	{"sequence number", TCPH | MOS_OVERWRITE, 4, "\x00\x00\xff\xff", 4},
	{"checksum", TCPH | MOS_OVERWRITE, 16, "\x00\x00", 2},
	{"options into TCP", TCPH | MOS_INSERT, 20, "\x01\x01\x01\x01\x01\x01\x01\x00", 8},
	{"bytes out of TCP", TCPH | MOS_CHOMP, 20, "1234", 4},
	{"first byte", PAY | MOS_OVERWRITE, 0, "Y", 1},
	{"bytes at an odd place", PAY | MOS_OVERWRITE, 1, "YZ", 2},
	{"bytes at the end", PAY | MOS_OVERWRITE, 2, "ABC", 3},
	{"nothing", PAY | MOS_OVERWRITE, 0, "", 0},
	{"before the first", PAY | MOS_INSERT, 0, "--", 2},
	{"in the middle", PAY | MOS_INSERT, 4, "---", 3},
	{"out of the middle", PAY | MOS_CHOMP, 1, "123", 3},
	{"first five", PAY | MOS_CHOMP, 0, "12345", 5},
};

static const struct edit_row *row;
static int row_res, row_errno;

static void edit_row(int sock, int side)
{
	errno = 0;
	row_res = mtcp_setlastpkt(hs_mctx(), sock, side, row->offset, (byte *)(uintptr_t)row->data,
	                          row->len, row->option | SUMS);
	row_errno = errno;
}

/* The shape goes past a raw socket, and is edited there. */
static void send_shape(const struct edit_shape *s)
{
	struct rte_mbuf *m = hs_send_frame(s->frame.b, s->frame.len);

	if (s->cut != 0)
		edit_cut(m, s->cut, 300);
	hs_act_on(MOS_ON_PKT_IN, MOS_NULL, edit_row);
	hs_round();
	ck_assert_uint_eq(hs.acted, 1);
}

/* 0, or the errno by which a frame of this shape refuses the row. */
static int lacks(const struct edit_shape *s)
{
	const struct mos_pkt_meta *m = &s->meta;
	uint32_t ip_len = (uint32_t)m->payload_off + m->payload_len - m->l3_off;
	uint32_t len = m->payload_len;

	if (row->option & ETHH)
		return 0;
	if ((row->option & IPH) && m->ip_version != 4)
		return EACCES;
	if (!(row->option & IPH) && m->pkt_class != MOS_PKT_TCP)
		return EINVAL;
	if (row->option & IPH)
		len = (s->frame.b[m->l3_off] & 0xf) * 4u;
	else if (row->option & TCPH)
		len = (uint32_t)m->payload_off - m->l4_off;
	if (row->offset + (row->option & MOS_INSERT ? 0 : row->len) > len)
		return EINVAL;
	if ((row->option & MOS_INSERT) && !(row->option & PAY) && len + row->len > 60)
		return EINVAL;
	return (row->option & MOS_INSERT) && m->pkt_class == MOS_PKT_TCP && ip_len + row->len > 1500
	               ? EMSGSIZE
	               : 0;
}

static void try_row(unsigned shape)
{
	static struct edit_shape s;
	static struct edit_bytes want;
	struct mos_pkt_meta now;

	edit_make_shape(&s, shape);
	want = s.frame;
	send_shape(&s);
	ck_assert_msg((row_res == 0 ? 0 : row_errno) == lacks(&s), "%s, %s: %d, errno %d", s.what,
	              row->what, row_res, row_errno);
	if (row_res == 0) {
		edit_model(&want, &s.meta, row->option, (uint32_t)row->offset, row->data, row->len);
		mos_pkt_parse_edited(&now, want.b, want.len, want.len, 0);
		if (now.ip_version == 4)
			edit_model_sum_ip4(&want, now.l3_off, (want.b[now.l3_off] & 0xf) * 4u);
		if (now.pkt_class == MOS_PKT_TCP)
			edit_model_sum_tcp(&want, &now);
		edit_out_is_right();
	}
	ck_assert_msg(want.len == edit_out.len && memcmp(want.b, edit_out.b, want.len) == 0,
	              "%s, %s", s.what, row->what);
}

START_TEST(edit_changes_what_it_names_and_mends_the_rest)
{
	hs_open(NULL);
	hs_raw();
	edit_keep_output();
	for (unsigned shape = 0; shape < edit_shape_count; shape++) {
		for (unsigned i = 0; i < RTE_DIM(rows); i++) {
			row = &rows[i];
			try_row(shape);
		}
	}
}
END_TEST

TCase *edit_case(void)
{
	TCase *tc = tcase_create("edit");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, edits_are_refused_for_their_reason);
	tcase_add_test(tc, part_that_a_packet_lacks_cannot_be_edited);
	tcase_add_test(tc, edit_changes_what_it_names_and_mends_the_rest);
	return tc;
}
