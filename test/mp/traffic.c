#include "test/mp/traffic.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "test/mp/procs.h"
#include "test/mp/traffic_frame.h"

#define ROUND_NS   200000     /* between two looks at clock and sockets */
#define CREDIT_MAX 256        /* packets that may be made up for after a pause of this thread */
#define EXTRA_MAX  4          /* packets beyond the pace in a round: what the box can take */
#define NUMBER_MAX (1u << 20) /* data packets of a flow and direction */
#define AGAIN_NS   300000000  /* an unanswered SYN is sent again */
#define RCVBUF     (64 << 20)
#define GROUPS     2

struct stream { /* one direction of a flow */
	uint32_t sent, received;
	uint32_t next;  /* behind the highest number received */
	uint64_t *seen; /* bit n: data packet n came */
};

struct flow {
	struct stream stream[2];
	uint64_t syn_ns; /* last SYN */
	bool established;
	unsigned group;
};

struct group {
	uint64_t received, last_ns, gap_ns;
};

/* The lock covers all but the sockets, which are the thread's. */
struct traffic {
	pthread_t thread;
	pthread_mutex_t lock;
	int fd[2]; /* if_a, if_b */
	bool stop, shake;
	unsigned pace;    /* packets per second */
	unsigned extra;   /* packets still to send beyond that */
	uint64_t paid_ns; /* up to when the pace has been kept */
	unsigned turn;    /* who sends next */
	unsigned flow_count, established;
	struct flow *flow;
	struct group group[GROUPS];
	struct traffic_counts counts;
};

/* ---- sending ---- */

static void send_frame(struct traffic *t, const struct frame *f)
{
	uint8_t bytes[FRAME_MAX];
	size_t len = frame_write(f, bytes);

	if (send(t->fd[f->direction], bytes, len, 0) < 0 && errno != ENOBUFS)
		perror("traffic: send");
	if (f->kind == FRAME_DATA)
		t->counts.sent++;
	else
		t->counts.others_sent++;
}

static void send_data(struct traffic *t, unsigned flow, unsigned direction)
{
	struct stream *s = t->flow[flow].stream;
	struct frame f = {.kind = FRAME_DATA, .flow = flow, .direction = direction};

	if (s[direction].sent == NUMBER_MAX)
		return;
	f.number = s[direction].sent++;
	f.acked = s[!direction].next;
	send_frame(t, &f);
}

/* The next packet in turn: flow by flow, then the other direction. */
static void send_next(struct traffic *t)
{
	unsigned turn = t->turn++ % (2 * t->flow_count);

	send_data(t, turn % t->flow_count, turn / t->flow_count);
}

static void send_due(struct traffic *t, uint64_t now)
{
	uint64_t due = 0, step;

	if (t->pace > 0) {
		step = 1000000000 / t->pace;
		due = (now - t->paid_ns) / step;
		t->paid_ns += due * step;
	}
	if (due > CREDIT_MAX)
		due = CREDIT_MAX;
	for (; due > 0; due--)
		send_next(t);
	for (unsigned n = 0; n < EXTRA_MAX && t->extra > 0; n++, t->extra--)
		send_next(t);
}

static void send_syns(struct traffic *t, uint64_t now)
{
	unsigned left = 32; /* a round */

	for (unsigned i = 0; i < t->flow_count && left > 0; i++) {
		struct flow *flow = &t->flow[i];
		struct frame syn = {.kind = FRAME_SYN, .flow = i};

		if (flow->established || (flow->syn_ns != 0 && now - flow->syn_ns < AGAIN_NS))
			continue;
		flow->syn_ns = now;
		left--;
		send_frame(t, &syn);
	}
}

/* ---- receiving ---- */

static void take_data(struct traffic *t, const struct frame *f, uint64_t now)
{
	struct stream *s = &t->flow[f->flow].stream[f->direction];
	struct group *g = &t->group[t->flow[f->flow].group];
	uint64_t bit = UINT64_C(1) << (f->number % 64);

	if (f->number >= NUMBER_MAX) {
		t->counts.others++;
		return;
	}
	if (s->seen[f->number / 64] & bit) {
		t->counts.duplicates++;
		return;
	}
	s->seen[f->number / 64] |= bit;
	s->received++;
	t->counts.received++;
	t->counts.overtaken += f->number < s->next;
	if (f->number >= s->next)
		s->next = f->number + 1;
	if (now - g->last_ns > g->gap_ns)
		g->gap_ns = now - g->last_ns;
	g->last_ns = now;
	g->received++;
}

static void take_handshake(struct traffic *t, const struct frame *f)
{
	struct flow *flow = &t->flow[f->flow];
	struct frame reply = {.kind = FRAME_SYN_ACK, .flow = f->flow, .direction = !f->direction};

	t->counts.others++;
	if (f->kind == FRAME_ACK) {
		t->established += !flow->established;
		flow->established = true;
		return;
	}
	reply.kind = f->kind == FRAME_SYN ? FRAME_SYN_ACK : FRAME_ACK;
	send_frame(t, &reply);
}

/* at_end: the end where it came out, which is not that of its direction. */
static void take(struct traffic *t, const uint8_t *bytes, size_t len, unsigned at_end, uint64_t now)
{
	struct frame f;

	frame_read(bytes, len, &f);
	if (f.kind == FRAME_FOREIGN || f.flow >= t->flow_count || f.direction == at_end)
		t->counts.others++;
	else if (f.kind == FRAME_DATA)
		take_data(t, &f, now);
	else
		take_handshake(t, &f);
}

static void receive(struct traffic *t, unsigned end, uint64_t now)
{
	struct tpacket_stats stats;
	socklen_t len = sizeof(stats);
	uint8_t bytes[2048];
	ssize_t n;

	while ((n = recv(t->fd[end], bytes, sizeof(bytes), MSG_DONTWAIT)) >= 0)
		take(t, bytes, (size_t)n, end, now);
	/* Reading the kernel's numbers sets them to zero. */
	if (getsockopt(t->fd[end], SOL_PACKET, PACKET_STATISTICS, &stats, &len) == 0)
		t->counts.not_taken += stats.tp_drops;
}

/* ---- the thread ---- */

static void *run(void *arg)
{
	const struct timespec nap = {.tv_nsec = ROUND_NS};
	struct traffic *t = arg;
	bool stop = false;

	while (!stop) {
		uint64_t now = now_ns();

		pthread_mutex_lock(&t->lock);
		receive(t, 0, now);
		receive(t, 1, now);
		if (t->shake)
			send_syns(t, now);
		send_due(t, now);
		stop = t->stop;
		pthread_mutex_unlock(&t->lock);
		nanosleep(&nap, NULL);
	}
	return NULL;
}

/* ---- life ---- */

static int open_end(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
	                         .sll_protocol = htons(ETH_P_ALL),
	                         .sll_ifindex = (int)if_nametoindex(name)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int one = 1, room = RCVBUF;

	if (fd < 0 || at.sll_ifindex == 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		fprintf(stderr, "traffic: %s: %s\n", name, strerror(errno));
		return -1;
	}
	return fd;
}

static bool make_streams(struct traffic *t)
{
	t->flow = calloc(t->flow_count, sizeof(*t->flow));
	for (unsigned i = 0; t->flow != NULL && i < 2 * t->flow_count; i++) {
		struct stream *s = &t->flow[i / 2].stream[i % 2];

		s->seen = calloc(NUMBER_MAX / 64, sizeof(*s->seen));
		if (s->seen == NULL)
			return false;
	}
	return t->flow != NULL;
}

struct traffic *traffic_start(const char *if_a, const char *if_b, unsigned flow_count)
{
	struct traffic *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->flow_count = flow_count;
	pthread_mutex_init(&t->lock, NULL);
	t->fd[0] = open_end(if_a);
	t->fd[1] = open_end(if_b);
	if (t->fd[0] < 0 || t->fd[1] < 0 || !make_streams(t) ||
	    pthread_create(&t->thread, NULL, run, t) != 0)
		return NULL; /* the test ends, and its memory with it */
	return t;
}

void traffic_stop(struct traffic *t)
{
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	close(t->fd[0]);
	close(t->fd[1]);
	for (unsigned i = 0; i < 2 * t->flow_count; i++)
		free(t->flow[i / 2].stream[i % 2].seen);
	free(t->flow);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* ---- calls of other threads ---- */

static pthread_mutex_t *lock_of(const struct traffic *t)
{
	return &((struct traffic *)(uintptr_t)t)->lock;
}

/* A number of the thread's, read under the lock. */
static uint64_t look(const struct traffic *t, const uint64_t *number)
{
	uint64_t v;

	pthread_mutex_lock(lock_of(t));
	v = *number;
	pthread_mutex_unlock(lock_of(t));
	return v;
}

static bool wait_for(const struct traffic *t, const uint64_t *number, uint64_t n, int timeout_ms)
{
	uint64_t deadline = now_ns() + (uint64_t)timeout_ms * 1000000;

	while (look(t, number) < n) {
		if (now_ns() > deadline)
			return false;
		usleep(500);
	}
	return true;
}

bool traffic_establish(struct traffic *t, int timeout_ms)
{
	uint64_t deadline = now_ns() + (uint64_t)timeout_ms * 1000000;
	bool done;

	do {
		pthread_mutex_lock(&t->lock);
		done = t->established == t->flow_count;
		t->shake = !done;
		pthread_mutex_unlock(&t->lock);
		usleep(500);
	} while (!done && now_ns() < deadline);
	return done;
}

void traffic_pace(struct traffic *t, unsigned per_second)
{
	pthread_mutex_lock(&t->lock);
	t->pace = per_second;
	t->paid_ns = now_ns();
	pthread_mutex_unlock(&t->lock);
}

void traffic_send(struct traffic *t, unsigned n)
{
	pthread_mutex_lock(&t->lock);
	t->extra += n;
	pthread_mutex_unlock(&t->lock);
}

struct traffic_counts traffic_count(const struct traffic *t)
{
	struct traffic_counts c;

	pthread_mutex_lock(lock_of(t));
	c = t->counts;
	pthread_mutex_unlock(lock_of(t));
	return c;
}

uint64_t traffic_received(const struct traffic *t, unsigned flow)
{
	uint64_t n;

	pthread_mutex_lock(lock_of(t));
	n = (uint64_t)t->flow[flow].stream[0].received + t->flow[flow].stream[1].received;
	pthread_mutex_unlock(lock_of(t));
	return n;
}

bool traffic_wait_sent(const struct traffic *t, uint64_t n, int timeout_ms)
{
	return wait_for(t, &t->counts.sent, n, timeout_ms);
}

bool traffic_wait_received(const struct traffic *t, uint64_t n, int timeout_ms)
{
	return wait_for(t, &t->counts.received, n, timeout_ms);
}

void traffic_settle(struct traffic *t, int quiet_ms)
{
	uint64_t seen, before;

	traffic_pace(t, 0);
	before = look(t, &t->counts.received);
	for (int quiet = 0; quiet < quiet_ms; quiet += 5) {
		usleep(5000);
		seen = look(t, &t->counts.received);
		if (seen != before)
			quiet = 0;
		before = seen;
	}
}

void traffic_set_group(struct traffic *t, unsigned flow, unsigned group)
{
	pthread_mutex_lock(&t->lock);
	t->flow[flow].group = group;
	pthread_mutex_unlock(&t->lock);
}

uint64_t traffic_group_received(const struct traffic *t, unsigned group)
{
	return look(t, &t->group[group].received);
}

bool traffic_wait_group(const struct traffic *t, unsigned group, uint64_t n, int timeout_ms)
{
	return wait_for(t, &t->group[group].received, n, timeout_ms);
}

uint64_t traffic_group_gap_ns(const struct traffic *t, unsigned group)
{
	const struct group *g = &t->group[group];
	uint64_t now = now_ns(), gap;

	pthread_mutex_lock(lock_of(t));
	gap = now > g->last_ns && now - g->last_ns > g->gap_ns ? now - g->last_ns : g->gap_ns;
	pthread_mutex_unlock(lock_of(t));
	return gap;
}

void traffic_group_reset_gap(struct traffic *t, unsigned group)
{
	pthread_mutex_lock(&t->lock);
	t->group[group].gap_ns = 0;
	t->group[group].last_ns = now_ns();
	pthread_mutex_unlock(&t->lock);
}
