/*
 * Packet filters of monitoring sockets: expressions in libpcap's language (pcap-filter(7)),
 * compiled to classic BPF and run by libpcap's interpreter.
 *
 * Why not by rte_bpf's compiler, which takes half the time? In DPDK 22.11 rte_bpf_convert()
 * allocates from EAL's shared heap, whose lock does not survive SIGKILL, and makes `tcp[13]` read
 * elsewhere; loads add offsets without a look at the carry, so that an offset taken from a packet
 * may crash the worker; the machine code of `tcp[13] & 2` is wrong; and jumps may miss their
 * targets by some bytes, which cannot be seen from outside.
 *
 * An expression is about the frame from its Ethernet header on. Its length, for `less` and
 * `greater`, is that of the Ethernet header and the IP packet: padding does not count
 * (specification section 3.2). A tagged frame is matched by `vlan and ...`, as in tcpdump.
 *
 * Compiling allocates and may take long (a host name is looked up): any thread, but no lock that
 * the stack thread needs may be held. Matching allocates nothing: stack thread. A filter is
 * immutable; who replaces one destroys the old when the stack thread is between rounds.
 */
#ifndef MOS_SECONDARY_FILTER_H
#define MOS_SECONDARY_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "shared/flow_table/flow.h"
#include "shared/packet/packet.h"

struct rte_mbuf;
struct mos_filter;

/*
 * Longest expression, in characters and in words; `host a or b` has four. libpcap is given no more,
 * since its time grows with the square of that: at the limit it takes seconds.
 */
#define MOS_FILTER_LEN_MAX   8192
#define MOS_FILTER_WORDS_MAX 512

/*
 * Compile an expression; the empty one accepts everything. 0 and *out; -EINVAL: the reason is put
 * into why (one line, cut at why_len); -ENOMEM. Takes nothing from EAL's shared heap.
 */
int mos_filter_compile(struct mos_filter **out, const char *expr, char *why, size_t why_len);

/* Free a filter; NULL is allowed. */
void mos_filter_destroy(struct mos_filter *f);

/* Does the filter accept the packet? NULL accepts all. Never reads beyond the frame. */
bool mos_filter_match(const struct mos_filter *f, const struct rte_mbuf *m,
                      const struct mos_pkt_meta *meta);

/*
 * Would it have accepted the first SYN of this flow? For a flow that was taken over: the packet is
 * gone, and is made up from the record (syn_frame.h). An expression about what a record does not
 * hold may be answered otherwise: options and lengths, TTL, identification, window, ECN, a second
 * VLAN tag, the tag's type and priority. Stack thread.
 */
bool mos_filter_match_flow(const struct mos_filter *f, const struct mos_flow *flow);

#endif
