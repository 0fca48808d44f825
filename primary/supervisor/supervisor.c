#include "primary/supervisor/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "primary/supervisor/supervisor_priv.h"
#include "shared/names.h"

/* Deadlines are looked at this often; events do not wait for it. */
#define TICK_MS 10

uint64_t mos_sup_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* ---- the thread ---- */

/* What is polled: two of our own, then two for each worker. */
struct poll_set {
	struct pollfd fd[2 + 2 * WORKER_MAX];
	struct worker *who[2 + 2 * WORKER_MAX];
	unsigned count;
};

static void watch(struct poll_set *set, int fd, struct worker *who)
{
	if (fd < 0)
		return;
	set->fd[set->count] = (struct pollfd){.fd = fd, .events = POLLIN};
	set->who[set->count++] = who;
}

/*
 * Deaths stand before messages: a successor asks for the shard of the one that just died, and that
 * is repaired by then.
 */
static void build(struct mos_supervisor *s, struct poll_set *set)
{
	set->count = 0;
	for (unsigned i = 0; i < WORKER_MAX; i++)
		if (s->worker[i].state != WORKER_FREE)
			watch(set, s->worker[i].pidfd, &s->worker[i]);
	for (unsigned i = 0; i < WORKER_MAX; i++)
		if (s->worker[i].state != WORKER_FREE)
			watch(set, s->worker[i].fd, &s->worker[i]);
	watch(set, s->p->wake_fd, NULL);
	watch(set, s->listen_fd, NULL);
}

static void handle(struct mos_supervisor *s, const struct pollfd *p, struct worker *w)
{
	uint64_t count;

	if (p->revents == 0)
		return;
	if (p->fd == s->listen_fd) {
		mos_sup_accept(s);
	} else if (w == NULL) {
		if (read(p->fd, &count, sizeof(count)) < 0)
			return; /* woken is woken */
	} else if (p->fd == w->pidfd) {
		mos_sup_gone(s, w);
	} else if (p->fd == w->fd) { /* not closed meanwhile by the handling of its pidfd */
		mos_sup_message(s, w);
	}
}

static bool anyone_attached(const struct mos_supervisor *s)
{
	for (unsigned i = 0; i < WORKER_MAX; i++)
		if (s->worker[i].state >= WORKER_ATTACHING)
			return true;
	return false;
}

static bool may_end(const struct mos_supervisor *s)
{
	if (!atomic_load(&s->stopping))
		return false;
	return !anyone_attached(s) || mos_sup_now_ns() >= s->stop_by_ns;
}

static void *run(void *arg)
{
	struct mos_supervisor *s = arg;
	struct poll_set set;

	pthread_setname_np(pthread_self(), "mos-supervisor");
	while (!may_end(s)) {
		build(s, &set);
		poll(set.fd, set.count, TICK_MS);
		for (unsigned i = 0; i < set.count; i++)
			handle(s, &set.fd[i], set.who[i]);
		mos_sup_tend_workers(s);
		mos_sup_tend_readers(s);
		mos_sup_tend_shards(s);
	}
	mos_sup_close_all(s);
	return NULL;
}

/* ---- life ---- */

static int start_thread(struct mos_supervisor *s)
{
	sigset_t all, old;
	int err;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

static void control_path(const struct mos_primary *p, char *path, size_t len)
{
	snprintf(path, len, MOS_CONTROL_SOCK_FMT, p->cfg.prefix);
}

int mos_supervisor_start(struct mos_supervisor **out, struct mos_primary *p, char *err,
                         size_t err_len)
{
	struct mos_supervisor *s = calloc(1, sizeof(*s));
	char path[128];
	int res = -ENOMEM;

	if (s == NULL)
		goto fail;
	s->p = p;
	for (unsigned i = 0; i < WORKER_MAX; i++)
		s->worker[i].fd = s->worker[i].pidfd = -1;
	control_path(p, path, sizeof(path));
	res = p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (res < 0) {
		res = -errno;
		goto fail;
	}
	res = s->listen_fd = mos_ctl_listen(path);
	if (res < 0)
		goto no_socket;
	mos_sup_shards_init(s);
	res = start_thread(s);
	if (res == 0) {
		*out = s;
		return 0;
	}

	close(s->listen_fd);
	unlink(path);
no_socket:
	close(p->wake_fd);
	p->wake_fd = -1;
fail:
	snprintf(err, err_len, "cannot start the supervisor: %s", strerror(-res));
	free(s);
	return res;
}

void mos_supervisor_stop(struct mos_supervisor *s, unsigned grace_ms)
{
	const uint64_t one = 1;
	char path[128];

	s->stop_by_ns = mos_sup_now_ns() + (uint64_t)grace_ms * 1000000;
	atomic_store(&s->stopping, true);
	if (write(s->p->wake_fd, &one, sizeof(one)) < 0)
		perror("mos-primary: wake"); /* the thread's next tick comes all the same */
	pthread_join(s->thread, NULL);
	control_path(s->p, path, sizeof(path));
	close(s->listen_fd);
	unlink(path);
	close(s->p->wake_fd);
	s->p->wake_fd = -1;
	free(s);
}
