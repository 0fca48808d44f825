#include "apps/nat/port_pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* port_pool.state: a port that is claimed stays in the queue until its turn comes. */
enum {
	PORT_QUEUED = 1 << 0,
	PORT_USED = 1 << 1,
};

static uint8_t *state_of(struct port_pool *p, uint16_t port)
{
	return port >= p->low && port <= p->high ? &p->state[port - p->low] : NULL;
}

static void push(struct port_pool *p, uint16_t port)
{
	uint32_t end = p->first + p->queued;

	assert(p->queued < p->count); /* each port is in it once */
	p->queue[end < p->count ? end : end - p->count] = port;
	p->queued++;
}

static uint16_t pop(struct port_pool *p)
{
	uint16_t port = p->queue[p->first];

	p->first = p->first + 1 < p->count ? p->first + 1 : 0;
	p->queued--;
	return port;
}

/* xorshift64*: good enough to deal cards. */
static uint64_t draw(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1d;
}

static void shuffle(struct port_pool *p, uint64_t seed)
{
	uint64_t state = seed | 1; /* 0 would stay 0 */

	for (uint32_t i = p->count - 1; i > 0; i--) {
		uint32_t j = (uint32_t)((draw(&state) >> 32) * (i + 1) >> 32);
		uint16_t other = p->queue[j];

		p->queue[j] = p->queue[i];
		p->queue[i] = other;
	}
}

int port_pool_init(struct port_pool *p, uint16_t low, uint16_t high, uint64_t seed)
{
	assert(low > 0 && low <= high);
	*p = (struct port_pool){.low = low, .high = high, .count = high - low + 1u};
	p->queue = malloc(p->count * sizeof(*p->queue));
	p->state = malloc(p->count);
	if (p->queue == NULL || p->state == NULL) {
		port_pool_fini(p);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < p->count; i++) {
		p->state[i] = PORT_QUEUED;
		push(p, (uint16_t)(low + i));
	}
	shuffle(p, seed);
	return 0;
}

void port_pool_fini(struct port_pool *p)
{
	free(p->queue);
	free(p->state);
	*p = (struct port_pool){0};
}

uint16_t port_pool_get(struct port_pool *p, bool (*fits)(void *arg, uint16_t port), void *arg)
{
	uint32_t tries = p->queued < PORT_POOL_TRIES_MAX ? p->queued : PORT_POOL_TRIES_MAX;

	for (; tries > 0; tries--) {
		uint16_t port = pop(p);
		uint8_t *state = state_of(p, port);

		if (*state & PORT_USED) {
			*state = PORT_USED;
		} else if (fits(arg, port)) {
			*state = PORT_USED;
			p->used++;
			return port;
		} else {
			push(p, port);
		}
	}
	return 0;
}

bool port_pool_claim(struct port_pool *p, uint16_t port)
{
	uint8_t *state = state_of(p, port);

	if (state == NULL || *state & PORT_USED)
		return false;
	*state |= PORT_USED;
	p->used++;
	return true;
}

void port_pool_put(struct port_pool *p, uint16_t port)
{
	uint8_t *state = state_of(p, port);

	if (state == NULL || !(*state & PORT_USED))
		return;
	p->used--;
	if (!(*state & PORT_QUEUED))
		push(p, port);
	*state = PORT_QUEUED;
}
