/* The processes of the workers: who there is, and what the kernel says of them. */
#ifndef MOS_BENCH_KILL_CREW_H
#define MOS_BENCH_KILL_CREW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum member_role {
	COMES,    /* for a shard that is free */
	SUCCEEDS, /* for the shard of a process */
	WAITS,    /* for a death */
	SERVES,
};

enum { FROM_NOBODY = 0, FROM_THE_DEAD = -1 }; /* or a pid */

struct member {
	pid_t pid;
	enum member_role role;
	unsigned shard;
	uint64_t born_ns;
	uint64_t due_ns;  /* UINT64_MAX: not yet known */
	bool killed;      /* by us */
	bool ended;       /* not reaped yet */
	bool handed_over; /* its shard, to a successor */
	bool had_heir;    /* who came for its shard and was killed */
	bool excused;     /* whom it came for was killed */
	int notify_fd;    /* what it tells: secondary/notify */
	bool ready;
	int status; /* as of waitpid(), when it has ended */
	uint64_t ended_ns;
};

void crew_init(unsigned nap_us, const char *sink_file, const char *log_file);

struct member *crew_start(enum member_role role, unsigned shard, pid_t from);

/* The k-th of all that are not forgotten; NULL: no more. */
struct member *crew_at(unsigned k);
struct member *crew_find(pid_t pid);

/* See who has ended. */
void crew_look(uint64_t now);

/* Somebody who ended so long ago that all about it was heard, or NULL. */
struct member *crew_oldest_dead(uint64_t now);

/* Reap it. Pointers to it are no good any more. */
void crew_forget(struct member *m);

/* It has told that it waits for its shard. */
bool crew_is_ready(struct member *m);

#endif
