/*
 * What a worker and the primary say to each other over the control socket.
 *
 *   /run/mos-mp/<prefix>/control   AF_UNIX, SOCK_SEQPACKET: one message per datagram, fixed size
 *
 *   worker                          primary (supervisor)
 *     connect
 *     HELLO{layout hash, role} ->     checks hash; waits until no one else attaches
 *                             <-      WELCOME{attach slot, prefix} | REFUSED
 *     (EAL init, join root)
 *     ATTACHED                ->      the attach window is over
 *     LEASE{shard, from, ctx} ->
 *                             <-      LEASED{shard, epoch, ctx} | REFUSED{ctx}
 *     RELEASE{shard, epoch, ctx} ->   after mos_lease_yield(); shard ANY: LEASE is taken back
 *                             <-      RELEASED{shard, ctx} | REFUSED{ctx}
 *     close = the process is leaving
 *
 * LEASE asks, by `from`, for a shard that
 *   MOS_CTL_FROM_FREE   is free now, `shard` first if that is one; else REFUSED at once
 *   a process id        that process holds: the primary asks it to yield, and answers when it has,
 *                       or has died. Whichever of its shards; `shard` if it is one of them
 *   MOS_CTL_FROM_DEAD   loses its worker from now on (a standby), or has none already
 * The last two may be answered late; so each context of a process may ask, and finds its answer by
 * `ctx`. One that does not want to wait any longer sends RELEASE{ANY}: a LEASED that was under way
 * comes before the RELEASED, and the shard is the asker's to yield. A reader (mosctl) looks at
 * shared memory and is refused a lease.
 *
 * Nothing of the shared memory is touched before WELCOME, so a worker built against another layout,
 * or one that meets no primary, learns it from one clear line (`text`).
 * Who the worker is comes from the kernel (SO_PEERCRED), not from a message.
 * Death: the primary holds a pidfd of each peer; the worker sees the socket close. Each side has a
 * deadline for every answer it waits for.
 *
 * Not its job: to wait for several peers at a time (primary/supervisor), to know the order of the
 * messages. No state, no memory of its own; any thread.
 */
#ifndef MOS_SHARED_CONTROL_MSG_H
#define MOS_SHARED_CONTROL_MSG_H

#include <stdint.h>

#define MOS_CTL_MAGIC   UINT32_C(0x6d6f7363) /* "mosc" */
#define MOS_CTL_VERSION 2
#define MOS_CTL_ANY     UINT32_MAX /* LEASE: whichever shard */
#define MOS_CTL_TEXT    256

/* mos_ctl_msg.from, beside process ids */
#define MOS_CTL_FROM_FREE 0
#define MOS_CTL_FROM_DEAD (-1)

/* mos_ctl_msg.role */
enum { MOS_CTL_WORKER, MOS_CTL_READER };

enum mos_ctl_type {
	MOS_CTL_HELLO = 1,
	MOS_CTL_WELCOME,
	MOS_CTL_REFUSED,
	MOS_CTL_ATTACHED,
	MOS_CTL_LEASE,
	MOS_CTL_LEASED,
	MOS_CTL_RELEASE,
	MOS_CTL_RELEASED,
	MOS_CTL_TYPE_END
};

/* One size for all: a peer of another version still understands magic, version and text. */
struct mos_ctl_msg {
	uint32_t magic;
	uint16_t version;
	uint16_t type;           /* enum mos_ctl_type */
	uint64_t layout_hash;    /* HELLO, REFUSED */
	uint32_t shard;          /* LEASE, LEASED, RELEASE, RELEASED */
	uint32_t epoch;          /* LEASED, RELEASE */
	uint32_t attach_slot;    /* WELCOME: EAL lcore id, >= 1 */
	int32_t error;           /* REFUSED: positive errno */
	int32_t from;            /* LEASE: MOS_CTL_FROM_* or a process id */
	uint32_t ctx;            /* LEASE, RELEASE and their answers: context that asks */
	uint32_t role;           /* HELLO: MOS_CTL_WORKER, MOS_CTL_READER */
	uint32_t reserved;       /* 0 */
	char text[MOS_CTL_TEXT]; /* REFUSED: one line, NUL-terminated; WELCOME: prefix */
};

/* A zeroed message with magic, version, type and our layout hash. */
void mos_ctl_init(struct mos_ctl_msg *m, enum mos_ctl_type type);

/*
 * Send one message. Never blocks, never raises SIGPIPE. 0 or -errno (-EAGAIN: the peer reads
 * nothing, give it up; -EPIPE: it is gone).
 */
int mos_ctl_send(int fd, const struct mos_ctl_msg *m);

/*
 * Receive one message, waiting up to timeout_ms (0 = not at all, -1 = for ever). 0 or -errno:
 * -EAGAIN nothing came in time, -EPIPE the peer closed, -EPROTO not one of our messages (size,
 * magic, version, type); with another version *m still holds what came. text is terminated.
 */
int mos_ctl_recv(int fd, struct mos_ctl_msg *m, int timeout_ms);

/* The same, without waiting, and the message stays the next one to be received. */
int mos_ctl_peek(int fd, struct mos_ctl_msg *m);

/*
 * Listen on / connect to a path. Returns a close-on-exec descriptor or -errno. listen() expects
 * that the caller holds the run-directory lock: it replaces a stale socket.
 */
int mos_ctl_listen(const char *path);
int mos_ctl_connect(const char *path);

#endif
