/*
 * Monitoring sockets of one context, and the callback sets they carry.
 *
 *   id                                            socket
 *   [0, 64)                                       passive and raw, created by the application
 *   64 + k * max_flows + record, k in [0, 8)      active: flow `record` on passive socket number k
 *
 * An active socket needs no allocation and no table: its id names flow and passive socket. Its
 * state is one struct mos_flow_sock in the array of its passive socket.
 *
 * A callback set is immutable and interned: equal sets are one object, found by full comparison
 * and kept until the context ends, so publishing a change is one pointer store, nothing is freed
 * under a reader's feet, and a change on one of a million flows costs what it costs on one.
 *
 * Any thread creates, registers and closes (under the table's lock); the stack thread reads without
 * a lock. A closed socket is out of the path at the next packet; its array is swept and its number
 * given out again by the stack thread (mos_sockets_sweep), which alone attaches and detaches flows.
 */
#ifndef MOS_SECONDARY_SOCKET_H
#define MOS_SECONDARY_SOCKET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mos_api.h"
#include "shared/platform.h"

#define MOS_MON_ID_MAX  64 /* ids of passive and raw sockets */
#define MOS_PASSIVE_MAX 8
#define MOS_EVENT_BITS  12

enum mos_hook { MOS_HOOK_NULL, MOS_HOOK_SND, MOS_HOOK_RCV, MOS_HOOK_COUNT };

struct mos_cb_set {
	callback_t cb[MOS_HOOK_COUNT][MOS_EVENT_BITS];
	uint32_t mask[MOS_HOOK_COUNT]; /* bit b: cb[hook][b] is not NULL */
	struct mos_cb_set *next;       /* in the list of interned sets */
};

/* What one flow is to one passive socket. set == NULL: not attached. */
struct mos_flow_sock {
	_Atomic(const struct mos_cb_set *) set;
	void *uctx;
};

enum mos_sock_state { MOS_SOCK_FREE, MOS_SOCK_OPEN, MOS_SOCK_CLOSING };

struct mos_mon_sock {
	_Atomic uint32_t state; /* enum mos_sock_state */
	int type;               /* MOS_SOCK_MONITOR_STREAM or MOS_SOCK_MONITOR_RAW */
	int passive;            /* number k of a passive socket, -1 for raw */
	_Atomic(const struct mos_cb_set *) set;
	void *uctx;
	struct mos_flow_sock *flows; /* max_flows entries, passive only */
};

struct mos_sockets {
	pthread_mutex_t lock;
	uint32_t max_flows;
	struct mos_mon_sock mon[MOS_MON_ID_MAX];
	struct mos_cb_set *sets;        /* interned */
	const struct mos_cb_set *empty; /* no callback at all */
	/*
	 * The open sockets, each list in one word, so that the stack thread reads it whole.
	 * Passive: bytes, id + 1 in order of creation, the low byte first, 0 behind the last.
	 */
	_Atomic uint64_t passive_path;
	_Atomic uint64_t raw_path[MOS_MON_ID_MAX / 64]; /* bit per id */
	_Atomic bool sweep;                             /* some socket is closing */
};

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
 * Change one callback of a passive, raw or active socket; cb NULL unregisters. event_bit is the
 * number of a built-in event that is valid at the hook. 0, -EBADF, -ENOMEM. On an active socket the
 * change holds for that flow from its next dispatch on.
 */
int mos_socket_register(struct mos_sockets *s, int id, unsigned event_bit, enum mos_hook hook,
                        callback_t cb);

/* The open passive or raw socket of this id, or NULL. */
struct mos_mon_sock *mos_socket_mon(struct mos_sockets *s, int id);

/* MOS_SOCK_* type of an id, MOS_SOCK_UNUSED if it names nothing. */
int mos_socket_type(struct mos_sockets *s, int id);

/* ---- stack thread ---- */

/* The entry of an active socket id and its flow record; NULL if the id names no attached flow. */
struct mos_flow_sock *mos_socket_active(struct mos_sockets *s, int id, uint32_t *flow);

/* Attach a new flow to every open passive socket. */
void mos_sockets_attach_flow(struct mos_sockets *s, uint32_t flow);
/* Detach it from all. */
void mos_sockets_detach_flow(struct mos_sockets *s, uint32_t flow);

/* Finish closing: free the flow entries of closed sockets and their ids and numbers. */
void mos_sockets_sweep(struct mos_sockets *s);

/* The id of the active socket of a flow on a passive socket. */
static inline int mos_active_id(const struct mos_sockets *s, int passive, uint32_t flow)
{
	return (int)(MOS_MON_ID_MAX + (uint32_t)passive * s->max_flows + flow);
}

static inline bool mos_sockets_have_passive(const struct mos_sockets *s)
{
	return atomic_load_explicit(&s->passive_path, memory_order_acquire) != 0;
}

#endif
