/* Memory of a flow that outlives the program. */
#include <errno.h>

#include "mos_ext.h"
#include "secondary/worker.h"
#include "shared/root/user_area.h"

void *mtcp_flow_area(mctx_t mctx, int sock, size_t *len)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);
	uint32_t flow;
	struct mos_area *area;

	if (c == NULL)
		return NULL;
	if (mos_socket_active(&c->sockets, sock, &flow) == NULL) {
		errno = EBADF;
		return NULL;
	}
	area = mos_shard_user_area(c->shard, flow);
	if (area == NULL) {
		errno = ENOSYS;
		return NULL;
	}
	if (len != NULL)
		*len = c->shard->user_area_bytes - sizeof(*area);
	return area->bytes;
}

ssize_t mtcp_flow_area_len(mctx_t mctx)
{
	MOS_CTX_HELD(c, mctx);

	return c != NULL ? (ssize_t)c->root->settings.flow_area : -1;
}
