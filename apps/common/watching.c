#include "apps/common/watching.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mos_ext.h"

bool watch_only(const char *program, mctx_t mctx, int sock, const char *expression)
{
	char *copy = strdup(expression);
	union monitor_filter filter = {.stream_syn_filter = copy};
	bool ok = copy != NULL && mtcp_bind_monitor_filter(mctx, sock, &filter) == 0;

	if (!ok)
		fprintf(stderr, "%s: -e '%s': %s\n", program, expression,
		        errno == EINVAL ? mtcp_filter_error() : strerror(errno));
	free(copy);
	return ok;
}

bool watch_streams(mctx_t mctx, int sock)
{
	struct mtcp_conf conf;

	return mtcp_getconf(&conf) == 0 &&
	       mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_CLIBUF, &conf.rcvbuf_size,
	                       sizeof(conf.rcvbuf_size)) == 0 &&
	       mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SVRBUF, &conf.rcvbuf_size,
	                       sizeof(conf.rcvbuf_size)) == 0;
}

bool watch_no_streams(mctx_t mctx, int sock)
{
	int none = 0;

	return mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_CLIBUF, &none, sizeof(none)) == 0 &&
	       mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SVRBUF, &none, sizeof(none)) == 0;
}

bool watch_events(mctx_t mctx, int sock, const struct watched *row, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (mtcp_register_callback(mctx, sock, row[i].event, row[i].hook, row[i].callback) <
		    0)
			return false;
	return true;
}

void stop_watching(mctx_t mctx, int sock)
{
	int side = MOS_SIDE_BOTH;

	mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_STOP_MON, &side, sizeof(side));
}

bool drop_packet(mctx_t mctx, int sock, int side)
{
	return mtcp_setlastpkt(mctx, sock, side, 0, NULL, 0, MOS_DROP) == 0;
}

int tcp_state_of(mctx_t mctx, int sock, int side)
{
	int option = side == MOS_SIDE_CLI ? MOS_TCP_STATE_CLI : MOS_TCP_STATE_SVR;
	int state = TCP_CLOSED;
	socklen_t len = sizeof(state);

	mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, option, &state, &len);
	return state;
}

bool watch_area(mctx_t mctx, int sock, uint32_t version)
{
	return mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_AREA_VERSION, &version,
	                       sizeof(version)) == 0 ||
	       errno == ENOSYS;
}

static void *find_area(mctx_t mctx, int sock, size_t bytes, uint32_t *version)
{
	socklen_t version_len = sizeof(*version);
	size_t len;
	void *area = mtcp_flow_area(mctx, sock, &len);

	if (area == NULL || len < bytes ||
	    mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_AREA_VERSION, version, &version_len) < 0)
		return NULL;
	return area;
}

void *area_of(mctx_t mctx, int sock, size_t bytes, uint32_t version)
{
	uint32_t found;
	void *area = find_area(mctx, sock, bytes, &found);

	return area != NULL && found == version ? area : NULL;
}

void *area_taken(mctx_t mctx, int sock, size_t bytes, uint32_t version)
{
	uint32_t found;
	void *area = find_area(mctx, sock, bytes, &found);

	if (area == NULL || found == version)
		return area;
	memset(area, 0, bytes);
	return mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_AREA_VERSION, &version,
	                       sizeof(version)) == 0
	               ? area
	               : NULL;
}
