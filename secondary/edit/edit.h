/*
 * Edits of the packet in hand, in its mbufs: what mtcp_setlastpkt() does to bytes (specification
 * section 8.2).
 *
 *   | Ethernet [VLAN] | IP + options | [ext.] TCP + options | payload | pad |
 *   '-- MOS_ETH_HDR   '- MOS_IP_HDR          '- MOS_TCP_HDR  '- MOS_TCP_PAYLOAD
 *     (14 bytes)         (IPv4)
 *
 * The meta data stays the truth about the frame. What was overwritten in headers is parsed again,
 * and counts if it still makes sense; if not, the old offsets stay good, for they lie within the
 * frame whatever its bytes say. Of an IPv4 packet the total length is looked at last: in
 * mos_edit_settle(), or with a TCP checksum. So a program may set it before it inserts or removes
 * bytes, which sets it anyhow.
 *
 * Bytes go in and out of headers at the front of the frame (its headroom), of the payload at its
 * end (its tailroom); so headers never leave the first mbuf.
 *
 * Checksums: what each edit changes is summed up in the packet at hand (sum.h) until an update is
 * asked for. Computed anew they are only when a length has changed, or the field was written.
 *
 * Stack thread. Knows neither flows nor streams nor events.
 */
#ifndef MOS_SECONDARY_EDIT_H
#define MOS_SECONDARY_EDIT_H

#include "secondary/worker.h"

/* Longest IP packet of either version that has an IP length. */
#define MOS_EDIT_ANY_MTU 65535

struct mos_edit {
	struct mos_cur_pkt *cur;
	uint64_t seed; /* of the flow hash */
	uint32_t mtu;  /* IP packets do not grow longer; MOS_EDIT_ANY_MTU: no limit is known */
	int option; /* one of MOS_OVERWRITE, _CHOMP, _INSERT; places; checksums are not looked at */
	int64_t offset; /* >= 0 */
	const void *data;
	uint32_t len;
};

/* How long the IP packet may become where it goes out. */
static inline uint32_t mos_edit_mtu(const struct mos_root *root, const struct mos_pkt_meta *meta)
{
	return meta->out_port < root->port_count ? root->port[meta->out_port].mtu
	                                         : MOS_EDIT_ANY_MTU;
}

/* Whether the edit can be made: 0, or -errno as mtcp_setlastpkt() gives it. */
int mos_edit_check(const struct mos_edit *e);

/* Make an edit that was checked: it does not fail. */
void mos_edit_apply(const struct mos_edit *e);

/* It changes bytes of the payload; all others leave them where they are. */
bool mos_edit_of_payload(const struct mos_edit *e);

/* Mend the checksums that option names, as far as the packet has them. */
void mos_edit_update(struct mos_cur_pkt *cur, uint64_t seed, int option);

/* Somebody wants to read the packet: what an edit left open is decided. */
void mos_edit_settle(struct mos_cur_pkt *cur, uint64_t seed);

/* Behind a change of lengths or addresses by others: the next update computes all anew. */
static inline void mos_edit_distrust(struct mos_cur_pkt *cur)
{
	cur->edit |= MOS_EDIT_IP_ANEW | MOS_EDIT_TCP_ANEW;
}

#endif
