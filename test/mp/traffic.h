/*
 * Traffic across the box: TCP flows between two interfaces, each packet known by name.
 *
 *   if_a: clients 10.9.0.1:10000+flow   ---- SYN, SYN/ACK, ACK, data both ways ---->   if_b: server
 *
 * One thread sends and receives on both ends (AF_PACKET). Each data packet says in its payload
 * which flow, direction and number it is, so the receiving side knows what was lost, came twice or
 * overtook another. Every flow shakes hands first, trying again until it is established; nobody
 * sends data again. The packets are made so that a TCP tracker sees sound connections.
 *
 * Memory is the thread's own. The calls below may be made by any thread; numbers are those of the
 * moment.
 */
#ifndef MOS_TEST_TRAFFIC_H
#define MOS_TEST_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#define TRAFFIC_PORT 10000 /* client port of flow 0 */

struct traffic;

struct traffic_counts {
	uint64_t sent;       /* data packets */
	uint64_t received;   /* of these, each counted once */
	uint64_t duplicates; /* came again */
	uint64_t overtaken;  /* came behind a later one of their flow and direction */
	uint64_t others; /* frames received that were no data packets: handshakes, foreign ones */
	uint64_t others_sent; /* handshakes */
	uint64_t not_taken;   /* frames the receiving socket had no room for */
};

/* NULL with a line on stderr when the interfaces are not there. It sends nothing yet. */
struct traffic *traffic_start(const char *if_a, const char *if_b, unsigned flow_count);

/* Let all flows shake hands, and wait until they have. */
bool traffic_establish(struct traffic *t, int timeout_ms);

/* Data packets per second from now on, over all flows and both directions. 0 = none. */
void traffic_pace(struct traffic *t, unsigned per_second);

/* Send n more data packets, some ten thousand per second, handshake or not. */
void traffic_send(struct traffic *t, unsigned n);

struct traffic_counts traffic_count(const struct traffic *t);

/* Data packets received of one flow, both directions. */
uint64_t traffic_received(const struct traffic *t, unsigned flow);

/* Wait until n data packets in all have been sent, or received. */
bool traffic_wait_sent(const struct traffic *t, uint64_t n, int timeout_ms);
bool traffic_wait_received(const struct traffic *t, uint64_t n, int timeout_ms);

/* Stop sending, and wait until nothing has been received for quiet_ms. */
void traffic_settle(struct traffic *t, int quiet_ms);

/*
 * Flows may be put in one of two groups (at first all are in 0): packets of a group, and the
 * longest time in ns between two of them since the last reset, counting the time up to now.
 */
void traffic_set_group(struct traffic *t, unsigned flow, unsigned group);
uint64_t traffic_group_received(const struct traffic *t, unsigned group);
uint64_t traffic_group_gap_ns(const struct traffic *t, unsigned group);
void traffic_group_reset_gap(struct traffic *t, unsigned group);

/* Wait until n packets of the group have been received in all. */
bool traffic_wait_group(const struct traffic *t, unsigned group, uint64_t n, int timeout_ms);

void traffic_stop(struct traffic *t);

#endif
