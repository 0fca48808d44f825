#include "apps/common/ends.h"

#include <stdio.h>

static void write_end(char end[static END_LEN], const struct sockaddr_storage *s)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)s;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)s;
	char addr[INET6_ADDRSTRLEN];

	if (s->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, addr, sizeof(addr));
		snprintf(end, END_LEN, "%s:%u", addr, ntohs(in->sin_port));
	} else {
		inet_ntop(AF_INET6, &in6->sin6_addr, addr, sizeof(addr));
		snprintf(end, END_LEN, "[%s]:%u", addr, ntohs(in6->sin6_port));
	}
}

bool ends_read(struct ends *ends, mctx_t mctx, int sock)
{
	struct sockaddr_storage addr[2];
	socklen_t len = sizeof(addr);

	if (mtcp_getpeername(mctx, sock, (struct sockaddr *)addr, &len, MOS_SIDE_BOTH) < 0)
		return false;
	write_end(ends->client, &addr[MOS_SIDE_CLI]);
	write_end(ends->server, &addr[MOS_SIDE_SVR]);
	return true;
}
