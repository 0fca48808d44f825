#include "secondary/stream/stream_model.h"

#include <stdlib.h>

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint8_t *state_at(struct model_stream *m, uint64_t off)
{
	return &m->state[off % MODEL_SPAN];
}

void model_clear(struct model_stream *m)
{
	for (uint64_t off = m->low; off < m->high; off++)
		*state_at(m, off) = MODEL_NONE;
	m->low = m->high = m->next;
}

void model_fall_back(struct model_stream *m, uint64_t next)
{
	model_clear(m);
	m->next = next;
	for (unsigned k = 0; k < MOS_SOCKETS_MAX; k++)
		m->pos[k] = min_u64(m->pos[k], next);
}

/* Keep low and high at what is held, so that loops are short. */
static void trim(struct model_stream *m)
{
	while (m->low < m->high && !model_holds(m, m->low))
		m->low++;
	while (m->low < m->high && !model_holds(m, m->high - 1))
		m->high--;
}

static void put(struct model_stream *m, uint64_t off, uint8_t byte)
{
	if (m->low == m->high)
		m->low = m->high = off;
	m->low = min_u64(m->low, off);
	m->high = max_u64(m->high, off + 1);
	if (m->high - m->low > MODEL_SPAN)
		abort(); /* the test asks for more than the model can hold */
	*state_at(m, off) = MODEL_HELD;
	m->value[off % MODEL_SPAN] = byte;
}

uint64_t model_held_run(const struct model_stream *m, uint64_t off, uint64_t end)
{
	uint64_t at = off;

	while (at < end && model_holds(m, at))
		at++;
	return at - off;
}

uint64_t model_lost_run(const struct model_stream *m, uint64_t off, uint64_t end)
{
	uint64_t at = max_u64(off, min_u64(end, m->low));

	if (off >= m->high)
		return end - off;
	while (at < min_u64(end, m->high) && !model_holds(m, at))
		at++;
	return (at >= m->high ? end : at) - off;
}

bool model_next_held(const struct model_stream *m, uint64_t off, struct mos_stream_range *range)
{
	uint64_t at = max_u64(off, m->low);

	while (at < m->high && !model_holds(m, at))
		at++;
	if (at >= m->high)
		return false;
	range->from = at;
	while (range->from > m->low && model_holds(m, range->from - 1))
		range->from--;
	range->end = at + model_held_run(m, at, m->high);
	return true;
}

bool model_conflicts(const struct model_stream *m, const struct mos_piece *piece,
                     struct mos_stream_range *where)
{
	bool found = false;

	for (uint64_t off = piece->from; off < piece->from + piece->len; off++) {
		if (!model_holds(m, off) || model_byte(m, off) == piece->bytes[off - piece->from])
			continue;
		if (!found)
			where->from = off;
		where->end = off + 1;
		found = true;
	}
	return found;
}

static uint64_t floor_at(const struct model_stream *m, uint64_t next)
{
	return next > m->limit ? next - m->limit : 0;
}

uint8_t model_overrun(const struct model_stream *m, const struct mos_piece *piece,
                      struct mos_stream_range *lost)
{
	uint64_t end = max_u64(m->next, piece->from + piece->len);
	uint64_t limit = min_u64(floor_at(m, end), m->next);
	uint8_t who = 0;

	*lost = (struct mos_stream_range){0, 0};
	for (unsigned k = 0; k < MOS_SOCKETS_MAX; k++) {
		if (!(m->readers & 1u << k) || m->pos[k] >= limit ||
		    model_lost_run(m, m->pos[k], limit) == limit - m->pos[k])
			continue;
		if (who == 0 || m->pos[k] < lost->from)
			*lost = (struct mos_stream_range){m->pos[k], limit};
		who |= (uint8_t)(1u << k);
	}
	return who;
}

uint64_t model_advance(struct model_stream *m, uint64_t next, struct mos_stream_range *gap,
                       uint64_t *missing)
{
	uint64_t held = 0, from = m->next;

	*gap = (struct mos_stream_range){0, 0};
	*missing = 0;
	if (next <= from)
		return 0;
	for (uint64_t off = max_u64(from, m->low); off < min_u64(next, m->high); off++)
		held += model_holds(m, off);
	*missing = next - from - held;
	if (*missing > 0) {
		gap->from = from + model_held_run(m, from, next);
		gap->end = gap->from + model_lost_run(m, gap->from, next);
	}
	m->next = next;
	return held;
}

/* Up to where somebody has read: both versions of a byte below would be seen, by two sockets. */
static uint64_t read_by_any(const struct model_stream *m)
{
	uint64_t end = 0;

	for (unsigned k = 0; k < MOS_SOCKETS_MAX; k++)
		if (m->readers & 1u << k)
			end = max_u64(end, m->pos[k]);
	return end;
}

uint32_t model_take(struct model_stream *m, const struct mos_piece *piece, uint64_t next,
                    uint64_t window_end)
{
	uint64_t settled = read_by_any(m), end = piece->from + piece->len;
	uint32_t again = 0;

	for (uint64_t off = piece->from; off < min_u64(end, max_u64(next, window_end)); off++) {
		uint8_t byte = piece->bytes[off - piece->from];

		if (model_holds(m, off)) {
			again++;
			if (m->last && off >= settled)
				m->value[off % MODEL_SPAN] = byte;
		} else if (off >= m->next) {
			put(m, off, byte);
		}
	}
	return again;
}

void model_replace(struct model_stream *m, uint64_t off, uint8_t byte)
{
	m->value[off % MODEL_SPAN] = byte;
}

uint64_t model_least(const struct model_stream *m)
{
	uint64_t least = m->next;

	for (unsigned k = 0; k < MOS_SOCKETS_MAX; k++)
		if (m->readers & 1u << k)
			least = min_u64(least, m->pos[k]);
	return least;
}

/* Drop what lies below keep. Returns how many bytes of it somebody has not read. */
static uint64_t drop_below(struct model_stream *m, uint64_t keep)
{
	uint64_t least = model_least(m), unread = 0;

	for (uint64_t off = m->low; off < min_u64(keep, m->high); off++) {
		unread += model_holds(m, off) && off >= least;
		*state_at(m, off) = MODEL_NONE;
	}
	trim(m);
	return unread;
}

static uint64_t done_with(const struct model_stream *m)
{
	return m->keep ? min_u64(model_least(m), m->acked) : model_least(m);
}

uint64_t model_release(struct model_stream *m)
{
	return drop_below(m, max_u64(done_with(m), floor_at(m, m->next)));
}

void model_give_back(struct model_stream *m)
{
	drop_below(m, done_with(m));
}

void model_doubt(struct model_stream *m, const struct mos_stream_range *range)
{
	for (uint64_t off = max_u64(range->from, m->low); off < min_u64(range->end, m->high); off++)
		if (model_holds(m, off))
			*state_at(m, off) = MODEL_DOUBT;
}

uint64_t model_resolve(struct model_stream *m, uint64_t from, model_ask ask, void *arg)
{
	uint64_t gone = 0;

	for (uint64_t off = m->low; off < m->high; off++) {
		if (*state_at(m, off) != MODEL_DOUBT)
			continue;
		if (ask(arg, off)) {
			*state_at(m, off) = MODEL_HELD;
		} else {
			*state_at(m, off) = MODEL_NONE;
			gone += off >= from;
		}
	}
	trim(m);
	return gone;
}
