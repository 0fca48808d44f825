/*
 * Inside the supervisor: the table of workers (workers.c), who gets which shard (leases.c, and in
 * which order: claims.h), what becomes of shards and their holders (shards.c, and if their memory is
 * damaged: condemn.c), those that only look on (readers.c), and the thread that joins these
 * (supervisor.c). One thread, no locks.
 */
#ifndef MOS_PRIMARY_SUPERVISOR_PRIV_H
#define MOS_PRIMARY_SUPERVISOR_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "primary/supervisor/claims.h"
#include "primary/topology.h"
#include "shared/control/control_msg.h"

/* Processes that may be attached at once: all shards, as many standbys, some that are leaving. */
#define WORKER_MAX (2 * MOS_SHARD_MAX + 16)
static_assert(WORKER_MAX < MOS_ATTACH_SLOTS, "attach slots 1..WORKER_MAX");

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
	bool reader;       /* said so in its HELLO: gets no shard */
	uint64_t seen;     /* of a reader: its counter at the last look */
	uint64_t seen_ns;  /* when that last moved, or held nobody up */
};

/* Who holds a shard: as the lease says, where no worker can write. */
struct holder {
	bool held;
	pid_t pid;
	uint64_t start_time;
	uint32_t epoch; /* of the present or the last one */
};

/* What the supervisor remembers of a shard beyond its lease. */
struct shard_watch {
	struct holder holder;
	bool condemned;       /* its memory is damaged, and its holder killed for it, or gone */
	uint64_t unserved_ns; /* since when nobody serves it */
	uint64_t gap_ns;      /* how long nobody had, when the present holder came */
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
	uint64_t readers_now; /* what root->readers_now is to say */
	bool sweep_due;       /* somebody is dead whose files of EAL may be left */
	bool hold_for_ever;   /* a capture port waits, it loses nothing */
	struct worker worker[WORKER_MAX];
	struct shard_watch watch[MOS_SHARD_MAX];
	struct mos_claims claims; /* who waits for a shard; worker: index in worker[] */
};

/* CLOCK_MONOTONIC. */
uint64_t mos_sup_now_ns(void);

/* EAL lcore id of the process, and its thread id as a reader. */
static inline uint32_t attach_slot(const struct mos_supervisor *s, const struct worker *w)
{
	return (uint32_t)(w - s->worker) + 1;
}

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

/* Nobody is let in any more, nor given a shard: memory and EAL are about to go. */
bool mos_sup_is_ending(const struct mos_supervisor *s);

/* ---- leases.c ---- */

/*
 * A worker asks for a shard. True: it is told when it has one, which may be now. False: it is
 * refused, with this answer.
 */
bool mos_sup_lease(struct mos_supervisor *s, struct worker *w, const struct mos_ctl_msg *m,
                   struct mos_ctl_msg *answer);
/* A worker has yielded a shard, or asks for none any more. Fills the answer. */
void mos_sup_release(struct mos_supervisor *s, struct worker *w, const struct mos_ctl_msg *m,
                     struct mos_ctl_msg *answer);
/* A shard was yielded and its holder has put everything down: it goes on, or is free. */
void mos_sup_take_back(struct mos_supervisor *s, uint32_t i);

/* Give a free shard to the next who waits for it. False: nobody does. The caller reports. */
bool mos_sup_give_on(struct mos_supervisor *s, uint32_t i);
/* Say who serves it now, and how long nobody did. */
void mos_sup_report_service(struct mos_supervisor *s, uint32_t i);
/* Nobody serves the shard any more: packets wait, or get the fail policy. */
void mos_sup_withdraw(struct mos_supervisor *s, uint32_t i);

/* The worker waits for nothing any more: what it was promised stays with its holder. */
void mos_sup_drop_claims(struct mos_supervisor *s, const struct worker *w);
/* The primary ends: tell all who wait. */
void mos_sup_refuse_claims(struct mos_supervisor *s);

static inline bool mos_sup_is_holder(const struct holder *h, const struct worker *w)
{
	return h->held && h->pid == w->pid && h->start_time == w->start_time;
}

/* ---- readers.c ---- */

/* Whether there is room for one more reader. */
bool mos_sup_reader_fits(const struct mos_supervisor *s);
/* A reader is welcomed: workers keep what it may look at. Its process is gone: they need not. */
void mos_sup_reader_register(struct mos_supervisor *s, struct worker *w);
void mos_sup_reader_unregister(struct mos_supervisor *s, struct worker *w);
/* End readers that hold workers up. */
void mos_sup_tend_readers(struct mos_supervisor *s);

/* ---- shards.c ---- */

/* Before the first worker: every shard is without one from now on. */
void mos_sup_shards_init(struct mos_supervisor *s);
/* The process is gone: what it held is DEAD. */
void mos_sup_declare_dead(struct mos_supervisor *s, const struct worker *w);
/* Repair dead shards, end hold times, look for stalls. */
void mos_sup_tend_shards(struct mos_supervisor *s);
/* Kill the process that holds it, if there is one. */
void mos_sup_kill_holder(struct mos_supervisor *s, uint32_t i);

/* ---- condemn.c ---- */

/* Is all that stands in the shard's memory as it must be? */
bool mos_sup_in_order(const struct mos_supervisor *s, uint32_t i);
/* It is not: end its holder; when it is gone, make the shard anew. */
void mos_sup_condemn(struct mos_supervisor *s, uint32_t i);

#endif
