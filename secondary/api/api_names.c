/* Who talks, and how many there are: specification section 9. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "secondary/api/api_priv.h"
#include "secondary/worker.h"

/* The flow behind an active socket; NULL + errno. */
static const struct mos_flow *flow_of(struct mos_ctx *c, int sock)
{
	uint32_t flow;

	if (mos_socket_active(&c->sockets, sock, &flow) != NULL)
		return mos_flow_at(&c->flows, flow);
	errno = mos_socket_mon(&c->sockets, sock) != NULL ? ENOTCONN : EBADF;
	return NULL;
}

/* Bytes of one element of an array of n addresses that is len bytes long; 0 = no array of ours. */
static size_t element_size(socklen_t len, unsigned n, unsigned ip_version)
{
	switch (len % n == 0 ? len / n : 0) {
	case sizeof(struct sockaddr): return ip_version == 4 ? sizeof(struct sockaddr) : 0;
	case sizeof(struct sockaddr_in6): return sizeof(struct sockaddr_in6);
	case sizeof(struct sockaddr_storage): return sizeof(struct sockaddr_storage);
	default: return 0;
	}
}

/* The array is the application's and may lie at any address. */
static void fill_address(void *out, unsigned ip_version, const uint8_t addr[16], uint16_t port_be)
{
	if (ip_version == 4) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port_be};

		memcpy(&in.sin_addr, addr + 12, sizeof(in.sin_addr)); /* IPv4-mapped */
		memcpy(out, &in, sizeof(in));
	} else {
		struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port_be};

		memcpy(&in6.sin6_addr, addr, sizeof(in6.sin6_addr));
		memcpy(out, &in6, sizeof(in6));
	}
}

int mtcp_getpeername(mctx_t mctx, int sock, struct sockaddr *addr, socklen_t *addrlen, int side)
{
	struct mos_ctx *c = mos_ctx_live(mctx, true);
	const struct mos_flow *f;
	uint8_t *at = (uint8_t *)addr;
	size_t size;

	if (c == NULL)
		return -1;
	f = flow_of(c, sock);
	if (f == NULL)
		return -1;
	if (side != MOS_SIDE_CLI && side != MOS_SIDE_SVR && side != MOS_SIDE_BOTH)
		return fail(EINVAL);
	if (addr == NULL || addrlen == NULL)
		return fail(EINVAL);
	size = element_size(*addrlen, side == MOS_SIDE_BOTH ? 2 : 1, f->key.ip_version);
	if (size == 0)
		return fail(EINVAL);
	if (side != MOS_SIDE_SVR) {
		fill_address(at, f->key.ip_version, f->key.src, f->key.src_port_be);
		at += size;
	}
	if (side != MOS_SIDE_CLI)
		fill_address(at, f->key.ip_version, f->key.dst, f->key.dst_port_be);
	return 0;
}

uint32_t mtcp_get_connection_cnt(mctx_t mctx)
{
	MOS_CTX_HELD(c, mctx);

	return c != NULL ? __atomic_load_n(&c->flows.count, __ATOMIC_RELAXED) : UINT32_MAX;
}
