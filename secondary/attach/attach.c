#include "secondary/attach/attach.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <rte_memzone.h>

#include "mos_ext.h"
#include "secondary/eal/eal_worker.h"
#include "secondary/notify/notify.h"
#include "secondary/readers/readers.h"
#include "shared/control/control_msg.h"
#include "shared/kill_point/kill_point.h"
#include "shared/names.h"

/* The primary lets one worker attach at a time: each of those before us may need its deadline. */
#define WELCOME_TIMEOUT_MS 60000
#define ANSWER_TIMEOUT_MS  10000

/* An answer to another context lies in front: it has been woken, too, and takes it. */
#define OTHERS_NAP_NS 20000

static char last_error[512];
static pthread_mutex_t last_error_lock = PTHREAD_MUTEX_INITIALIZER;

const char *mos_last_error(void)
{
	return last_error;
}

int mos_fail(int err, const char *fmt, ...)
{
	char line[sizeof(last_error)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "libmos: %s\n", line);
	pthread_mutex_lock(&last_error_lock);
	memcpy(last_error, line, sizeof(line));
	pthread_mutex_unlock(&last_error_lock);
	return -err;
}

static int connect_to_primary(const struct mos_config *cfg)
{
	char path[sizeof(MOS_CONTROL_SOCK_FMT) + MOS_CONFIG_PREFIX_LEN];
	int fd;

	snprintf(path, sizeof(path), MOS_CONTROL_SOCK_FMT, cfg->prefix);
	fd = mos_ctl_connect(path);
	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return mos_fail(ENOTCONN,
		                "no mos-primary runs with prefix %s; start it: mos-primary -f FILE",
		                cfg->prefix);
	if (fd == -EACCES)
		return mos_fail(EACCES, "%s: not permitted; run this program as root", path);
	if (fd < 0)
		return mos_fail(-fd, "cannot connect to the primary at %s: %s", path,
		                strerror(-fd));
	return fd;
}

/* Why nothing could be received. */
static int fail_receive(int err, const struct mos_ctl_msg *m)
{
	switch (err) {
	case -EAGAIN:
		return mos_fail(ETIMEDOUT, "the primary does not answer within %d s",
		                ANSWER_TIMEOUT_MS / 1000);
	case -EPIPE: return mos_fail(ENOTCONN, "the primary closed the connection");
	case -EPROTO:
		return mos_fail(EPROTO,
		                "the primary is of another version (%u, ours is %u); install "
		                "primary and application from one build",
		                m->version, MOS_CTL_VERSION);
	default: return mos_fail(-err, "control socket: %s", strerror(-err));
	}
}

static int fail_refused(const struct mos_ctl_msg *m)
{
	return mos_fail(m->error > 0 ? m->error : EPROTO, "%s", m->text);
}

/* Say *m. Of a primary that has closed the answer tells: it may have said why. */
static int say(int fd, const struct mos_ctl_msg *m)
{
	int err = mos_ctl_send(fd, m);

	if (err != 0 && err != -EPIPE && err != -ECONNRESET)
		return mos_fail(-err, "control socket: %s", strerror(-err));
	return 0;
}

/* Introduce ourselves; the answer replaces *m. Nobody else of this process listens yet. */
static int hello(int fd, uint32_t role, struct mos_ctl_msg *m)
{
	int err;

	mos_ctl_init(m, MOS_CTL_HELLO);
	m->role = role;
	err = say(fd, m);
	if (err != 0)
		return err;
	err = mos_ctl_recv(fd, m, WELCOME_TIMEOUT_MS);
	if (err == -EAGAIN)
		return mos_fail(ETIMEDOUT, "the primary does not let us attach within %d s",
		                WELCOME_TIMEOUT_MS / 1000);
	if (err != 0)
		return fail_receive(err, m);
	if (m->type == MOS_CTL_REFUSED)
		return fail_refused(m);
	return m->type == MOS_CTL_WELCOME ? 0
	                                  : mos_fail(EPROTO, "the primary answers something else");
}

static int join_root(struct mos_worker *w)
{
	const struct rte_memzone *zone = rte_memzone_lookup(MOS_ROOT_ZONE);
	int err;

	if (zone == NULL)
		return mos_fail(EPROTO, "the primary has no memory zone %s", MOS_ROOT_ZONE);
	w->root = zone->addr;
	err = mos_root_join(w->root);
	if (err == 0)
		err = mos_readers_check(w->root);
	return err == 0 ? 0 : mos_fail(-err, "the primary's memory is of another layout");
}

static int attach_over(struct mos_worker *w, int fd)
{
	char text[256];
	struct mos_ctl_msg m;
	int err;

	err = hello(fd, w->role, &m);
	if (err != 0)
		return err;
	w->attach_slot = m.attach_slot;
	mos_kill_point("attach.welcome");
	err = mos_eal_worker_init(m.text, m.attach_slot, text, sizeof(text));
	if (err != 0)
		return mos_fail(-err, "%s", text);
	mos_kill_point("attach.eal");
	err = join_root(w);
	if (err != 0)
		return err;
	mos_kill_point("attach.root");
	mos_ctl_init(&m, MOS_CTL_ATTACHED);
	mos_ctl_send(fd, &m); /* to a primary that is gone: the first lease will tell */
	mos_kill_point("attach.attached");
	return 0;
}

int mos_attach(struct mos_worker *w)
{
	int fd, err;

	fd = connect_to_primary(&w->cfg);
	err = fd < 0 ? fd : attach_over(w, fd);
	if (err == -ENOTCONN || err == -ESHUTDOWN)
		mos_notify_no_primary();
	if (err != 0) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	w->ctl_fd = fd;
	return 0;
}

/* ---- answers, of which each context takes its own ---- */

static void expect(struct mos_worker *w, uint32_t ctx, bool answer)
{
	pthread_mutex_lock(&w->ctl_lock);
	w->expects[ctx] = answer;
	pthread_mutex_unlock(&w->ctl_lock);
}

/* The next answer, if it is for this context; -EBUSY: it is for another, which comes for it. */
static int take_own(struct mos_worker *w, uint32_t ctx, struct mos_ctl_msg *m)
{
	for (;;) {
		int err = mos_ctl_peek(w->ctl_fd, m);

		if (err != 0)
			return err;
		if (m->ctx != ctx && m->ctx < MOS_SHARD_MAX && w->expects[m->ctx])
			return -EBUSY;
		err = mos_ctl_recv(w->ctl_fd, m, 0);
		if (err != 0 || m->ctx == ctx)
			return err; /* else it was for one that has given up */
	}
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Wait up to timeout_ms for the next answer to this context. 0 or -errno as mos_ctl_recv(). */
static int take_answer(struct mos_worker *w, uint32_t ctx, struct mos_ctl_msg *m, int timeout_ms)
{
	const struct timespec nap = {.tv_nsec = OTHERS_NAP_NS};
	struct pollfd p = {.fd = w->ctl_fd, .events = POLLIN};
	int64_t deadline = now_ms() + timeout_ms, left;
	int err;

	for (;;) {
		pthread_mutex_lock(&w->ctl_lock);
		err = take_own(w, ctx, m);
		pthread_mutex_unlock(&w->ctl_lock);
		if (err != -EAGAIN && err != -EBUSY)
			return err;
		left = deadline - now_ms();
		if (left <= 0)
			return -EAGAIN;
		if (err == -EBUSY)
			nanosleep(&nap, NULL);
		else
			poll(&p, 1, (int)left);
	}
}

/* ---- leases ---- */

static int ask_for(struct mos_worker *w, uint32_t ctx, int32_t from, int preferred)
{
	struct mos_ctl_msg m;

	mos_ctl_init(&m, MOS_CTL_LEASE);
	m.shard = preferred < 0 ? MOS_CTL_ANY : (uint32_t)preferred;
	m.from = from;
	m.ctx = ctx;
	expect(w, ctx, true);
	return say(w->ctl_fd, &m);
}

/* What the answer to LEASE says: 0, or why there is no lease. */
static int read_lease(const struct mos_worker *w, const struct mos_ctl_msg *m, uint32_t *shard,
                      uint32_t *epoch)
{
	if (m->type == MOS_CTL_REFUSED)
		return fail_refused(m);
	if (m->type != MOS_CTL_LEASED)
		return mos_fail(EPROTO, "the primary answers something else");
	if (m->shard >= w->root->shard_count)
		return mos_fail(EPROTO, "the primary leased shard %u of %u", m->shard,
		                w->root->shard_count);
	*shard = m->shard;
	*epoch = m->epoch;
	return 0;
}

int mos_attach_lease(struct mos_worker *w, uint32_t ctx, int preferred, uint32_t *shard,
                     uint32_t *epoch)
{
	struct mos_ctl_msg m;
	int err = ask_for(w, ctx, MOS_CTL_FROM_FREE, preferred);

	if (err == 0) {
		err = take_answer(w, ctx, &m, ANSWER_TIMEOUT_MS);
		err = err != 0 ? fail_receive(err, &m) : read_lease(w, &m, shard, epoch);
	}
	expect(w, ctx, false);
	return err;
}

int mos_attach_claim(struct mos_worker *w, uint32_t ctx, int32_t from, int preferred)
{
	int err = ask_for(w, ctx, from, preferred);

	if (err != 0)
		expect(w, ctx, false);
	return err;
}

int mos_attach_await(struct mos_worker *w, uint32_t ctx, int timeout_ms, uint32_t *shard,
                     uint32_t *epoch)
{
	struct mos_ctl_msg m;
	int err = take_answer(w, ctx, &m, timeout_ms);

	if (err == -EAGAIN)
		return err;
	expect(w, ctx, false);
	if (err == -EPIPE)
		return err;
	if (err == 0 && m.type == MOS_CTL_REFUSED && m.error == ESHUTDOWN)
		return -ESHUTDOWN;
	return err != 0 ? fail_receive(err, &m) : read_lease(w, &m, shard, epoch);
}

/* Send RELEASE and wait until it has been heard; *m receives a LEASED that came before. */
static bool release(struct mos_worker *w, uint32_t ctx, uint32_t shard, uint32_t epoch,
                    struct mos_ctl_msg *leased)
{
	struct mos_ctl_msg m;
	int err;

	mos_ctl_init(&m, MOS_CTL_RELEASE);
	m.shard = shard;
	m.epoch = epoch;
	m.ctx = ctx;
	expect(w, ctx, true);
	if (mos_ctl_send(w->ctl_fd, &m) != 0 || !mos_attach_primary_lives(w->ctl_fd)) {
		expect(w, ctx, false);
		return false;
	}
	do {
		err = take_answer(w, ctx, &m, ANSWER_TIMEOUT_MS);
		if (err == 0 && m.type == MOS_CTL_LEASED)
			*leased = m;
		if (err == 0 && m.type == MOS_CTL_REFUSED && shard != MOS_CTL_ANY)
			err = fail_refused(&m);
		else if (err != 0)
			err = fail_receive(err, &m);
	} while (err == 0 && m.type != MOS_CTL_RELEASED);
	expect(w, ctx, false);
	return err == 0;
}

void mos_attach_release(struct mos_worker *w, uint32_t ctx, uint32_t shard, uint32_t epoch)
{
	struct mos_ctl_msg unused;

	mos_kill_point("lease.yielded");
	release(w, ctx, shard, epoch, &unused);
}

void mos_attach_give_up(struct mos_worker *w, uint32_t ctx)
{
	struct mos_ctl_msg leased = {.type = MOS_CTL_REFUSED};

	if (!release(w, ctx, MOS_CTL_ANY, 0, &leased) || leased.type != MOS_CTL_LEASED ||
	    leased.shard >= w->root->shard_count)
		return;
	if (mos_lease_yield(&w->root->shard[leased.shard]->lease, leased.epoch))
		mos_attach_release(w, ctx, leased.shard, leased.epoch);
}

void mos_detach(struct mos_worker *w)
{
	if (w->ctl_fd < 0)
		return;
	mos_eal_worker_fini();
	close(w->ctl_fd);
	w->ctl_fd = -1;
	w->root = NULL;
}

bool mos_attach_primary_lives(int ctl_fd)
{
	struct pollfd p = {.fd = ctl_fd, .events = POLLRDHUP};

	if (ctl_fd < 0) /* tests and benchmarks run a context without a primary */
		return true;
	/* Not by reading: an answer that came too late would lie in front of the end. */
	return poll(&p, 1, 0) <= 0;
}
