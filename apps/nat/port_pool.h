/*
 * The outside ports that one worker may give out.
 *
 *   free, oldest first:  [ p | p | p | p | ... | p ]  <- a port that is given back
 *                          |                       ^
 *                          +-- fits? -- no --------+
 *                              yes: given out
 *
 * A port is of use only if the server's answers will reach this worker, which depends on the server
 * too: with n workers one in n does, so some n are asked about for each connection. Those that do
 * not fit go to the end, so the search always goes on where the last one stopped, and a port that
 * is given back is looked at again only when all the others have been: their former servers have
 * had that time to leave TIME_WAIT. At first the order is random (RFC 6056).
 *
 * A port serves one connection at a time, whatever the server: a worker has as many connections as
 * there are ports. Other workers may give out the same port, to servers for which it fits them.
 *
 * Memory: taken by init, 3 bytes a port. Not its job: what fits. One thread at a time.
 */
#ifndef NAT_PORT_POOL_H
#define NAT_PORT_POOL_H

#include <stdbool.h>
#include <stdint.h>

/* Ports that are asked about for one connection at most: 1 in 100 that are of use is enough. */
#define PORT_POOL_TRIES_MAX 1024

struct port_pool {
	uint16_t low, high; /* the ports, both included; host byte order */
	uint16_t *queue;    /* ring of `count`: free ones, and some that were claimed since */
	uint8_t *state;     /* of each port: PORT_QUEUED, PORT_USED */
	uint32_t count;     /* ports */
	uint32_t first;     /* in the queue, [0, count) */
	uint32_t queued;
	uint32_t used;
};

/*
 * The ports from low (1..) to high are free, in an order that follows from the seed. Returns 0 or
 * -ENOMEM.
 */
int port_pool_init(struct port_pool *p, uint16_t low, uint16_t high, uint64_t seed);
void port_pool_fini(struct port_pool *p);

/*
 * Give out a free port for which fits(arg, port). Returns it, or 0: none is free, or none of those
 * that were asked about fits; others will be next time.
 */
uint16_t port_pool_get(struct port_pool *p, bool (*fits)(void *arg, uint16_t port), void *arg);

/*
 * This port is in use: a worker before this one gave it out. False when it is in use already, or
 * is none of the pool's.
 */
bool port_pool_claim(struct port_pool *p, uint16_t port);

/* Give back a port that was given out or claimed; any other is left as it is. */
void port_pool_put(struct port_pool *p, uint16_t port);

#endif
