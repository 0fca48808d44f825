#include "shared/root/root.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int mos_root_new(struct mos_root *mem, uint32_t shard_count, uint32_t port_count,
                 const char *prefix)
{
	if (shard_count == 0 || shard_count > MOS_SHARD_MAX || port_count > MOS_PORT_MAX ||
	    strlen(prefix) >= sizeof(mem->prefix))
		return -EINVAL;

	memset(mem, 0, sizeof(*mem));
	mem->layout_hash = mos_layout_hash();
	mem->shard_count = shard_count;
	mem->port_count = port_count;
	mem->primary_pid = getpid();
	mem->meta_offset = -1;
	memcpy(mem->prefix, prefix, strlen(prefix) + 1);
	for (uint32_t b = 0; b < MOS_BUCKET_MAX; b++)
		mem->bucket[b] = (uint8_t)(b % shard_count);
	mem->run = MOS_RUN_STARTING;
	return 0;
}

void mos_root_publish(struct mos_root *root)
{
	__atomic_store_n(&root->magic, MOS_ROOT_MAGIC, __ATOMIC_RELEASE); /* pairs with join */
}

int mos_root_join(const struct mos_root *root)
{
	if (__atomic_load_n(&root->magic, __ATOMIC_ACQUIRE) != MOS_ROOT_MAGIC)
		return -EAGAIN;
	if (root->layout_hash != mos_layout_hash())
		return -EPROTO;
	if (root->shard_count == 0 || root->shard_count > MOS_SHARD_MAX ||
	    root->port_count > MOS_PORT_MAX || root->readers == NULL ||
	    (uintptr_t)root->readers % MOS_CACHE_LINE != 0)
		return -EINVAL;
	return 0;
}
