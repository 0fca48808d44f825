#include "secondary/attach/attach.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_memzone.h>

#include "mos_ext.h"
#include "secondary/eal/eal_worker.h"
#include "shared/control/control_msg.h"
#include "shared/kill_point/kill_point.h"
#include "shared/names.h"

/* The primary lets one worker attach at a time: each of those before us may need its deadline. */
#define WELCOME_TIMEOUT_MS 60000
#define ANSWER_TIMEOUT_MS  10000

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

/* Wait for an answer of this type; those left over from an earlier request are skipped. */
static int answer(int fd, struct mos_ctl_msg *m, enum mos_ctl_type want, int timeout_ms)
{
	for (int i = 0; i < 8; i++) {
		int err = mos_ctl_recv(fd, m, timeout_ms);

		if (err == -EAGAIN)
			return mos_fail(ETIMEDOUT, "the primary does not answer within %d s",
			                timeout_ms / 1000);
		if (err == -EPIPE)
			return mos_fail(ENOTCONN, "the primary closed the connection");
		if (err == -EPROTO)
			return mos_fail(
				EPROTO,
				"the primary is of another version (%u, ours is %u); install "
				"primary and application from one build",
				m->version, MOS_CTL_VERSION);
		if (err != 0)
			return mos_fail(-err, "control socket: %s", strerror(-err));
		if (m->type == MOS_CTL_REFUSED)
			return mos_fail(m->error > 0 ? m->error : EPROTO, "%s", m->text);
		if (m->type == want)
			return 0;
	}
	return mos_fail(EPROTO, "the primary answers something else");
}

/* Say *m and wait for the answer, in its place. A primary that has closed may have said why. */
static int ask(int fd, struct mos_ctl_msg *m, enum mos_ctl_type want, int timeout_ms)
{
	int err = mos_ctl_send(fd, m);

	if (err != 0 && err != -EPIPE && err != -ECONNRESET)
		return mos_fail(-err, "control socket: %s", strerror(-err));
	return answer(fd, m, want, timeout_ms);
}

static int join_root(struct mos_worker *w)
{
	const struct rte_memzone *zone = rte_memzone_lookup(MOS_ROOT_ZONE);
	int err;

	if (zone == NULL)
		return mos_fail(EPROTO, "the primary has no memory zone %s", MOS_ROOT_ZONE);
	w->root = zone->addr;
	err = mos_root_join(w->root);
	return err == 0 ? 0 : mos_fail(-err, "the primary's memory is of another layout");
}

static int attach_over(struct mos_worker *w, int fd)
{
	char text[256];
	struct mos_ctl_msg m;
	int err;

	mos_ctl_init(&m, MOS_CTL_HELLO);
	err = ask(fd, &m, MOS_CTL_WELCOME, WELCOME_TIMEOUT_MS);
	if (err != 0)
		return err;
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
	if (fd < 0)
		return fd;
	err = attach_over(w, fd);
	if (err != 0) {
		close(fd);
		return err;
	}
	w->ctl_fd = fd;
	return 0;
}

int mos_attach_lease(struct mos_worker *w, int preferred, uint32_t *shard, uint32_t *epoch)
{
	struct mos_ctl_msg m;
	int err;

	mos_ctl_init(&m, MOS_CTL_LEASE);
	m.shard = preferred < 0 ? MOS_CTL_ANY : (uint32_t)preferred;
	pthread_mutex_lock(&w->ctl_lock);
	err = ask(w->ctl_fd, &m, MOS_CTL_LEASED, ANSWER_TIMEOUT_MS);
	pthread_mutex_unlock(&w->ctl_lock);
	if (err != 0)
		return err;
	if (m.shard >= w->root->shard_count)
		return mos_fail(EPROTO, "the primary leased shard %u of %u", m.shard,
		                w->root->shard_count);
	*shard = m.shard;
	*epoch = m.epoch;
	return 0;
}

void mos_attach_release(struct mos_worker *w, uint32_t shard, uint32_t epoch)
{
	struct mos_ctl_msg m;

	mos_kill_point("lease.yielded");
	mos_ctl_init(&m, MOS_CTL_RELEASE);
	m.shard = shard;
	m.epoch = epoch;
	pthread_mutex_lock(&w->ctl_lock);
	if (mos_ctl_send(w->ctl_fd, &m) == 0 && mos_attach_primary_lives(w->ctl_fd))
		answer(w->ctl_fd, &m, MOS_CTL_RELEASED, ANSWER_TIMEOUT_MS);
	pthread_mutex_unlock(&w->ctl_lock);
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
