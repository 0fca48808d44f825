/*
 * mos_ext.h - what mos-mp offers beyond the classic API.
 */
#ifndef MOS_EXT_H
#define MOS_EXT_H

#include <stdint.h>

#include "mos_api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Grows with each addition to this file. */
#define MOS_EXT_VERSION 2

/*
 * Say why the last mtcp_init() or mtcp_create_context() of this process failed: one line without
 * newline that names the cause and what to do. Empty if none has failed. Any thread; the last
 * failure of any thread counts.
 * Returns a string of the library, never NULL, valid until one of those calls fails again.
 */
const char *mos_last_error(void);

/*
 * Say why the last mtcp_bind_monitor_filter() of the calling thread that failed with EINVAL did:
 * which of the filters, and what is wrong with the expression; one line without newline. Empty if
 * none has failed.
 * Returns a string of the library, never NULL, valid until that call fails again in this thread.
 */
const char *mtcp_filter_error(void);

/* ---- Timers that can be cancelled ---- */

/* One timer that was set; never given out twice in one context. 0 is none. */
typedef uint64_t mos_timer_t;

/*
 * As mtcp_settimer(), but tells which timer it is. Any thread.
 * Returns the timer, or 0.
 *   EACCES  bad context
 *   EINVAL  t or cb is NULL, a field of *t is negative, or tv_usec > 999999
 *   ENOMEM  out of memory
 */
mos_timer_t mtcp_timer_set(mctx_t mctx, int id, const struct timeval *t, callback_t cb);

/*
 * Take a timer back. Once this has returned 0 its callback is not called any more, whichever
 * thread asks. Any thread, also a callback.
 * Returns 0, or -1.
 *   EACCES  bad context
 *   ENOENT  it has run, is running, was cancelled, or never was
 */
int mtcp_timer_cancel(mctx_t mctx, mos_timer_t timer);

#ifdef __cplusplus
}
#endif

#endif
