/*
 * mos_api.h - monitoring sockets: flows, events, streams and packets. The one file a program
 * includes.
 *
 * A *flow* is one TCP connection; with the same addresses and ports in another VLAN it is another
 * one. Its *sides* are the client, which sent the first SYN, and the server; the stack keeps a TCP
 * state for each. A packet first updates its sender's side, then its receiver's:
 *
 *   packet -> raw sockets -> sender's side -> (SND) -> receiver's side -> (RCV) -> new data -> out
 *               (NULL)                              errors: (NULL)                   (NULL)
 *   after each round of packets: timers
 *
 * where (SND), (RCV) and (NULL) are the hooks MOS_HK_SND, MOS_HK_RCV and MOS_NULL, at which
 * callbacks run. Three kinds of sockets (section 3.1):
 *   raw      sees every IP packet that its filter accepts; keeps no state
 *   passive  stands for all flows whose first SYN its filter accepts
 *   active   one flow of one passive socket. The stack makes it on the first SYN, with the
 *            callbacks the passive socket has then, and frees it after the last MOS_ON_CONN_END
 *
 * Results, threads and the meaning of "bad context" are as told in mtcp_api.h. Times are in the
 * unit that is named; addresses and ports are in network byte order; sequence numbers in host
 * byte order. Memory that a call receives stays the caller's and is copied during the call,
 * except a uctx pointer.
 */
#ifndef MOS_API_H
#define MOS_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/types.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <linux/if_ether.h>
#include <linux/tcp.h> /* struct tcphdr as Linux has it; clashes with netinet/tcp.h */

#include "mtcp_epoll.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Constants (section 1.3) ---- */

/* Where callbacks run. */
enum mtcp_hook_point {
	MOS_NULL = 1 << 29,          /* at no side's turn */
	MOS_HK_RCV = 1 << 30,        /* after the receiver's state was updated */
	MOS_HK_SND = -0x7fffffff - 1 /* bit 31: after the sender's state was updated */
};

/* Sides of a flow. */
enum { MOS_SIDE_CLI = 0, MOS_SIDE_SVR = 1, MOS_SIDE_BOTH = 2 };

/*
 * Built-in events, one bit each; bits 0 to 15 are reserved for them (bit 12: mos_ext.h). Behind
 * each: the hooks at which it can be registered, and the `side` its callback gets. Those marked -
 * never occur and are defined for old programs. What happens together runs in the order of the
 * bits.
 * MOS_ON_CONN_END comes for each of the two sides, RCV before SND, together with a
 * MOS_ON_TCP_STATE_CHANGE: a callback registered at one hook is called twice. Sections 4.2, 4.3.
 */
enum mos_event_type {
	MOS_NULL_EVENT = 0,            /* no event: what a failed constructor returns */
	MOS_ON_PKT_IN = 1 << 0,        /* a packet. SND: sender, RCV: receiver, NULL (raw): BOTH */
	MOS_ON_PKT_OUT = 1 << 1,       /* - */
	MOS_ON_CONN_START = 1 << 2,    /* the first SYN. SND: CLI, RCV: SVR */
	MOS_ON_CONN_SETUP = 1 << 3,    /* - */
	MOS_ON_CONN_NEW_DATA = 1 << 4, /* new bytes to peek, no packet. NULL: their receiver */
	MOS_ON_ERROR = 1 << 5,         /* see mtcp_stream_gap (mos_ext.h). NULL: the receiver */
	MOS_ON_TIMEOUT = 1 << 6,       /* - (see mtcp_settimer) */
	MOS_ON_TCP_STATE_CHANGE = 1 << 7, /* state of a side changed. SND, RCV: that side */
	MOS_ON_ORPHAN = 1 << 8,           /* a TCP packet of no flow. NULL: BOTH */
	MOS_ON_REXMIT = 1 << 9,           /* seen before. SND, RCV; occurs at RCV: receiver */
	MOS_ON_CONN_END = 1 << 10,        /* a side ends, without packet. SND, RCV: that side */
	MOS_ON_DEBUG_MESSAGE = 1 << 11    /* - */
};

/*
 * What mtcp_setlastpkt() does: exactly one action, one place unless the action is MOS_DROP, and
 * any of the checksum flags.
 */
enum {
	MOS_ETH_HDR = 1 << 0,           /* place: Ethernet header */
	MOS_IP_HDR = 1 << 1,            /* place: IP header with options */
	MOS_TCP_HDR = 1 << 2,           /* place: TCP header with options */
	MOS_TCP_PAYLOAD = 1 << 3,       /* place: TCP payload */
	MOS_UPDATE_IP_CHKSUM = 1 << 4,  /* then compute the IP header checksum anew */
	MOS_UPDATE_TCP_CHKSUM = 1 << 5, /* then compute the TCP checksum anew */
	MOS_DROP = 1 << 6,              /* action: do not forward the packet */
	MOS_OVERWRITE = 1 << 7,         /* action: replace bytes */
	MOS_CHOMP = 1 << 8,             /* action: remove bytes */
	MOS_INSERT = 1 << 9             /* action: put bytes in */
};

/* Levels of mtcp_getsockopt() and mtcp_setsockopt(). */
#ifndef SOL_SOCKET
#define SOL_SOCKET 0xffff
#endif
#define SOL_MONSOCKET 0xfffe

/*
 * Options of level SOL_MONSOCKET (section 7.6). get: active sockets, stack thread. set: passive
 * sockets from any thread, active ones from the stack thread. A buffer named CLI holds what the
 * client received, thus what the server sent.
 */
enum mos_socket_opts {
	/*
	 * get, array of struct tcp_ring_fragment: the pieces of the stream that are held, by
	 * ascending offset: first what is in order, then what came too early. *optlen counts array
	 * elements (1..), in: room, out: used; one element of zeroes follows if there is room.
	 * Bytes that were read are seldom held (mos_ext.h: MOS_CLIKEEP). EINVAL: no room, or that
	 * side keeps no buffer.
	 */
	MOS_FRAGINFO_CLIBUF = 0x01,
	MOS_FRAGINFO_SVRBUF = 0x02,

	/*
	 * get, struct tcp_buf_info; *optlen must be its size. ENODATA: no byte came yet. EINVAL:
	 * another size, or that side keeps no buffer.
	 */
	MOS_INFO_CLIBUF = 0x03,
	MOS_INFO_SVRBUF = 0x04,

	/*
	 * get, int: enum tcpstate of that side. *optlen is not looked at. Never fails while the
	 * flow lives, MOS_ON_CONN_END included.
	 */
	MOS_TCP_STATE_CLI = 0x05,
	MOS_TCP_STATE_SVR = 0x06,

	/* get, uint32_t: when the latest packet of the flow came; microseconds modulo 2^32. */
	MOS_TIMESTAMP = 0x07,

	/*
	 * set, int: bytes that are in order and not read yet which that side keeps, the newest
	 * ones; `rmem_size` of the configuration if nobody says. 0 = keep none: then nothing of
	 * that side can be read, and there is no NEW_DATA and no ERROR of it. < 0: EINVAL.
	 *   passive  for flows to come. Of the flow's sockets the largest value counts. A value > 0
	 *            also says that the socket reads (see mtcp_peek)
	 *   active   for all sockets of the flow, at once. What does not fit any more is lost when
	 *            the packet in hand is done with, or the next one. A value > 0 also says that
	 *            this socket reads that side. Growing in a MOS_ON_ERROR callback saves the
	 *            bytes that were about to be lost
	 * What came too early is kept as far as the receiver's window goes, whatever is set here.
	 */
	MOS_CLIBUF = 0x09,
	MOS_SVRBUF = 0x0a,

	/*
	 * get, seq_remap_info: *optlen must be its size. In: side. Out: base_seq, the first
	 * sequence number, as that side counts, which has not gone to the receiver (a FIN counts,
	 * too), and seq_off, by how much the stream has become longer in front of it (< 0:
	 * shorter). With the packet in hand at MOS_HK_SND, what it is the first to bring begins
	 * there. So the successor of a program that keeps a state for the next byte knows whether
	 * the last packet counted. EINVAL: another size, or what that side sends is not edited.
	 *
	 * set, seq_remap_info: what one side sends is edited so that its length changes, and the
	 * ends must stay in step: see mtcp_setlastpkt(). From now on sequence numbers of that side,
	 * and acknowledgement numbers and SACK blocks of the other, are translated; it cannot be
	 * taken back. MOS_ON_PKT_IN at MOS_HK_SND shows a packet as its sender sent it, at
	 * MOS_HK_RCV as its receiver gets it. What the streams and MOS_INFO_... tell is what the
	 * receiver has.
	 *   seq_off 0  MOS_INSERT and MOS_CHOMP in the payload are accounted for by themselves.
	 *              Passive socket: for flows to come; base_seq is not looked at
	 *   else       not built: ENOSYS (changes that the program itself makes to the stream)
	 * EINVAL: optlen is less than its size, side is neither CLI nor SVR, seq_off beyond
	 * +-65535, or a passive socket and seq_off not 0. A flow with this option goes on being
	 * translated when nobody watches it any more (MOS_STOP_MON); once a length has changed, for
	 * 2 h 4 min of silence (RFC 5382), and for a minute behind its end, at least, whatever the
	 * configuration says. Not translated: urgent pointers, and what ICMP errors quote.
	 */
	MOS_SEQ_REMAP = 0x0b,

	/*
	 * set, int: MOS_SIDE_CLI, _SVR or _BOTH. This socket gets no further event of that side,
	 * from the next callback on; when no socket of the flow watches any side, the flow is
	 * forgotten after the current packet, without MOS_ON_CONN_END, and its packets are
	 * orphans. Active sockets in any callback or timer; passive: EPERM. Section 6.6.
	 */
	MOS_STOP_MON = 0x0c,

	MOS_FRAG_CLIBUF = 0x0d, /* set: ENOSYS. MOS_CLIBUF, MOS_SVRBUF = 0 free all that is held */
	MOS_FRAG_SVRBUF = 0x0e,

	/*
	 * set, int: MOS_OVERLAP_POLICY_..., which of two segments that disagree about the same
	 * bytes counts, from the next packet on. Other values: EINVAL. A passive socket: for flows
	 * to come, LAST if one of the flow's sockets says so; an active one: for all sockets of the
	 * flow. Section 7.5.
	 */
	MOS_CLIOVERLAP = 0x0f,
	MOS_SVROVERLAP = 0x10
};

enum {
	MOS_OVERLAP_POLICY_FIRST = 0, /* the bytes that came first (default) */
	MOS_OVERLAP_POLICY_LAST = 1,  /* the bytes that came last, unless they were read */
	MOS_OVERLAP_CNT = 2
};

/*
 * State of one side (RFC 9293). Several names are also in netinet/tcp.h, with other values: the
 * two files cannot meet in one compilation unit.
 */
enum tcpstate {
	TCP_CLOSED = 0,
	TCP_LISTEN = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RCVD = 3,
	TCP_ESTABLISHED = 4,
	TCP_FIN_WAIT_1 = 5,
	TCP_FIN_WAIT_2 = 6,
	TCP_CLOSE_WAIT = 7,
	TCP_CLOSING = 8,
	TCP_LAST_ACK = 9,
	TCP_TIME_WAIT = 10
};

/* Part of the classic header; no call takes or returns them. */
enum mtcp_action {
	MOS_ACT_SEND_DATA = 1 << 1,
	MOS_ACT_SEND_ACK_NOW = 1 << 2,
	MOS_ACT_SEND_ACK_AGG = 1 << 3,
	MOS_ACT_SEND_CONTROL = 1 << 4,
	MOS_ACT_SEND_RST = 1 << 5,
	MOS_ACT_DESTROY = 1 << 6,
	MOS_ACT_READ_DATA = 1 << 7,
	MOS_ACT_CNT
};

/* ---- Types (sections 1.2 and 1.4) ---- */

typedef unsigned char byte;

/* A built-in event bit, or the id of a user-defined event: a plain number >= 65536, not a mask. */
typedef uint64_t event_t;

/* What a user-defined event hands to its filter and callback. */
typedef struct filter_arg {
	void *arg;
	size_t len; /* bytes at arg */
} filter_arg_t;

/*
 * Called by the stack thread. sock: the active socket of the flow; the passive one for
 * MOS_ON_ORPHAN; the raw one; the number given to mtcp_settimer(). event: what was registered.
 * arg: the library's copy of what was given to mtcp_define_event(), NULL for built-in events.
 */
typedef void (*callback_t)(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);

/* As callback_t. Called at most once per dispatch; true lets the event happen. */
typedef bool (*filter_t)(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);

/*
 * Filter expressions in the language of pcap-filter(7); NULL leaves that filter as it is. A raw
 * socket reads raw_pkt_filter, which shares its place with stream_syn_filter.
 */
union monitor_filter {
	char *raw_pkt_filter; /* raw: which packets */
	__extension__ struct {
		char *stream_syn_filter;    /* passive: which first SYNs begin a flow */
		char *stream_orphan_filter; /* passive: which packets may raise MOS_ON_ORPHAN */
	};
};
typedef union monitor_filter *monitor_filter_t;

/*
 * One packet, 72 bytes. Plain fields are in host byte order, headers as on the wire. A pointer
 * whose part the packet does not have is NULL.
 *
 * offset: how many bytes of its receiver's stream lie before the payload, in 64 bits, at all hooks
 * of the packet and whether or not somebody reads the stream. 0 is the byte behind the SYN; 0 also
 * without payload, before that byte (a keep-alive probe), and without flow (raw sockets, orphans).
 */
struct pkt_info {
	uint32_t cur_ts;     /* when it came: milliseconds of the stack clock modulo 2^32 */
	int8_t in_ifidx;     /* index of the port it came from */
	uint16_t eth_len;    /* bytes of the frame as received, with padding, without FCS */
	uint16_t ip_len;     /* IP total length */
	uint64_t offset;     /* of the payload in the receiver's stream: see above */
	uint16_t payloadlen; /* bytes of TCP payload */
	uint32_t seq;
	uint32_t ack_seq;
	uint16_t window; /* as in the header, not scaled */

	/* These four stay last and together; PKT_INFO_LEN is what lies before them. */
	struct ethhdr *ethh;
	struct iphdr *iph;
	struct tcphdr *tcph;
	uint8_t *payload;
};

#define PKT_INFO_LEN offsetof(struct pkt_info, ethh)

#define MTCP_CB_GETCURPKT_CREATE_COPY /* old programs test that it is defined */

/* Part of the classic header, 80 bytes; no call takes or returns it. */
struct pkt_ctx {
	struct pkt_info p;
	int8_t direction;
	uint8_t forward; /* 0 = drop */
	int8_t out_ifidx;
	int8_t batch_index;
};

/*
 * What one side has received, as sequence numbers of its peer: modulo 2^32, to be compared by
 * their differences. In the order of the stream init <= read <= expected <= received; the last two
 * are equal when no byte came too early.
 */
struct tcp_buf_info {
	uint32_t tcpbi_init_seq;           /* the first byte of the stream: that behind the SYN */
	uint32_t tcpbi_last_byte_read;     /* the first byte this socket has not read */
	uint32_t tcpbi_next_byte_expected; /* the first byte that has not come in order */
	uint32_t tcpbi_last_byte_received; /* behind the last byte that is held */
};

/* One contiguous piece of the stream that is held. */
struct tcp_ring_fragment {
	uint64_t offset; /* in the stream; 0 = first byte behind the SYN */
	uint32_t len;    /* bytes */
};

/* Value of MOS_SEQ_REMAP. */
typedef struct seq_remap_info {
	int64_t seq_off;   /* bytes by which the stream becomes longer (< 0: shorter), or 0 */
	int side;          /* who sends it: MOS_SIDE_CLI or MOS_SIDE_SVR */
	uint32_t base_seq; /* where: sequence number as its sender counts */
} seq_remap_info;

/* ---- Life cycle ---- */

/*
 * Wait until the stack thread of mctx has ended: by mtcp_destroy_context(), by SIGINT, because
 * the primary ended, or because a replayed capture did. None of these waits for the program to
 * call this: the thread may have ended while sockets and callbacks were made, which is no error;
 * this call then returns at once. Application thread; not a callback. Returns at once on a bad
 * context. Signals do not end the wait. Section 2.2.
 */
void mtcp_app_join(mctx_t mctx);

/* ---- Filters and callbacks: any thread; a change counts as a whole or not at all ---- */

/*
 * Set the filters of a raw or passive socket. A program set before is replaced; flows that exist
 * keep going. The syn filter sees the first SYN only: `dst port 80` means the server's port.
 * Without filter everything is accepted. Names of hosts are looked up, which may take long: in a
 * callback, packets wait meanwhile. Section 3.2.
 *
 * Returns 0, also when ft is NULL (nothing changes), or -1.
 *   EACCES      bad context
 *   EBADF       no such socket
 *   EINVAL      an expression is wrong; no filter was changed. mtcp_filter_error() says why
 *   ENOPROTOOPT the socket is neither raw nor passive
 *   ENOMEM      out of memory
 */
int mtcp_bind_monitor_filter(mctx_t mctx, int sock, monitor_filter_t ft);

/*
 * Have cb called when event occurs on sock at hook_point; one callback for each (sock, hook,
 * event), the last one given; NULL takes it away. On a passive socket: for flows that begin
 * later, and at once for MOS_ON_ORPHAN. On an active socket: for that flow. A change made by a
 * callback takes effect from the next dispatch. Section 5.2.
 *
 * Hooks: PKT_IN at all three (MOS_NULL for raw sockets); CONN_START, TCP_STATE_CHANGE, REXMIT and
 * CONN_END at MOS_HK_SND and MOS_HK_RCV; CONN_NEW_DATA, ORPHAN and ERROR at MOS_NULL; a
 * user-defined event where its built-in ancestor may be.
 *
 * Returns 0, or -1.
 *   EACCES  bad context
 *   EBADF   no such socket
 *   EINVAL  neither one built-in bit nor a defined event, a hook it does not have, or the socket
 *           is not a monitoring one
 *   ENOMEM  out of memory
 */
int mtcp_register_callback(mctx_t mctx, int sock, event_t event, int hook_point, callback_t cb);

/* ---- User-defined events (section 5) ---- */

/*
 * Define an event that occurs when base occurs and filter then returns true. base: one built-in
 * bit or a defined event, any depth. arg may be NULL; its len bytes are copied. The same base,
 * filter and bytes again give the same event. Any thread; needs no context; holds for the whole
 * process and is never freed. Section 5.1.
 *
 * Returns the event, or MOS_NULL_EVENT.
 *   EINVAL  filter is NULL, base is unknown or 0, or arg->len > 0 while arg->arg is NULL
 *   ENOMEM  out of memory
 */
event_t mtcp_define_event(event_t base, filter_t filter, struct filter_arg *arg);

/*
 * Define an event below parent that has no filter and occurs only by mtcp_raise_event(). Any
 * thread; needs no context. Section 5.1.
 * Returns the event, or MOS_NULL_EVENT.
 *   EINVAL  parent is unknown or 0
 *   ENOMEM  out of memory
 */
event_t mtcp_alloc_event(event_t parent);

/*
 * Let child, made by mtcp_alloc_event(), occur in the dispatch under way. Called by the filter or
 * the callback of its parent: child runs after the parent, in its place among the children, once
 * however often it was raised; not if the filter then returns false. Stack thread. Section 5.1.
 * Returns 0, or -1.
 *   EACCES  bad context
 *   EPERM   outside the stack thread, or no event is running (timers), or a built-in one whose
 *           children have no callback
 *   EINVAL  child was not made by mtcp_alloc_event() directly below the event whose filter or
 *           callback is running
 *   ENOENT  the socket at hand has no callback for child, nor for what is below it
 *   ENOMEM  events are nested too deeply
 */
int mtcp_raise_event(mctx_t mctx, event_t child);

/* ---- User context: stack thread ---- */

/*
 * Keep ptr with a monitoring socket. The pointer alone is kept: what it points at is the
 * program's, to be freed at MOS_ON_CONN_END. One that leads into the flow's area outlives the
 * program: mtcp_flow_area() (mos_ext.h). Section 9.
 * On failure nothing is kept and errno is set.
 *   EACCES  bad context
 *   EPERM   outside the stack thread
 *   EBADF   no such monitoring socket
 */
void mtcp_set_uctx(mctx_t mctx, int sock, void *ptr);

/*
 * Fetch the pointer kept with a monitoring socket. Section 9.
 * Returns it, or NULL: none was kept (each new flow begins so; errno is left alone), or errors as
 * mtcp_set_uctx().
 */
void *mtcp_get_uctx(mctx_t mctx, int sock);

/*
 * ---- Streams: stack thread ----
 *
 * The stream of a side is what it has received: MOS_SIDE_SVR is what the client sent. Offsets count
 * its bytes in 64 bits, 0 is the one behind the SYN. Each active socket has a position per side,
 * which begins at 0 and which no other socket moves.
 *
 * Bytes are kept for the sockets that read, so a program that only counts packets pays for nothing.
 * A socket reads a side from the start of the flow if it has a callback for MOS_ON_CONN_NEW_DATA
 * then, or MOS_CLIBUF or MOS_SVRBUF of its passive socket was set to more than 0, or one of these
 * calls was made before on a flow of the same passive socket. Else it does from the first call on:
 * what came before is lost to it. Bytes in order stay until every socket that reads has read them,
 * or newer ones push them out: see MOS_CLIBUF. All stay until the flow ends, so that what is left
 * can be read in MOS_ON_CONN_END. Sections 7.1, 7.4.
 */

/*
 * Copy up to len in-order bytes that side has received into buf, from where the last call of this
 * socket stopped, and move on. Any callback or timer. Section 7.2.
 *
 * Returns how many bytes were copied, less than len only at the end of what is in order or in front
 * of lost bytes; 0 when there is nothing new, also before the first byte and in front of bytes that
 * are still missing. Or a negative number: -n with ENODATA when the next n bytes are lost (pushed
 * out, or never seen here); the following call reads behind them. Else -1, and the position stays:
 *   EACCES  bad context
 *   EPERM   outside the stack thread
 *   EBADF   not an active socket
 *   EINVAL  side is neither CLI nor SVR, or that side keeps no buffer
 *   EFAULT  buf is NULL and len is not 0
 * Loss of one byte is -1 with ENODATA: look at errno.
 */
ssize_t mtcp_peek(mctx_t mctx, int sock, int side, char *buf, size_t len);

/*
 * Copy up to count bytes that side has received into buf, from offset off of the stream to the end
 * of the piece that holds it, also beyond a hole. Does not move the position of mtcp_peek(). What
 * is held: unread bytes, and those read by the running callback (others: mos_ext.h, MOS_CLIKEEP).
 * Section 7.3.
 *
 * Returns how many bytes were copied, 0 only if count is 0; or -1.
 *   EACCES   bad context
 *   EPERM    outside the stack thread
 *   EBADF    not an active socket
 *   EINVAL   side is neither CLI nor SVR, or that side keeps no buffer
 *   EFAULT   buf is NULL and count is not 0
 *   ENODATA  off is not held: read and given back, pushed out, in a hole, or not received yet
 */
ssize_t mtcp_ppeek(mctx_t mctx, int sock, int side, char *buf, size_t count, uint64_t off);

/* ---- Packets: stack thread ---- */

/*
 * Describe the packet being processed, whatever side says (for others: mos_ext.h,
 * MOS_LAST_PACKETS). The pointers in *p lead to a copy: writing there does not change the packet,
 * and it is gone when the callback ends or the next call of this thread comes. *p is the caller's.
 * What the packet does not have is 0 or NULL; p->payload of a TCP packet is never NULL. Of an IPv6
 * packet p->iph is NULL and p->ip_len the length with the IPv6 header, 65535 if it is longer;
 * mtcp_getlastpkt_ext() (mos_ext.h) shows that header. Section 8.1.
 *
 * Returns 0, or -1.
 *   EACCES   bad context
 *   EPERM    outside the stack thread
 *   EBADF    not a monitoring socket
 *   EINVAL   p is NULL
 *   ENODATA  no packet is at hand: MOS_ON_CONN_NEW_DATA, MOS_ON_CONN_END, timers
 */
int mtcp_getlastpkt(mctx_t mctx, int sock, int side, struct pkt_info *p);

/*
 * Change the packet being processed; sock and side are not looked at. option: the enum with
 * MOS_DROP above; of several places the outermost counts. Later steps see the packet as changed;
 * in MOS_HK_SND this decides what the receiver's side records, and, for a first SYN, by which
 * addresses and ports the server's packets are recognised (NAT). Section 8.2.
 *
 *   MOS_DROP       the packet is not forwarded; data, datalen, places and flags are not looked
 *                  at. Its hooks still run, and the receiver's side counts it as received, unless
 *                  MOS_DROP_HIDES (mos_ext.h) says otherwise
 *   MOS_OVERWRITE  datalen bytes at offset within the place become data
 *   MOS_CHOMP      datalen bytes at offset within the place go (data is not looked at)
 *   MOS_INSERT     datalen bytes of data go in before offset within the place
 *
 * CHOMP and INSERT mend the lengths in the headers: IP total length, and IHL or data offset, so in
 * headers datalen is a multiple of 4. MOS_ETH_HDR allows only MOS_OVERWRITE. Checksums change only
 * where a flag asks for it, then for all edits since they were right last; both flags with the last
 * edit will do. data is copied during the call.
 *
 * When the payload's length changes, the ends lose step unless MOS_SEQ_REMAP is set for the side
 * that sends it. With it, such edits are made at MOS_HK_SND; they are noted, and made again by the
 * library when the sender sends those bytes again, in whatever pieces. What has once gone to the
 * receiver does not change any more (EALREADY). Bytes that overtake others are gone, too: who wants
 * to edit those in front of them drops what comes out of order, until its sender sends it again. A
 * packet of such a side that is dropped at MOS_HK_SND is not seen by its receiver's side
 * (MOS_DROP_HIDES), and its bytes may still be edited. Where bytes went in, and none went, they
 * come again with the byte in front of which they are; at the end with the FIN, or else with the
 * last byte.
 *
 * Returns 0, or -1; the packet is then as it was.
 *   EACCES    bad context, this action is not allowed at this place, MOS_IP_HDR of a packet that is
 *             not IPv4, or MOS_SEQ_REMAP and not at MOS_HK_SND
 *   EPERM     outside the stack thread
 *   ENODATA   no packet is at hand
 *   EAGAIN    not exactly one action; trying again does not help
 *   EINVAL    offset < 0, no place, a range beyond the place, the packet does not have that part,
 *             or a header whose length would be none; MOS_SEQ_REMAP: bytes put into a packet with
 *             neither payload nor FIN
 *   EALREADY  MOS_SEQ_REMAP: these bytes have gone to the receiver as they were decided then
 *   EFAULT    data is NULL where bytes are needed
 *   EMSGSIZE  the packet would be longer than the MTU of its output port; MOS_SEQ_REMAP: more than
 *             1400 bytes in one place, or than one packet with full headers holds, or more than
 *             256 edits of one packet
 *   ENOBUFS   no room in the packet's buffer; or none to note the edit (then drop the packet: its
 *             sender sends it again)
 */
int mtcp_setlastpkt(mctx_t mctx, int sock, int side, off_t offset, byte *data, uint16_t datalen,
                    int option);

/*
 * Build a TCP packet from pkt and send it. Read are pkt->iph and pkt->tcph with as many bytes of
 * options as their lengths say, and pkt->payload with pkt->payloadlen; of the rest only what is
 * named below. All of it is the caller's and copied during the call. What mtcp_getlastpkt() has
 * filled in can be sent as it is: the packet goes out once more. Of IPv6: mtcp_sendpkt_ext().
 * Section 8.3.
 *
 *   as given   TOS, id, fragment bits, TTL (0 becomes 64), addresses, IP options; ports, sequence
 *              numbers, all flags, window, urgent pointer, TCP options
 *   filled in  IP total length, both checksums
 *   port       active socket: where the addresses lead in its flow, as either end is known there;
 *              otherwise the pair of pkt->in_ifidx
 *   link       active socket: the flow's link addresses, and its VLAN; otherwise pkt->ethh, with
 *              the VLAN tags between it and pkt->iph; or else those of the packet at hand
 *
 * It goes out before the packet at hand and behind those that were processed before it, also if the
 * program dies right after the call. It raises no events, and no flow knows of it. Callbacks and
 * timers; any monitoring socket. At most 256 during a burst, which is up to 32 packets.
 *
 * Returns 0 once the packet is queued to be sent, or -1 when nothing was sent.
 *   EACCES        bad context, or pkt is NULL
 *   EPERM         outside the stack thread
 *   EBADF         not a monitoring socket
 *   ENODATA       iph or tcph is NULL or does not hold a valid header: version not 4, IHL or data
 *                 offset below 5, protocol not TCP; or payload is NULL and payloadlen is not 0
 *   EMSGSIZE      longer than the MTU of the port, or than an empty packet (mbuf_size)
 *   EHOSTUNREACH  no port leads there, or no link address is known
 *   ENETDOWN      the link of that port is down; again, later
 *   ENOBUFS       no empty packet or no room in the queue; again, from a timer
 */
int mtcp_sendpkt(mctx_t mctx, int sock, const struct pkt_info *pkt);

/* ---- Addresses, timers, clock ---- */

/*
 * Store the addresses of the first SYN of an active socket's flow, as received: later rewriting
 * does not show. side CLI or SVR: one element of *len bytes; BOTH: two of *len / 2 bytes, the
 * client's first. An element is as large as a struct sockaddr (16), sockaddr_in6 (28) or
 * sockaddr_storage (128); each receives a struct sockaddr_in, or sockaddr_in6 when the flow is
 * IPv6, and its other bytes are left alone. *len is not changed; addr is the caller's. Stack
 * thread. Section 9.
 *
 * Returns 0, or -1; nothing was stored then.
 *   EACCES    bad context
 *   EPERM     outside the stack thread
 *   EBADF     no such socket
 *   ENOTCONN  no flow is behind the socket
 *   EINVAL    addr or len is NULL, *len or side is none of the above, or the flow is IPv6 and an
 *             element has 16 bytes
 */
int mtcp_getpeername(mctx_t mctx, int sock, struct sockaddr *addr, socklen_t *len, int side);

/*
 * Have the stack thread call cb(mctx, id, 0, 0, NULL) once, when *t has passed; also while there
 * is no flow. id is the program's own number, often a socket id; the same id may be given more
 * than once. A callback may set its timer again. *t is copied. Precise to one round of the stack
 * thread. mtcp_timer_set() (mos_ext.h) does the same for a timer that can be cancelled. Any
 * thread. Section 9.
 *
 * Returns 0, or -1.
 *   EACCES  bad context
 *   EINVAL  t or cb is NULL, a field of *t is negative, tv_usec > 999999, or more than 100 years
 *   ENOMEM  out of memory
 */
int mtcp_settimer(mctx_t mctx, int id, struct timeval *t, callback_t cb);

/*
 * Read the stack clock: microseconds modulo 2^32 (71.6 minutes), the same for all callbacks of
 * one round. Stack thread. Section 9.
 * Returns it, or 0.
 *   EACCES  bad context
 *   EPERM   outside the stack thread
 */
uint32_t mtcp_cb_get_ts(mctx_t mctx);

#ifdef __cplusplus
}
#endif

#endif
