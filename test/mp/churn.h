/*
 * Flows that come and go: each is a client's SYN on one interface and, some flows later, its
 * server's refusal on the other. Checksums of TCP are left out: the configuration has to say
 * `tcp_checksum = trust`.
 *
 * One thread sends, and nobody looks at what comes out. Memory is the thread's own.
 */
#ifndef MOS_TEST_CHURN_H
#define MOS_TEST_CHURN_H

#include <stdint.h>

#define CHURN_OPEN 64 /* flows that are open at a time */

struct churn;

/* Begin to make so many flows per second. Without the interfaces the test fails. */
struct churn *churn_start(const char *if_a, const char *if_b, unsigned per_second);

/* Flows made so far. */
uint64_t churn_count(const struct churn *c);

/* End the thread; the last flows stay open. */
void churn_stop(struct churn *c);

#endif
