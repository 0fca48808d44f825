/* Changing the packet in hand: specification section 8.2. */
#include <errno.h>

#include <rte_ip.h>
#include <rte_mbuf.h>

#include "secondary/api/api_priv.h"
#include "secondary/worker.h"

#define ACTIONS (MOS_DROP | MOS_OVERWRITE | MOS_CHOMP | MOS_INSERT)

/* How long the place that option names is; of several the outermost counts. Or -errno. */
static int place_len(const struct mos_cur_pkt *cur, int option)
{
	const struct mos_pkt_meta *meta = cur->meta;

	if (option & MOS_ETH_HDR)
		return option & MOS_OVERWRITE ? ETH_HLEN : -EACCES;
	if (option & MOS_IP_HDR) {
		if (meta->ip_version != 4)
			return -EACCES;
		return rte_ipv4_hdr_len(rte_pktmbuf_mtod_offset(
			cur->mbuf, const struct rte_ipv4_hdr *, meta->l3_off));
	}
	if (!(option & (MOS_TCP_HDR | MOS_TCP_PAYLOAD)) || meta->pkt_class != MOS_PKT_TCP)
		return -EINVAL;
	return option & MOS_TCP_HDR ? meta->payload_off - meta->l4_off : meta->payload_len;
}

/* Whether the edit makes sense for this packet. 0 or -errno. */
static int check_edit(const struct mos_cur_pkt *cur, off_t offset, const byte *data,
                      uint16_t datalen, int option)
{
	int len = place_len(cur, option);

	if (len < 0)
		return len;
	if (offset > len || (!(option & MOS_INSERT) && datalen > len - offset))
		return -EINVAL;
	if (!(option & MOS_CHOMP) && data == NULL && datalen > 0)
		return -EFAULT;
	return 0;
}

int mtcp_setlastpkt(mctx_t mctx, int sock, int side, off_t offset, byte *data, uint16_t datalen,
                    int option)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);
	int err;

	if (c == NULL)
		return -1;
	if (c->cur.mbuf == NULL)
		return fail(ENODATA);
	if (offset < 0)
		return fail(EINVAL);
	if (__builtin_popcount((unsigned)option & ACTIONS) != 1)
		return fail(EAGAIN);
	if (option & MOS_DROP) {
		c->cur.meta->verdict = MOS_VERDICT_DROP;
		return 0;
	}
	err = check_edit(&c->cur, offset, data, datalen, option);
	return fail(err != 0 ? -err : ENOSYS); /* edits are not built */
}
