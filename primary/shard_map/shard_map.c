#include "primary/shard_map/shard_map.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <urcu/urcu-qsbr.h>

/*
 * The published map. Replaced as a whole by the supervisor, its only writer after init; read by the
 * I/O lcore between two quiescent states.
 */
static struct mos_shard_map *current_map;

/* The one before, when its grace period was not waited for; NULL: nobody reads another. */
static struct mos_shard_map *former_map;

int mos_shard_map_init(const struct mos_root *root)
{
	struct mos_shard_map *m;

	assert(root->shard_count >= 1 && root->shard_count <= MOS_SHARD_MAX);
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return -ENOMEM;
	m->shard_count = root->shard_count;
	memcpy(m->bucket, root->bucket, sizeof(m->bucket));
	for (uint32_t s = 0; s < MOS_SHARD_MAX; s++)
		m->service[s] = MOS_SERVICE_UNSERVED;
	rcu_set_pointer(&current_map, m);
	return 0;
}

void mos_shard_map_fini(void)
{
	free(former_map);
	free(current_map);
	current_map = former_map = NULL;
}

void mos_shard_map_reader_start(void)
{
	urcu_qsbr_register_thread();
}

void mos_shard_map_reader_stop(void)
{
	urcu_qsbr_unregister_thread();
}

const struct mos_shard_map *mos_shard_map_get(void)
{
	return rcu_dereference(current_map);
}

void mos_shard_map_quiescent(void)
{
	urcu_qsbr_quiescent_state();
}

void mos_shard_map_offline(void)
{
	urcu_qsbr_thread_offline();
}

void mos_shard_map_online(void)
{
	urcu_qsbr_thread_online();
}

/* Returns the map that was replaced, NULL without memory. */
static struct mos_shard_map *replace(uint32_t shard, enum mos_service service)
{
	struct mos_shard_map *old = current_map, *m;

	assert(shard < old->shard_count);
	m = malloc(sizeof(*m));
	if (m == NULL)
		return NULL;
	*m = *old;
	m->service[shard] = (uint8_t)service;
	rcu_set_pointer(&current_map, m);
	return old;
}

static void free_after_grace(struct mos_shard_map *old)
{
	urcu_qsbr_synchronize_rcu();
	free(former_map);
	former_map = NULL;
	free(old);
}

int mos_shard_map_set(uint32_t shard, enum mos_service service)
{
	struct mos_shard_map *old = replace(shard, service);

	if (old == NULL)
		return -ENOMEM;
	free_after_grace(old);
	return 0;
}

int mos_shard_map_set_soon(uint32_t shard, enum mos_service service)
{
	struct mos_shard_map *old = replace(shard, service);

	if (old == NULL)
		return -ENOMEM;
	if (former_map == NULL)
		former_map = old;
	else
		free_after_grace(old);
	return 0;
}

enum mos_service mos_shard_map_service(uint32_t shard)
{
	assert(shard < current_map->shard_count);
	return (enum mos_service)current_map->service[shard];
}
