/*
 * The contexts of a program that has nothing else to wait for: the main thread makes them, waits
 * for their end and destroys them; SIGINT and SIGTERM end them before.
 *
 *   contexts_block_signals -> mtcp_init -> contexts_take_signals -> contexts_configure
 *     -> contexts_run -> contexts_stop -> mtcp_destroy
 *
 * Main thread, unless said otherwise. Failures are told on stderr, behind the program's name.
 */
#ifndef APPS_COMMON_CONTEXTS_H
#define APPS_COMMON_CONTEXTS_H

#include <stdbool.h>

#include "mos_api.h"

#define CONTEXTS_MAX 128

/*
 * The signals wait until there is something for their handler to stop, and are then handled by the
 * main thread: those that are started meanwhile keep them blocked.
 */
void contexts_block_signals(void);

/* From when contexts_run has made the contexts, SIGINT and SIGTERM stop them. */
void contexts_take_signals(void);

/* There will be `wanted` contexts (-n); 0: as configured. Returns how many; -1 when that fails. */
int contexts_configure(const char *program, int wanted);

/*
 * Make them, call start for each, then `started` (may be NULL), and return when all have ended;
 * false when one of these failed.
 */
bool contexts_run(bool (*start)(mctx_t mctx), bool (*started)(void));

/* A successor has context `cpu`'s shard now, and its flows. Once contexts_run has returned. */
bool contexts_handed_over(int cpu);

/* Destroy those that are there. Also the signal handler's. */
void contexts_stop(void);

/* Have them stopped by the thread that waits for them. Any thread. */
void contexts_ask_to_stop(void);

#endif
