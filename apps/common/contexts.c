#include "apps/common/contexts.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mos_ext.h"

static _Atomic(mctx_t) context[CONTEXTS_MAX]; /* whoever takes one destroys it */
static bool handed_over[CONTEXTS_MAX];
static int context_count;

static void mask_signals(int how)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(how, &signals, NULL);
}

void contexts_block_signals(void)
{
	mask_signals(SIG_BLOCK);
}

static void on_signal(int signum)
{
	contexts_stop();
}

void contexts_take_signals(void)
{
	mtcp_register_signal(SIGINT, on_signal);
	mtcp_register_signal(SIGTERM, on_signal);
}

int contexts_configure(const char *program, int wanted)
{
	struct mtcp_conf conf;

	if (mtcp_getconf(&conf) < 0) {
		fprintf(stderr, "%s: no configuration: %s\n", program, strerror(errno));
		return -1;
	}
	if (wanted > 0)
		conf.num_cores = wanted;
	if (conf.num_cores > CONTEXTS_MAX) {
		fprintf(stderr, "%s: %d contexts: at most %d are supported\n", program,
		        conf.num_cores, CONTEXTS_MAX);
		return -1;
	}
	if (wanted > 0 && mtcp_setconf(&conf) < 0) {
		fprintf(stderr, "%s: -n %d: %s\n", program, wanted, strerror(errno));
		return -1;
	}
	context_count = conf.num_cores;
	return context_count;
}

static bool start_all(bool (*start)(mctx_t mctx), mctx_t mctx[static CONTEXTS_MAX])
{
	for (int i = 0; i < context_count; i++) {
		mctx[i] = mtcp_create_context(i);
		if (mctx[i] == NULL)
			return false; /* the library has printed why */
		atomic_store(&context[i], mctx[i]);
		if (!start(mctx[i]))
			return false;
	}
	return true;
}

bool contexts_run(bool (*start)(mctx_t mctx), bool (*started)(void))
{
	mctx_t mctx[CONTEXTS_MAX];
	bool ok = start_all(start, mctx) && (started == NULL || started());

	mask_signals(SIG_UNBLOCK);
	for (int i = 0; ok && i < context_count; i++)
		mtcp_app_join(mctx[i]);
	for (int i = 0; ok && i < context_count; i++)
		handed_over[i] = mtcp_handed_over(mctx[i]) == 1;
	return ok;
}

bool contexts_handed_over(int cpu)
{
	return handed_over[cpu];
}

void contexts_stop(void)
{
	for (int i = 0; i < context_count; i++) {
		mctx_t mctx = atomic_exchange(&context[i], NULL);

		if (mctx != NULL)
			mtcp_destroy_context(mctx);
	}
}

void contexts_ask_to_stop(void)
{
	kill(getpid(), SIGTERM);
}
