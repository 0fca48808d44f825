/*
 * Which process works in which place, and what becomes of a place when its process dies, says
 * something, or all are asked to stop. A place (slot) is that of a worker, which serves shards, or
 * that of a spare, which waits for the shard of a worker that dies.
 *
 *             start              death: backoff.h says END, GIVE_UP,
 *   WAITING ----------> RUNNING ---------------------------------+  or no --respawn
 *      ^  at start_ns     |  ^                                   v
 *      +------------------+  +------------------------------- STOPPED
 *        death: RESTART         a spare has taken its shards
 *
 *   lives of a slot:  next --- serves all shards of cur ---> cur --- replaced ---> leaving
 *                     (a spare: is ready)              a spare's, when it serves a lost shard,
 *                                                      becomes cur of the slot that lost it
 *
 * A worker that dies while a spare is ready is not started again at once: the primary gives its
 * shards to the spare, whose "serving" puts it in the dead one's place. If no such line comes the
 * worker is started as ever. Who is leaving gets SIGTERM at its time, and SIGKILL later. Spares are
 * started while each worker serves or is stopped: a shard that has no worker yet would be theirs.
 *
 * A worker that has yielded to its `next` ends with status 0 although it was not asked to stop: if
 * that `next` has died instead of serving, the place is started again.
 *
 * Neither clocks nor processes are touched here: time comes in (nanoseconds of any monotonic
 * clock), starts and signals go out through ops. One thread. All memory is the caller's; a
 * notify_fd belongs to the slots from its start on, which close it when its process has died.
 */
#ifndef MOS_RUN_SLOTS_H
#define MOS_RUN_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "apps/mos_run/backoff.h"
#include "apps/mos_run/notify.h"

#define SLOTS_WORKER_MAX 64
#define SLOTS_SPARE_MAX  16
#define SLOTS_MAX        (SLOTS_WORKER_MAX + SLOTS_SPARE_MAX)
#define SLOTS_LIFE_MAX   (3 * SLOTS_MAX) /* next, cur and leaving */
#define SLOTS_TEXT       160

#define SLOTS_NS_PER_S    1000000000ull
#define SLOTS_TAKEOVER_NS (SLOTS_NS_PER_S / 2) /* for a spare to take a dead worker's shard */
#define SLOTS_TERM_NS     (3 * SLOTS_NS_PER_S) /* for a replaced worker to end by itself */
#define SLOTS_KILL_NS     (3 * SLOTS_NS_PER_S) /* from SIGTERM, or a second stop, to SIGKILL */

enum slot_kind { SLOT_WORKER, SLOT_SPARE };
enum slot_state { SLOT_WAITING, SLOT_RUNNING, SLOT_STOPPED };

/* One process, from its start to its death. */
struct life {
	pid_t pid;     /* 0 = none */
	int notify_fd; /* -1 = none, or it has nothing to say any more */
	bool ready;
	bool no_primary;
	bool asked;      /* a successor was started for it */
	bool yielded;    /* it has given up a shard for a successor */
	uint64_t shards; /* a bit for each that it serves */
	uint64_t taken;  /* those that another process has said to serve since */
	uint64_t started_ns;
	uint64_t signal_ns; /* leaving: when it gets ... */
	int signum;         /* ... this; 0 = it got SIGKILL */
	unsigned home;      /* leaving: index of its slot */
};

struct slot {
	enum slot_kind kind;
	unsigned number; /* among those of its kind */
	enum slot_state state;
	struct life cur, next;
	uint64_t lost;             /* shards of processes that died here, which nobody serves */
	uint64_t start_ns;         /* WAITING */
	bool ended_well;           /* its last process ended with status 0 */
	bool said_no_primary;      /* and it has been said: not each time */
	char next_end[SLOTS_TEXT]; /* how the last `next` ended; "" = it has become cur */
	struct backoff backoff;
};

/* With what a process is started. */
#define SLOTS_OF_THE_DEAD (-1) /* take_over: whichever worker dies */
struct birth {
	int shard;       /* the one to prefer, -1 = none */
	pid_t take_over; /* whose shards to take, 0 = free ones */
};

struct slots_ops {
	/* Start a process. Its pid, or -errno; *notify_fd is read without waiting, or -1. */
	pid_t (*start)(void *arg, const struct birth *birth, int *notify_fd);
	void (*signal)(void *arg, pid_t pid, int signum); /* SIGKILL: to its children as well */
	void (*say)(void *arg, const char *line);
};

struct slots {
	const struct slots_ops *ops;
	void *arg;
	const char *command; /* for the words only */
	bool respawn;
	unsigned worker_count, spare_count;
	unsigned stop_requests;
	uint64_t kill_ns;            /* when the grace ends, 0 = not asked for */
	struct slot slot[SLOTS_MAX]; /* workers, then spares */
	struct life leaving[SLOTS_MAX];
};

/* All slots wait for a start that is due. */
void slots_init(struct slots *s, const struct slots_ops *ops, void *arg, const char *command,
                unsigned worker_count, unsigned spare_count, bool respawn);

/* ---- what happens ---- */

void slots_on_line(struct slots *s, pid_t pid, const struct notify *line, uint64_t now_ns);

/* The cause in words: "killed by SIGSEGV". A pid that is none of ours is ignored. */
void slots_on_death(struct slots *s, pid_t pid, enum backoff_death death, const char *cause,
                    uint64_t now_ns);

/* SIGINT or SIGTERM: forwarded; a second one gives SLOTS_KILL_NS more, a third none. */
void slots_on_stop(struct slots *s, int signum, uint64_t now_ns);

/* Do what is due. Returns when something is due next, UINT64_MAX = nothing is. */
uint64_t slots_on_time(struct slots *s, uint64_t now_ns);

/* ---- replacing a process (restart.h) ---- */

/* Whether the slot's process does what it is there for, and can be replaced. */
bool slots_is_working(const struct slot *slot);

/* Start a `next`, which takes over from cur. 0, or -errno and next_end says so. */
int slots_replace(struct slots *s, struct slot *slot, uint64_t now_ns);

/* Kill `next`, and say why in next_end. */
void slots_give_up_next(struct slots *s, struct slot *slot, const char *why, uint64_t now_ns);

bool slots_is_leaving(const struct slots *s, pid_t pid);

/* ---- looking ---- */

static inline unsigned slots_count(const struct slots *s)
{
	return s->worker_count + s->spare_count;
}

/* Each life with a process, one after the other; *at is 0 at first. NULL = there are no more. */
struct life *slots_next_life(struct slots *s, unsigned *at);

struct life *slots_find(struct slots *s, pid_t pid);

/* It has nothing to say any more, though it may live. */
void slots_close_notify(struct slots *s, pid_t pid);

void slots_signal_all(struct slots *s, int signum);

/* "worker 0": the name in all lines. */
const char *slots_name(const struct slot *slot, char name[static 16]);

/* "pid 12: serves shard 0; pid 34 is to take over" */
void slots_describe(const struct slot *slot, char *text, size_t text_len);

/* No process is left, and none will be started. */
bool slots_are_done(struct slots *s);

/* The last process of each worker ended with status 0. */
bool slots_ended_well(const struct slots *s);

#endif
