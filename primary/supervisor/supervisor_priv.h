/*
 * Inside the supervisor: the table of workers (workers.c), the shards they hold (shards.c), and the
 * thread that joins the two (supervisor.c). One thread, no locks.
 */
#ifndef MOS_PRIMARY_SUPERVISOR_PRIV_H
#define MOS_PRIMARY_SUPERVISOR_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "primary/topology.h"
#include "shared/control/control_msg.h"

/* Processes that may be attached at once: all shards, as many standbys, some that are leaving. */
#define WORKER_MAX (2 * MOS_SHARD_MAX + 16)
static_assert(WORKER_MAX < 127, "attach slots 1..WORKER_MAX are EAL lcore ids");

/*
 *   FREE -> CONNECTED -> WAITING -> ATTACHING -> ATTACHED -> FREE
 *              HELLO     WELCOME     ATTACHED      pidfd
 *
 * An entry that has been welcomed lives until its process is gone: EAL keeps using its lcore id.
 */
enum worker_state {
	WORKER_FREE,
	WORKER_CONNECTED, /* has said nothing yet */
	WORKER_WAITING,   /* HELLO came; someone else is attaching */
	WORKER_ATTACHING, /* in rte_eal_init: may hold EAL's locks */
	WORKER_ATTACHED,
};

struct worker {
	enum worker_state state;
	int fd; /* -1 once the peer has closed it */
	int pidfd;
	pid_t pid;
	uint64_t start_time;
	uint64_t since_ns; /* when it entered the state */
	uint64_t order;    /* of arrival */
};

/* What the supervisor remembers of a shard beyond its lease. */
struct shard_watch {
	uint64_t unserved_ns; /* since when nobody serves it */
	bool was_served;      /* somebody did, once */
	uint64_t beat;        /* heartbeat at the last look */
	uint64_t beat_ns;     /* when it last moved, or nothing waited */
	bool began;           /* the holder's heart has beaten: it has taken over the flows */
	bool stalled;         /* reported */
};

struct mos_supervisor {
	struct mos_primary *p;
	pthread_t thread;
	int listen_fd;
	_Atomic bool stopping;
	uint64_t stop_by_ns;
	uint64_t arrivals;
	bool hold_for_ever; /* a capture port waits, it loses nothing */
	struct worker worker[WORKER_MAX];
	struct shard_watch watch[MOS_SHARD_MAX];
};

/* CLOCK_MONOTONIC. */
uint64_t mos_sup_now_ns(void);

/* ---- workers.c ---- */

/* Somebody connects to the control socket. */
void mos_sup_accept(struct mos_supervisor *s);
/* The connection of a worker can be read, or has ended. */
void mos_sup_message(struct mos_supervisor *s, struct worker *w);
/* Its pidfd says that the process is gone. */
void mos_sup_gone(struct mos_supervisor *s, struct worker *w);
/* Look at deadlines, let the next one attach. */
void mos_sup_tend_workers(struct mos_supervisor *s);
/* At the end: forget everybody. */
void mos_sup_close_all(struct mos_supervisor *s);

/* ---- shards.c ---- */

/* Before the first worker: every shard is without one from now on. */
void mos_sup_shards_init(struct mos_supervisor *s);

/* Give a worker a shard, the wanted one if it is free. Fills the answer. */
void mos_sup_lease(struct mos_supervisor *s, struct worker *w, uint32_t want,
                   struct mos_ctl_msg *answer);
/* A worker has yielded a shard. */
void mos_sup_release(struct mos_supervisor *s, struct worker *w, const struct mos_ctl_msg *m,
                     struct mos_ctl_msg *answer);
/* The process is gone: what it held is DEAD. */
void mos_sup_declare_dead(struct mos_supervisor *s, const struct worker *w);
/* Repair dead shards, end hold times, look for stalls. */
void mos_sup_tend_shards(struct mos_supervisor *s);

#endif
