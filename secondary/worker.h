/*
 * What a worker process is made of, in one place: the private structs of libmos.
 *
 *   struct mos_worker   one per process: configuration, control socket, root
 *   struct mos_ctx      one per context: a leased shard and the stack thread that works on it
 *
 *   thread            touches
 *   stack thread      its struct mos_ctx, the shard behind it, every callback
 *   any app thread    sockets and callback sets (published whole), timers (under their lock),
 *                     the life cycle calls (secondary/context)
 *
 * Flow state lives in the shard, in shared memory. What belongs to this process alone (socket
 * ids, uctx, callback sets) lives in heap arrays indexed by flow record, and dies with it.
 */
#ifndef MOS_SECONDARY_WORKER_H
#define MOS_SECONDARY_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mos_api.h"
#include "secondary/app_timer/app_timer.h"
#include "secondary/flow_timer/flow_timer.h"
#include "secondary/last_packet/last_packet.h"
#include "secondary/remap/remap.h"
#include "secondary/socket/socket.h"
#include "secondary/stream/stream.h"
#include "shared/config/config.h"
#include "shared/flow_table/flow_table.h"
#include "shared/packet/packet.h"
#include "shared/root/root.h"
#include "shared/root/shard.h"

struct rte_mbuf;
struct mos_work;

/* The packet that callbacks see; mbuf is NULL outside of packet events. */
struct mos_cur_pkt {
	struct rte_mbuf *mbuf;
	struct mos_pkt_meta *meta;
	uint64_t raw; /* raw sockets whose filter accepted it: bit per id */
	uint8_t from; /* side that sent it, if it is of the flow that the ledger names */
	bool segment; /* its flow has been looked up: it stays a TCP segment, whatever is edited */
	bool edited;  /* by the application, since the pipeline looked at it last */
	struct mos_work *work; /* the pipeline's, of a segment; NULL: not at a flow's turn */
	/* secondary/edit: what its checksums do not account for yet */
	uint8_t edit; /* MOS_EDIT_* */
	uint16_t ip_delta, tcp_delta;
};

/* mos_cur_pkt.edit */
enum {
	MOS_EDIT_IP_ANEW = 1 << 0, /* the deltas do not tell: a length changed, the field was set */
	MOS_EDIT_TCP_ANEW = 1 << 1,
	MOS_EDIT_COUNTED = 1 << 2, /* as W_EDITED */
};

/* What this process keeps about a flow, in one byte. Bits of a side: shift by it. */
enum mos_flow_flag {
	MOS_FF_READ = 1 << 0,       /* of CLI: its stream is kept, for somebody reads it */
	MOS_FF_DROP_HIDES = 1 << 2, /* a dropped packet does not reach its receiver's side */
	MOS_FF_LAST = 1 << 3,       /* the last packet of each side is kept */
};

/* What the MOS_ON_ERROR is about that is being raised. */
struct mos_stream_told {
	uint32_t flow; /* MOS_FLOW_NONE: none is being raised */
	uint8_t side;
	int cause;        /* enum mos_gap_cause */
	uint32_t pkt_off; /* MOS_GAP_CONFLICT: bytes into the payload at hand */
	struct mos_stream_range range;
};

struct mos_event_dispatch;

/* Where a context is in its life: secondary/context draws it. */
enum mos_ctx_state {
	MOS_CTX_FREE,
	MOS_CTX_BUSY,       /* being created or taken apart: nobody may use it */
	MOS_CTX_SETTING_UP, /* the application creates sockets, or a successor waits for its shard */
	MOS_CTX_RUNNING,
	MOS_CTX_ENDED, /* the lease is given back; the application's sockets and timers stay */
};

struct mos_ctx {
	struct mtcp_context api;  /* what the application holds: must stay first */
	_Atomic uint32_t state;   /* enum mos_ctx_state */
	_Atomic uint32_t destroy; /* 1 = the application gives it up */
	_Atomic uint32_t callers; /* API calls under way that any thread may make */
	_Atomic bool stop;        /* asked to end */
	_Atomic bool open;        /* the application has set up: take packets */
	_Atomic bool handed_over; /* the shard went to a successor: a planned upgrade */
	pthread_t thread;
	pthread_t creator; /* thread that created it */

	/* the lease */
	struct mos_root *root;
	struct mos_shard *shard; /* NULL: a successor's, not yet. Other threads: mos_ctx_shard */
	uint32_t epoch;
	int ctl_fd;

	/* flows */
	struct mos_flow_table flows;
	struct mos_flow_timer flow_timer;
	uint8_t *to_restore; /* by record: 1 = a flow to be restored, if in use; NULL = none left */
	uint32_t restore_next, restore_end; /* of the walk over them: next record, and behind all */

	/* who else looks at the flows: secondary/readers */
	uint64_t readers_seen; /* root->readers_now, at the last round */
	uint64_t grace;        /* token of the grace period that a batch in limbo waits for */

	/* sockets, events, timers */
	struct mos_sockets sockets;
	struct mos_app_timers timers;
	struct mos_event_dispatch *dispatch; /* under way, NULL = none: secondary/event */
	uint32_t stopped_flow; /* in hand, with a MOS_STOP_MON: does anybody still watch it? */
	struct mos_cur_pkt cur;
	uint8_t *flow_flags; /* by record: enum mos_flow_flag */
	uint8_t *scratch;    /* frame copy behind mtcp_getlastpkt's pointers */
	struct mos_last_packets last;

	/* streams */
	struct mos_streams streams;
	struct mos_stream_told told;
	bool streams_read; /* some flow has, or had, a MOS_FF_READ */
	struct mos_remap remap;

	/* clock */
	uint64_t now_ns; /* any thread reads it, for a timer: stored in one piece */
	uint32_t now_ms;
	uint64_t next_check_ns; /* when the control socket is looked at again */
	uint32_t idle_rounds;
};

/* Longest frame mtcp_getlastpkt shows; longer ones are cut there. */
#define MOS_SCRATCH_BYTES 65664
/* Where the copy begins: headers behind an Ethernet header, tagged or not, are aligned then. */
#define MOS_SCRATCH_OFF   2
/* Behind it, as many bytes for what the library itself makes of a packet. */
#define MOS_SCRATCH_ALL   (MOS_SCRATCH_OFF + 2 * MOS_SCRATCH_BYTES)

struct mos_worker {
	struct mos_config cfg;
	struct mos_root *root;
	int ctl_fd;                  /* -1 = not attached */
	pthread_mutex_t ctl_lock;    /* to receive, and of: */
	bool expects[MOS_SHARD_MAX]; /* by context: an answer is to come */
	int num_cores;               /* contexts this process may create */
	_Atomic bool stopping;       /* SIGINT: all contexts end, also future ones */
	int preferred_shard;         /* from MOS_SHARD, -1 = none */
	int32_t take_over;           /* from MOS_TAKE_OVER: MOS_CTL_FROM_*, or a process id */
	uint32_t role;               /* MOS_CTL_WORKER, or MOS_CTL_READER: gets no shard */
	uint32_t attach_slot;        /* once attached */
	struct mos_ctx ctx[MOS_SHARD_MAX];
};

extern struct mos_worker mos_worker;

/* The context behind an application's handle, in any state; NULL with errno EACCES. */
struct mos_ctx *mos_ctx_from(mctx_t mctx);

/*
 * The context behind a handle from its creation until it is destroyed, whether its stack thread
 * takes packets or has ended; NULL with errno EACCES. With stack_thread_only, NULL with EPERM when
 * called from another thread.
 */
struct mos_ctx *mos_ctx_live(mctx_t mctx, bool stack_thread_only);

/*
 * The same for calls that any thread may make: until mos_ctx_leave the context is not taken apart.
 * MOS_CTX_HELD declares a pointer that leaves at the end of its block.
 */
struct mos_ctx *mos_ctx_enter(mctx_t mctx);
void mos_ctx_leave(struct mos_ctx **c);

#define MOS_CTX_HELD(c, mctx) \
	struct mos_ctx *c __attribute__((cleanup(mos_ctx_leave))) = mos_ctx_enter(mctx)

/* The shard it has, or had; NULL: none yet. Any thread, of a context that is not taken apart. */
static inline const struct mos_shard *mos_ctx_shard(const struct mos_ctx *c)
{
	return __atomic_load_n(&c->shard, __ATOMIC_ACQUIRE);
}

/* True on the stack thread of c. */
bool mos_on_stack_thread(const struct mos_ctx *c);

#endif
