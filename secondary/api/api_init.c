/* Public life-cycle calls: specification section 2.2. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "secondary/api/api_priv.h"
#include "secondary/attach/attach.h"
#include "secondary/context/context.h"
#include "shared/control/control_msg.h"
#include "shared/names.h"

static _Atomic(mtcp_sighandler_t) sigint_handler;
static _Atomic bool initialised;

/* ---- SIGINT ---- */

/* A second SIGINT within this time ends the contexts whatever the application's handler does. */
#define INSIST_NS INT64_C(1000000000)

/* For good: a context that is only being created ends too. */
static void stop_all(void)
{
	atomic_store(&mos_worker.stopping, true);
	for (unsigned i = 0; i < MOS_SHARD_MAX; i++)
		atomic_store(&mos_worker.ctx[i].stop, true);
}

/* True when the last SIGINT was less than a second ago. */
static bool insists(void)
{
	static _Atomic int64_t last_ns = -INSIST_NS;
	struct timespec ts;
	int64_t now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	return now - atomic_exchange(&last_ns, now) < INSIST_NS;
}

/* Only lock-free atomics, clock_gettime and the application's handler: safe at any moment. */
static void on_sigint(int signum)
{
	mtcp_sighandler_t handler = atomic_load(&sigint_handler);
	int saved = errno;

	if (insists() || handler == NULL)
		stop_all();
	if (handler != NULL)
		handler(signum);
	errno = saved;
}

static void install_sigint(void)
{
	struct sigaction sa = {.sa_handler = on_sigint};

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
}

mtcp_sighandler_t mtcp_register_signal(int signum, mtcp_sighandler_t handler)
{
	if (signum == SIGINT)
		return atomic_exchange(&sigint_handler, handler);
	return signal(signum, handler);
}

/* ---- fork ---- */

/*
 * The primary knows this process by its pid: it takes the shards back when the pid is gone, whoever
 * may still work on them. So a forked child is no worker; its calls fail as before mtcp_init.
 */
static void disown_in_child(void)
{
	mos_context_disown(&mos_worker);
	if (mos_worker.ctl_fd >= 0)
		close(mos_worker.ctl_fd);
	mos_worker.ctl_fd = -1;
}

/* ---- mtcp_init ---- */

/* The shard mos-run wants this process to take; -1 without it, -2 if it is no number. */
static int shard_from_environment(const struct mos_config *cfg)
{
	const char *text = getenv(MOS_ENV_SHARD);
	char *end;
	long v;

	if (text == NULL || *text == '\0')
		return -1;
	errno = 0;
	v = strtol(text, &end, 10);
	if (errno != 0 || *end != '\0' || v < 0 || v >= cfg->workers)
		return -2;
	return (int)v;
}

/* The process whose successor this is: its id, MOS_CTL_FROM_DEAD, or 0; -2 if it is neither. */
static int32_t predecessor_from_environment(void)
{
	const char *text = getenv(MOS_ENV_TAKE_OVER);
	char *end;
	long v;

	if (text == NULL || *text == '\0')
		return MOS_CTL_FROM_FREE;
	if (strcmp(text, "dead") == 0)
		return MOS_CTL_FROM_DEAD;
	errno = 0;
	v = strtol(text, &end, 10);
	return errno != 0 || *end != '\0' || v < 1 || v > INT32_MAX ? -2 : (int32_t)v;
}

/* Under mos-run each process has one. The successor of a process may have as many as that. */
static bool has_one_shard(const struct mos_worker *w)
{
	return w->preferred_shard >= 0 || w->take_over == MOS_CTL_FROM_DEAD;
}

static int init(const char *file)
{
	struct mos_worker *w = &mos_worker;
	char err[MOS_CONFIG_ERR_LEN];
	int res;

	if (file == NULL)
		return mos_fail(EINVAL, "mtcp_init needs the name of a configuration file");
	res = mos_config_load(&w->cfg, file, err, sizeof(err));
	if (res != 0)
		return mos_fail(-res, "%s", err);
	w->preferred_shard = shard_from_environment(&w->cfg);
	if (w->preferred_shard == -2)
		return mos_fail(EINVAL, MOS_ENV_SHARD "=%s: not a shard; there are %d, from 0 on",
		                getenv(MOS_ENV_SHARD), w->cfg.workers);
	w->take_over = predecessor_from_environment();
	if (w->take_over == -2)
		return mos_fail(EINVAL, MOS_ENV_TAKE_OVER "=%s: neither a process id nor \"dead\"",
		                getenv(MOS_ENV_TAKE_OVER));
	w->num_cores = has_one_shard(w) ? 1 : w->cfg.workers;
	if (geteuid() != 0)
		return mos_fail(EPERM, "attaching to the primary needs root: run it with sudo");
	return mos_attach(w);
}

int mtcp_init(const char *config_file)
{
	int err;

	if (atomic_exchange(&initialised, true))
		return fail(-mos_fail(EALREADY, "mtcp_init was called before"));
	err = init(config_file);
	if (err != 0) {
		atomic_store(&initialised, false);
		return fail(-err);
	}
	pthread_atfork(NULL, NULL, disown_in_child);
	install_sigint();
	return 0;
}

int mtcp_destroy(void)
{
	if (mos_context_in_callback(&mos_worker)) {
		/* It cannot wait for itself, and the others may wait for it. */
		stop_all();
		return fail(EDEADLK);
	}
	for (unsigned i = 0; i < MOS_SHARD_MAX; i++)
		mos_context_destroy(&mos_worker.ctx[i]);
	mos_detach(&mos_worker);
	return 0;
}

/* ---- configuration ---- */

int mtcp_getconf(struct mtcp_conf *conf)
{
	const struct mos_config *cfg = &mos_worker.cfg;

	if (conf == NULL)
		return fail(EINVAL);
	if (!atomic_load(&initialised))
		return fail(EPERM);
	memset(conf, 0, sizeof(*conf));
	conf->num_cores = mos_worker.num_cores;
	conf->max_concurrency = cfg->max_concurrency;
	conf->cpu_mask =
		mos_worker.num_cores >= 64 ? UINT64_MAX : (UINT64_C(1) << mos_worker.num_cores) - 1;
	conf->rcvbuf_size = cfg->rmem_size;
	conf->sndbuf_size = cfg->wmem_size;
	conf->tcp_timewait = cfg->tcp_tw_interval;
	conf->tcp_timeout = cfg->tcp_timeout;
	conf->num_app = (int)cfg->app_count;
	for (uint32_t i = 0; i < cfg->app_count; i++) {
		struct mos_config_app *app = &mos_worker.cfg.app[i];

		conf->app_cpu_mask[i] = app->cpu_mask;
		conf->app_argc[i] = (int)app->argc;
		for (uint32_t k = 0; k < app->argc; k++)
			conf->app_argv[i][k] = &app->args[app->arg_offset[k]];
	}
	return 0;
}

static bool any_context(void)
{
	for (unsigned i = 0; i < MOS_SHARD_MAX; i++)
		if (atomic_load(&mos_worker.ctx[i].state) != MOS_CTX_FREE)
			return true;
	return false;
}

/*
 * Flow memory and timeouts belong to the primary, which reads the same file: a program can change
 * the number of contexts only. What it asks for beyond that is refused, not ignored.
 */
static int check_conf(const struct mtcp_conf *conf)
{
	const struct mos_config *cfg = &mos_worker.cfg;

	if (conf == NULL || conf->num_cores < 1 || conf->max_concurrency < 1)
		return EINVAL;
	if (!atomic_load(&initialised))
		return EPERM;
	if (any_context())
		return EBUSY;
	if (!has_one_shard(&mos_worker) && conf->num_cores > cfg->workers)
		return EINVAL;
	if (conf->max_concurrency != cfg->max_concurrency || conf->rcvbuf_size != cfg->rmem_size ||
	    conf->sndbuf_size != cfg->wmem_size || conf->tcp_timewait != cfg->tcp_tw_interval ||
	    conf->tcp_timeout != cfg->tcp_timeout)
		return ENOSYS;
	return 0;
}

int mtcp_setconf(const struct mtcp_conf *conf)
{
	int err = check_conf(conf);

	if (err != 0)
		return fail(err);
	if (!has_one_shard(&mos_worker))
		mos_worker.num_cores = conf->num_cores;
	return 0;
}

int mtcp_core_affinitize(int cpu)
{
	cpu_set_t set;

	if (cpu < 0 || cpu >= (int)sysconf(_SC_NPROCESSORS_ONLN) || cpu >= CPU_SETSIZE)
		return fail(EINVAL);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

/* ---- contexts ---- */

mctx_t mtcp_create_context(int cpu)
{
	struct mos_ctx *c;

	if (!atomic_load(&initialised) || mos_worker.ctl_fd < 0) {
		errno = -mos_fail(EPERM, "mtcp_create_context before a successful mtcp_init "
		                         "of this process (a forked child is another)");
		return NULL;
	}
	if (cpu < 0 || cpu >= mos_worker.num_cores || cpu >= MOS_SHARD_MAX) {
		errno = -mos_fail(EINVAL, "context %d: this process may create 0 to %d", cpu,
		                  mos_worker.num_cores - 1);
		return NULL;
	}
	c = mos_context_create(&mos_worker, cpu);
	return c != NULL ? &c->api : NULL;
}

int mtcp_destroy_context(mctx_t mctx)
{
	struct mos_ctx *c = mos_ctx_from(mctx);

	if (c == NULL)
		return -1;
	mos_context_destroy(c);
	return 0;
}

void mtcp_app_join(mctx_t mctx)
{
	struct mos_ctx *c = mos_ctx_from(mctx);

	if (c != NULL)
		mos_context_join(&mos_worker, c);
}
