#include "apps/common/http_read.h"

#include <errno.h>

#include "mos_ext.h"

#define PIECES 16 /* that are read at a time */

void http_read(mctx_t mctx, int sock, int side, struct http_conn *conn)
{
	int from = side == MOS_SIDE_SVR ? HTTP_FROM_CLIENT : HTTP_FROM_SERVER;
	uint64_t now_ns = mtcp_cb_get_ts_ns(mctx);
	struct iovec piece[PIECES];
	ssize_t n;

	while (!conn->over && (n = mtcp_peekv(mctx, sock, side, piece, PIECES)) != 0) {
		if (n < 0 && errno != ENODATA)
			return;
		if (n < 0)
			http_conn_gap(conn, from, (uint64_t)-n, now_ns);
		for (int i = 0; n > 0 && i < PIECES && piece[i].iov_len > 0; i++)
			http_conn_feed(conn, from, piece[i].iov_base, piece[i].iov_len, now_ns);
	}
}
