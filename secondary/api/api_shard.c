/* Which worker a flow reaches. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "mos_ext.h"
#include "mtcp_util.h"
#include "secondary/api/api_priv.h"
#include "secondary/util/toeplitz.h"
#include "secondary/worker.h"
#include "shared/flow_table/flow_hash.h"

static int shard_of(const struct mos_root *root, const struct mos_flow_key *key)
{
	return root->bucket[mos_bucket_of(mos_flow_key_hash(key, root->hash_seed))];
}

/* ---- mtcp_flow_shard ---- */

/* The application's addresses lie anywhere. Returns the IP version, 0 = neither. */
static unsigned read_end(uint8_t addr[16], uint16_t *port_be, const struct sockaddr *from)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;
	sa_family_t family;

	memcpy(&family, (const char *)from + offsetof(struct sockaddr, sa_family), sizeof(family));
	if (family == AF_INET) {
		memcpy(&in, from, sizeof(in));
		memset(addr, 0, 10);
		memset(addr + 10, 0xff, 2);
		memcpy(addr + 12, &in.sin_addr, 4);
		*port_be = in.sin_port;
		return 4;
	}
	if (family != AF_INET6)
		return 0;
	memcpy(&in6, from, sizeof(in6));
	memcpy(addr, &in6.sin6_addr, 16);
	*port_be = in6.sin6_port;
	return 6;
}

int mtcp_flow_shard(mctx_t mctx, const struct sockaddr *src, const struct sockaddr *dst)
{
	MOS_CTX_HELD(c, mctx);
	struct mos_flow_key key = {0};
	unsigned version;

	if (c == NULL)
		return -1;
	if (src == NULL || dst == NULL)
		return fail(EFAULT);
	version = read_end(key.src, &key.src_port_be, src);
	if (version == 0 || read_end(key.dst, &key.dst_port_be, dst) != version)
		return fail(EAFNOSUPPORT);
	key.ip_version = (uint16_t)version;
	return shard_of(c->root, &key);
}

int mtcp_own_shard(mctx_t mctx)
{
	MOS_CTX_HELD(c, mctx);

	const struct mos_shard *shard;

	if (c == NULL)
		return -1;
	shard = mos_ctx_shard(c);
	return shard != NULL ? (int)shard->index : fail(EAGAIN);
}

/* ---- GetRSSCPUCore ---- */

/* The shard this context holds; NULL: none. */
static const struct mos_shard *shard_held_by(const struct mos_ctx *c)
{
	uint32_t state = atomic_load_explicit(&c->state, memory_order_acquire);

	return state == MOS_CTX_SETTING_UP || state == MOS_CTX_RUNNING ? mos_ctx_shard(c) : NULL;
}

/* The context that holds this shard; else *others receives which numbers contexts have. */
static int find_context(int shard, uint64_t *others)
{
	*others = 0;
	for (unsigned i = 0; i < MOS_SHARD_MAX; i++) {
		const struct mos_ctx *c = &mos_worker.ctx[i];

		const struct mos_shard *held = shard_held_by(c);

		if (held == NULL)
			continue;
		if ((int)held->index == shard)
			return c->api.cpu;
		*others |= UINT64_C(1) << i;
	}
	return -1;
}

/* A number below nqueues that no context has. */
static int find_stranger(uint64_t contexts, int nqueues)
{
	int number = __builtin_ctzll(~contexts);

	return number < nqueues ? number : fail(ENOENT);
}

int GetRSSCPUCore(in_addr_t sip, in_addr_t dip, in_port_t sp, in_port_t dp, int nqueues)
{
	const struct mos_root *root = mos_worker.root;
	struct mos_flow_key key = {.src_port_be = sp, .dst_port_be = dp, .ip_version = 4};
	uint64_t others;
	int cpu;

	if (nqueues < 1)
		return fail(EINVAL);
	if (root == NULL)
		return mos_toeplitz_queue(sip, dip, sp, dp, nqueues);
	memcpy(key.src + 12, &sip, sizeof(sip));
	memcpy(key.dst + 12, &dip, sizeof(dip));
	cpu = find_context(shard_of(root, &key), &others);
	return cpu >= 0 ? cpu : find_stranger(others, nqueues);
}
