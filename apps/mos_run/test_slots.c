/*
 * Slots and restart on the bench: processes are numbers (100, 101, ...), the clock is a variable,
 * and what would be done to processes is written down. A test plays what happens and looks at who
 * works where, who was started to take over from whom, and who got which signal.
 */
#include "apps/mos_run/restart.h"
#include "apps/mos_run/slots.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS        BACKOFF_NS_PER_MS
#define FIRST_PID 100
#define LIMIT_NS  (30 * SLOTS_NS_PER_S)
#define PID_COUNT 64

/* What a process was started with, and the last signal it got. */
struct process {
	struct birth birth;
	int signum;
};

static struct slots slots;
static struct restart restart;
static struct process process[PID_COUNT];
static unsigned started;
static int start_error; /* what the next start fails with */
static uint64_t now;
static char last_line[512];
static char told[1024]; /* by the restart, line by line */
static int restarts_ok, restarts_failed;

static pid_t start_fake(void *arg, const struct birth *birth, int *notify_fd)
{
	if (start_error != 0)
		return -start_error;
	ck_assert_uint_lt(started, PID_COUNT);
	process[started] = (struct process){*birth, 0};
	*notify_fd = -1;
	return (pid_t)(FIRST_PID + started++);
}

static void signal_fake(void *arg, pid_t pid, int signum)
{
	process[pid - FIRST_PID].signum = signum;
}

static void say_fake(void *arg, const char *line)
{
	snprintf(last_line, sizeof(last_line), "%s", line);
}

static void tell_fake(void *arg, const char *line)
{
	size_t len = strlen(told);

	snprintf(told + len, sizeof(told) - len, "%s\n", line);
}

static void done_fake(void *arg, bool ok, const char *why)
{
	restarts_ok += ok;
	restarts_failed += !ok;
	ck_assert(ok == (why[0] == '\0'));
	tell_fake(arg, ok ? "done" : why);
}

/* ---- what the tests are written in ---- */

/* Some time passes. */
static void after(uint64_t ns)
{
	now += ns;
	do
		slots_on_time(&slots, now);
	while (restart_on_time(&restart, &slots, now) <= now);
	slots_on_time(&slots, now);
}

static void begin(unsigned workers, unsigned spares, bool respawn)
{
	static const struct slots_ops ops = {start_fake, signal_fake, say_fake};
	static const struct restart_ops restart_ops = {tell_fake, done_fake};

	started = 0;
	start_error = 0;
	restarts_ok = restarts_failed = 0;
	told[0] = last_line[0] = '\0';
	now = 1000 * SLOTS_NS_PER_S;
	slots_init(&slots, &ops, NULL, "program", workers, spares, respawn);
	restart_init(&restart, &restart_ops, NULL, LIMIT_NS);
	after(0);
}

static void say_ready(pid_t pid)
{
	slots_on_line(&slots, pid, &(struct notify){NOTIFY_READY, 0}, now);
	after(0);
}

static void say_serving(pid_t pid, unsigned shard)
{
	slots_on_line(&slots, pid, &(struct notify){NOTIFY_SERVING, shard}, now);
	after(0);
}

static void say_yielded(pid_t pid, unsigned shard)
{
	slots_on_line(&slots, pid, &(struct notify){NOTIFY_YIELDED, shard}, now);
	after(0);
}

static void die(pid_t pid, enum backoff_death death)
{
	slots_on_death(&slots, pid, death, "died", now);
	after(0);
}

/* Workers that serve the shard of their number, and spares that are ready. */
static void begin_working(unsigned workers, unsigned spares)
{
	begin(workers, spares, true);
	for (unsigned i = 0; i < workers; i++)
		say_serving((pid_t)(FIRST_PID + i), i);
	for (unsigned i = 0; i < spares; i++)
		say_ready((pid_t)(FIRST_PID + workers + i));
	after(10 * SLOTS_NS_PER_S);
	ck_assert_uint_eq(started, workers + spares);
}

static void assert_started(pid_t pid, int shard, pid_t take_over)
{
	const struct birth *birth = &process[pid - FIRST_PID].birth;

	ck_assert_int_lt(pid - FIRST_PID, (int)started);
	ck_assert_int_eq(birth->shard, shard);
	ck_assert_int_eq(birth->take_over, take_over);
}

static void assert_signal(pid_t pid, int signum)
{
	ck_assert_int_eq(process[pid - FIRST_PID].signum, signum);
}

static pid_t in_slot(unsigned i)
{
	return slots.slot[i].cur.pid;
}

/* ---- starting again ---- */

START_TEST(each_worker_is_started_for_its_shard)
{
	begin(3, 0, true);
	ck_assert_uint_eq(started, 3);
	for (int i = 0; i < 3; i++)
		assert_started(FIRST_PID + i, i, 0);
}
END_TEST

START_TEST(a_dead_worker_is_started_again_at_once_and_for_the_same_shard)
{
	begin_working(2, 0);
	die(101, BACKOFF_KILLED);
	ck_assert_int_eq(in_slot(1), 102);
	assert_started(102, 1, 0);
	ck_assert_int_eq(in_slot(0), 100);
}
END_TEST

START_TEST(without_respawn_a_dead_worker_stays_dead)
{
	begin(2, 0, false);
	die(100, BACKOFF_KILLED);
	after(100 * SLOTS_NS_PER_S);
	ck_assert_uint_eq(started, 2);
	ck_assert(!slots_are_done(&slots));
	die(101, BACKOFF_ENDED);
	ck_assert(slots_are_done(&slots));
	ck_assert(!slots_ended_well(&slots));
}
END_TEST

START_TEST(a_worker_that_cannot_be_started_is_given_up_at_last)
{
	begin_working(1, 0);
	start_error = ENOENT;
	die(100, BACKOFF_KILLED);
	after(10 * SLOTS_NS_PER_S);
	for (int i = 0; i < 10; i++)
		after(SLOTS_NS_PER_S);
	ck_assert(slots_are_done(&slots));
	ck_assert_ptr_nonnull(strstr(last_line, "cannot start program: No such file"));
	ck_assert_ptr_nonnull(strstr(last_line, "giving up"));
}
END_TEST

START_TEST(no_primary_is_waited_for_and_said_once)
{
	begin(1, 0, true);
	for (pid_t pid = 100; pid < 150; pid++) {
		slots_on_line(&slots, pid, &(struct notify){NOTIFY_NO_PRIMARY, 0}, now);
		die(pid, BACKOFF_FAILED);
		if (pid == 100)
			ck_assert_ptr_nonnull(strstr(last_line, "no primary"));
		else
			ck_assert_str_eq(last_line, "");
		last_line[0] = '\0';
		after(499 * MS);
		ck_assert_int_eq(in_slot(0), 0);
		after(1 * MS);
		ck_assert_int_eq(in_slot(0), pid + 1);
	}
	say_serving(150, 0);
	slots_on_line(&slots, 150, &(struct notify){NOTIFY_NO_PRIMARY, 0}, now);
	die(150, BACKOFF_FAILED);
	ck_assert_ptr_nonnull(strstr(last_line, "no primary"));
}
END_TEST

START_TEST(words_of_strangers_and_deaths_of_strangers_are_nothing)
{
	begin_working(2, 1);
	say_serving(4711, 0);
	die(4711, BACKOFF_KILLED);
	ck_assert_int_eq(in_slot(0), 100);
	ck_assert_uint_eq(slots.slot[0].cur.shards, 1);
	ck_assert_uint_eq(started, 3);
}
END_TEST

/* ---- spares ---- */

START_TEST(spares_are_started_when_all_workers_serve)
{
	begin(2, 2, true);
	say_serving(100, 0);
	after(60 * SLOTS_NS_PER_S);
	ck_assert_uint_eq(started, 2);
	say_serving(101, 1);
	ck_assert_uint_eq(started, 4);
	assert_started(102, -1, SLOTS_OF_THE_DEAD);
	assert_started(103, -1, SLOTS_OF_THE_DEAD);
}
END_TEST

START_TEST(a_ready_spare_takes_the_place_of_a_dead_worker_and_is_replaced)
{
	begin_working(2, 1);
	die(101, BACKOFF_KILLED);
	ck_assert_uint_eq(started, 3); /* the spare is waited for */
	say_serving(102, 1);
	ck_assert_int_eq(in_slot(1), 102);
	ck_assert_int_eq(in_slot(2), 103);
	assert_started(103, -1, SLOTS_OF_THE_DEAD);
	after(10 * SLOTS_NS_PER_S);
	ck_assert_uint_eq(started, 4); /* no worker beside it */

	say_ready(103);
	die(102, BACKOFF_KILLED); /* and the same once more */
	say_serving(103, 1);
	ck_assert_int_eq(in_slot(1), 103);
}
END_TEST

START_TEST(a_spare_that_is_quicker_than_the_news_of_the_death_takes_the_place_too)
{
	begin_working(2, 1);
	say_serving(102, 0);
	ck_assert_int_eq(in_slot(0), 100);
	ck_assert_int_eq(in_slot(2), 102);
	die(100, BACKOFF_KILLED);
	ck_assert_int_eq(in_slot(0), 102);
	ck_assert_int_eq(in_slot(2), 103);
	ck_assert_uint_eq(started, 4);
}
END_TEST

START_TEST(a_spare_that_does_not_take_over_in_time_is_not_waited_for)
{
	begin_working(1, 1);
	die(100, BACKOFF_KILLED);
	after(SLOTS_TAKEOVER_NS - 1);
	ck_assert_uint_eq(started, 2);
	after(1);
	ck_assert_int_eq(in_slot(0), 102);
	assert_started(102, 0, 0);

	say_serving(101, 0); /* it does so after all */
	ck_assert_int_eq(in_slot(0), 101);
	assert_signal(102, SIGTERM);
	die(102, BACKOFF_FAILED);
	ck_assert_int_eq(in_slot(0), 101);
	ck_assert_int_eq(in_slot(1), 103);
	ck_assert_uint_eq(started, 4);
}
END_TEST

START_TEST(a_spare_that_is_not_ready_is_not_waited_for)
{
	begin(1, 1, true);
	say_serving(100, 0);
	ck_assert_uint_eq(started, 2);
	die(100, BACKOFF_KILLED);
	ck_assert_int_eq(in_slot(0), 102);
}
END_TEST

START_TEST(a_spare_that_serves_a_shard_of_nobody_is_not_waited_for)
{
	begin_working(1, 1);
	say_serving(101, 7);
	ck_assert_int_eq(in_slot(1), 101);
	die(100, BACKOFF_KILLED);
	ck_assert_int_eq(in_slot(0), 102);
}
END_TEST

START_TEST(a_dead_spare_is_started_again)
{
	begin_working(1, 1);
	die(101, BACKOFF_KILLED);
	ck_assert_int_eq(in_slot(1), 102);
	assert_started(102, -1, SLOTS_OF_THE_DEAD);
	ck_assert_int_eq(in_slot(0), 100);
}
END_TEST

START_TEST(one_spare_takes_all_shards_of_a_worker)
{
	begin(1, 1, true);
	say_serving(100, 0);
	say_serving(100, 1);
	say_ready(101);
	die(100, BACKOFF_KILLED);
	say_serving(101, 1);
	say_serving(101, 0);
	ck_assert_int_eq(in_slot(0), 101);
	ck_assert_uint_eq(slots.slot[0].cur.shards, 3);
	ck_assert_uint_eq(slots.slot[0].lost, 0);
}
END_TEST

START_TEST(a_worker_given_up_is_revived_by_a_spare)
{
	begin(2, 1, true);
	say_serving(100, 0);
	say_serving(101, 1);
	ck_assert_uint_eq(started, 3);
	for (pid_t pid = 101; slots.slot[1].state != SLOT_STOPPED; pid = in_slot(1))
		die(pid, BACKOFF_FAILED);
	say_ready(102);
	say_serving(102, 1);
	ck_assert_int_eq(in_slot(1), 102);
	ck_assert_int_eq(slots.slot[1].state, SLOT_RUNNING);
}
END_TEST

START_TEST(spares_end_with_the_last_worker)
{
	begin_working(2, 1);
	die(100, BACKOFF_ENDED);
	assert_signal(102, 0);
	die(101, BACKOFF_ENDED);
	assert_signal(102, SIGTERM);
	ck_assert(!slots_are_done(&slots));
	after(SLOTS_KILL_NS);
	assert_signal(102, SIGKILL);
	die(102, BACKOFF_KILLED);
	ck_assert(slots_are_done(&slots));
	ck_assert(slots_ended_well(&slots));
}
END_TEST

/* ---- restart ---- */

START_TEST(restart_replaces_one_after_the_other)
{
	begin_working(2, 0);
	ck_assert(restart_request(&restart, now));
	after(0);
	assert_started(102, 0, 100);
	ck_assert_uint_eq(started, 3);
	say_ready(102);
	ck_assert_int_eq(in_slot(0), 100);
	say_serving(102, 0);
	ck_assert_int_eq(in_slot(0), 102);
	assert_signal(100, 0);
	ck_assert_uint_eq(started, 3); /* the old one has not ended yet */
	die(100, BACKOFF_ENDED);
	assert_started(103, 1, 101);
	say_serving(103, 1);
	die(101, BACKOFF_ENDED);
	ck_assert_str_eq(told, "worker 0: pid 100 -> 102\nworker 1: pid 101 -> 103\ndone\n");
	ck_assert_int_eq(restarts_ok, 1);
	ck_assert_uint_eq(started, 4);
}
END_TEST

START_TEST(a_replaced_worker_that_does_not_end_is_made_to)
{
	begin_working(1, 0);
	restart_request(&restart, now);
	after(0);
	say_serving(101, 0);
	after(SLOTS_TERM_NS - 1);
	assert_signal(100, 0);
	after(1);
	assert_signal(100, SIGTERM);
	after(SLOTS_KILL_NS);
	assert_signal(100, SIGKILL);
	ck_assert_int_eq(restarts_ok, 0);
	die(100, BACKOFF_KILLED);
	ck_assert_int_eq(restarts_ok, 1);
	ck_assert_int_eq(in_slot(0), 101);
}
END_TEST

START_TEST(all_shards_of_a_worker_are_waited_for)
{
	begin(1, 0, true);
	say_serving(100, 0);
	say_serving(100, 1);
	after(1);
	restart_request(&restart, now);
	after(0);
	say_serving(101, 1);
	ck_assert_int_eq(in_slot(0), 100);
	say_serving(101, 0);
	ck_assert_int_eq(in_slot(0), 101);
}
END_TEST

START_TEST(a_new_one_that_ends_stops_the_restart_and_the_old_one_goes_on)
{
	begin_working(2, 0);
	restart_request(&restart, now);
	after(0);
	die(102, BACKOFF_FAILED);
	ck_assert_int_eq(restarts_failed, 1);
	ck_assert_str_eq(told, "worker 0: the new one, pid 102, died after 0.0 s; "
	                       "pid 100 goes on\n");
	ck_assert_int_eq(in_slot(0), 100);
	after(100 * SLOTS_NS_PER_S);
	ck_assert_uint_eq(started, 3);
	assert_signal(100, 0);
}
END_TEST

START_TEST(a_new_one_that_cannot_be_started_stops_the_restart)
{
	begin_working(2, 0);
	start_error = EACCES;
	restart_request(&restart, now);
	after(0);
	ck_assert_str_eq(told, "worker 0: program cannot be started: Permission denied; "
	                       "pid 100 goes on\n");
	ck_assert_int_eq(in_slot(0), 100);
}
END_TEST

START_TEST(a_new_one_that_hangs_is_killed_after_its_time)
{
	begin_working(1, 0);
	restart_request(&restart, now);
	after(0);
	after(LIMIT_NS - 1);
	assert_signal(101, 0);
	after(1);
	assert_signal(101, SIGKILL);
	ck_assert_int_eq(restarts_failed, 1);
	die(101, BACKOFF_KILLED);
	ck_assert_int_eq(in_slot(0), 100);
	assert_signal(100, 0);
	ck_assert(restart_request(&restart, now)); /* and another one can be asked for */
}
END_TEST

START_TEST(an_old_one_that_dies_meanwhile_is_its_successors)
{
	begin_working(1, 0);
	restart_request(&restart, now);
	after(0);
	die(100, BACKOFF_KILLED);
	ck_assert_uint_eq(started, 2);
	say_serving(101, 0);
	ck_assert_int_eq(in_slot(0), 101);
	ck_assert_int_eq(restarts_ok, 1);
	die(101, BACKOFF_KILLED); /* a death like any other now */
	ck_assert_int_eq(in_slot(0), 102);
	assert_started(102, 0, 0);
}
END_TEST

START_TEST(all_shards_of_one_that_died_meanwhile_are_waited_for)
{
	begin(1, 0, true);
	say_serving(100, 0);
	say_serving(100, 1);
	after(1);
	restart_request(&restart, now);
	after(0);
	die(100, BACKOFF_KILLED);
	say_serving(101, 1);
	ck_assert_int_eq(in_slot(0), 0);
	say_serving(101, 0);
	ck_assert_int_eq(in_slot(0), 101);
	ck_assert_int_eq(restarts_ok, 1);
}
END_TEST

START_TEST(a_worker_given_up_before_makes_a_restart_fail_but_not_stop)
{
	begin_working(2, 0);
	for (pid_t pid = 100; slots.slot[0].state != SLOT_STOPPED; pid = in_slot(0)) {
		say_serving(pid, 0);
		die(pid, BACKOFF_FAILED);
	}
	after(1);
	restart_request(&restart, now);
	after(0);
	say_serving((pid_t)(FIRST_PID + started - 1), 1);
	die(101, BACKOFF_ENDED);
	ck_assert_ptr_nonnull(strstr(told, "worker 0: has failed\nworker 1: pid 101 -> "));
	ck_assert_int_eq(restarts_failed, 1);
}
END_TEST

START_TEST(when_both_die_a_worker_is_started_as_ever)
{
	begin_working(1, 0);
	restart_request(&restart, now);
	after(0);
	die(100, BACKOFF_KILLED);
	die(101, BACKOFF_FAILED);
	ck_assert_int_eq(in_slot(0), 102);
	assert_started(102, 0, 0);
	ck_assert_int_eq(restarts_ok, 0);
	say_serving(102, 0);
	ck_assert_str_eq(told, "worker 0: pid 102 is new\ndone\n");
}
END_TEST

START_TEST(when_both_die_and_the_new_program_fails_the_restart_fails)
{
	begin_working(2, 0);
	restart_request(&restart, now);
	after(0);
	die(100, BACKOFF_KILLED);
	for (pid_t pid = 102; slots.slot[0].state != SLOT_STOPPED; pid = in_slot(0))
		die(pid, BACKOFF_FAILED);
	assert_started((pid_t)(FIRST_PID + started - 1), 1, 101); /* the other one's turn */
	die((pid_t)(FIRST_PID + started - 1), BACKOFF_FAILED);
	ck_assert_int_eq(restarts_failed, 1);
	ck_assert_int_eq(in_slot(1), 101);
}
END_TEST

START_TEST(half_a_handover_ends_both_and_starts_one_for_all)
{
	begin(1, 0, true);
	say_serving(100, 0);
	say_serving(100, 1);
	after(1);
	restart_request(&restart, now);
	after(0);
	say_serving(101, 1);
	die(101, BACKOFF_KILLED);
	ck_assert_int_eq(restarts_failed, 1);
	assert_signal(100, SIGKILL);
	die(100, BACKOFF_KILLED);
	ck_assert_int_eq(in_slot(0), 102);
	ck_assert_uint_eq(slots.slot[0].lost, 3);
}
END_TEST

START_TEST(one_that_yielded_to_a_dead_one_is_started_again)
{
	for (int late = 0; late < 2; late++) {
		begin_working(1, 0);
		restart_request(&restart, now);
		after(0);
		say_ready(101);
		if (!late)
			say_yielded(100, 0);
		die(101, BACKOFF_KILLED);
		ck_assert_int_eq(restarts_failed, 1);
		if (late)
			say_yielded(100, 0);
		ck_assert_int_eq(started, 2);
		die(100, BACKOFF_ENDED);
		assert_started(102, 0, 0);
		ck_assert_int_eq(in_slot(0), 102);
	}
}
END_TEST

START_TEST(a_new_one_that_ends_well_without_serving_has_failed)
{
	for (int yielded = 0; yielded < 2; yielded++) {
		begin_working(1, 0);
		restart_request(&restart, now);
		after(0);
		if (yielded)
			say_yielded(100, 0);
		die(100, yielded ? BACKOFF_ENDED : BACKOFF_KILLED);
		ck_assert_int_eq(started, 2);
		die(101, BACKOFF_ENDED);
		ck_assert_int_eq(in_slot(0), 102);
	}
}
END_TEST

START_TEST(both_may_end_well_on_purpose)
{
	begin_working(1, 0);
	restart_request(&restart, now);
	after(0);
	die(100, BACKOFF_ENDED);
	die(101, BACKOFF_ENDED);
	ck_assert_int_eq(started, 2);
	ck_assert(slots_are_done(&slots));
	ck_assert(slots_ended_well(&slots));
}
END_TEST

START_TEST(what_yields_to_a_stranger_stays_ended)
{
	begin_working(1, 0);
	say_yielded(100, 0);
	die(100, BACKOFF_ENDED);
	ck_assert_int_eq(started, 1);
	ck_assert(slots_are_done(&slots));
}
END_TEST

START_TEST(half_a_handover_to_a_dead_one_ends_the_old_one)
{
	for (int late = 0; late < 2; late++) {
		begin(1, 0, true);
		say_serving(100, 0);
		say_serving(100, 1);
		after(1);
		restart_request(&restart, now);
		after(0);
		if (!late)
			say_yielded(100, 1);
		assert_signal(100, 0);
		die(101, BACKOFF_KILLED);
		if (late)
			say_yielded(100, 1);
		assert_signal(100, SIGKILL);
		die(100, BACKOFF_KILLED);
		ck_assert_int_eq(in_slot(0), 102);
		ck_assert_uint_eq(slots.slot[0].lost, 3);
	}
}
END_TEST

START_TEST(spares_are_replaced_first)
{
	begin_working(1, 1);
	restart_request(&restart, now);
	after(0);
	assert_started(102, -1, SLOTS_OF_THE_DEAD);
	ck_assert_uint_eq(started, 3);
	say_ready(102);
	assert_signal(101, SIGTERM);
	die(101, BACKOFF_ENDED);
	assert_started(103, 0, 100);
	say_serving(103, 0);
	die(100, BACKOFF_ENDED);
	ck_assert_str_eq(told, "spare 0: pid 101 -> 102\nworker 0: pid 100 -> 103\ndone\n");
	ck_assert_int_eq(in_slot(0), 103);
	ck_assert_int_eq(in_slot(1), 102);
}
END_TEST

START_TEST(an_old_spare_that_takes_over_during_a_restart_is_replaced_as_a_worker)
{
	begin_working(1, 1);
	restart_request(&restart, now);
	after(0);
	die(100, BACKOFF_KILLED);
	say_serving(101, 0); /* it, not 102, which is not ready yet */
	ck_assert_int_eq(in_slot(0), 101);
	ck_assert_uint_eq(started, 3);
	say_ready(102);
	ck_assert_int_eq(in_slot(1), 102);
	assert_started(103, 0, 101);
	say_serving(103, 0);
	die(101, BACKOFF_ENDED);
	ck_assert_int_eq(restarts_ok, 1);
	ck_assert_int_eq(in_slot(0), 103);
}
END_TEST

START_TEST(a_new_spare_that_is_granted_a_shard_at_once_becomes_the_worker)
{
	begin_working(1, 1);
	restart_request(&restart, now);
	after(0);
	die(100, BACKOFF_KILLED);
	say_serving(102, 0);
	ck_assert_int_eq(in_slot(0), 102);
	assert_signal(101, SIGTERM);
	die(101, BACKOFF_ENDED);
	ck_assert_int_eq(restarts_ok, 1);
	ck_assert_int_eq(in_slot(1), 103);
}
END_TEST

START_TEST(what_one_that_is_leaving_takes_is_left_to_the_next)
{
	begin_working(1, 1);
	restart_request(&restart, now);
	after(0);
	say_ready(102);
	assert_signal(101, SIGTERM); /* and at this moment the worker dies */
	die(100, BACKOFF_KILLED);
	say_serving(101, 0);
	die(101, BACKOFF_ENDED);
	say_serving(102, 0);
	ck_assert_int_eq(in_slot(0), 102);
}
END_TEST

START_TEST(a_worker_that_is_about_to_serve_is_waited_for)
{
	begin(1, 0, true);
	restart_request(&restart, now + 1);
	after(1);
	ck_assert_uint_eq(started, 1);
	say_serving(100, 0);
	assert_started(101, 0, 100);
	say_serving(101, 0);
	die(100, BACKOFF_ENDED);
	ck_assert_int_eq(restarts_ok, 1);
}
END_TEST

START_TEST(a_worker_that_never_serves_cannot_be_replaced)
{
	begin(1, 0, true);
	restart_request(&restart, now);
	after(LIMIT_NS);
	ck_assert_int_eq(restarts_failed, 1);
	ck_assert_uint_eq(started, 1);
	assert_signal(100, 0);
}
END_TEST

START_TEST(a_worker_younger_than_the_request_is_left)
{
	begin_working(2, 0);
	restart_request(&restart, now);
	after(1);
	die(101, BACKOFF_KILLED); /* 103 takes its place: the new program already */
	say_serving(103, 1);
	say_serving(102, 0);
	die(100, BACKOFF_ENDED);
	ck_assert_str_eq(told, "worker 0: pid 100 -> 102\nworker 1: pid 103 is new\ndone\n");
	ck_assert_uint_eq(started, 4);
}
END_TEST

START_TEST(a_second_request_is_refused_or_remembered_once)
{
	begin_working(1, 0);
	ck_assert(restart_request(&restart, now));
	after(0);
	ck_assert(!restart_request(&restart, now));
	restart_request_later(&restart, now);
	restart_request_later(&restart, now);
	after(1);
	say_serving(101, 0);
	die(100, BACKOFF_ENDED);
	ck_assert_int_eq(restarts_ok, 1);
	assert_started(102, 0, 101);
	say_serving(102, 0);
	die(101, BACKOFF_ENDED);
	ck_assert_int_eq(restarts_ok, 2);
	ck_assert_uint_eq(started, 3);
	ck_assert(restart_request(&restart, now));
}
END_TEST

/* ---- stopping ---- */

START_TEST(a_stop_during_a_restart_ends_all)
{
	begin_working(2, 1);
	restart_request(&restart, now);
	after(0);
	say_ready(103);
	die(102, BACKOFF_ENDED);
	assert_started(104, 0, 100);
	restart_cancel(&restart);
	slots_on_stop(&slots, SIGTERM, now);
	after(0);
	ck_assert_int_eq(restarts_failed, 1);
	for (pid_t pid = 100; pid <= 104; pid++)
		if (pid != 102)
			assert_signal(pid, SIGTERM);
	for (pid_t pid = 100; pid <= 104; pid++)
		die(pid, BACKOFF_ENDED);
	ck_assert(slots_are_done(&slots));
	ck_assert(slots_ended_well(&slots));
	ck_assert_uint_eq(started, 5);
}
END_TEST

START_TEST(nothing_is_started_after_a_stop_request_however_they_die)
{
	begin_working(2, 1);
	slots_on_stop(&slots, SIGTERM, now);
	die(100, BACKOFF_KILLED);
	die(101, BACKOFF_FAILED);
	die(102, BACKOFF_KILLED);
	after(10 * SLOTS_NS_PER_S);
	ck_assert_uint_eq(started, 3);
	ck_assert(slots_are_done(&slots));
	ck_assert(!slots_ended_well(&slots));
}
END_TEST

START_TEST(a_stop_request_cancels_starts_that_wait)
{
	begin_working(1, 0);
	slots_on_line(&slots, 100, &(struct notify){NOTIFY_NO_PRIMARY, 0}, now);
	die(100, BACKOFF_FAILED);
	ck_assert(!slots_are_done(&slots));
	slots_on_stop(&slots, SIGTERM, now);
	ck_assert(slots_are_done(&slots));
	after(10 * SLOTS_NS_PER_S);
	ck_assert_uint_eq(started, 1);
}
END_TEST

START_TEST(the_second_stop_kills_after_a_grace_and_the_third_at_once)
{
	begin_working(1, 1);
	slots_on_stop(&slots, SIGINT, now);
	assert_signal(100, SIGINT);
	assert_signal(101, SIGINT);
	after(100 * SLOTS_NS_PER_S);
	assert_signal(100, SIGINT);
	slots_on_stop(&slots, SIGTERM, now);
	assert_signal(100, SIGTERM);
	after(SLOTS_KILL_NS - 1);
	assert_signal(100, SIGTERM);
	after(1);
	assert_signal(100, SIGKILL);

	begin_working(1, 0);
	for (int i = 0; i < 3; i++)
		slots_on_stop(&slots, SIGTERM, now);
	assert_signal(100, SIGKILL);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, each_worker_is_started_for_its_shard);
	tcase_add_test(tc, a_dead_worker_is_started_again_at_once_and_for_the_same_shard);
	tcase_add_test(tc, without_respawn_a_dead_worker_stays_dead);
	tcase_add_test(tc, a_worker_that_cannot_be_started_is_given_up_at_last);
	tcase_add_test(tc, no_primary_is_waited_for_and_said_once);
	tcase_add_test(tc, words_of_strangers_and_deaths_of_strangers_are_nothing);
	tcase_add_test(tc, spares_are_started_when_all_workers_serve);
	tcase_add_test(tc, a_ready_spare_takes_the_place_of_a_dead_worker_and_is_replaced);
	tcase_add_test(tc, a_spare_that_is_quicker_than_the_news_of_the_death_takes_the_place_too);
	tcase_add_test(tc, a_spare_that_does_not_take_over_in_time_is_not_waited_for);
	tcase_add_test(tc, a_spare_that_is_not_ready_is_not_waited_for);
	tcase_add_test(tc, a_spare_that_serves_a_shard_of_nobody_is_not_waited_for);
	tcase_add_test(tc, a_dead_spare_is_started_again);
	tcase_add_test(tc, one_spare_takes_all_shards_of_a_worker);
	tcase_add_test(tc, a_worker_given_up_is_revived_by_a_spare);
	tcase_add_test(tc, spares_end_with_the_last_worker);
	tcase_add_test(tc, restart_replaces_one_after_the_other);
	tcase_add_test(tc, a_replaced_worker_that_does_not_end_is_made_to);
	tcase_add_test(tc, all_shards_of_a_worker_are_waited_for);
	tcase_add_test(tc, a_new_one_that_ends_stops_the_restart_and_the_old_one_goes_on);
	tcase_add_test(tc, a_new_one_that_cannot_be_started_stops_the_restart);
	tcase_add_test(tc, a_new_one_that_hangs_is_killed_after_its_time);
	tcase_add_test(tc, an_old_one_that_dies_meanwhile_is_its_successors);
	tcase_add_test(tc, all_shards_of_one_that_died_meanwhile_are_waited_for);
	tcase_add_test(tc, a_worker_given_up_before_makes_a_restart_fail_but_not_stop);
	tcase_add_test(tc, when_both_die_a_worker_is_started_as_ever);
	tcase_add_test(tc, when_both_die_and_the_new_program_fails_the_restart_fails);
	tcase_add_test(tc, half_a_handover_ends_both_and_starts_one_for_all);
	tcase_add_test(tc, one_that_yielded_to_a_dead_one_is_started_again);
	tcase_add_test(tc, a_new_one_that_ends_well_without_serving_has_failed);
	tcase_add_test(tc, both_may_end_well_on_purpose);
	tcase_add_test(tc, what_yields_to_a_stranger_stays_ended);
	tcase_add_test(tc, half_a_handover_to_a_dead_one_ends_the_old_one);
	tcase_add_test(tc, spares_are_replaced_first);
	tcase_add_test(tc, an_old_spare_that_takes_over_during_a_restart_is_replaced_as_a_worker);
	tcase_add_test(tc, a_new_spare_that_is_granted_a_shard_at_once_becomes_the_worker);
	tcase_add_test(tc, what_one_that_is_leaving_takes_is_left_to_the_next);
	tcase_add_test(tc, a_worker_that_is_about_to_serve_is_waited_for);
	tcase_add_test(tc, a_worker_that_never_serves_cannot_be_replaced);
	tcase_add_test(tc, a_worker_younger_than_the_request_is_left);
	tcase_add_test(tc, a_second_request_is_refused_or_remembered_once);
	tcase_add_test(tc, a_stop_during_a_restart_ends_all);
	tcase_add_test(tc, nothing_is_started_after_a_stop_request_however_they_die);
	tcase_add_test(tc, a_stop_request_cancels_starts_that_wait);
	tcase_add_test(tc, the_second_stop_kills_after_a_grace_and_the_third_at_once);
}

int main(void)
{
	Suite *s = suite_create("mos_run_slots");
	TCase *tc = tcase_create("slots");

	add(tc);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
