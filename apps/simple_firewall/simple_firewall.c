/*
 * simple-firewall: let TCP connections through, or not, by rules in a file.
 *
 *   simple-firewall -f mos.conf -r rules [-n contexts] [-i seconds] [-F]
 *   simple-firewall -c -r rules     check the rules
 *
 *   drop src 10.0.0.0/8 dst 192.168.1.5 port 22
 *   pass dst port 80                # rule.h tells the whole language
 *   drop any
 *
 * The first rule that matches decides; what none matches passes. A rule is asked for the SYN that
 * opens a connection and for nothing else: without it no connection comes to be. A dropped SYN
 * that is sent again is asked again and counted again; a connection that was let in is not watched
 * any more, and costs nothing from then on.
 *
 *   SIGHUP           read the rules again. A file with a mistake changes nothing, and the message
 *                    says where it is. Write a new file and move it over the old one, or a signal
 *                    at the wrong moment finds half of it. Connections that exist go on: they
 *                    were let in by the rules of their time.
 *   SIGUSR1          print the counts now
 *   SIGINT, SIGTERM  end in order, with status 0
 *
 * What the rules cannot see: TCP in IP fragments (-F drops it), and IPv6 unless mos.conf says
 * ipv6 = 1. Packets that come while no worker serves their shard are dealt with by fail_policy;
 * a firewall that must not leak sets it to closed, or hold MS closed.
 *
 *   stack threads     callbacks: ask the rules, count, drop
 *   control thread    signals, reload, pages
 *   main thread       makes the contexts and waits for their end
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mos_api.h"
#include "mos_ext.h"
#include "apps/common/number.h"
#include "apps/simple_firewall/report.h"
#include "apps/simple_firewall/rule_table.h"
#include "apps/simple_firewall/watch.h"

#define DAY_S      86400
#define MS_PER_S   1000
#define COLLECT_MS 100 /* between two looks whether replaced rules are done with */

static struct {
	const char *config_file;
	const char *rules_file;
	int core_count; /* 0 = as configured */
	int interval_s; /* 0 = no pages but on SIGUSR1 and at the end */
	bool drop_fragments;
	bool check_only;
} opt = {.interval_s = 1};

static _Atomic(mctx_t) context[RULES_CORES_MAX]; /* whoever takes one destroys it */
static int core_count;
static struct rules rules;
static struct rule_tally gone; /* of tables that are no more; the control thread's */

/* ---- Rules and reports: control thread ---- */

static void print_page(const struct rule_table *t, const char *what)
{
	struct report_sums sums = {.rules = gone, .with_fragments = opt.drop_fragments};

	for (const struct rule_table *r = rules.retired; r != NULL; r = r->next)
		rule_table_tally(r, &sums.rules);
	rule_table_tally(rules_current(&rules), &sums.rules);
	watch_sum(&sums.fragments, &sums.failed);
	report_print(t, what, &sums);
}

static void reload(void)
{
	char err[RULES_ERROR_LEN];
	struct rule_table *t = rule_table_load(opt.rules_file, (unsigned)core_count, err);

	if (t == NULL) {
		report_say("%s; the rules in force stay", err);
		return;
	}
	rules_publish(&rules, t);
	report_say("%s: %u rules are in force", opt.rules_file, t->rule_count);
}

/* Print what replaced rules counted to their end, once no stack thread can count there. */
static void collect(void)
{
	struct rule_table *t;

	while ((t = rules_collect(&rules)) != NULL) {
		rule_table_tally(t, &gone);
		print_page(t, "replaced");
		rule_table_free(t);
	}
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * MS_PER_S + (uint64_t)t.tv_nsec / 1000000;
}

/* Wait for one of our signals until page_ms, or shortly while tables wait to be collected. */
static int wait_signal(const sigset_t *signals, uint64_t page_ms)
{
	uint64_t now = now_ms(), wait_ms = page_ms > now ? page_ms - now : 0;
	struct timespec wait;

	if (rules.retired != NULL && wait_ms > COLLECT_MS)
		wait_ms = COLLECT_MS;
	wait.tv_sec = (time_t)(wait_ms / MS_PER_S);
	wait.tv_nsec = (long)(wait_ms % MS_PER_S) * 1000000;
	return sigtimedwait(signals, NULL, &wait);
}

static void stop(void)
{
	for (int i = 0; i < core_count; i++) {
		mctx_t mctx = atomic_exchange(&context[i], NULL);

		if (mctx != NULL)
			mtcp_destroy_context(mctx);
	}
}

/* Ends when it is told to by SIGINT or SIGTERM, the main thread's included. */
static void *control(void *arg)
{
	const sigset_t *signals = arg;
	uint64_t interval_ms = (uint64_t)(opt.interval_s > 0 ? opt.interval_s : DAY_S) * MS_PER_S;
	uint64_t page_ms = now_ms() + interval_ms;
	bool page_due;

	for (;;) {
		int signum = wait_signal(signals, page_ms);

		if (signum == SIGINT || signum == SIGTERM)
			break;
		if (signum == SIGHUP)
			reload();
		collect();
		page_due = opt.interval_s > 0 && now_ms() >= page_ms;
		if (page_due || signum == SIGUSR1)
			print_page(rules_current(&rules), opt.rules_file);
		if (now_ms() >= page_ms)
			page_ms = now_ms() + interval_ms;
	}
	stop();
	return NULL;
}

/* ---- Start and end: main thread ---- */

static bool start_core(int cpu)
{
	mctx_t mctx = mtcp_create_context(cpu);

	if (mctx == NULL)
		return false; /* the library has printed why */
	atomic_store(&context[cpu], mctx);
	if (watch_start(mctx, opt.drop_fragments) < 0) {
		report_say("cannot watch connections: %s", strerror(errno));
		return false;
	}
	return true;
}

/*
 * Until all contexts have ended. The signals are blocked in all threads; the control thread takes
 * them from the queue.
 */
static bool run(sigset_t *signals)
{
	mctx_t mctx[RULES_CORES_MAX];
	pthread_t thread;
	int error;

	for (int i = 0; i < core_count; i++) {
		if (!start_core(i))
			return false;
		mctx[i] = atomic_load(&context[i]);
	}
	error = pthread_create(&thread, NULL, control, signals);
	if (error != 0) {
		report_say("cannot start a thread: %s", strerror(error));
		return false;
	}
	for (int i = 0; i < core_count; i++)
		mtcp_app_join(mctx[i]);
	pthread_kill(thread, SIGTERM);
	pthread_join(thread, NULL);
	return true;
}

static bool configure(void)
{
	struct mtcp_conf conf;

	if (mtcp_getconf(&conf) < 0) {
		report_say("no configuration: %s", strerror(errno));
		return false;
	}
	if (opt.core_count > 0)
		conf.num_cores = opt.core_count;
	if (conf.num_cores > RULES_CORES_MAX) {
		report_say("%d contexts: at most %d are supported", conf.num_cores,
		           RULES_CORES_MAX);
		return false;
	}
	if (opt.core_count > 0 && mtcp_setconf(&conf) < 0) {
		report_say("-n %d: %s", opt.core_count, strerror(errno));
		return false;
	}
	core_count = conf.num_cores;
	report_init(getenv("MOS_SHARD"));
	return true;
}

/* The rules this process begins with. */
static bool load_rules(void)
{
	char err[RULES_ERROR_LEN];
	struct rule_table *t = rule_table_load(opt.rules_file, (unsigned)core_count, err);

	if (t == NULL) {
		report_say("%s", err);
		return false;
	}
	rules.core_count = (unsigned)core_count;
	rules_publish(&rules, t);
	return true;
}

/* Say what is wrong with the rules, if anything is. Returns the exit status. */
static int check_rules(void)
{
	char err[RULES_ERROR_LEN];
	struct rule_table *t = rule_table_load(opt.rules_file, 0, err);

	if (t == NULL)
		report_say("%s", err);
	else
		printf("%s: %u rules, no mistake\n", opt.rules_file, t->rule_count);
	rule_table_free(t);
	return t != NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* What the stack threads left, once they have ended. */
static void print_rest(void)
{
	for (int i = 0; i < core_count; i++)
		rules_core_ended(&rules, (unsigned)i);
	collect();
	print_page(rules_current(&rules), opt.rules_file);
	rule_table_free(rules_current(&rules));
}

static void usage(FILE *f)
{
	fprintf(f,
	        "usage: simple-firewall -f mos.conf -r RULES [-n CONTEXTS] [-i SECONDS] [-F]\n"
	        "       simple-firewall -c -r RULES\n"
	        "  -f FILE      configuration, the same that mos-primary was started with\n"
	        "  -r RULES     rule file: one rule per line, the first that matches decides, "
	        "what\n"
	        "               none matches passes; # begins a comment\n"
	        "                 drop|pass any\n"
	        "                 drop|pass src END | dst END | src END dst END\n"
	        "                 END = ADDRESS[/BITS] or any, [port N or port N-M]\n"
	        "               such as: drop src 10.0.0.0/8 dst 192.168.1.5 port 22\n"
	        "  -n CONTEXTS  contexts of this process (default: as configured)\n"
	        "  -i SECONDS   between two pages with the counts of each rule (default 1); 0 =\n"
	        "               only on SIGUSR1 and at the end\n"
	        "  -c           check the rules and end\n"
	        "  -F           drop TCP that comes in IP fragments, which no rule can see\n"
	        "SIGHUP reads the rules again; a file with a mistake changes nothing. Rules "
	        "decide\n"
	        "about new connections: those that exist go on. Counted are the SYNs.\n");
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv)
{
	bool ok = true;
	int c;

	while (ok && (c = getopt(argc, argv, "f:r:n:i:Fch")) != -1) {
		switch (c) {
		case 'f': opt.config_file = optarg; break;
		case 'r': opt.rules_file = optarg; break;
		case 'n':
			ok = number_option("simple-firewall", 'n', optarg, 1, RULES_CORES_MAX,
			                   &opt.core_count);
			break;
		case 'i':
			ok = number_option("simple-firewall", 'i', optarg, 0, DAY_S,
			                   &opt.interval_s);
			break;
		case 'F': opt.drop_fragments = true; break;
		case 'c': opt.check_only = true; break;
		case 'h': usage(stdout); return EXIT_SUCCESS;
		default: usage(stderr); return EXIT_FAILURE;
		}
	}
	if (!ok)
		return EXIT_FAILURE;
	if ((opt.config_file == NULL && !opt.check_only) || opt.rules_file == NULL ||
	    optind != argc) {
		usage(stderr);
		return EXIT_FAILURE;
	}
	return -1;
}

int main(int argc, char **argv)
{
	int status = parse_options(argc, argv);
	sigset_t signals;
	bool ok;

	if (status >= 0)
		return status;
	if (opt.check_only)
		return check_rules();
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, NULL); /* all threads that are started inherit it */
	signal(SIGPIPE, SIG_IGN);

	if (watch_init(&rules) < 0) {
		report_say("cannot define events: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	if (mtcp_init(opt.config_file) < 0)
		return EXIT_FAILURE; /* the library has printed why */
	ok = configure() && load_rules() && run(&signals);
	stop();
	mtcp_destroy();
	if (ok) {
		print_rest();
		ok = mos_last_error()[0] == '\0'; /* else the primary has ended */
	}
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
