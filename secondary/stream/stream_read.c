/* Reading. */
#include <string.h>

#include "secondary/stream/stream_priv.h"
#include "shared/kill_point/kill_point.h"

/* The first read of a socket: from now on bytes are kept for it. */
static void start_reading(const struct mos_stream_ref *r, unsigned k)
{
	int64_t to = mos_stream_target(r->f, r->side);

	if (r->st->readers == 0 && to > (int64_t)r->st->next)
		r->st->next = (uint64_t)to; /* nobody had it moved: none of it is held */
	r->st->readers |= (uint8_t)(1u << k);
}

/* The socket stands somewhere else now: what it has read is to be given back some time. */
static void note_read(const struct mos_stream_ref *r, bool in_hand)
{
	struct mos_streams *s = r->s;
	uint32_t n = s->read_count;

	if (in_hand || r->st->chunks == 0)
		return;
	if (n > 0 && s->read[n - 1].flow == r->flow && s->read[n - 1].side == r->side)
		return;
	if (n == MOS_READ_MAX) {
		mos_streams_settle_read(s); /* nobody takes a chunk before the callback returns */
		n = 0;
	}
	s->read[n].flow = r->flow;
	s->read[n].side = r->side;
	s->read_count++;
}

/*
 * Hand each run of held bytes from the socket's position on to take(), which says how many bytes
 * of it it took, and stop where it does not take all. What readers return.
 */
typedef size_t (*take_run)(void *arg, const uint8_t *bytes, size_t len);

static int64_t read_runs(const struct mos_stream_ref *r, unsigned k, bool in_hand, take_run take,
                         void *arg)
{
	uint64_t *pos = mos_stream_pos(r->f, r->side, k), from, at, next;
	const uint8_t *bytes;
	uint32_t len;
	size_t taken;

	if (mos_unlikely(!(r->st->readers & 1u << k)))
		start_reading(r, k);
	from = at = *pos;
	next = r->st->next;
	if (at >= next)
		return 0;
	bytes = mos_stream_run(r, at, next, &len);
	if (mos_unlikely(bytes == NULL)) {
		*pos = mos_stream_first_held(r, at, next);
		note_read(r, in_hand);
		return (int64_t)(from - *pos);
	}
	do {
		taken = take(arg, bytes, len);
		at += taken;
		if (taken < len || at == next)
			break;
		bytes = mos_stream_run(r, at, next, &len);
	} while (bytes != NULL);
	mos_kill_point("read.taken");
	*pos = at;
	note_read(r, in_hand);
	return (int64_t)(at - from);
}

struct copy {
	uint8_t *to;
	size_t room;
};

static size_t copy_run(void *arg, const uint8_t *bytes, size_t len)
{
	struct copy *c = arg;

	if (len > c->room)
		len = c->room;
	memcpy(c->to, bytes, len);
	c->to += len;
	c->room -= len;
	return len;
}

static int64_t read_slowly(struct mos_streams *s, uint32_t flow, int side, unsigned k, bool in_hand,
                           void *buf, size_t len)
{
	struct mos_stream_ref r = mos_stream_ref(s, flow, side);
	struct copy c = {buf, len};

	return len > 0 ? read_runs(&r, k, in_hand, copy_run, &c) : 0;
}

/*
 * All that is unread is in the packet in hand, as for who reads all that comes: where it lies. NULL:
 * it is not that simple.
 */
static inline const uint8_t *find_in_tail(const struct mos_streams *s, uint32_t flow, int side,
                                          unsigned k, uint64_t *n)
{
	const struct mos_piece *tail = &s->tail;
	struct mos_flow *f = mos_flow_at(s->flows, flow);
	const struct mos_stream *st = &f->stream[side];
	uint64_t pos = *mos_stream_pos(f, side, k);

	if (st->chunks != 0 || !(st->readers & 1u << k) || tail->len == 0 || s->tail_flow != flow ||
	    s->tail_side != side || pos - tail->from >= tail->len)
		return NULL;
	*n = st->next - pos;
	return tail->bytes + (pos - tail->from);
}

int64_t mos_stream_read(struct mos_streams *s, uint32_t flow, int side, unsigned k, bool in_hand,
                        void *buf, size_t len)
{
	uint64_t unread;
	const uint8_t *bytes = len > 0 ? find_in_tail(s, flow, side, k, &unread) : NULL;

	if (mos_likely(bytes != NULL)) {
		len = len < unread ? len : unread;
		memcpy(buf, bytes, len);
		mos_kill_point("read.copied");
		*mos_stream_pos(mos_flow_at(s->flows, flow), side, k) += len;
		return (int64_t)len;
	}
	return read_slowly(s, flow, side, k, in_hand, buf, len);
}

struct list {
	struct iovec *iov;
	int room;
};

static size_t list_run(void *arg, const uint8_t *bytes, size_t len)
{
	struct list *l = arg;

	if (l->room == 0)
		return 0;
	l->iov->iov_base =
		(void *)(uintptr_t)bytes; /* read-only by contract: struct iovec has no const */
	l->iov->iov_len = len;
	l->iov++;
	l->room--;
	return len;
}

int64_t mos_stream_readv(struct mos_streams *s, uint32_t flow, int side, unsigned k, bool in_hand,
                         struct iovec *iov, int *iovcnt)
{
	struct mos_stream_ref r = mos_stream_ref(s, flow, side);
	struct list l = {iov, *iovcnt};
	uint64_t unread;
	const uint8_t *bytes = *iovcnt > 0 ? find_in_tail(s, flow, side, k, &unread) : NULL;
	int64_t n;

	if (mos_likely(bytes != NULL)) {
		list_run(&l, bytes, unread);
		*mos_stream_pos(r.f, side, k) += unread;
		n = (int64_t)unread;
	} else {
		n = *iovcnt > 0 ? read_runs(&r, k, in_hand, list_run, &l) : 0;
	}

	*iovcnt -= l.room;
	return n;
}

size_t mos_stream_at(struct mos_streams *s, uint32_t flow, int side, void *buf, size_t len,
                     uint64_t off)
{
	struct mos_stream_ref r = mos_stream_ref(s, flow, side);
	struct copy c = {buf, len};
	const uint8_t *bytes;
	uint32_t n;

	while (c.room > 0) {
		uint64_t end = off + c.room < off ? UINT64_MAX : off + c.room;

		bytes = off < end ? mos_stream_run(&r, off, end, &n) : NULL;
		if (bytes == NULL)
			break;
		off += copy_run(&c, bytes, n);
	}
	return len - c.room;
}

/* Where the run of held bytes begins that goes on at off. */
static uint64_t run_start(const struct mos_stream_ref *r, uint64_t off)
{
	const struct mos_piece *tail = &r->s->tail;

	if (mos_stream_has_tail(r) && off > tail->from && off <= tail->from + tail->len)
		off = tail->from;
	while (off > 0 && r->st->chunks != 0) {
		uint32_t chunk = mos_stream_lookup(r, mos_page(off - 1)), end;
		uint64_t start = mos_page(off - 1) * MOS_CHUNK_PAGE;

		if (chunk == MOS_CHUNK_NONE)
			break;
		end = (uint32_t)(off - start);
		off = start + mos_bits_run_start(mos_chunk_at(&r->s->pool, chunk)->valid, end);
		if (off > start)
			break;
	}
	return off;
}

bool mos_stream_held(struct mos_streams *s, uint32_t flow, int side, uint64_t off,
                     struct mos_stream_range *range)
{
	struct mos_stream_ref r = mos_stream_ref(s, flow, side);
	uint64_t from = mos_stream_first_held(&r, off, UINT64_MAX);

	if (from == UINT64_MAX)
		return false;
	range->from = run_start(&r, from);
	range->end = mos_stream_first_missing(&r, from, UINT64_MAX);
	return true;
}

uint64_t mos_stream_end(struct mos_streams *s, uint32_t flow, int side)
{
	struct mos_stream_ref r = mos_stream_ref(s, flow, side);
	uint64_t end = r.st->next;

	for (uint32_t i = mos_chunk_first(&s->pool, r.st->chunks); i != MOS_CHUNK_NONE;
	     i = mos_chunk_next(&s->pool, i)) {
		const struct mos_chunk *c = mos_chunk_at(&s->pool, i);

		if (mos_page_start(c) + MOS_CHUNK_PAGE > end)
			end = mos_max_u64(end, mos_page_start(c) + mos_bits_end(c->valid));
	}
	return end;
}
