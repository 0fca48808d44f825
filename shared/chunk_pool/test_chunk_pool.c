/*
 * A chunk pool on the bench: formatted through one mapping of its memory, used through another, as
 * primary and worker do. Deaths: test_chunk_pool_crash.c; broken memory: test_chunk_pool_recover.c.
 */
#include "shared/chunk_pool/test_pool.h"

#include <errno.h>

enum { COUNT = 64 };

static struct twice mem;
static struct mos_chunk_pool pool;
static struct streams streams;

static void setup(void)
{
	mem = map_twice(mos_chunk_pool_footprint(COUNT));
	ck_assert_int_eq(mos_chunk_pool_new(mem.a, COUNT), 0);
	memset(&streams, 0, sizeof(streams));
	join_or_die(&pool, mem.b, mem.len, &streams);
}

static void teardown(void)
{
	mos_chunk_pool_leave(&pool);
	unmap_twice(&mem);
}

/* ---- life ---- */

START_TEST(footprint_is_0_out_of_range)
{
	ck_assert_uint_eq(mos_chunk_pool_footprint(0), 0);
	ck_assert_uint_eq(mos_chunk_pool_footprint(MOS_CHUNK_COUNT_MIN - 1), 0);
	ck_assert_uint_eq(mos_chunk_pool_footprint(MOS_CHUNK_COUNT_MAX + 1), 0);
	ck_assert_uint_eq(mos_chunk_pool_footprint(UINT32_MAX), 0);
	ck_assert_uint_gt(mos_chunk_pool_footprint(MOS_CHUNK_COUNT_MIN),
	                  MOS_CHUNK_COUNT_MIN * (size_t)MOS_CHUNK_BYTES);
	ck_assert_uint_gt(mos_chunk_pool_footprint(MOS_CHUNK_COUNT_MAX),
	                  MOS_CHUNK_COUNT_MAX * (size_t)MOS_CHUNK_BYTES);
}
END_TEST

START_TEST(bad_parameters_make_no_pool)
{
	ck_assert_int_eq(mos_chunk_pool_new(NULL, COUNT), -EINVAL);
	ck_assert_int_eq(mos_chunk_pool_new((char *)mem.a + 8, COUNT), -EINVAL);
	ck_assert_int_eq(mos_chunk_pool_new(mem.a, 0), -EINVAL);
	ck_assert_int_eq(mos_chunk_pool_new(mem.a, MOS_CHUNK_COUNT_MAX + 1), -EINVAL);
}
END_TEST

/* Also where the primary was given pages that held a pool before, or anything. */
START_TEST(new_pool_is_all_free)
{
	for (int round = 0; round < 2; round++) {
		mos_chunk_pool_leave(&pool);
		ck_assert_int_eq(mos_chunk_pool_new(mem.a, COUNT), 0);
		join_or_die(&pool, mem.b, mem.len, &streams);
		ck_assert_uint_eq(pool.count, COUNT);
		ck_assert_uint_eq(pool.free_count, COUNT);
		ck_assert_uint_eq(check_sound(&pool, &streams), 0);
		for (uint32_t i = 0; i < COUNT; i++) {
			struct mos_chunk *c = mos_chunk_at(&pool, get_n(&pool, &streams, 1, i));

			memset(c->valid, 0xff, sizeof(c->valid));
		}
	}
	mos_chunk_pool_leave(&pool);
	memset(mem.a, 0xff, mem.len);
	ck_assert_int_eq(mos_chunk_pool_new(mem.a, COUNT), 0);
	join_or_die(&pool, mem.b, mem.len, &streams);
	ck_assert_uint_eq(pool.free_count, COUNT);
}
END_TEST

static int join(size_t len)
{
	struct mos_chunk_pool p;
	struct streams s = {0};
	int rc = mos_chunk_pool_join(&p, mem.b, len, keep_known, &s, NULL);

	if (rc == 0)
		mos_chunk_pool_leave(&p);
	return rc;
}

START_TEST(join_says_what_is_wrong)
{
	struct mos_chunk_pool_hdr *hdr = mem.a, good = *hdr;

	ck_assert_int_eq(join(mem.len), 0);
	ck_assert_int_eq(join(mem.len - 1), -ENOSPC);
	ck_assert_int_eq(join(sizeof(*hdr)), -ENOSPC);
	ck_assert_int_eq(join(sizeof(*hdr) - 1), -ENOSPC);
	ck_assert_int_eq(join(0), -ENOSPC);
	hdr->magic = 0;
	ck_assert_int_eq(join(mem.len), -EAGAIN);
	hdr->magic = good.magic ^ 1;
	ck_assert_int_eq(join(mem.len), -EPROTO);
	hdr->magic = good.magic;
	hdr->version++;
	ck_assert_int_eq(join(mem.len), -EPROTO);
	hdr->version = good.version;
	hdr->count++;
	ck_assert_int_eq(join(mem.len), -EPROTO);
	hdr->count = 0;
	hdr->bytes = 0;
	ck_assert_int_eq(join(mem.len), -EPROTO);
	hdr->count = COUNT + 1;
	hdr->bytes = mos_chunk_pool_footprint(COUNT + 1);
	ck_assert_int_eq(join(mem.len), -ENOSPC);
	*hdr = good;
	ck_assert_int_eq(join(mem.len), 0);
}
END_TEST

/* ---- get, put, look-up ---- */

START_TEST(chunk_comes_with_no_valid_byte)
{
	uint32_t c = get_n(&pool, &streams, 3, 7), again;
	const struct mos_chunk *at = mos_chunk_at(&pool, c);

	memset(mos_chunk_at(&pool, c)->valid, 0xff, sizeof(at->valid));
	ck_assert_uint_eq(at->owner, owner_of(3));
	ck_assert_uint_eq(at->flow, flow_of(3));
	ck_assert_uint_eq(at->page, 7);
	mos_chunk_put(&pool, &streams.list[3], c);
	ck_assert_uint_eq(at->owner, 0);
	again = get_n(&pool, &streams, 0, 1);
	ck_assert_uint_eq(again, c); /* it is near */
	for (uint32_t w = 0; w < MOS_CHUNK_WORDS; w++)
		ck_assert_uint_eq(at->valid[w], 0);
}
END_TEST

START_TEST(full_pool_is_an_answer_not_a_crash)
{
	mos_chunk_list before;

	for (uint32_t i = 0; i < COUNT; i++)
		ck_assert_uint_ne(get_n(&pool, &streams, i % STREAMS, i), MOS_CHUNK_NONE);
	before = streams.list[2];
	ck_assert_uint_eq(get_n(&pool, &streams, 2, COUNT), MOS_CHUNK_NONE);
	ck_assert_uint_eq(streams.list[2], before);
	ck_assert_uint_eq(lookup_n(&pool, 2, COUNT), MOS_CHUNK_NONE);
	check_sound(&pool, &streams);
	mos_chunk_put(&pool, &streams.list[0], lookup_n(&pool, 0, 0));
	ck_assert_uint_ne(get_n(&pool, &streams, 2, COUNT), MOS_CHUNK_NONE);
	check_sound(&pool, &streams);
}
END_TEST

START_TEST(chunk_is_found_by_owner_record_and_page)
{
	static const uint64_t pages[] = {0, 1, UINT64_C(1) << 32, MOS_CHUNK_PAGE_MAX};

	for (unsigned i = 0; i < 4; i++) {
		uint32_t c = get_n(&pool, &streams, 4, pages[i]);

		ck_assert_uint_eq(lookup_n(&pool, 4, pages[i]), c);
	}
	ck_assert_uint_eq(lookup_n(&pool, 4, 2), MOS_CHUNK_NONE);
	ck_assert_uint_eq(lookup_n(&pool, 4, UINT64_MAX), MOS_CHUNK_NONE);
	ck_assert_uint_eq(lookup_n(&pool, 5, 0), MOS_CHUNK_NONE);
	ck_assert_uint_eq(lookup_n(&pool, 2, 0), MOS_CHUNK_NONE);
	ck_assert_uint_eq(mos_chunk_lookup(&pool, owner_of(4), flow_of(4) + 1, 0), MOS_CHUNK_NONE);
	ck_assert_uint_eq(mos_chunk_lookup(&pool, owner_of(4) + 2, flow_of(4), 0), MOS_CHUNK_NONE);
}
END_TEST

/* Chunks in one place of the hash that differ in one member each; all would be taken for the last. */
START_TEST(hashes_that_are_alike_are_told_apart)
{
	const uint64_t owner = owner_of(4);
	const uint32_t flow = flow_of(4);
	mos_chunk_list list = 0;
	uint32_t c[4], hash;

	c[0] = mos_chunk_get(&pool, &list, owner + 1, flow, 5, false);
	c[1] = mos_chunk_get(&pool, &list, owner, flow + 1, 5, false);
	c[2] = mos_chunk_get(&pool, &list, owner, flow, 6, false);
	c[3] = mos_chunk_get(&pool, &list, owner, flow, 5, false);
	hash = pool.link[c[3]].hash;
	memset(pool.hash, 0, (pool.hash_mask + 1) * sizeof(*pool.hash));
	for (uint32_t i = 0; i < 4; i++) {
		pool.link[c[i]].hash = hash;
		pool.hash[(hash + i) & pool.hash_mask] = c[i] + 1;
	}
	ck_assert_uint_eq(mos_chunk_lookup(&pool, owner, flow, 5), c[3]);
	mos_chunk_put(&pool, &list, c[1]);
	ck_assert_uint_eq(mos_chunk_lookup(&pool, owner, flow, 5), c[3]);
	mos_chunk_put(&pool, &list, c[3]);
	ck_assert_uint_eq(mos_chunk_lookup(&pool, owner, flow, 5), MOS_CHUNK_NONE);
}
END_TEST

/* ---- lists ---- */

/* In each place of a list of 7, and any combination of them. */
START_TEST(chunks_leave_a_list_while_it_is_walked)
{
	for (unsigned mask = 0; mask < 1 << 7; mask++) {
		uint32_t next, left = 0;

		for (uint32_t page = 0; page < 7; page++)
			get_n(&pool, &streams, 1, page);
		get_n(&pool, &streams, 2, 0);
		for (uint32_t c = mos_chunk_first(&pool, streams.list[1]); c != MOS_CHUNK_NONE;
		     c = next) {
			next = mos_chunk_next(&pool, c);
			if (mask >> mos_chunk_at(&pool, c)->page & 1)
				mos_chunk_put(&pool, &streams.list[1], c);
		}
		for (uint32_t page = 0; page < 7; page++) {
			bool gone = lookup_n(&pool, 1, page) == MOS_CHUNK_NONE;

			must(gone == (mask >> page & 1));
			left += !gone;
		}
		must(pool.free_count == COUNT - 1 - left);
		check_sound(&pool, &streams);
		mos_chunk_put_all(&pool, &streams.list[1]);
		must(streams.list[1] == 0 && pool.free_count == COUNT - 1);
		check_sound(&pool, &streams);
		mos_chunk_put_all(&pool, &streams.list[2]);
	}
	mos_chunk_put_all(&pool, &streams.list[1]); /* none */
	ck_assert_uint_eq(mos_chunk_first(&pool, streams.list[1]), MOS_CHUNK_NONE);
}
END_TEST

/* ---- age ---- */

START_TEST(age_is_the_order_in_which_they_got_out_of_order)
{
	uint32_t c[4];

	streams.edge[0] = 10; /* only stream 0 has something in order */
	for (uint32_t i = 0; i < 4; i++)
		c[i] = get_n(&pool, &streams, i % 2, i + 10);
	get_n(&pool, &streams, 0, 9);
	ck_assert_uint_eq(check_sound(&pool, &streams), 4);
	ck_assert_uint_eq(pool.oldest, c[0]);
	ck_assert_uint_eq(pool.newest, c[3]);
	mos_chunk_in_order(&pool, c[1]); /* in the middle */
	mos_chunk_in_order(&pool, c[1]); /* nothing */
	ck_assert_uint_eq(check_sound(&pool, &streams), 3);
	mos_chunk_put(&pool, &streams.list[0], c[0]); /* the oldest */
	ck_assert_uint_eq(pool.oldest, c[2]);
	mos_chunk_in_order(&pool, c[3]); /* the newest */
	ck_assert_uint_eq(pool.newest, c[2]);
	mos_chunk_in_order(&pool, c[2]); /* the only one */
	mos_chunk_in_order(&pool, c[2]);
	ck_assert_uint_eq(pool.oldest, MOS_CHUNK_NONE);
	ck_assert_uint_eq(check_sound(&pool, &streams), 0);
	for (int i = 3; i > 0; i--) { /* back again, as the youngest each time */
		ck_assert(!mos_chunk_has_age(&pool, c[i]));
		mos_chunk_out_of_order(&pool, c[i]);
		mos_chunk_out_of_order(&pool, c[3]); /* nothing */
		ck_assert_uint_eq(pool.newest, c[i]);
	}
	ck_assert_uint_eq(pool.oldest, c[3]);
	ck_assert_uint_eq(check_sound(&pool, &streams), 3);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("chunk_pool");
	TCase *tc = tcase_create("chunk_pool");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, footprint_is_0_out_of_range);
	tcase_add_test(tc, bad_parameters_make_no_pool);
	tcase_add_test(tc, new_pool_is_all_free);
	tcase_add_test(tc, join_says_what_is_wrong);
	tcase_add_test(tc, chunk_comes_with_no_valid_byte);
	tcase_add_test(tc, full_pool_is_an_answer_not_a_crash);
	tcase_add_test(tc, chunk_is_found_by_owner_record_and_page);
	tcase_add_test(tc, hashes_that_are_alike_are_told_apart);
	tcase_add_test(tc, chunks_leave_a_list_while_it_is_walked);
	tcase_add_test(tc, age_is_the_order_in_which_they_got_out_of_order);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
