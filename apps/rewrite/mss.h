/*
 * Room for what edits add: the ends are told that segments must be smaller (MSS, RFC 9293 section
 * 3.7.1), so that these fit the network when they have grown.
 *
 * Pure.
 */
#ifndef REWRITE_MSS_H
#define REWRITE_MSS_H

#include <stddef.h>
#include <stdint.h>

#define MSS_MIN 88 /* bytes: segments are not made smaller. Linux sends none below 48 */

/*
 * How many bytes edits may put in one place, if the receiver takes segments of `mss` bytes: the
 * library wants that to fit behind the longest headers, with a byte on which it hangs.
 */
uint16_t mss_in_one_place(uint16_t mss);

/*
 * The MSS that the sender of a stream may be told when its receiver takes segments of `mss` bytes,
 * and in each segment each `len` bytes may become `by_len`, behind len - 1 that were held back; all
 * of them in one place.
 */
uint16_t mss_for_word(uint16_t mss, size_t len, size_t by_len);

/* The same when one segment gets `add` bytes more. */
uint16_t mss_for_line(uint16_t mss, size_t add);

#endif
