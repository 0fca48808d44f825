#include "apps/common/forge.h"

bool forge_send(mctx_t mctx, int sock, const struct forged_segment *s)
{
	struct sockaddr_storage addr[2];
	socklen_t len = sizeof(addr);
	struct forged f;

	if (mtcp_getpeername(mctx, sock, (struct sockaddr *)addr, &len, MOS_SIDE_BOTH) < 0)
		return false;
	forge(&f, addr, s);
	return mtcp_sendpkt_ext(mctx, sock, &f.info, &f.ext) == 0;
}
