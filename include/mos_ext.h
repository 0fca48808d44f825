/*
 * mos_ext.h - what mos-mp offers beyond the classic API.
 */
#ifndef MOS_EXT_H
#define MOS_EXT_H

#include <stdint.h>
#include <netinet/ip6.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "mos_api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Grows with each addition to this file. */
#define MOS_EXT_VERSION 5

/*
 * Say why the last mtcp_init() or mtcp_create_context() of this process failed: one line without
 * newline that names the cause and what to do. Empty if none has failed. Any thread; the last
 * failure of any thread counts.
 * Returns a string of the library, never NULL, valid until one of those calls fails again.
 */
const char *mos_last_error(void);

/*
 * Say why the last mtcp_bind_monitor_filter() of the calling thread that failed with EINVAL did:
 * which of the filters, and what is wrong with the expression; one line without newline. Empty if
 * none has failed.
 * Returns a string of the library, never NULL, valid until that call fails again in this thread.
 */
const char *mtcp_filter_error(void);

/* ---- Timers that can be cancelled, and the clock ---- */

/* One timer that was set; never given out twice in one context. 0 is none. */
typedef uint64_t mos_timer_t;

/*
 * As mtcp_settimer(), but tells which timer it is. Any thread.
 * Returns the timer, or 0.
 *   EACCES  bad context
 *   EINVAL  t or cb is NULL, a field of *t is negative, tv_usec > 999999, or more than 100 years
 *   ENOMEM  out of memory
 */
mos_timer_t mtcp_timer_set(mctx_t mctx, int id, const struct timeval *t, callback_t cb);

/*
 * Take a timer back. Once this has returned 0 its callback is not called any more, whichever
 * thread asks. Any thread, also a callback.
 * Returns 0, or -1.
 *   EACCES  bad context
 *   ENOENT  it has run, is running, was cancelled, or never was
 */
int mtcp_timer_cancel(mctx_t mctx, mos_timer_t timer);

/*
 * As mtcp_cb_get_ts(), but in full: nanoseconds since 1970. With `clock = packet` that is when the
 * latest packet came, as its capture says. Stack thread.
 * Returns it, or 0.
 *   EACCES  bad context
 *   EPERM   outside the stack thread
 */
uint64_t mtcp_cb_get_ts_ns(mctx_t mctx);

/* ---- Packets beyond IPv4 ---- */

/* What struct pkt_info has no place for. */
struct pkt_info_ext {
	uint64_t ts_ns;       /* when it came: nanoseconds since 1970 */
	struct ip6_hdr *ip6h; /* IPv6 header in the copy; NULL for anything else */
	uint32_t frame_len;   /* bytes of the frame, as eth_len but not cut at 65535 */
	uint16_t vlan;        /* outermost VLAN id that is not 0; 0 = untagged */
	uint8_t ip_version;   /* 4 or 6 */
	uint8_t ip_proto;     /* IPPROTO_*: behind the extension headers that were understood */
};

/*
 * As mtcp_getlastpkt(), and describe in *x what the classic structure cannot. Of an IPv6 packet
 * p->iph is NULL, p->ip_len the length of the whole packet, and all else as for IPv4. Stack thread.
 * Returns 0, or -1 with the errno values of mtcp_getlastpkt(); EINVAL also when x is NULL.
 */
int mtcp_getlastpkt_ext(mctx_t mctx, int sock, int side, struct pkt_info *p,
                        struct pkt_info_ext *x);

/*
 * As mtcp_sendpkt(), for IPv6 too: with x->ip6h not NULL that header is read (40 bytes; traffic
 * class, flow label, hop limit (0 becomes 64), addresses), and pkt->iph is not looked at. Extension
 * headers are not sent. x->vlan counts where the flow does not say: 1..4095 sends one tag of that
 * id, where no pkt->ethh does. The rest of *x is not looked at; x NULL is mtcp_sendpkt(). Stack
 * thread.
 * Returns 0, or -1 with the errno values of mtcp_sendpkt(); ENODATA also when the version of *ip6h
 * is not 6.
 */
int mtcp_sendpkt_ext(mctx_t mctx, int sock, const struct pkt_info *pkt,
                     const struct pkt_info_ext *x);

/* ---- Which worker a flow reaches ---- */

/*
 * Compute which shard gets the packets between src and dst, two struct sockaddr_in or two
 * sockaddr_in6 (address and port are looked at), in either direction. A program that translates
 * addresses picks ports such that replies reach the worker that knows the flow: this one, if it is
 * mtcp_own_shard(). Any thread.
 * Returns the shard, [0, workers), or -1.
 *   EACCES        bad context
 *   EFAULT        src or dst is NULL
 *   EAFNOSUPPORT  not both AF_INET or both AF_INET6
 */
int mtcp_flow_shard(mctx_t mctx, const struct sockaddr *src, const struct sockaddr *dst);

/*
 * The shard this context works on. A program that is to replace another (mos-run restart,
 * --standby) gets its shard only when the other one has left it: then callbacks begin, and until
 * then there is none. Any thread.
 * Returns it, [0, workers), or -1.
 *   EACCES  bad context
 *   EAGAIN  there is none yet; again, from a callback
 */
int mtcp_own_shard(mctx_t mctx);

/*
 * Has the context's shard gone to a successor, by a planned upgrade (mos-run restart)? Then
 * mtcp_app_join() has returned though nobody asked this program to end; its flows go on in the
 * other one, so no MOS_ON_CONN_END came, and what the program would tell of them at its end is not
 * its to tell. What it keeps for itself alone (totals, logs) it writes now. Any thread, also when
 * the stack thread has ended.
 * Returns 1 if so, 0 if not, or -1 with EACCES (bad context).
 */
int mtcp_handed_over(mctx_t mctx);

/* ---- What outlives the program: stack thread ---- */

/* Built-in events beside those of mos_api.h. */
enum mos_ext_events {
	/*
	 * A flow of the program's predecessor is this program's now. Hook: MOS_NULL; side:
	 * MOS_SIDE_BOTH. Once per flow and socket, before any other event of the flow, on each
	 * passive socket whose syn filter would have accepted its first SYN: when the flow's next
	 * packet comes or its time is up, and else in one of the first rounds of the stack thread
	 * (mtcp_restoring), or in mtcp_foreach_flow(). First come the sockets that have a callback
	 * for it, or for an event defined below it, in order of creation. All others get
	 * MOS_ON_CONN_START instead, once more, as a program expects that does not know of this
	 * event. Then MOS_ON_ERROR follows where bytes were lost (MOS_GAP_RESTART).
	 *
	 * In its callback, and in a CONN_START that comes once more, all calls of the stack thread
	 * work as in any other; the states are those the flow has by now, and reading goes on where
	 * the predecessor stopped. There is no packet at hand:
	 * mtcp_getlastpkt() and mtcp_setlastpkt() give ENODATA. With MOS_STOP_MON the program
	 * declines the flow.
	 *
	 * It may be the base of user-defined events. A flow on which three workers died is not
	 * told of, nor visited by mtcp_foreach_flow().
	 */
	MOS_ON_CONN_RESTORE = 1 << 12,
};

/*
 * Call cb(mctx, active_sock, arg) for each flow of the passive socket sock, in no special order,
 * but not for those it has stopped on both sides. Flows of the predecessor that are pending
 * (mtcp_restoring) are restored first, those of other sockets too, with all their events: so one
 * call from a first timer does all of it before the next packet.
 *
 * cb may call whatever a timer may, mtcp_foreach_flow() included. Flows that it ends, its own or
 * others (MOS_STOP_MON), are gone at once and not visited; one that the callback around this call
 * is about goes when that one has returned. There is no packet at hand, as in a timer. When cb
 * closes sock, that was the last flow. Packets wait meanwhile, as many as the ring holds: visiting
 * a million flows takes its time, though it counts as no stall.
 *
 * Returns 0 when all were visited; or what cb has returned, once that is not 0, without visiting
 * the others; or -1.
 *   EACCES  bad context
 *   EPERM   outside the stack thread
 *   EBADF   no such passive or raw socket
 *   EINVAL  cb is NULL, or the socket is not passive
 *   EAGAIN  flows are pending, and this is a callback about a packet or a flow; again, from a timer
 */
int mtcp_foreach_flow(mctx_t mctx, int sock, int (*cb)(mctx_t mctx, int active_sock, void *arg),
                      void *arg);

/*
 * Find the memory that belongs to a flow: `flow_area` bytes (configuration, a multiple of 8), zero
 * when the flow begins. The program's successor, after an upgrade or a crash, finds in it what
 * was stored last, from MOS_ON_CONN_RESTORE on. It may be torn where the program died in the
 * middle of a change: store what makes it valid last. What is in it, a version tells
 * (MOS_AREA_VERSION). Aligned to 8; one per flow, for all its sockets. Valid until the flow's last
 * MOS_ON_CONN_END has returned.
 *
 * A uctx (mtcp_set_uctx) that leads into the area of its flow outlives the program too: in
 * MOS_ON_CONN_RESTORE the successor's mtcp_get_uctx() leads to the same place. Any other is NULL
 * then. Which sockets correspond is a matter of order: the n-th passive socket that a program
 * creates in its context has what the n-th of its predecessor had, closed ones counted; beyond the
 * eighth none is kept.
 * Returns it, *len (may be NULL) its bytes; or NULL.
 *   EACCES  bad context
 *   EPERM   outside the stack thread
 *   EBADF   not an active socket
 *   ENOSYS  flow_area is 0
 */
void *mtcp_flow_area(mctx_t mctx, int sock, size_t *len);

/*
 * Tell how many bytes mtcp_flow_area() will find, so that a program that needs them can say so
 * before the first flow. Any thread.
 * Returns them, 0 when there are none; or -1 with EACCES (bad context).
 */
ssize_t mtcp_flow_area_len(mctx_t mctx);

/*
 * Are there flows of the program's predecessor for which MOS_ON_CONN_RESTORE, or MOS_ON_CONN_START
 * again, was not raised yet? So it is in the first rounds of the stack thread, while new flows begin
 * already: who gives out what a flow holds (ports, addresses, numbers) learns only afterwards what
 * is taken. Stack thread.
 * Returns 1 if there may be, 0 from then on when there are none, or -1.
 *   EACCES  bad context
 *   EPERM   outside the stack thread
 */
int mtcp_restoring(mctx_t mctx);

/* ---- Streams: stack thread ---- */

/*
 * As mtcp_peek(), without a copy: fill up to iovcnt (1..) entries of iov with where the bytes lie,
 * in the packet that brought them or in the buffer, and move on behind them. The bytes are
 * read-only and stay where they are until the callback or the timer that asked returns, whatever
 * else it reads or sets, or until it edits that packet; iov is the caller's. Entries are as short
 * as the pieces in the buffer: of 1792 bytes or less, a packet's payload is one, or one for each of
 * its buffers.
 *
 * Returns how many bytes the entries hold together. Behind the last one used, if there is room, is
 * one with iov_len 0. Else as mtcp_peek(): 0, -n with ENODATA, or -1; then iov is not used.
 *   EACCES  bad context
 *   EPERM   outside the stack thread
 *   EBADF   not an active socket
 *   EINVAL  side is neither CLI nor SVR, iovcnt < 1, or that side keeps no buffer
 *   EFAULT  iov is NULL
 */
ssize_t mtcp_peekv(mctx_t mctx, int sock, int side, struct iovec *iov, int iovcnt);

/* Why a MOS_ON_ERROR is raised. */
enum mos_gap_cause {
	/*
	 * Bytes that never came by here are waited for no longer: the receiver has acknowledged
	 * them; or it is not heard, and about 900 kB came behind them, or the flow ends. Reading
	 * goes on behind. Of several such ranges at once this is the first; reading tells of each.
	 */
	MOS_GAP_MISSED = 1,
	/*
	 * Bytes this socket has not read would be pushed out by the packet at hand: read them now,
	 * or give the buffer more room (MOS_CLIBUF, MOS_SVRBUF); else they are lost. The range goes
	 * from where the socket that is farthest behind reads on to behind the last of them.
	 */
	MOS_GAP_OVERRUN,
	/* No room: bytes that came out of order were given up, or those at hand cannot be kept. */
	MOS_GAP_NO_ROOM,
	/* The packet at hand ends beyond what its receiver can take: [offset, + len) does. */
	MOS_GAP_BEYOND_WINDOW,
	/*
	 * The packet at hand brings bytes again, but others: who injects them wants this monitor
	 * and the receiver to see different streams. What is held can be had with
	 * mtcp_ppeek(offset, len), the other version lies in the packet's payload at pkt_off. The
	 * first and the last byte of the range differ. Afterwards the overlap policy decides.
	 */
	MOS_GAP_CONFLICT,
	/*
	 * A worker died while it worked on this flow: what the flow's buffers held is lost. Not
	 * told, of any flow, is what was read but not used yet: who keeps a record of what it has
	 * used compares that with tcpbi_last_byte_read (MOS_INFO_CLIBUF, _SVRBUF) when CONN_START
	 * is raised again.
	 */
	MOS_GAP_RESTART,
};

/* A range of a stream: offset 0 is the first byte behind the SYN. */
struct mos_stream_gap {
	int cause;        /* enum mos_gap_cause */
	uint32_t pkt_off; /* MOS_GAP_CONFLICT: bytes into the payload at hand; else 0 */
	uint64_t offset;
	uint64_t len; /* bytes */
};

/*
 * Say what the MOS_ON_ERROR is about whose callback is running. A range that is lost need not be
 * asked for: mtcp_peek() comes to it. *gap is the caller's.
 * Returns 0, or -1; *gap is then as it was.
 *   EACCES   bad context
 *   EPERM    outside the stack thread
 *   EBADF    not an active socket
 *   EINVAL   gap is NULL, or side is neither CLI nor SVR
 *   ENODATA  no MOS_ON_ERROR of that socket's flow and side is being raised
 */
int mtcp_stream_gap(mctx_t mctx, int sock, int side, struct mos_stream_gap *gap);

/*
 * More options of level SOL_MONSOCKET: set, int 0 or 1 (default 0; others EINVAL), where nothing
 * else is said. A passive socket (any thread): for flows to come, 1 if one of the flow's sockets
 * says so; an active one (stack thread): for all sockets of the flow.
 */
enum mos_ext_socket_opts {
	/*
	 * 1: bytes that were read stay in the buffer until their receiver has acknowledged them, as
	 * far as the limit goes. So a segment that comes again with other bytes is noticed
	 * (MOS_GAP_CONFLICT) though they have been read, for the price of a copy of all bytes.
	 */
	MOS_CLIKEEP = 0x101,
	MOS_SVRKEEP = 0x102,

	/*
	 * 1: a packet that is dropped (MOS_DROP) at MOS_HK_SND is not seen by its receiver's side:
	 * no hook runs for it there, and the streams do not get its payload, as if the network had
	 * lost it. Passive: for flows to come, 1 if one of the flow's sockets says so; active: for
	 * all sockets of the flow, from the packet at hand on.
	 */
	MOS_DROP_HIDES = 0x103,

	/*
	 * 1: the last packet of each side is kept, as its sender sent it, for the price of a copy
	 * of every packet. mtcp_getlastpkt() on this socket then shows, of side CLI or SVR, the
	 * last packet which that side has sent: the one at hand or the one kept; also when no
	 * packet is at hand. ENODATA: none yet, or none since the program took the flow over. Of
	 * side BOTH it shows the one at hand, as ever. Passive: for flows to come; active: for this
	 * socket.
	 */
	MOS_LAST_PACKETS = 0x104,

	/*
	 * set, uint32_t: the program's own number for what it stores in areas (mtcp_flow_area), so
	 * that a successor that stores something else knows what it finds, and can convert it.
	 * Passive: for flows to come; of the flow's sockets the first that was created and has said
	 * one counts. Active (get, set): of this flow. 0: nobody has said one. The area of a flow
	 * that is taken over keeps its version until the successor sets another; one who converts
	 * does that last. ENOSYS: flow_area is 0. EINVAL: optlen is less than its size.
	 */
	MOS_AREA_VERSION = 0x105,
};

#ifdef __cplusplus
}
#endif

#endif
