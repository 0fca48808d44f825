/*
 * Processes that a test starts, with everything they print.
 *
 *   proc_start -> [proc_wait_line, proc_signal]* -> proc_wait_end -> proc_free
 *
 * Standard output and error of a process come through one pipe; a thread of the test takes them
 * from there at once, so that nobody ever waits for the test to read. A process is told of by its
 * pid only, and gets SIGKILL when the thread that started it ends, however that happens.
 *
 * Positions in an output ("marks") are byte offsets. Times are milliseconds.
 */
#ifndef MOS_TEST_PROCS_H
#define MOS_TEST_PROCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LINE_LEN 512

struct proc;

uint64_t now_ns(void);

/*
 * Start argv[0] (looked up in PATH). env: "NAME=VALUE" to add, or NULL. Never NULL: a test without
 * processes fails at once.
 */
struct proc *proc_start(const char *const argv[], const char *env);

pid_t proc_pid(const struct proc *p);
bool proc_ended(struct proc *p);

/* Send a signal, unless the process has ended. */
void proc_signal(struct proc *p, int sig);

/* Stop it with SIGSTOP, and wait until none of its threads runs any more. */
void proc_freeze(struct proc *p);

/* Wait until it has ended and its output is complete. Its wait status, or -1: it still runs. */
int proc_wait_end(struct proc *p, int timeout_ms);

/* The end of the output so far. */
size_t proc_mark(struct proc *p);

/*
 * Wait for a line that contains text, behind *mark; move *mark behind it and copy it to line
 * (LINE_LEN bytes, or NULL). False when the time is over, or the output is and has no such line.
 */
bool proc_wait_line(struct proc *p, size_t *mark, const char *text, char *line, int timeout_ms);

/* How many lines behind mark contain text. */
unsigned proc_count_lines(struct proc *p, size_t mark, const char *text);

/* The last line that contains text. False when there is none. */
bool proc_last_line(struct proc *p, const char *text, char line[static LINE_LEN]);

/* Print the last bytes of its output to stderr, for the reader of a failed test. */
void proc_dump(struct proc *p, const char *title);

/* Append all its output to a file. */
void proc_save(struct proc *p, const char *path);

/* Kill it if it still runs, and let it go. NULL is allowed. */
void proc_free(struct proc *p);

/* Run a command to its end. Its wait status, or -1 when it had to be killed. */
int proc_run(const char *const argv[], char *output, size_t output_len, int timeout_ms);

#endif
