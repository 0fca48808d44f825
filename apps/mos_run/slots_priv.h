/*
 * What the files of slots.h share; nobody else includes this.
 *
 *   slots_life.c   one process, whatever its place: birth, notify_fd, seeing it off; descriptions
 *   slots.c        what becomes of a place: deaths, lines, spares, replacements
 *   slots_time.c   what is due: starts, signals, the end of all
 */
#ifndef MOS_RUN_SLOTS_PRIV_H
#define MOS_RUN_SLOTS_PRIV_H

#include "apps/mos_run/slots.h"

/* ---- slots_life.c ---- */

void slots_say(struct slots *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Start a process, which becomes *l. Its pid, or -errno; *l is as it was then. */
pid_t slots_give_birth(struct slots *s, struct life *l, const struct birth *birth, uint64_t now_ns);

/*
 * A process that nobody needs any more leaves its place: it gets this signal at this time, if it
 * lives then; at once SIGKILL if too many are leaving. *l is free.
 */
void slots_retire(struct slots *s, struct slot *home, struct life *l, int signum, uint64_t at_ns);

/* It has died: *l is free. */
void slots_end_life(struct life *l);

/* The slot whose cur or next this is; NULL for one that is leaving. */
struct slot *slots_of_life(struct slots *s, const struct life *l);

/* ---- slots.c ---- */

/* After a death: wait for the next start, or stop. What is to be said about it goes to `then`. */
void slots_decide(struct slots *s, struct slot *slot, enum backoff_death death, uint64_t lived_ns,
                  uint64_t now_ns, char then[static SLOTS_TEXT]);

#endif
