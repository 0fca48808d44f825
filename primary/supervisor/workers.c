#include "primary/supervisor/supervisor_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "primary/eal/eal_primary.h"
#include "primary/report/report.h"

/*
 * How long an attach may take while others wait for its end, and while none does: it takes a tenth
 * of a second of processor time, which a busy machine may be long in giving.
 */
#define ATTACH_NS       UINT64_C(10000000000)
#define ATTACH_ALONE_NS UINT64_C(60000000000)

/* The same of a reader, while others wait: packets may wait for a worker, nothing for a reader. */
#define READER_ATTACH_NS UINT64_C(3000000000)

/* How long a new connection may stay silent. */
#define HELLO_NS UINT64_C(2000000000)

/* After its end of the connection: one that still lives then has not died while attaching. */
#define GONE_NS UINT64_C(1000000000)

static void enter(struct worker *w, enum worker_state state)
{
	w->state = state;
	w->since_ns = mos_sup_now_ns();
}

static void forget(struct worker *w)
{
	if (w->fd >= 0)
		close(w->fd);
	if (w->pidfd >= 0)
		close(w->pidfd);
	*w = (struct worker){.fd = -1, .pidfd = -1};
}

static void refuse(int fd, int error, const char *text)
{
	struct mos_ctl_msg m;

	mos_ctl_init(&m, MOS_CTL_REFUSED);
	m.error = error;
	snprintf(m.text, sizeof(m.text), "%s", text);
	mos_ctl_send(fd, &m);
}

/* ---- who it is ---- */

/* Start time of a process, field 22 of its stat file: tells a reused pid. 0 if it is gone. */
static uint64_t start_time_of(pid_t pid)
{
	char path[64], line[1024];
	const char *at;
	uint64_t v = 0;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	n = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[n] = '\0';
	at = strrchr(line, ')'); /* the command name may contain spaces and brackets */
	for (int field = 2; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at != NULL)
		v = strtoull(at, NULL, 10);
	return v;
}

static int identify(struct worker *w)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(w->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return -errno;
	if (peer.pid <= 0)
		return -ESRCH; /* of another pid namespace: its death could not be seen */
	w->pid = peer.pid;
	w->pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0);
	if (w->pidfd < 0)
		return -errno;
	w->start_time = start_time_of(w->pid);
	return w->start_time != 0 ? 0 : -ESRCH;
}

bool mos_sup_is_ending(const struct mos_supervisor *s)
{
	return mos_root_run(s->p->root) != MOS_RUN_RUNNING;
}

void mos_sup_accept(struct mos_supervisor *s)
{
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct worker *w = NULL;

	if (fd < 0)
		return;
	for (unsigned i = 0; i < WORKER_MAX && w == NULL; i++)
		if (s->worker[i].state == WORKER_FREE)
			w = &s->worker[i];
	if (w == NULL || mos_sup_is_ending(s)) {
		refuse(fd, w == NULL ? EBUSY : ESHUTDOWN,
		       w == NULL ? "too many processes are attached" : "the primary is stopping");
		close(fd);
		return;
	}
	*w = (struct worker){.fd = fd, .pidfd = -1, .order = s->arrivals++};
	if (identify(w) != 0) {
		refuse(fd, EACCES, "the primary cannot see this process (another pid namespace?)");
		forget(w);
		return;
	}
	enter(w, WORKER_CONNECTED);
}

/* ---- attaching, one at a time ---- */

static void welcome(struct mos_supervisor *s, struct worker *w)
{
	struct mos_ctl_msg m;

	if (w->reader)
		mos_sup_reader_register(s, w);
	mos_ctl_init(&m, MOS_CTL_WELCOME);
	m.attach_slot = attach_slot(s, w);
	snprintf(m.text, sizeof(m.text), "%s", s->p->cfg.prefix);
	enter(w, WORKER_ATTACHING);
	mos_ctl_send(w->fd, &m); /* if it cannot be told, its deadline or its pidfd ends this */
}

static void refuse_waiting(struct mos_supervisor *s)
{
	for (unsigned i = 0; i < WORKER_MAX; i++) {
		struct worker *w = &s->worker[i];

		if (w->state != WORKER_WAITING)
			continue;
		refuse(w->fd, ESHUTDOWN, "the primary is stopping");
		forget(w);
	}
}

/* Workers first: packets wait for them. */
static bool is_before(const struct worker *a, const struct worker *b)
{
	return a->reader != b->reader ? b->reader : a->order < b->order;
}

static bool somebody_attaches(const struct mos_supervisor *s)
{
	for (unsigned i = 0; i < WORKER_MAX; i++)
		if (s->worker[i].state == WORKER_ATTACHING)
			return true;
	return false;
}

static struct worker *first_waiting(struct mos_supervisor *s)
{
	struct worker *first = NULL;

	for (unsigned i = 0; i < WORKER_MAX; i++) {
		struct worker *w = &s->worker[i];

		if (w->state == WORKER_WAITING && (first == NULL || is_before(w, first)))
			first = w;
	}
	return first;
}

/* Between two attaches the files of the dead go, too. */
static void welcome_next(struct mos_supervisor *s)
{
	struct worker *next;

	if (mos_sup_is_ending(s))
		refuse_waiting(s);
	if (somebody_attaches(s))
		return;
	if (s->sweep_due)
		mos_eal_primary_sweep(s->p->cfg.prefix);
	s->sweep_due = false;
	next = first_waiting(s);
	if (next != NULL)
		welcome(s, next);
}

static void await_turn(struct mos_supervisor *s, struct worker *w, uint32_t role)
{
	bool reader = role == MOS_CTL_READER;

	if (role != MOS_CTL_WORKER && (!reader || !mos_sup_reader_fits(s))) {
		refuse(w->fd, reader ? EBUSY : EPROTO,
		       reader ? "too many readers are attached" : "there is no such role");
		forget(w);
		return;
	}
	w->reader = reader;
	enter(w, WORKER_WAITING);
}

static void on_hello(struct mos_supervisor *s, struct worker *w, const struct mos_ctl_msg *m)
{
	struct mos_ctl_msg ours;
	char text[MOS_CTL_TEXT]; /* with room for all it gets */

	mos_ctl_init(&ours, MOS_CTL_HELLO);
	if (m->version == ours.version && m->layout_hash == ours.layout_hash) {
		await_turn(s, w, m->role);
		return;
	}
	if (m->version != ours.version)
		snprintf(text, sizeof(text),
		         "primary speaks protocol version %u, application version %u", ours.version,
		         m->version);
	else
		snprintf(text, sizeof(text),
		         "primary has layout %016" PRIx64 ", application layout %016" PRIx64,
		         ours.layout_hash, m->layout_hash);
	mos_report("pid %d refused: %s", (int)w->pid, text);
	strcat(text, "; install both from one build and restart");
	refuse(w->fd, EPROTO, text);
	forget(w);
}

/* ---- messages ---- */

static void refuse_context(const struct worker *w, uint32_t ctx, int error, const char *text)
{
	struct mos_ctl_msg m;

	mos_ctl_init(&m, MOS_CTL_REFUSED);
	m.ctx = ctx;
	m.error = error;
	snprintf(m.text, sizeof(m.text), "%s", text);
	mos_ctl_send(w->fd, &m);
}

static void dispatch(struct mos_supervisor *s, struct worker *w, const struct mos_ctl_msg *m)
{
	struct mos_ctl_msg answer;

	if (m->type == MOS_CTL_HELLO && w->state == WORKER_CONNECTED) {
		on_hello(s, w, m);
	} else if (m->type == MOS_CTL_ATTACHED && w->state == WORKER_ATTACHING) {
		enter(w, WORKER_ATTACHED);
		if (!w->reader) /* they come and go */
			mos_report("worker pid %d attached (slot %u)", (int)w->pid,
			           attach_slot(s, w));
	} else if (m->type == MOS_CTL_LEASE && w->reader) {
		refuse_context(w, m->ctx, EPERM, "a reader gets no shard");
	} else if (m->type == MOS_CTL_LEASE && w->state == WORKER_ATTACHED &&
	           mos_sup_is_ending(s)) {
		refuse_context(w, m->ctx, ESHUTDOWN, "the primary is stopping");
	} else if (m->type == MOS_CTL_LEASE && w->state == WORKER_ATTACHED) {
		if (!mos_sup_lease(s, w, m, &answer))
			mos_ctl_send(w->fd, &answer);
	} else if (m->type == MOS_CTL_RELEASE && w->state == WORKER_ATTACHED) {
		mos_sup_release(s, w, m, &answer);
		mos_ctl_send(w->fd, &answer);
	} else {
		refuse_context(w, m->ctx, EPROTO, "not now");
	}
}

/*
 * The peer closed its end. One that never attached is forgotten; others keep their slot until
 * their process is gone, and what they hold until then is theirs.
 */
static void on_close(struct mos_supervisor *s, struct worker *w)
{
	if (w->state < WORKER_ATTACHING) {
		forget(w);
		return;
	}
	mos_sup_drop_claims(s, w);
	close(w->fd);
	w->fd = -1;
	w->since_ns = mos_sup_now_ns();
}

/* Its rte_eal_init has failed, and it lives on: it holds no lock, and may stay for all we care. */
static void end_failed_attach(struct worker *w)
{
	mos_report("worker pid %d gave up attaching", (int)w->pid);
	enter(w, WORKER_ATTACHED);
}

void mos_sup_message(struct mos_supervisor *s, struct worker *w)
{
	struct mos_ctl_msg m;
	int err = mos_ctl_recv(w->fd, &m, 0);

	if (err == -EAGAIN)
		return;
	if (err == 0)
		dispatch(s, w, &m);
	else if (err == -EPROTO && w->state == WORKER_CONNECTED && m.magic == MOS_CTL_MAGIC &&
	         m.version != MOS_CTL_VERSION)
		on_hello(s, w, &m); /* another version: tell it so */
	else if (err == -EPROTO && w->state >= WORKER_ATTACHING)
		refuse_context(w, m.ctx, EPROTO, "not now");
	else
		on_close(s, w);
	welcome_next(s);
}

/* ---- deaths and deadlines ---- */

void mos_sup_gone(struct mos_supervisor *s, struct worker *w)
{
	bool attaching = w->state == WORKER_ATTACHING;
	int freed = 0;

	/* What others wait for comes first. */
	mos_sup_drop_claims(s, w);
	mos_sup_declare_dead(s, w);
	mos_sup_tend_shards(s);
	if (attaching) {
		freed = mos_eal_locks_mend();
		mos_report("worker pid %d died while attaching; locks freed: %d", (int)w->pid,
		           freed);
	}
	s->sweep_due |= w->state >= WORKER_ATTACHING;
	if (w->state >= WORKER_ATTACHING && w->reader)
		mos_sup_reader_unregister(s, w);
	forget(w);
	welcome_next(s);
}

static uint64_t attach_ns(const struct mos_supervisor *s, const struct worker *w)
{
	for (unsigned i = 0; i < WORKER_MAX; i++)
		if (s->worker[i].state == WORKER_WAITING)
			return w->reader ? READER_ATTACH_NS : ATTACH_NS;
	return ATTACH_ALONE_NS;
}

void mos_sup_tend_workers(struct mos_supervisor *s)
{
	uint64_t now = mos_sup_now_ns();

	for (unsigned i = 0; i < WORKER_MAX; i++) {
		struct worker *w = &s->worker[i];

		if (w->state == WORKER_CONNECTED && now - w->since_ns > HELLO_NS) {
			forget(w);
		} else if (w->state == WORKER_ATTACHING && w->fd < 0) {
			if (now - w->since_ns > GONE_NS)
				end_failed_attach(w);
		} else if (w->state == WORKER_ATTACHING && now - w->since_ns > attach_ns(s, w)) {
			mos_report("worker pid %d is killed: attaching took over %d s", (int)w->pid,
			           (int)(attach_ns(s, w) / 1000000000));
			syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
			w->since_ns = now; /* the pidfd tells when it is gone */
		}
	}
	welcome_next(s);
}

void mos_sup_close_all(struct mos_supervisor *s)
{
	for (unsigned i = 0; i < WORKER_MAX; i++) {
		struct worker *w = &s->worker[i];

		if (w->state == WORKER_ATTACHED)
			mos_report("worker pid %d is still alive; it has lost its primary",
			           (int)w->pid);
		if (w->state != WORKER_FREE)
			forget(w);
	}
}
