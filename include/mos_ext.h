/*
 * mos_ext.h - what mos-mp offers beyond the classic API.
 */
#ifndef MOS_EXT_H
#define MOS_EXT_H

#include <stdint.h>
#include <netinet/ip6.h>

#include "mos_api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Grows with each addition to this file. */
#define MOS_EXT_VERSION 2

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

/* ---- Timers that can be cancelled ---- */

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

#ifdef __cplusplus
}
#endif

#endif
