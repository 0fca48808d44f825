/* What a program asks that takes over the flows of another, beside the flows themselves. */
#include <sys/types.h>

#include "mos_ext.h"
#include "secondary/worker.h"

ssize_t mtcp_flow_area_len(mctx_t mctx)
{
	MOS_CTX_HELD(c, mctx);

	return c != NULL ? (ssize_t)c->root->settings.flow_area : -1;
}

int mtcp_restoring(mctx_t mctx)
{
	const struct mos_ctx *c = mos_ctx_live(mctx, true);

	return c != NULL ? c->to_restore != NULL : -1;
}
