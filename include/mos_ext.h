/*
 * mos_ext.h - what mos-mp offers beyond the classic API.
 */
#ifndef MOS_EXT_H
#define MOS_EXT_H

#ifdef __cplusplus
extern "C" {
#endif

/* Grows with each addition to this file. */
#define MOS_EXT_VERSION 1

/*
 * Say why the last mtcp_init() or mtcp_create_context() of this process failed: one line without
 * newline that names the cause and what to do. Empty if none has failed. Any thread; the last
 * failure of any thread counts.
 * Returns a string of the library, never NULL, valid until one of those calls fails again.
 */
const char *mos_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
