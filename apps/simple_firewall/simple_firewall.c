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
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mos_api.h"
#include "mos_ext.h"
#include "apps/common/contexts.h"
#include "apps/common/number.h"
#include "apps/common/program.h"
#include "apps/simple_firewall/report.h"
#include "apps/simple_firewall/rule_table.h"
#include "apps/simple_firewall/watch.h"

#define DAY_S      86400
#define MS_PER_S   1000
#define COLLECT_MS 100 /* between two looks whether replaced rules are done with */

static struct {
	const char *rules_file;
	int interval_s; /* 0 = no pages but on SIGUSR1 and at the end */
	bool drop_fragments;
	bool check_only;
} opt = {.interval_s = 1};

static int core_count;
static pthread_t control_thread;
static sigset_t control_signals;
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
static int wait_signal(uint64_t page_ms)
{
	uint64_t now = now_ms(), wait_ms = page_ms > now ? page_ms - now : 0;
	struct timespec wait;

	if (rules.retired != NULL && wait_ms > COLLECT_MS)
		wait_ms = COLLECT_MS;
	wait.tv_sec = (time_t)(wait_ms / MS_PER_S);
	wait.tv_nsec = (long)(wait_ms % MS_PER_S) * 1000000;
	return sigtimedwait(&control_signals, NULL, &wait);
}

/* Ends when it is told to by SIGTERM, the main thread's included. */
static void *control(void *arg)
{
	uint64_t interval_ms = (uint64_t)(opt.interval_s > 0 ? opt.interval_s : DAY_S) * MS_PER_S;
	uint64_t page_ms = now_ms() + interval_ms;
	bool page_due;

	for (;;) {
		int signum = wait_signal(page_ms);

		if (signum == SIGTERM)
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
	contexts_stop();
	return NULL;
}

/* ---- Start and end: main thread ---- */

static bool start(mctx_t mctx)
{
	if (watch_start(mctx, opt.drop_fragments) < 0) {
		report_say("cannot watch connections: %s", strerror(errno));
		return false;
	}
	return true;
}

/* Its signals are blocked in all threads; it takes them from the queue. */
static bool start_control(void)
{
	int error = pthread_create(&control_thread, NULL, control, NULL);

	if (error != 0)
		report_say("cannot start a thread: %s", strerror(error));
	return error == 0;
}

static bool prepare(void)
{
	sigemptyset(&control_signals);
	sigaddset(&control_signals, SIGTERM);
	sigaddset(&control_signals, SIGHUP);
	sigaddset(&control_signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &control_signals, NULL); /* threads to come inherit it */
	if (watch_init(&rules) < 0) {
		report_say("cannot define events: %s", strerror(errno));
		return false;
	}
	return true;
}

/* The rules this process begins with. */
static bool set_up(int context_count)
{
	char err[RULES_ERROR_LEN];
	struct rule_table *t;

	core_count = context_count;
	report_init(getenv("MOS_SHARD"));
	t = rule_table_load(opt.rules_file, (unsigned)core_count, err);
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
static bool finish(bool ran)
{
	if (!ran)
		return false;
	pthread_kill(control_thread, SIGTERM);
	pthread_join(control_thread, NULL);
	for (int i = 0; i < core_count; i++)
		rules_core_ended(&rules, (unsigned)i);
	collect();
	print_page(rules_current(&rules), opt.rules_file);
	rule_table_free(rules_current(&rules));
	return true;
}

static const char usage[] =
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
	"about new connections: those that exist go on. Counted are the SYNs.\n";

static bool take_option(int letter, const char *text)
{
	switch (letter) {
	case 'r': opt.rules_file = text; return true;
	case 'F': opt.drop_fragments = true; return true;
	case 'c': opt.check_only = true; return true;
	default: return number_option("simple-firewall", 'i', text, 0, DAY_S, &opt.interval_s);
	}
}

static bool is_complete(bool has_config)
{
	return (has_config || opt.check_only) && opt.rules_file != NULL;
}

static const struct program program = {
	.name = "simple-firewall",
	.usage = usage,
	.letters = "r:i:Fc",
	.take_option = take_option,
	.is_complete = is_complete,
	.prepare = prepare,
	.set_up = set_up,
	.start = start,
	.started = start_control,
	.finish = finish,
};

int main(int argc, char **argv)
{
	int status = program_take_options(&program, argc, argv);

	if (status >= 0)
		return status;
	return opt.check_only ? check_rules() : program_run(&program);
}
