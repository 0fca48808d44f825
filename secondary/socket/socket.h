/*
 * Monitoring sockets of one context, with the callback sets and filters they carry.
 *
 *   id                                            socket
 *   [0, 64)                                       passive and raw, created by the application
 *   64 + k * max_flows + record, k in [0, 8)      active: flow `record` on passive socket number k
 *
 * An active socket needs no allocation and no table: its id names flow and passive socket. Its
 * state is one struct mos_flow_sock in the array of its passive socket.
 *
 * Any thread creates, registers, binds filters and closes (under the table's lock); the stack
 * thread reads without a lock. Callback sets are interned and counted (secondary/cb_set). A closed
 * socket is out of the path at the next packet; its array is swept and its number given out again
 * by the stack thread between rounds (mos_sockets_sweep), which also frees replaced filters and
 * unused sets: it is the only reader, so the end of its round is the grace period. The stack thread
 * alone attaches and detaches flows.
 *
 * The lock is never held by a thread that can be interrupted by a handler of the application: one
 * that waits there for the stack thread would wait for ever, should that one want the lock.
 */
#ifndef MOS_SECONDARY_SOCKET_H
#define MOS_SECONDARY_SOCKET_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mos_api.h"
#include "secondary/cb_set/cb_set.h"
#include "shared/platform.h"

struct mos_filter;

#define MOS_MON_ID_MAX  64 /* ids of passive and raw sockets */
#define MOS_PASSIVE_MAX 8
#define MOS_BOTH_SIDES  3 /* a bit per side */

/* What one flow is to one passive socket. Letters: * any thread, T the stack thread. */
struct mos_flow_sock {
	_Atomic(struct mos_cb_set *) set; /* * with a reference; NULL: not attached */
	void *uctx;                       /* T */
	uint8_t stopped; /* T MOS_STOP_MON: bit per side, and of MOS_SIDE_BOTH when both are */
};

/* mos_mon_sock.options */
enum {
	MOS_SOCK_DROP_HIDES = 1 << 0,
	MOS_SOCK_LAST_PACKETS = 1 << 1,
};

enum mos_sock_state { MOS_SOCK_FREE, MOS_SOCK_OPEN, MOS_SOCK_CLOSING };

/* Filters of a socket: a raw one has MOS_FILTER_RAW, a passive one the other two. */
enum mos_filter_use {
	MOS_FILTER_RAW = 0,
	MOS_FILTER_SYN = 0,
	MOS_FILTER_ORPHAN = 1,
	MOS_FILTER_USES
};

struct mos_mon_sock {
	_Atomic uint32_t state;           /* enum mos_sock_state */
	int type;                         /* MOS_SOCK_MONITOR_STREAM or MOS_SOCK_MONITOR_RAW */
	int passive;                      /* number k of a passive socket, -1 for raw */
	uint32_t nth;                     /* of the passive ones that were created here, from 0 */
	_Atomic(struct mos_cb_set *) set; /* with a reference */
	_Atomic(struct mos_filter *) filter[MOS_FILTER_USES]; /* NULL: accepts all */
	_Atomic int32_t buffer[2]; /* by side: bytes of unread data to keep, -1 = as configured */
	_Atomic uint8_t stream_flags[2]; /* by side: MOS_STREAM_LAST, MOS_STREAM_KEEP */
	_Atomic uint8_t reads;           /* bit per side: some flow was read, so others will be */
	_Atomic uint8_t options;         /* MOS_SOCK_*, for flows to come */
	_Atomic uint32_t area_version;   /* MOS_AREA_VERSION, for flows to come */
	void *uctx;
	struct mos_flow_sock *flows; /* max_flows entries, passive only */
	uint32_t swept;              /* of a closed one: entries given back so far */
};

struct mos_sockets {
	pthread_mutex_t lock;
	uint32_t max_flows;
	struct mos_mon_sock mon[MOS_MON_ID_MAX];
	uint32_t passive_made; /* passive sockets created so far; under the lock */
	struct mos_cb_sets sets;
	struct mos_filter **replaced; /* to be freed by the sweep */
	uint32_t replaced_count, replaced_room;
	/*
	 * The open sockets, each list in one word, so that the stack thread reads it whole.
	 * Passive: bytes, id + 1 in order of creation, the low byte first, 0 behind the last.
	 */
	_Atomic uint64_t passive_path;
	_Atomic uint64_t raw_path; /* bit per id */
	_Atomic bool sweep;        /* a socket is closing, a filter replaced */
	uint32_t sweeps_missed;    /* stack thread: in a row, since another thread had the lock */
	/* Called by the sweep, NULL = nobody cares: the flow was on the closed socket number k. */
	void (*left)(void *arg, uint32_t flow, unsigned k);
	void *left_arg;
};

static_assert(MOS_MON_ID_MAX <= 64, "sets of ids are words, with a bit per id");

/* ---- before and after the stack thread ---- */

/* 0, -EINVAL (more ids than an int has), -ENOMEM. */
int mos_sockets_init(struct mos_sockets *s, uint32_t max_flows);
void mos_sockets_fini(struct mos_sockets *s);

/* ---- any thread ---- */

/* New passive or raw socket: id, or -ENFILE, -ENOMEM. */
int mos_socket_open(struct mos_sockets *s, int type);

/*
 * Close a passive or raw socket: 0 or -EBADF. Flows of a passive socket are silently detached:
 * no CONN_END is raised for them.
 */
int mos_socket_close(struct mos_sockets *s, int id);

/*
 * Change one callback of a passive, raw or active socket; cb NULL unregisters. The event is valid
 * at the hook (mos_event_check). 0, -EBADF, -ENOMEM. On an active socket the change holds for that
 * flow from its next dispatch on; on a passive one for flows to come.
 */
int mos_socket_register(struct mos_sockets *s, int id, event_t event, enum mos_hook hook,
                        callback_t cb);

/*
 * Give a passive or raw socket new filters; NULL leaves one as it is. Takes them over, also when it
 * fails. 0, -EBADF (closed meanwhile), -ENOMEM.
 */
int mos_socket_bind(struct mos_sockets *s, int id, struct mos_filter *const f[MOS_FILTER_USES]);

/* The open passive or raw socket of this id, or NULL. */
struct mos_mon_sock *mos_socket_mon(struct mos_sockets *s, int id);

/* MOS_SOCK_* type of an id, MOS_SOCK_UNUSED if it names nothing. */
int mos_socket_type(struct mos_sockets *s, int id);

/*
 * What a passive socket wants of a side's stream in flows to come: how many bytes of unread data
 * are kept (0 = no buffer); MOS_STREAM_LAST or MOS_STREAM_KEEP on or off.
 */
void mos_socket_set_buffer(struct mos_mon_sock *m, int side, int32_t bytes);
void mos_socket_set_stream_flag(struct mos_mon_sock *m, int side, uint8_t flag, bool on);

/* What it wants of flows to come besides: MOS_SOCK_* on or off. */
void mos_socket_set_option(struct mos_mon_sock *m, uint8_t option, bool on);

/* Which version the areas of flows to come have; 0: it does not say. */
void mos_socket_set_area_version(struct mos_mon_sock *m, uint32_t version);

/* ---- stack thread ---- */

/*
 * The calling thread is a stack thread: handlers do not run on it, so that the lock need not be
 * guarded against them, which takes two system calls. Once, at its start.
 */
void mos_sockets_on_stack_thread(void);

/* The entry of an active socket id and its flow record; NULL if the id names no attached flow. */
struct mos_flow_sock *mos_socket_active(struct mos_sockets *s, int id, uint32_t *flow);
/* The same, but the passive socket whose entry that is. */
struct mos_mon_sock *mos_socket_of_active(struct mos_sockets *s, int id, uint32_t *flow);

/*
 * Attach a new flow to the passive sockets of `ids` (bit per id) that are still open; each gets the
 * callback set its passive socket has now. Returns to how many.
 */
unsigned mos_sockets_attach_flow(struct mos_sockets *s, uint32_t flow, uint64_t ids);
/* Detach it from all. */
void mos_sockets_detach_flow(struct mos_sockets *s, uint32_t flow);

/* No further event of these sides (bit per side) for the flow on this socket. */
void mos_flow_sock_stop(struct mos_flow_sock *a, uint8_t sides);

/* Nobody watches any side of the flow: it is on no socket, or all have stopped both sides. */
bool mos_sockets_unwatched(struct mos_sockets *s, uint32_t flow);

/* In stream_flags: what the flow's streams get, and that the lengths of what comes are edited. */
#define MOS_STREAM_WISHED (MOS_STREAM_LAST | MOS_STREAM_KEEP)
#define MOS_WISH_EDITED   (1 << 7)

/* What the sockets of a flow want of one side's stream. */
struct mos_stream_wish {
	uint32_t limit;   /* bytes; the largest of all counts, 0 = none wants a buffer */
	uint8_t flags;    /* MOS_STREAM_LAST, MOS_STREAM_KEEP: what any of them asks for */
	uint8_t readers;  /* bit per passive number: it will read */
	uint8_t attached; /* bit per passive number: the flow is on it */
};

/*
 * Ask all sockets the flow is on. usual: bytes for those that have not said. A socket will read
 * when it has a callback for NEW_DATA, was given a buffer, or has read this side of another flow;
 * not, when it has stopped the side.
 */
struct mos_stream_wish mos_sockets_wish(struct mos_sockets *s, uint32_t flow, int side,
                                        uint32_t usual);

/* What the sockets of a flow want of it besides: bit per passive number. */
struct mos_flow_wish {
	uint8_t drop_hides;
	uint8_t last_packets;
};

struct mos_flow_wish mos_sockets_flow_wish(struct mos_sockets *s, uint32_t flow);

/* The version that the area of a new flow gets: of the first of these ids that says one. */
uint32_t mos_sockets_area_version(struct mos_sockets *s, uint64_t ids);

/* The uctx of an attached flow on each of its sockets, by how many were created before it. */
void mos_sockets_set_uctx(struct mos_sockets *s, uint32_t flow, void *const uctx[MOS_PASSIVE_MAX]);

/* The sockets (bit per passive number) that have a callback for CONN_RESTORE of a flow. */
uint8_t mos_sockets_await_restore(struct mos_sockets *s, uint32_t flow);

/* The sockets (bit per passive number) that have a callback for NEW_DATA of this side of a flow. */
uint8_t mos_sockets_await_data(struct mos_sockets *s, uint32_t flow, int side);

/* The socket with passive number k has read this side of some flow. */
void mos_sockets_note_read(struct mos_sockets *s, unsigned k, int side);

/*
 * Between rounds: free the flow entries of closed sockets, their ids and numbers, replaced filters,
 * callback sets nobody has. Puts it off when another thread has the lock, some times in a row.
 */
void mos_sockets_sweep(struct mos_sockets *s);

/* The id of the active socket of a flow on a passive socket. */
static inline int mos_active_id(const struct mos_sockets *s, int passive, uint32_t flow)
{
	return (int)(MOS_MON_ID_MAX + (uint32_t)passive * s->max_flows + flow);
}

/* Is there but one passive socket, and its bit in readers? Then nobody else can await data. */
static inline bool mos_sockets_all_read(const struct mos_sockets *s, uint8_t readers)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);

	return path - 1 < 0xff && (readers >> s->mon[path - 1].passive & 1);
}

/* Start bringing near what the first passive socket has about a flow. Any number. */
static inline void mos_sockets_prefetch(const struct mos_sockets *s, uint32_t flow)
{
	uint64_t path = atomic_load_explicit(&s->passive_path, memory_order_acquire);

	if (path != 0)
		mos_prefetch(&s->mon[(path & 0xff) - 1].flows[flow]);
}

static inline bool mos_sockets_have_passive(const struct mos_sockets *s)
{
	return atomic_load_explicit(&s->passive_path, memory_order_acquire) != 0;
}

#endif
