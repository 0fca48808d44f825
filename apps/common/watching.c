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
