/*
 * mtcp_util.h - small helpers that programs expect of the library. Any thread; none keeps state.
 */
#ifndef MTCP_UTIL_H
#define MTCP_UTIL_H

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Find the context that packets of this IPv4 4-tuple reach, in either direction; addresses and
 * ports in network order. Section 9.
 *
 * Returns the `cpu` of the context of this process that holds their shard. If none does: a number
 * in [0, nqueues) that is the cpu of none of them, so that whoever compares it with his own goes on
 * looking; or -1 where there is no such number. mtcp_flow_shard() tells more. In a process that has
 * not attached (mtcp_init): what a network card with nqueues receive queues would choose, the
 * Toeplitz hash with a key of bytes 0x05, its low 7 bits modulo nqueues.
 *   EINVAL  nqueues < 1
 *   ENOENT  none of our contexts, and all numbers are theirs
 */
int GetRSSCPUCore(in_addr_t sip, in_addr_t dip, in_port_t sp, in_port_t dp, int nqueues);

/*
 * Split str into words at blanks, in place: argv[] receives pointers into str, and str must live
 * as long as they do. '...' and "..." keep blanks, may be empty, and may touch other text (a" b"c
 * is one word); there is no escape character. argv[] has max_argc (1..) places, the last word is
 * followed by NULL, and *argc receives the number of words, 0 to max_argc - 1. Section 2.3.
 *
 * Returns 0, or -1; unless EINVAL came of the arguments, argv[] and *argc hold the words found
 * before.
 *   EINVAL  an argument is NULL, max_argc < 1, or a quote is not closed
 *   E2BIG   more than max_argc - 1 words; the rest of str is untouched
 */
int StrToArgs(char *str, int *argc, char **argv, int max_argc);

/* Count the processors that are online. Returns 1 or more. Section 1.1. */
int GetNumCPUs(void);

/*
 * xxHash of len bytes at input (any alignment; may be NULL when len is 0), 32 and 64 bits wide.
 * The same value on every machine. Section 13.3.
 */
unsigned int XXH32(const void *input, size_t len, unsigned int seed);
unsigned long long XXH64(const void *input, size_t len, unsigned long long seed);

#ifdef __cplusplus
}
#endif

#endif
