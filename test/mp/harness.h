/*
 * The stage for tests with real processes: a network of their own, one primary, its workers.
 *
 *   end_a ---- box_a  [mos-primary]  box_b ---- end_b        two veth pairs, one unnamed namespace
 *
 *   guard process           owns nothing but the duty to clean up; reaps all that is left behind
 *     `- runner (Check)     alone in the network namespace, which ends with its last process
 *          `- one process per test: prefix, directory and processes of its own
 *
 * Whatever ends a test (a failed check, a signal, a time limit), its processes get SIGKILL with it
 * and the guard removes their files. A test that passed must have left none: that is checked.
 *
 * Needs root, `ip`, hugepages; without them harness_main() says so and returns 77, "skipped".
 */
#ifndef MOS_TEST_HARNESS_H
#define MOS_TEST_HARNESS_H

#include <check.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>

#include "test/mp/procs.h"

/* Deadlines for what takes milliseconds on an idle machine. */
enum {
	SOON_MS = 20000,
	READY_MS = 60000,
};

#define END_A "end_a"
#define END_B "end_b"

struct harness {
	char prefix[32];
	char dir[64];         /* for files of this test */
	char conf[96];        /* dir/mos.conf */
	char build[256];      /* build directory */
	struct proc *primary; /* the one that harness_start_primary() started last */
};

extern struct harness harness;

/* Run the suite on the stage. The exit status of main. */
int harness_main(Suite *suite);

/* Fixture of every test case: prefix and directory of this test; at the end nothing may be left. */
void harness_begin(void);
void harness_end(void);

/* What the primary and the workers print last, to stderr. */
void harness_dump(void);

/* ck_assert_msg that shows the logs when it fails. */
#define expect(condition, ...)                     \
	do {                                       \
		if (!(condition)) {                \
			harness_dump();            \
			ck_abort_msg(__VA_ARGS__); \
		}                                  \
	} while (0)

/* Write mos.conf: two workers between box_a and box_b, and these lines inside `mos { }`. */
void harness_configure(const char *keys);

/* Write any text as mos.conf. */
void harness_write_conf(const char *text);

/* ---- the primary ---- */

/* Start mos-primary with mos.conf. Without waiting. */
struct proc *harness_launch_primary(void);

/* The same, and wait until it is ready. */
void harness_start_primary(void);

/*
 * End it with SIGINT: exit status 0, whole pool found, nothing left behind. What it printed stays
 * for the calls below, and is appended to the file that the environment variable MOS_LOG names.
 */
void harness_stop_primary(void);

/* Ask for its counters and wait for them. */
void harness_report(void);

/* A counter of the last report, 0 if it was not in it. */
uint64_t harness_counter(const char *name);

/* Ask again and again until the counter is at least n. */
bool harness_wait_counter(const char *name, uint64_t n, int timeout_ms);

/* ---- workers ---- */

struct worker {
	struct proc *proc;
	unsigned shard;
	size_t born; /* mark in the primary's log at its start */
	int words;   /* what a successor says to its starter comes here; 0 = nobody listens */
};

/* Start the test application with these options (NULL-terminated, or NULL) for the shard. */
#define ALL_SHARDS UINT_MAX /* for as many as it asks */
struct worker harness_launch_worker(unsigned shard, const char *const options[]);

/* Start another program: argv[0], looked up in PATH, and what follows. */
struct worker harness_launch_program(unsigned shard, const char *const argv[]);

/*
 * Start the test application as the successor of a process, or of the first that dies: FROM_DEAD.
 * It serves whatever shard it gets; the one given is what it wants.
 */
#define FROM_DEAD (-1)
struct worker harness_launch_successor(pid_t from, unsigned shard, const char *const options[]);

/* Wait until it has said so to the one who started it: "ready 0", "serving 1". Successors only. */
bool harness_wait_word(struct worker *w, const char *word, int timeout_ms);

/* Start the test application, and wait until it serves its shard and takes packets. */
struct worker harness_start_worker(unsigned shard, const char *const options[]);

/* Has the primary said that this worker serves its shard? Waits for it up to timeout_ms. */
bool harness_wait_served(const struct worker *w, int timeout_ms);

/* Wait until it takes packets. */
bool harness_wait_up(const struct worker *w, int timeout_ms);

/* End it and free it: by SIGINT, which must give the shard back with status 0; by SIGKILL. */
void harness_stop_worker(struct worker *w);
void harness_kill_worker(struct worker *w);

/* Free one that has ended. */
void harness_forget_worker(struct worker *w);

/* What a worker tells on SIGUSR1. */
struct app_report {
	unsigned live;        /* flows it knows */
	unsigned replayed;    /* of these, told of by a replay */
	unsigned established; /* of these, both ends ESTABLISHED when it was told */
	unsigned long long packets;
};

struct app_report harness_ask_worker(const struct worker *w);

/* ---- the system ---- */

/* Files in a directory whose names begin with prefix. */
unsigned harness_files(const char *dir, const char *prefix);

/* True when this prefix left run directory, EAL files or hugepage files; name gets one of them. */
bool harness_leftovers(const char *prefix, char *name, size_t name_len);

#endif
