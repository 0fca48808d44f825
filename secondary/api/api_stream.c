/* Reading streams: specification section 7. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "mos_ext.h"
#include "secondary/api/api_priv.h"
#include "secondary/pipeline/pipeline.h"
#include "secondary/worker.h"

/* One side of a flow, as the socket with passive number k has it. */
struct reader {
	struct mos_ctx *c;
	uint32_t flow;
	int side;
	unsigned k;
};

/* The context and what sock and side name in it. 0 or errno. */
static int find(struct reader *r, mctx_t mctx, int sock, int side)
{
	const struct mos_mon_sock *m;

	r->c = mos_ctx_live(mctx, true);
	if (r->c == NULL)
		return errno;
	m = mos_socket_of_active(&r->c->sockets, sock, &r->flow);
	if (m == NULL)
		return EBADF;
	if (side != MOS_SIDE_CLI && side != MOS_SIDE_SVR)
		return EINVAL;
	r->side = side;
	r->k = (unsigned)m->passive;
	return 0;
}

/* From now on it reads. Where n bytes go must be known, if there are to be any. 0 or errno. */
static int begin(const struct reader *r, const void *where, size_t n)
{
	if (where == NULL && n > 0)
		return EFAULT;
	return mos_flow_read_by(r->c, r->flow, r->side, r->k) ? 0 : EINVAL;
}

static size_t clamp(size_t len)
{
	return len < SSIZE_MAX ? len : SSIZE_MAX;
}

/* What a read returns: bytes read, or those that are lost. */
static ssize_t told(int64_t n)
{
	if (n < 0)
		errno = ENODATA;
	return (ssize_t)n;
}

ssize_t mtcp_peek(mctx_t mctx, int sock, int side, char *buf, size_t len)
{
	struct reader r;
	int err = find(&r, mctx, sock, side);

	if (err == 0)
		err = begin(&r, buf, len);
	if (err != 0)
		return fail(err);
	return told(mos_stream_read(&r.c->streams, r.flow, side, r.k, mos_flow_in_hand(r.c, r.flow),
	                            buf, clamp(len)));
}

ssize_t mtcp_peekv(mctx_t mctx, int sock, int side, struct iovec *iov, int iovcnt)
{
	struct reader r;
	int err = find(&r, mctx, sock, side), used = iovcnt;
	int64_t n;

	if (err == 0 && iovcnt < 1)
		err = EINVAL;
	if (err == 0)
		err = begin(&r, iov, 1);
	if (err != 0)
		return fail(err);
	n = mos_stream_readv(&r.c->streams, r.flow, side, r.k, mos_flow_in_hand(r.c, r.flow), iov,
	                     &used);
	if (n >= 0 && used < iovcnt)
		iov[used] = (struct iovec){.iov_len = 0};
	return told(n);
}

ssize_t mtcp_ppeek(mctx_t mctx, int sock, int side, char *buf, size_t count, uint64_t off)
{
	struct reader r;
	int err = find(&r, mctx, sock, side);
	size_t n;

	if (err == 0)
		err = begin(&r, buf, count);
	if (err != 0)
		return fail(err);
	n = mos_stream_at(&r.c->streams, r.flow, side, buf, clamp(count), off);
	return n > 0 || count == 0 ? (ssize_t)n : fail(ENODATA);
}

int mtcp_stream_gap(mctx_t mctx, int sock, int side, struct mos_stream_gap *gap)
{
	const struct mos_stream_told *t;
	struct reader r;
	int err = find(&r, mctx, sock, side);

	if (err == 0 && gap == NULL)
		err = EINVAL;
	if (err != 0)
		return fail(err);
	t = &r.c->told;
	if (t->flow != r.flow || t->side != side)
		return fail(ENODATA);
	*gap = (struct mos_stream_gap){
		.cause = t->cause,
		.pkt_off = t->pkt_off,
		.offset = t->range.from,
		.len = t->range.end - t->range.from,
	};
	return 0;
}
