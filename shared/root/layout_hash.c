#include "shared/root/root.h"

#include <stddef.h>

#include "shared/chunk_pool/chunk_pool.h"
#include "shared/control/control_msg.h"
#include "shared/flow_table/flow.h"
#include "shared/packet/packet.h"
#include "shared/root/shard.h"
#include "shared/root/user_area.h"

/* FNV-1a over 64-bit words: tells layouts apart, is no defence against anyone. */
static uint64_t mix(uint64_t h, uint64_t word)
{
	for (int i = 0; i < 8; i++) {
		h ^= (word >> (8 * i)) & 0xff;
		h *= UINT64_C(0x100000001b3);
	}
	return h;
}

uint64_t mos_layout_hash(void)
{
	static const uint64_t words[] = {
		MOS_LAYOUT_VERSION,
		MOS_SHARD_MAX,
		MOS_PORT_MAX,
		MOS_BUCKET_BITS,
		MOS_BURST_MAX,
		MOS_CTR_COUNT,
		sizeof(struct mos_root),
		offsetof(struct mos_root, settings),
		offsetof(struct mos_root, shard),
		offsetof(struct mos_root, readers),
		offsetof(struct mos_root, port),
		offsetof(struct mos_root, bucket),
		offsetof(struct mos_root, run),
		offsetof(struct mos_root, clock_ns),
		offsetof(struct mos_root, readers_now),
		offsetof(struct mos_root, io),
		sizeof(struct mos_settings),
		offsetof(struct mos_settings, forward),
		offsetof(struct mos_settings, verify_tcp_csum),
		sizeof(struct mos_port_row),
		offsetof(struct mos_port_row, dpdk_port),
		offsetof(struct mos_port_row, csum_offload),
		sizeof(struct mos_shard),
		offsetof(struct mos_shard, rx),
		offsetof(struct mos_shard, flow_table),
		offsetof(struct mos_shard, chunk_pool),
		offsetof(struct mos_shard, readers_seen),
		offsetof(struct mos_shard, lease),
		offsetof(struct mos_shard, ledger),
		offsetof(struct mos_shard, counters),
		sizeof(struct mos_lease),
		offsetof(struct mos_lease, asked),
		offsetof(struct mos_lease, heartbeat),
		sizeof(struct mos_ledger),
		offsetof(struct mos_ledger, outbox),
		offsetof(struct mos_ledger, at),
		offsetof(struct mos_ledger, flow),
		offsetof(struct mos_shard, outbox),
		MOS_OUTBOX_MAX,
		sizeof(struct mos_outbox_entry),
		sizeof(struct mos_counters),
		sizeof(struct mos_pkt_meta),
		offsetof(struct mos_pkt_meta, verdict),
		sizeof(struct mos_flow),
		offsetof(struct mos_flow, state),
		offsetof(struct mos_flow, id),
		offsetof(struct mos_flow, packets),
		offsetof(struct mos_flow, mac),
		offsetof(struct mos_flow, ts_lag),
		offsetof(struct mos_flow, wnd_max),
		offsetof(struct mos_flow, stream),
		offsetof(struct mos_flow, pos),
		offsetof(struct mos_flow, out),
		offsetof(struct mos_flow, edits),
		sizeof(struct mos_stream),
		offsetof(struct mos_stream, readers),
		sizeof(struct mos_chunk),
		offsetof(struct mos_chunk, bytes),
		sizeof(struct mos_flow_key),
		sizeof(struct mos_half),
		offsetof(struct mos_half, flags),
		sizeof(struct mos_ctl_msg),
		sizeof(struct mos_area),
	};
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		h = mix(h, words[i]);
	return h;
}
