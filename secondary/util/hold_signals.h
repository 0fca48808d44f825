/*
 * No handler of the application on a thread that has one of our locks: a handler that waits for the
 * stack thread would wait for ever, should a callback want that lock. Any thread; the stack thread
 * handles no signals anyway and need not.
 */
#ifndef MOS_SECONDARY_HOLD_SIGNALS_H
#define MOS_SECONDARY_HOLD_SIGNALS_H

#include <signal.h>

/* Before the lock is taken; *old is for release. */
static inline void mos_signals_hold(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, old);
}

/* After it was given back. */
static inline void mos_signals_release(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

#endif
