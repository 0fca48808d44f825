/* What a program asks that takes over the flows of another, beside the flows themselves. */
#include "mos_ext.h"
#include "secondary/worker.h"

int mtcp_restoring(mctx_t mctx)
{
	const struct mos_ctx *c = mos_ctx_live(mctx, true);

	return c != NULL ? c->to_restore != NULL : -1;
}
