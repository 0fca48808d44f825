/* Memory of a flow that outlives the program. */
#include <errno.h>

#include "mos_ext.h"
#include "secondary/flow_area/flow_area.h"
#include "secondary/worker.h"

void *mtcp_flow_area(mctx_t mctx, int sock, size_t *len)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);
	size_t bytes = 0;
	uint32_t flow;
	void *area;

	if (c == NULL)
		return NULL;
	if (mos_socket_active(&c->sockets, sock, &flow) == NULL) {
		errno = EBADF;
		return NULL;
	}
	area = mos_flow_area_bytes(c->shard, flow, &bytes);
	if (area == NULL) {
		errno = ENOSYS;
		return NULL;
	}
	if (len != NULL)
		*len = bytes;
	return area;
}

ssize_t mtcp_flow_area_len(mctx_t mctx)
{
	MOS_CTX_HELD(c, mctx);

	return c != NULL ? (ssize_t)c->root->settings.flow_area : -1;
}
