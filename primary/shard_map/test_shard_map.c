/*
 * The shard map on the bench: plain memory and two threads. The reader thread stands for the I/O
 * lcore: it uses "rings" (two plain integers) as the map allows it; the writer uses them while the
 * shard is PARKED. Without grace periods both would meet there.
 */
#include "primary/shard_map/shard_map.h"

#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "shared/packet/hash.h"

/* The first map of a system with so many shards. */
static int init(uint32_t shards)
{
	static struct mos_root root;

	ck_assert_int_eq(mos_root_new(&root, shards, 0, "test"), 0);
	return mos_shard_map_init(&root);
}

START_TEST(buckets_are_dealt_evenly_to_all_shards)
{
	for (uint32_t shards = 1; shards <= MOS_SHARD_MAX; shards++) {
		uint32_t count[MOS_SHARD_MAX] = {0};
		const struct mos_shard_map *m;

		ck_assert_int_eq(init(shards), 0);
		m = mos_shard_map_get();
		for (uint32_t b = 0; b < MOS_BUCKET_MAX; b++)
			count[m->bucket[b]]++;
		for (uint32_t s = 0; s < shards; s++) {
			ck_assert_uint_ge(count[s], MOS_BUCKET_MAX / shards);
			ck_assert_uint_le(count[s], MOS_BUCKET_MAX / shards + 1);
		}
		mos_shard_map_fini();
	}
}
END_TEST

START_TEST(every_hash_has_a_shard)
{
	const struct mos_shard_map *m;

	ck_assert_int_eq(init(3), 0);
	m = mos_shard_map_get();
	ck_assert_uint_lt(mos_shard_of(m, 0), 3);
	ck_assert_uint_lt(mos_shard_of(m, UINT32_MAX), 3);
	for (uint64_t i = 0; i < 100000; i++)
		ck_assert_uint_lt(mos_shard_of(m, (uint32_t)mos_mix64(i)), 3);
	mos_shard_map_fini();
}
END_TEST

START_TEST(set_changes_one_shard_and_keeps_the_buckets)
{
	struct mos_shard_map before;

	ck_assert_int_eq(init(4), 0);
	before = *mos_shard_map_get();
	for (uint32_t s = 0; s < 4; s++)
		ck_assert_int_eq(mos_shard_map_service(s), MOS_SERVICE_UNSERVED);

	ck_assert_int_eq(mos_shard_map_set(2, MOS_SERVICE_SERVED), 0);
	ck_assert_int_eq(mos_shard_map_service(2), MOS_SERVICE_SERVED);
	ck_assert_int_eq(mos_shard_map_service(1), MOS_SERVICE_UNSERVED);
	ck_assert_int_eq(mos_shard_map_service(3), MOS_SERVICE_UNSERVED);
	ck_assert_mem_eq(before.bucket, mos_shard_map_get()->bucket, sizeof(before.bucket));
	mos_shard_map_fini();
}
END_TEST

START_TEST(maps_that_come_soon_add_up)
{
	ck_assert_int_eq(init(4), 0);
	for (uint32_t s = 0; s < 4; s++)
		ck_assert_int_eq(mos_shard_map_set_soon(s, MOS_SERVICE_SERVED), 0);
	ck_assert_int_eq(mos_shard_map_set(1, MOS_SERVICE_HELD), 0);
	ck_assert_int_eq(mos_shard_map_set_soon(2, MOS_SERVICE_PARKED), 0);
	ck_assert_int_eq(mos_shard_map_service(0), MOS_SERVICE_SERVED);
	ck_assert_int_eq(mos_shard_map_service(1), MOS_SERVICE_HELD);
	ck_assert_int_eq(mos_shard_map_get()->service[2], MOS_SERVICE_PARKED);
	ck_assert_int_eq(mos_shard_map_get()->service[3], MOS_SERVICE_SERVED);
	mos_shard_map_fini();
}
END_TEST

/* What the I/O lcore and the supervisor would do to one shard's rings. */
struct bench {
	uint64_t plain[2]; /* no atomics: only the grace period keeps the threads apart */
	bool stop;
	uint64_t reader_rounds, reader_uses;
};

static void use(struct bench *b)
{
	b->plain[0]++;
	b->plain[1] = b->plain[0] ^ 0x5555;
}

static void *reader(void *arg)
{
	struct bench *b = arg;
	const struct timespec nap = {.tv_nsec = 20000};

	mos_shard_map_reader_start();
	while (!__atomic_load_n(&b->stop, __ATOMIC_RELAXED)) {
		const struct mos_shard_map *m = mos_shard_map_get();

		for (int i = 0; i < 50 && m->service[0] != MOS_SERVICE_PARKED; i++) {
			use(b);
			b->reader_uses++;
		}
		mos_shard_map_quiescent();
		if (++b->reader_rounds % 64 == 0) {
			mos_shard_map_offline();
			nanosleep(&nap, NULL);
			mos_shard_map_online();
		}
	}
	mos_shard_map_reader_stop();
	return NULL;
}

START_TEST(after_parked_the_rings_are_the_supervisors)
{
	struct bench b = {.plain = {0, 0x5555}};
	uint64_t mine = 0;
	pthread_t t;

	ck_assert_int_eq(init(1), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, reader, &b), 0);
	for (int i = 0; i < 2000; i++) {
		ck_assert_int_eq(mos_shard_map_set(0, MOS_SERVICE_PARKED), 0);
		for (int k = 0; k < 20; k++) {
			ck_assert_uint_eq(b.plain[1], b.plain[0] ^ 0x5555);
			use(&b);
			mine++;
		}
		ck_assert_int_eq(mos_shard_map_set(0, MOS_SERVICE_SERVED), 0);
	}
	__atomic_store_n(&b.stop, true, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	ck_assert_uint_eq(b.plain[0], b.reader_uses + mine); /* no update was lost */
	ck_assert_uint_gt(b.reader_uses, 0);
	mos_shard_map_fini();
}
END_TEST

START_TEST(a_sleeping_reader_does_not_hold_up_the_supervisor)
{
	ck_assert_int_eq(init(1), 0);
	mos_shard_map_reader_start();
	mos_shard_map_offline();
	ck_assert_int_eq(mos_shard_map_set(0, MOS_SERVICE_HELD), 0); /* returns: that is the test */
	mos_shard_map_online();
	ck_assert_int_eq(mos_shard_map_get()->service[0], MOS_SERVICE_HELD);
	mos_shard_map_reader_stop();
	mos_shard_map_fini();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shard_map");
	TCase *tc = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(tc, buckets_are_dealt_evenly_to_all_shards);
	tcase_add_test(tc, every_hash_has_a_shard);
	tcase_add_test(tc, set_changes_one_shard_and_keeps_the_buckets);
	tcase_add_test(tc, maps_that_come_soon_add_up);
	tcase_add_test(tc, after_parked_the_rings_are_the_supervisors);
	tcase_add_test(tc, a_sleeping_reader_does_not_hold_up_the_supervisor);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
