/*
 * How `mos-run restart` and `mos-run status` talk to the mos-run that runs.
 *
 *   /run/mos-mp/run/<pid>   AF_UNIX, SOCK_SEQPACKET, mode 0600; gone when that mos-run has ended
 *
 *   client                       mos-run
 *     "restart" | "status"  ->
 *                           <-     "=" line    for standard output, any number
 *                           <-     "!" line    for standard error
 *                           <-     "." status  the exit status; mos-run closes
 *
 * One message per datagram. The socket gets its name when it listens already: one of that name to
 * which nobody can connect belongs to a dead process, and whoever sees it removes it.
 * mos-run never waits for a client: one that does not read is cut off. One thread.
 */
#ifndef MOS_RUN_CONTROL_H
#define MOS_RUN_CONTROL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CONTROL_DIR        "/run/mos-mp/run"
#define CONTROL_CLIENT_MAX 8
#define CONTROL_TEXT       512

/* What a client asks for, or NULL: it has gone. The index is its own until then or its finish. */
typedef void (*control_request)(void *arg, unsigned client, const char *text);

struct control {
	int listen_fd; /* -1 = there is none */
	char path[64];
	int client_fd[CONTROL_CLIENT_MAX]; /* -1 = free */
};

/* ---- mos-run ---- */

/* Make the socket of this process. 0 or -errno: it works without. */
int control_open(struct control *c);
void control_close(struct control *c);

/* Whom to wait for: fills p[] (1 + CONTROL_CLIENT_MAX long) and returns how many. */
unsigned control_poll(const struct control *c, struct pollfd *p);

/* Accept and read whatever there is. */
void control_serve(struct control *c, control_request on_request, void *arg);

/* Say a line, of kind '=' or '!'; end with an exit status. */
void control_say(struct control *c, unsigned client, char kind, const char *line);
void control_finish(struct control *c, unsigned client, int status);

/* ---- client ---- */

/* Connect to a mos-run. A descriptor or -errno; a socket whose process is dead is removed. */
int control_connect(pid_t pid);

/* The pids of all mos-runs to which we may talk, at most `max`; returns how many there are. */
unsigned control_list(pid_t *pids, unsigned max);

#endif
