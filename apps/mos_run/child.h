/*
 * One life of a worker process: starting it and saying how it ended. Which worker lives when is
 * not decided here.
 *
 * A child finds in its environment MOS_SHARD=<the shard to prefer>, MOS_TAKE_OVER=<pid of whom it
 * replaces>, or "dead" if it is a spare, and MOS_NOTIFY_FD=<descriptor> (notify.h). It has the
 * signal mask that mos-run itself was started with, no standard input, and a process group of its
 * own: what a terminal sends with Ctrl-C reaches mos-run only, which forwards it once. It gets
 * SIGTERM when mos-run dies.
 */
#ifndef MOS_RUN_CHILD_H
#define MOS_RUN_CHILD_H

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

#include "apps/mos_run/slots.h"

/*
 * Start argv[0] (looked up in PATH, anew each time) with argv. Returns its pid, or -errno: of fork
 * (trying again can help) or of exec. It has reached its program when this returns. *notify_fd is
 * our end of the pair, to be closed by the caller.
 */
pid_t child_start(char *const argv[], const struct birth *birth, const sigset_t *mask,
                  int *notify_fd);

/* Put in words how the child with this wait status ended: "killed by SIGSEGV (core dumped)". */
void child_describe(int status, char *text, size_t text_len);

#endif
