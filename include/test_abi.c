/*
 * The public headers promise names, values, layouts and signatures that compiled programs rely on.
 * All of it is settled at compile time; nothing of the library is linked. Values and layouts are
 * compared at run time, row by row, so that a failure names its row; signatures and types are
 * static asserts.
 */
#include <check.h>
#include <stdlib.h>

#include "mos_api.h"
#include "mos_ext.h"
#include "mtcp_util.h"

struct row {
	const char *name;
	long long is;
	long long want;
};

static void expect_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(rows[i].is == rows[i].want, "%s is %lld, wanted %lld", rows[i].name,
		              rows[i].is, rows[i].want);
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* clang-format off */
#define VALUE(name, want)        { #name, name, want }
#define FIELD(type, field, want) { #type "." #field, offsetof(type, field), want }
#define SIZE(type, want)         { "sizeof " #type, sizeof(type), want }
/* clang-format on */

START_TEST(constants_keep_their_published_values)
{
	static const struct row rows[] = {
		VALUE(APP_NAME_LEN, 40),
		VALUE(MOS_APP, 20),
		VALUE(MOS_APP_ARGC, 20),
		VALUE(INPORT_ANY, 0),
		VALUE(PKT_INFO_LEN, 40),

		VALUE(MOS_SOCK_UNUSED, 0),
		VALUE(MOS_SOCK_STREAM_LISTEN, 1),
		VALUE(MOS_SOCK_STREAM_LISTEN, SOCK_STREAM),
		VALUE(MOS_SOCK_PROXY_LISTEN, 2),
		VALUE(MOS_SOCK_MONITOR_STREAM, 3),
		VALUE(MOS_SOCK_STREAM, 4),
		VALUE(MOS_SOCK_PROXY, 5),
		VALUE(MOS_SOCK_MONITOR_STREAM_ACTIVE, 6),
		VALUE(MOS_SOCK_MONITOR_RAW, 7),
		VALUE(MOS_SOCK_EPOLL, 8),
		VALUE(MOS_SOCK_PIPE, 9),

		VALUE(MOS_NULL, 1 << 29),
		VALUE(MOS_HK_RCV, 1 << 30),
		VALUE(MOS_HK_SND, -2147483648LL),

		VALUE(MOS_SIDE_CLI, 0),
		VALUE(MOS_SIDE_SVR, 1),
		VALUE(MOS_SIDE_BOTH, 2),

		VALUE(MOS_NULL_EVENT, 0),
		VALUE(MOS_ON_PKT_IN, 1),
		VALUE(MOS_ON_PKT_OUT, 2),
		VALUE(MOS_ON_CONN_START, 4),
		VALUE(MOS_ON_CONN_SETUP, 8),
		VALUE(MOS_ON_CONN_NEW_DATA, 16),
		VALUE(MOS_ON_ERROR, 32),
		VALUE(MOS_ON_TIMEOUT, 64),
		VALUE(MOS_ON_TCP_STATE_CHANGE, 128),
		VALUE(MOS_ON_ORPHAN, 256),
		VALUE(MOS_ON_REXMIT, 512),
		VALUE(MOS_ON_CONN_END, 1024),
		VALUE(MOS_ON_DEBUG_MESSAGE, 2048),

		VALUE(MOS_ETH_HDR, 1),
		VALUE(MOS_IP_HDR, 2),
		VALUE(MOS_TCP_HDR, 4),
		VALUE(MOS_TCP_PAYLOAD, 8),
		VALUE(MOS_UPDATE_IP_CHKSUM, 16),
		VALUE(MOS_UPDATE_TCP_CHKSUM, 32),
		VALUE(MOS_DROP, 64),
		VALUE(MOS_OVERWRITE, 128),
		VALUE(MOS_CHOMP, 256),
		VALUE(MOS_INSERT, 512),

		VALUE(SOL_SOCKET, 1),
		VALUE(SOL_MONSOCKET, 0xfffe),

		VALUE(MOS_FRAGINFO_CLIBUF, 0x01),
		VALUE(MOS_FRAGINFO_SVRBUF, 0x02),
		VALUE(MOS_INFO_CLIBUF, 0x03),
		VALUE(MOS_INFO_SVRBUF, 0x04),
		VALUE(MOS_TCP_STATE_CLI, 0x05),
		VALUE(MOS_TCP_STATE_SVR, 0x06),
		VALUE(MOS_TIMESTAMP, 0x07),
		VALUE(MOS_CLIBUF, 0x09),
		VALUE(MOS_SVRBUF, 0x0a),
		VALUE(MOS_SEQ_REMAP, 0x0b),
		VALUE(MOS_STOP_MON, 0x0c),
		VALUE(MOS_FRAG_CLIBUF, 0x0d),
		VALUE(MOS_FRAG_SVRBUF, 0x0e),
		VALUE(MOS_CLIOVERLAP, 0x0f),
		VALUE(MOS_SVROVERLAP, 0x10),

		VALUE(MOS_OVERLAP_POLICY_FIRST, 0),
		VALUE(MOS_OVERLAP_POLICY_LAST, 1),
		VALUE(MOS_OVERLAP_CNT, 2),

		VALUE(TCP_CLOSED, 0),
		VALUE(TCP_LISTEN, 1),
		VALUE(TCP_SYN_SENT, 2),
		VALUE(TCP_SYN_RCVD, 3),
		VALUE(TCP_ESTABLISHED, 4),
		VALUE(TCP_FIN_WAIT_1, 5),
		VALUE(TCP_FIN_WAIT_2, 6),
		VALUE(TCP_CLOSE_WAIT, 7),
		VALUE(TCP_CLOSING, 8),
		VALUE(TCP_LAST_ACK, 9),
		VALUE(TCP_TIME_WAIT, 10),

		VALUE(MOS_EXT_VERSION, 5),
		VALUE(MOS_ON_CONN_RESTORE, 1 << 12),
		VALUE(MOS_AREA_VERSION, 0x105),

		VALUE(MOS_EPOLL_CTL_ADD, 1),
		VALUE(MOS_EPOLL_CTL_DEL, 2),
		VALUE(MOS_EPOLL_CTL_MOD, 3),

		VALUE(MOS_EPOLLNONE, 0x001),
		VALUE(MOS_EPOLLIN, 0x002),
		VALUE(MOS_EPOLLPRI, 0x004),
		VALUE(MOS_EPOLLOUT, 0x008),
		VALUE(MOS_EPOLLRDNORM, 0x010),
		VALUE(MOS_EPOLLRDBAND, 0x020),
		VALUE(MOS_EPOLLWRNORM, 0x040),
		VALUE(MOS_EPOLLWRBAND, 0x080),
		VALUE(MOS_EPOLLMSG, 0x100),
		VALUE(MOS_EPOLLERR, 0x200),
		VALUE(MOS_EPOLLHUP, 0x400),
		VALUE(MOS_EPOLLRDHUP, 0x800),
		VALUE(MOS_EPOLLONESHOT, 1 << 30),
		VALUE(MOS_EPOLLET, -2147483648LL),

		VALUE(MOS_ACT_SEND_DATA, 2),
		VALUE(MOS_ACT_SEND_ACK_NOW, 4),
		VALUE(MOS_ACT_SEND_ACK_AGG, 8),
		VALUE(MOS_ACT_SEND_CONTROL, 16),
		VALUE(MOS_ACT_SEND_RST, 32),
		VALUE(MOS_ACT_DESTROY, 64),
		VALUE(MOS_ACT_READ_DATA, 128),
		VALUE(MOS_ACT_CNT, 129),
	};

	expect_rows(rows, COUNT(rows));
}
END_TEST

START_TEST(layouts_stay_as_compiled_programs_know_them)
{
	static const struct row rows[] = {
		FIELD(struct pkt_info, cur_ts, 0),
		FIELD(struct pkt_info, in_ifidx, 4),
		FIELD(struct pkt_info, eth_len, 6),
		FIELD(struct pkt_info, ip_len, 8),
		FIELD(struct pkt_info, offset, 16),
		FIELD(struct pkt_info, payloadlen, 24),
		FIELD(struct pkt_info, seq, 28),
		FIELD(struct pkt_info, ack_seq, 32),
		FIELD(struct pkt_info, window, 36),
		FIELD(struct pkt_info, ethh, 40),
		FIELD(struct pkt_info, iph, 48),
		FIELD(struct pkt_info, tcph, 56),
		FIELD(struct pkt_info, payload, 64),
		SIZE(struct pkt_info, 72),

		FIELD(struct pkt_info_ext, ts_ns, 0),
		FIELD(struct pkt_info_ext, ip6h, 8),
		FIELD(struct pkt_info_ext, frame_len, 16),
		FIELD(struct pkt_info_ext, vlan, 20),
		FIELD(struct pkt_info_ext, ip_version, 22),
		FIELD(struct pkt_info_ext, ip_proto, 23),
		SIZE(struct pkt_info_ext, 24),

		FIELD(struct pkt_ctx, p, 0),
		FIELD(struct pkt_ctx, direction, 72),
		FIELD(struct pkt_ctx, forward, 73),
		FIELD(struct pkt_ctx, out_ifidx, 74),
		FIELD(struct pkt_ctx, batch_index, 75),
		SIZE(struct pkt_ctx, 80),

		FIELD(struct tcp_buf_info, tcpbi_init_seq, 0),
		FIELD(struct tcp_buf_info, tcpbi_last_byte_read, 4),
		FIELD(struct tcp_buf_info, tcpbi_next_byte_expected, 8),
		FIELD(struct tcp_buf_info, tcpbi_last_byte_received, 12),
		SIZE(struct tcp_buf_info, 16),

		FIELD(struct tcp_ring_fragment, offset, 0),
		FIELD(struct tcp_ring_fragment, len, 8),
		SIZE(struct tcp_ring_fragment, 16),

		FIELD(struct filter_arg, arg, 0),
		FIELD(struct filter_arg, len, 8),
		SIZE(struct filter_arg, 16),

		FIELD(union monitor_filter, raw_pkt_filter, 0),
		FIELD(union monitor_filter, stream_syn_filter, 0),
		FIELD(union monitor_filter, stream_orphan_filter, 8),
		SIZE(union monitor_filter, 16),

		FIELD(seq_remap_info, seq_off, 0),
		FIELD(seq_remap_info, side, 8),
		FIELD(seq_remap_info, base_seq, 12),
		SIZE(seq_remap_info, 16),

		FIELD(struct mtcp_conf, num_cores, 0),
		FIELD(struct mtcp_conf, max_concurrency, 4),
		FIELD(struct mtcp_conf, cpu_mask, 8),
		FIELD(struct mtcp_conf, max_num_buffers, 16),
		FIELD(struct mtcp_conf, rcvbuf_size, 20),
		FIELD(struct mtcp_conf, sndbuf_size, 24),
		FIELD(struct mtcp_conf, tcp_timewait, 28),
		FIELD(struct mtcp_conf, tcp_timeout, 32),
		FIELD(struct mtcp_conf, app_cpu_mask, 40),
		FIELD(struct mtcp_conf, app_argv, 200),
		FIELD(struct mtcp_conf, app_argc, 3400),
		FIELD(struct mtcp_conf, num_app, 3480),
		SIZE(struct mtcp_conf, 3488),

		FIELD(struct mtcp_context, cpu, 0),
		SIZE(struct mtcp_context, 4),

		FIELD(union mtcp_epoll_data, ptr, 0),
		FIELD(union mtcp_epoll_data, sock, 0),
		FIELD(union mtcp_epoll_data, u32, 0),
		FIELD(union mtcp_epoll_data, u64, 0),
		SIZE(union mtcp_epoll_data, 8),

		FIELD(struct mtcp_epoll_event, events, 0),
		FIELD(struct mtcp_epoll_event, data, 8),
		SIZE(struct mtcp_epoll_event, 16),

		FIELD(struct app_context, mctx, 0),
		FIELD(struct app_context, socket_id, 8),
		FIELD(struct app_context, cf, 16),
		FIELD(struct app_context, ep_id, 24),
		SIZE(struct app_context, 32),

		FIELD(struct app_ops, app_init, 0),
		FIELD(struct app_ops, thread_init, 8),
		FIELD(struct app_ops, run, 16),
		FIELD(struct app_ops, enable, 24),
		SIZE(struct app_ops, 32),

		SIZE(byte, 1),
		SIZE(enum socket_type, 4),
		SIZE(enum mtcp_hook_point, 4),
		SIZE(enum mos_event_type, 4),
		SIZE(enum mos_socket_opts, 4),
		SIZE(enum tcpstate, 4),
		SIZE(enum mtcp_action, 4),
	};

	expect_rows(rows, COUNT(rows));
}
END_TEST

/* A stored MOS_EPOLLET sets bits 32 to 63 as well; programs compare against that. */
START_TEST(epollet_fills_the_upper_half_of_events)
{
	struct mtcp_epoll_event ev = {.events = MOS_EPOLLET};

	ck_assert_uint_eq(ev.events, 0xffffffff80000000ULL);
}
END_TEST

#define IS_TYPE(what, type) \
	_Static_assert(__builtin_types_compatible_p(__typeof__(what), type), "type of " #what)
#define SIGNATURE(name, ret, ...) IS_TYPE(name, ret(__VA_ARGS__))

IS_TYPE((event_t)0, uint64_t);
IS_TYPE((byte)0, unsigned char);
IS_TYPE((mos_timer_t)0, uint64_t);
IS_TYPE(INPORT_ANY, uint16_t);
IS_TYPE((mctx_t)0, struct mtcp_context *);
IS_TYPE((mtcp_manager_t)0, struct mtcp_manager *);
IS_TYPE((socket_map_t)0, struct socket_map *);
IS_TYPE((monitor_filter_t)0, union monitor_filter *);
IS_TYPE((mtcp_sighandler_t)0, void (*)(int));
IS_TYPE((callback_t)0, void (*)(mctx_t, int, int, event_t, filter_arg_t *));
IS_TYPE((filter_t)0, bool (*)(mctx_t, int, int, event_t, filter_arg_t *));
IS_TYPE((mtcp_epoll_data_t){0}, union mtcp_epoll_data);

/* The types of all fields whose offset alone would not give them away. */
#define FIELD_TYPE(type, field, want) IS_TYPE(((type *)0)->field, want)

FIELD_TYPE(struct pkt_info, cur_ts, uint32_t);
FIELD_TYPE(struct pkt_info, in_ifidx, int8_t);
FIELD_TYPE(struct pkt_info, eth_len, uint16_t);
FIELD_TYPE(struct pkt_info, ip_len, uint16_t);
FIELD_TYPE(struct pkt_info, offset, uint64_t);
FIELD_TYPE(struct pkt_info, payloadlen, uint16_t);
FIELD_TYPE(struct pkt_info, seq, uint32_t);
FIELD_TYPE(struct pkt_info, ack_seq, uint32_t);
FIELD_TYPE(struct pkt_info, window, uint16_t);
FIELD_TYPE(struct pkt_info, ethh, struct ethhdr *);
FIELD_TYPE(struct pkt_info, iph, struct iphdr *);
FIELD_TYPE(struct pkt_info, tcph, struct tcphdr *);
FIELD_TYPE(struct pkt_info, payload, uint8_t *);
FIELD_TYPE(struct pkt_info_ext, ts_ns, uint64_t);
FIELD_TYPE(struct pkt_info_ext, ip6h, struct ip6_hdr *);
FIELD_TYPE(struct pkt_info_ext, frame_len, uint32_t);
FIELD_TYPE(struct pkt_info_ext, vlan, uint16_t);
FIELD_TYPE(struct pkt_info_ext, ip_version, uint8_t);
FIELD_TYPE(struct pkt_info_ext, ip_proto, uint8_t);
FIELD_TYPE(struct mtcp_conf, cpu_mask, uint64_t);
FIELD_TYPE(struct mtcp_conf, app_cpu_mask, uint64_t[20]);
FIELD_TYPE(struct mtcp_conf, app_argv, char *[20][20]);
FIELD_TYPE(struct mtcp_conf, app_argc, int[20]);
FIELD_TYPE(struct tcp_ring_fragment, offset, uint64_t);
FIELD_TYPE(struct tcp_ring_fragment, len, uint32_t);
FIELD_TYPE(struct mtcp_epoll_event, events, uint64_t);
FIELD_TYPE(struct app_ops, app_init, void (*)(int, char **));
FIELD_TYPE(struct app_ops, thread_init, void (*)(mctx_t, void **));
FIELD_TYPE(struct app_ops, run, void (*)(mctx_t, void **));

/* clang-format off */

/* mos_api.h */
SIGNATURE(mtcp_bind_monitor_filter, int, mctx_t, int, monitor_filter_t);
SIGNATURE(mtcp_register_callback,   int, mctx_t, int, event_t, int, callback_t);
SIGNATURE(mtcp_alloc_event,         event_t, event_t);
SIGNATURE(mtcp_define_event,        event_t, event_t, filter_t, struct filter_arg *);
SIGNATURE(mtcp_raise_event,         int, mctx_t, event_t);
SIGNATURE(mtcp_set_uctx,            void, mctx_t, int, void *);
SIGNATURE(mtcp_get_uctx,            void *, mctx_t, int);
SIGNATURE(mtcp_peek,                ssize_t, mctx_t, int, int, char *, size_t);
SIGNATURE(mtcp_ppeek,               ssize_t, mctx_t, int, int, char *, size_t, uint64_t);
SIGNATURE(mtcp_getlastpkt,          int, mctx_t, int, int, struct pkt_info *);
SIGNATURE(mtcp_setlastpkt,          int, mctx_t, int, int, off_t, byte *, uint16_t, int);
SIGNATURE(mtcp_sendpkt,             int, mctx_t, int, const struct pkt_info *);
SIGNATURE(mtcp_settimer,            int, mctx_t, int, struct timeval *, callback_t);
SIGNATURE(mtcp_cb_get_ts,           uint32_t, mctx_t);
SIGNATURE(mtcp_app_join,            void, mctx_t);
SIGNATURE(mtcp_getpeername,         int, mctx_t, int, struct sockaddr *, socklen_t *, int);

/* mtcp_api.h */
SIGNATURE(mtcp_init,               int, const char *);
SIGNATURE(mtcp_destroy,            int, void);
SIGNATURE(mtcp_getconf,            int, struct mtcp_conf *);
SIGNATURE(mtcp_setconf,            int, const struct mtcp_conf *);
SIGNATURE(mtcp_core_affinitize,    int, int);
SIGNATURE(mtcp_create_context,     mctx_t, int);
SIGNATURE(mtcp_destroy_context,    int, mctx_t);
SIGNATURE(mtcp_register_signal,    mtcp_sighandler_t, int, mtcp_sighandler_t);
SIGNATURE(mtcp_pipe,               int, mctx_t, int[2]);
SIGNATURE(mtcp_getsockopt,         int, mctx_t, int, int, int, void *, socklen_t *);
SIGNATURE(mtcp_setsockopt,         int, mctx_t, int, int, int, const void *, socklen_t);
SIGNATURE(mtcp_setsock_nonblock,   int, mctx_t, int);
SIGNATURE(mtcp_ioctl,              int, mctx_t, int, int, void *);
SIGNATURE(mtcp_socket,             int, mctx_t, int, int, int);
SIGNATURE(mtcp_bind,               int, mctx_t, int, const struct sockaddr *, socklen_t);
SIGNATURE(mtcp_listen,             int, mctx_t, int, int);
SIGNATURE(mtcp_accept,             int, mctx_t, int, struct sockaddr *, socklen_t *);
SIGNATURE(mtcp_init_rss,           int, mctx_t, in_addr_t, int, in_addr_t, in_addr_t);
SIGNATURE(mtcp_connect,            int, mctx_t, int, const struct sockaddr *, socklen_t);
SIGNATURE(mtcp_close,              int, mctx_t, int);
SIGNATURE(mtcp_abort,              int, mctx_t, int);
SIGNATURE(mtcp_getsockname,        int, mctx_t, int, struct sockaddr *, socklen_t *);
SIGNATURE(mtcp_recv,               ssize_t, mctx_t, int, char *, size_t, int);
SIGNATURE(mtcp_read,               ssize_t, mctx_t, int, char *, size_t);
SIGNATURE(mtcp_readv,              ssize_t, mctx_t, int, const struct iovec *, int);
SIGNATURE(mtcp_write,              ssize_t, mctx_t, int, const char *, size_t);
SIGNATURE(mtcp_writev,             ssize_t, mctx_t, int, const struct iovec *, int);
SIGNATURE(mtcp_get_connection_cnt, uint32_t, mctx_t);

/* mtcp_epoll.h, mtcp_util.h */
SIGNATURE(mtcp_epoll_create, int, mctx_t, int);
SIGNATURE(mtcp_epoll_ctl,    int, mctx_t, int, int, int, struct mtcp_epoll_event *);
SIGNATURE(mtcp_epoll_wait,   int, mctx_t, int, struct mtcp_epoll_event *, int, int);
SIGNATURE(EventToString,     char *, uint32_t);
SIGNATURE(GetRSSCPUCore,     int, in_addr_t, in_addr_t, in_port_t, in_port_t, int);
SIGNATURE(StrToArgs,         int, char *, int *, char **, int);
SIGNATURE(GetNumCPUs,        int, void);
SIGNATURE(XXH32,             unsigned int, const void *, size_t, unsigned int);
SIGNATURE(XXH64,             unsigned long long, const void *, size_t, unsigned long long);

/* mos_ext.h */
SIGNATURE(mos_last_error,      const char *, void);
SIGNATURE(mtcp_filter_error,   const char *, void);
SIGNATURE(mtcp_timer_set,      mos_timer_t, mctx_t, int, const struct timeval *, callback_t);
SIGNATURE(mtcp_timer_cancel,   int, mctx_t, mos_timer_t);
SIGNATURE(mtcp_getlastpkt_ext, int, mctx_t, int, int, struct pkt_info *, struct pkt_info_ext *);
SIGNATURE(mtcp_flow_area_len,  ssize_t, mctx_t);
SIGNATURE(mtcp_restoring,      int, mctx_t);
SIGNATURE(mtcp_handed_over,    int, mctx_t);
SIGNATURE(mtcp_own_shard,      int, mctx_t);
SIGNATURE(mtcp_foreach_flow,   int, mctx_t, int, int (*)(mctx_t, int, void *), void *);

/* clang-format on */

/* struct tcphdr must be the kernel's, whose fields programs name. */
START_TEST(tcp_header_has_the_names_of_linux)
{
	struct tcphdr th = {.source = 1, .dest = 2, .seq = 3, .ack_seq = 4, .doff = 5, .syn = 1};

	UNUSED(th);
	ck_assert_uint_eq(sizeof(struct tcphdr), 20);
	ck_assert_uint_eq(sizeof(struct iphdr), 20);
	ck_assert_uint_eq(sizeof(struct ethhdr), 14);
#ifndef MTCP_CB_GETCURPKT_CREATE_COPY
	ck_abort_msg("MTCP_CB_GETCURPKT_CREATE_COPY is not defined");
#endif
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("abi");
	TCase *tc = tcase_create("headers");

	tcase_add_test(tc, constants_keep_their_published_values);
	tcase_add_test(tc, layouts_stay_as_compiled_programs_know_them);
	tcase_add_test(tc, epollet_fills_the_upper_half_of_events);
	tcase_add_test(tc, tcp_header_has_the_names_of_linux);
	suite_add_tcase(suite, tc);

	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
