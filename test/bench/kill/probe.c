#include "test/bench/kill/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "test/mp/harness.h"
#include "test/mp/traffic_frame.h"

enum {
	FLOWS = 4,
	STREAMS = 2 * FLOWS,
	SENT_MAX = 1 << 16, /* packets of a stream whose time is remembered */
	NAP_NS = 50000,
	CREDIT_MAX = 64, /* packets that may be made up for after a pause of this thread */
	SHAKE_MS = 200,  /* until a packet of a handshake is sent again */
};

struct stream {                     /* one direction of a flow */
	uint32_t next;              /* to be sent */
	uint32_t acked;             /* behind the highest number received */
	uint64_t sent_ns[SENT_MAX]; /* 0: received, or not sent */
};

static int fd[2];
static struct stream streams[FLOWS][2];
static unsigned pace;

static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all below, and the streams */
static bool in_window;
static uint64_t window_from_ns; /* sent at or behind this time, it belongs to it */
static uint64_t window_to_ns;
static struct probe_window window;

static uint64_t wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- packets ---- */

static void send_frame(const struct frame *f)
{
	uint8_t bytes[FRAME_MAX];

	if (send(fd[f->direction], bytes, frame_write(f, bytes), 0) < 0)
		perror("probe: send");
}

static void send_data(unsigned turn)
{
	unsigned flow = turn / 2 % FLOWS, direction = turn % 2;
	struct stream *s = &streams[flow][direction];
	struct frame f = {.kind = FRAME_DATA, .flow = flow, .direction = direction};

	f.number = s->next++;
	f.acked = streams[flow][!direction].acked;
	window.sent += in_window;
	s->sent_ns[f.number % SENT_MAX] = wall_ns();
	send_frame(&f);
}

static void take_data(const struct frame *f, uint64_t arrived_ns)
{
	struct stream *s = &streams[f->flow][f->direction];
	uint64_t *sent_ns = &s->sent_ns[f->number % SENT_MAX], delay;

	if (*sent_ns == 0 || s->next - f->number > SENT_MAX)
		return;
	if (*sent_ns >= window_from_ns && *sent_ns < window_to_ns) {
		window.received++;
		delay = arrived_ns > *sent_ns ? arrived_ns - *sent_ns : 0;
		if (delay > window.delay_ns)
			window.delay_ns = delay;
	}
	*sent_ns = 0;
	if (f->number >= s->acked)
		s->acked = f->number + 1;
}

/* The next packet that comes out at an end, and when. False: none. */
static bool receive(unsigned end, struct frame *f, uint64_t *arrived_ns)
{
	uint8_t bytes[2048];
	union {
		char space[CMSG_SPACE(sizeof(struct timespec))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {bytes, sizeof(bytes)};
	struct msghdr m = {.msg_iov = &iov,
	                   .msg_iovlen = 1,
	                   .msg_control = &control,
	                   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd[end], &m, MSG_DONTWAIT);
	struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&m) : NULL;
	struct timespec t;

	*arrived_ns = wall_ns();
	if (n < 0)
		return false;
	if (c != NULL && c->cmsg_type == SCM_TIMESTAMPNS) {
		memcpy(&t, CMSG_DATA(c), sizeof(t));
		*arrived_ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	}
	frame_read(bytes, (size_t)n, f);
	if (f->flow >= FLOWS || f->direction == end)
		f->kind = FRAME_FOREIGN;
	return true;
}

/* ---- the thread ---- */

static unsigned due(uint64_t *paid_ns, uint64_t now)
{
	uint64_t step = 1000000000 / pace, n = (now - *paid_ns) / step;

	*paid_ns += n * step;
	return n < CREDIT_MAX ? (unsigned)n : CREDIT_MAX;
}

static void *run(void *arg)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};
	uint64_t paid_ns = wall_ns(), arrived_ns;
	unsigned turn = 0;
	struct frame f;

	prctl(PR_SET_TIMERSLACK, 1000);
	for (;;) {
		pthread_mutex_lock(&lock);
		for (unsigned n = due(&paid_ns, wall_ns()); n > 0; n--)
			send_data(turn++);
		for (unsigned end = 0; end < 2; end++)
			while (receive(end, &f, &arrived_ns))
				if (f.kind == FRAME_DATA)
					take_data(&f, arrived_ns);
		pthread_mutex_unlock(&lock);
		nanosleep(&nap, NULL);
	}
	return NULL;
}

/* ---- begin ---- */

static bool open_end(unsigned end, const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
	                         .sll_protocol = htons(ETH_P_ALL),
	                         .sll_ifindex = (int)if_nametoindex(name)};
	int one = 1, room = 16 << 20;

	fd[end] = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	return fd[end] >= 0 && at.sll_ifindex != 0 &&
	       setsockopt(fd[end], SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) == 0 &&
	       setsockopt(fd[end], SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) == 0 &&
	       setsockopt(fd[end], SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) == 0 &&
	       bind(fd[end], (struct sockaddr *)&at, sizeof(at)) == 0;
}

/* Send it until it comes out at the other end. */
static bool carry(const struct frame *sent)
{
	uint64_t deadline = now_ns() + (uint64_t)SOON_MS * 1000000, again = 0, arrived;
	struct frame f;

	while (now_ns() < deadline) {
		if (now_ns() >= again) {
			send_frame(sent);
			again = now_ns() + (uint64_t)SHAKE_MS * 1000000;
		}
		while (receive(!sent->direction, &f, &arrived))
			if (f.kind == sent->kind && f.flow == sent->flow)
				return true;
		usleep(200);
	}
	return false;
}

static bool shake_hands(unsigned flow)
{
	const struct frame syn = {.kind = FRAME_SYN, .flow = flow};
	const struct frame syn_ack = {.kind = FRAME_SYN_ACK, .flow = flow, .direction = 1};
	const struct frame ack = {.kind = FRAME_ACK, .flow = flow};

	return carry(&syn) && carry(&syn_ack) && carry(&ack);
}

bool probe_start(unsigned per_second)
{
	bool good = open_end(0, END_A) && open_end(1, END_B);

	pace = per_second;
	for (unsigned flow = 0; flow < FLOWS && good; flow++)
		good = shake_hands(flow);
	if (good && pthread_create(&thread, NULL, run, NULL) == 0)
		return true;
	fprintf(stderr, "bench_kill: probe: %s\n", strerror(errno));
	return false;
}

/* ---- calls of other threads ---- */

void probe_begin(void)
{
	pthread_mutex_lock(&lock);
	window = (struct probe_window){0};
	window_from_ns = wall_ns();
	window_to_ns = UINT64_MAX;
	in_window = true;
	pthread_mutex_unlock(&lock);
}

struct probe_window probe_end(int timeout_ms)
{
	uint64_t deadline = now_ns() + (uint64_t)timeout_ms * 1000000;
	struct probe_window w;

	pthread_mutex_lock(&lock);
	window_to_ns = wall_ns();
	in_window = false;
	w = window;
	pthread_mutex_unlock(&lock);
	while (w.received < w.sent && now_ns() < deadline) {
		usleep(200);
		pthread_mutex_lock(&lock);
		w = window;
		pthread_mutex_unlock(&lock);
	}
	return w;
}
