#include "apps/rewrite/track.h"

void track_begin(struct track *t, uint32_t seq, const struct http_state *state)
{
	t->now = 0;
	for (int i = 1; i >= 0; i--) { /* it begins with the first one */
		t->version[i].seq = seq;
		__atomic_thread_fence(__ATOMIC_RELEASE);
		t->version[i].state = *state;
	}
}

/* The index of the version that is good at `decided`; -1: none. */
static int find(const struct track *t, uint32_t decided)
{
	uint32_t now = t->now & 1;

	if (t->version[now].seq == decided)
		return (int)now;
	return t->version[!now].seq == decided ? (int)!now : -1;
}

enum track_answer track_find(struct track *t, uint32_t decided, uint32_t seq, uint32_t len,
                             struct http_state *state)
{
	int at = find(t, decided);

	if (at < 0 && http_is_over(&t->version[t->now & 1].state)) {
		/*
		 * The stream has gone on alone: the version before is good at no number any more.
		 */
		t->version[!(t->now & 1)].state = t->version[t->now & 1].state;
		return TRACK_PASS;
	}
	if (at < 0)
		return TRACK_STRAY;
	if (http_is_over(&t->version[at].state) || (int32_t)(seq + len - decided) <= 0)
		return TRACK_PASS;
	if ((int32_t)(seq - decided) > 0)
		return TRACK_WAIT;
	*state = t->version[at].state;
	return TRACK_EDIT;
}

void track_store(struct track *t, uint32_t decided, uint32_t seq, const struct http_state *state)
{
	uint32_t next = 1 - (uint32_t)find(t, decided);

	t->version[next].seq = seq;
	t->version[next].state = *state;
	__atomic_store_n(&t->now, next,
	                 __ATOMIC_RELEASE); /* the version is whole before it counts */
}
