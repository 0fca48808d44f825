/*
 * One life of a worker process: starting it and saying how it ended. Which worker lives when is
 * not decided here.
 *
 * A child finds MOS_SHARD=<shard> in its environment, the signal mask that mos-run itself was
 * started with, no standard input, and a process group of its own: what a terminal sends with
 * Ctrl-C reaches mos-run only, which forwards it once. It gets SIGTERM when mos-run dies.
 */
#ifndef MOS_RUN_CHILD_H
#define MOS_RUN_CHILD_H

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Start argv[0] (looked up in PATH) with argv for the shard. Returns its pid, or -errno: of
 * fork (trying again can help) or of exec. It has reached its program when this returns.
 */
pid_t child_start(char *const argv[], unsigned shard, const sigset_t *mask);

/* Put in words how the child with this wait status ended: "killed by SIGSEGV (core dumped)". */
void child_describe(int status, char *text, size_t text_len);

#endif
