/*
 * What a successor makes of a pool: of one that was used for long, against a model; of chunks that
 * were left broken, and of memory that is no pool at all. Deaths: test_chunk_pool_crash.c.
 */
#include "shared/chunk_pool/test_pool.h"

enum { COUNT = 120 };

static struct mos_chunk_pool pool;
static struct streams streams;

/* ---- model ---- */

enum { PAGES = 16, STEPS = 300000 };

/* What is in the pool: for each page, when it was taken, and since when it has an age; 0 = not. */
struct model {
	uint64_t taken[STREAMS][PAGES], aged[STREAMS][PAGES], clock;
	uint32_t used;
};

/* Pages of the model are spread over all there may be. */
static uint64_t page_of(uint32_t i)
{
	return i % 3 ? i : MOS_CHUNK_PAGE_MAX - i;
}

/* A mos_chunk_keep that lets the model decide. */
static struct model model;
static mos_chunk_list *keep_model(void *arg, const struct mos_chunk *c, bool *out_of_order)
{
	mos_chunk_list *list = keep_known(arg, c, out_of_order);
	uint32_t n = 2 * c->flow + (c->owner & 1), i = 0;

	must(list); /* nothing else is in use */
	while (i < PAGES && page_of(i) != c->page)
		i++;
	must(i < PAGES && model.taken[n][i]);
	*out_of_order = model.aged[n][i] != 0;
	if (*out_of_order) /* age is the order of taking again */
		model.aged[n][i] = model.taken[n][i];
	return list;
}

/* All look-ups, and the order of age, against the model. */
static void check_model(const struct mos_chunk_pool *p)
{
	uint32_t aged = 0;
	uint64_t last = 0;

	for (uint32_t n = 0; n < STREAMS; n++) {
		for (uint32_t i = 0; i < PAGES; i++) {
			uint32_t c = lookup_n(p, n, page_of(i));

			must((c != MOS_CHUNK_NONE) == (model.taken[n][i] != 0));
			aged += model.aged[n][i] != 0;
		}
	}
	must(check_sound(p, &streams) == aged);
	must(p->count - p->free_count == model.used);
	for (uint32_t c = p->oldest; c != MOS_CHUNK_NONE; c = p->link[c].newer) {
		const struct mos_chunk *at = mos_chunk_at(p, c);
		uint32_t n = 2 * at->flow + (at->owner & 1), i = 0;

		while (page_of(i) != at->page)
			i++;
		must(model.aged[n][i] > last);
		last = model.aged[n][i];
	}
}

static void step(struct mos_chunk_pool *p, struct rng *r)
{
	uint32_t n = rng_below(r, STREAMS), i = rng_below(r, PAGES);
	uint32_t c = lookup_n(p, n, page_of(i));

	must((c != MOS_CHUNK_NONE) == (model.taken[n][i] != 0));
	if (c == MOS_CHUNK_NONE) {
		streams.edge[n] = rng_below(r, 2) ? 0 : UINT64_MAX;
		c = get_n(p, &streams, n, page_of(i));
		must((c == MOS_CHUNK_NONE) == (model.used == p->count));
		if (c == MOS_CHUNK_NONE)
			return;
		model.taken[n][i] = ++model.clock;
		model.aged[n][i] = streams.edge[n] == 0 ? model.clock : 0;
		model.used++;
	} else if (rng_below(r, 3) == 0) {
		mos_chunk_in_order(p, c);
		model.aged[n][i] = 0;
	} else if (rng_below(r, 3) == 0) {
		mos_chunk_out_of_order(p, c);
		if (!model.aged[n][i])
			model.aged[n][i] = ++model.clock;
	} else if (rng_below(r, 20)) {
		mos_chunk_put(p, &streams.list[n], c);
		model.taken[n][i] = 0;
		model.aged[n][i] = 0;
		model.used--;
	} else {
		mos_chunk_put_all(p, &streams.list[n]);
		for (i = 0; i < PAGES; i++)
			model.used -= model.taken[n][i] != 0;
		memset(model.taken[n], 0, sizeof(model.taken[n]));
		memset(model.aged[n], 0, sizeof(model.aged[n]));
	}
}

/* Make the hash half as large: long runs of entries all over it, and around its end. */
static void crowd(struct mos_chunk_pool *p)
{
	static_assert(COUNT < 128, "one entry stays empty, or a look-up would not end");
	uint32_t used[COUNT], count = 0;

	for (uint32_t at = 0; at <= p->hash_mask; at++)
		if (p->hash[at])
			used[count++] = p->hash[at] - 1;
	memset(p->hash, 0, (p->hash_mask + 1) * sizeof(*p->hash));
	p->hash_mask = 128 - 1;
	for (uint32_t i = 0; i < count; i++)
		mos_chunk_hash_add(p, used[i]);
}

START_TEST(pool_agrees_with_a_model_over_many_lives)
{
	size_t len = mos_chunk_pool_footprint(COUNT);
	struct twice mem = map_twice(len);
	struct rng r = rng_new();
	bool other = false;

	memset(&model, 0, sizeof(model));
	ck_assert_int_eq(mos_chunk_pool_new(mem.a, COUNT), 0);
	join_or_die(&pool, mem.a, len, &streams);
	for (int i = 0; i < STEPS; i++) {
		step(&pool, &r);
		if (rng_below(&r, 50) == 0)
			check_model(&pool);
		if (rng_below(&r, 500))
			continue;
		mos_chunk_pool_leave(&pool);
		memset(streams.list, 0, sizeof(streams.list));
		other = !other;
		must(mos_chunk_pool_join(&pool, other ? mem.b : mem.a, len, keep_model, &streams,
		                         NULL) == 0);
		check_model(&pool);
		if (rng_below(&r, 2))
			crowd(&pool);
	}
	mos_chunk_pool_leave(&pool);
	unmap_twice(&mem);
}
END_TEST

/* ---- one chunk at a time ---- */

/* Break the chunk of stream 2, page 5, of a pool that is closed. Returns whether it survives. */
static bool break_chunk(struct mos_chunk *c, int how)
{
	switch (how) {
	case 0: return true;
	case 1: c->owner = 0; return false;
	case 2: c->owner ^= 1; return true; /* of the other side: it looks good */
	case 3: c->owner += 2; return false;
	case 4: c->owner = UINT64_MAX; return false;
	case 5: c->flow++; return false;
	case 6: c->flow = UINT32_MAX; return false;
	case 7: c->page = MOS_CHUNK_PAGE_MAX; return true;
	case 8: c->page = MOS_CHUNK_PAGE_MAX + 1; return false;
	case 9: c->page = UINT64_MAX; return false;
	case 10: c->stamp = UINT64_MAX; return true;
	case 11: c->base = 1; return true;
	default: return true;
	}
}

START_TEST(broken_chunk_is_adopted_or_freed)
{
	size_t len = mos_chunk_pool_footprint(COUNT);
	struct twice mem = map_twice(len);
	uint32_t c, before, after;
	bool survives;

	ck_assert_int_eq(mos_chunk_pool_new(mem.a, COUNT), 0);
	join_or_die(&pool, mem.a, len, &streams);
	before = get_n(&pool, &streams, 1, 5);
	c = get_n(&pool, &streams, 2, 5);
	after = get_n(&pool, &streams, 2, 6);
	survives = break_chunk(mos_chunk_at(&pool, c), _i);
	mos_chunk_pool_leave(&pool);

	join_or_die(&pool, mem.b, len, &streams);
	check_sound(&pool, &streams);
	ck_assert_uint_eq(pool.free_count, COUNT - 2 - survives);
	ck_assert_uint_eq(mos_chunk_at(&pool, c)->owner != 0, survives);
	ck_assert_uint_eq(lookup_n(&pool, 1, 5), before);
	ck_assert_uint_eq(lookup_n(&pool, 2, 6), after);
	mos_chunk_pool_leave(&pool);
	unmap_twice(&mem);
}
END_TEST

/* Twins at the ends of a list, in the middle of it, and the only ones; whichever is met first. */
START_TEST(of_two_chunks_of_one_page_the_older_stays)
{
	size_t len = mos_chunk_pool_footprint(COUNT);
	struct twice mem = map_twice(len);
	uint32_t others = (uint32_t)_i % 3, a, b;
	bool swap = _i >= 3;

	ck_assert_int_eq(mos_chunk_pool_new(mem.a, COUNT), 0);
	join_or_die(&pool, mem.a, len, &streams);
	if (others > 0)
		get_n(&pool, &streams, 2, 100);
	a = get_n(&pool, &streams, 2, 5);
	if (others > 1)
		get_n(&pool, &streams, 2, 101);
	b = get_n(&pool, &streams, 2, 6);
	mos_chunk_at(&pool, b)->page = 5;
	if (swap)
		mos_chunk_at(&pool, b)->stamp = 0;
	mos_chunk_pool_leave(&pool);

	join_or_die(&pool, mem.b, len, &streams);
	ck_assert_uint_eq(check_sound(&pool, &streams), 1 + others);
	ck_assert_uint_eq(pool.free_count, COUNT - 1 - others);
	ck_assert_uint_eq(lookup_n(&pool, 2, 5), swap ? b : a);
	mos_chunk_pool_leave(&pool);
	unmap_twice(&mem);
}
END_TEST

/* Also over more chunks than one byte of a stamp tells apart. */
START_TEST(age_is_kept_over_lives)
{
	enum { MANY = 3000 };
	size_t len = mos_chunk_pool_footprint(MANY);
	struct twice mem = map_twice(len);
	struct rng r = rng_new();
	uint64_t next_stamp;

	ck_assert_int_eq(mos_chunk_pool_new(mem.a, MANY), 0);
	join_or_die(&pool, mem.a, len, &streams);
	pool.next_stamp = rng_next(&r) >> 1;
	for (uint32_t i = 0; i < 3 * MANY; i++) {
		uint32_t n = rng_below(&r, STREAMS);

		while (pool.free_count == 0 || rng_below(&r, 4) == 0) {
			uint32_t k = rng_below(&r, STREAMS);

			if (streams.list[k])
				mos_chunk_put(&pool, &streams.list[k], streams.list[k] - 1);
		}
		get_n(&pool, &streams, n, i);
	}
	next_stamp = pool.next_stamp;
	mos_chunk_pool_leave(&pool);

	join_or_die(&pool, mem.b, len, &streams);
	ck_assert_uint_eq(check_sound(&pool, &streams), MANY - pool.free_count);
	ck_assert_uint_eq(pool.next_stamp, next_stamp);
	mos_chunk_pool_leave(&pool);
	unmap_twice(&mem);
}
END_TEST

/* ---- garbage ---- */

/* Chunks that pass for good, but with few owners, pages and stamps, so that they clash. */
static void plausible(struct rng *r, struct mos_chunk *chunks, uint32_t count)
{
	uint32_t pages = 1 + rng_below(r, count);

	for (uint32_t i = 0; i < count; i++) {
		uint32_t n = rng_below(r, STREAMS);

		chunks[i].owner = rng_below(r, 8) ? owner_of(n) : 0;
		chunks[i].flow = rng_below(r, 8) ? flow_of(n) : rng_below(r, FLOWS + 2);
		chunks[i].page = rng_below(r, pages);
		chunks[i].stamp = rng_next(r) >> rng_below(r, 64);
	}
}

/* Overwrite parts of the memory after `from`: everything, or a few places. */
static void scribble(struct rng *r, uint8_t *mem, size_t from, size_t len, bool everything)
{
	uint32_t places = 1 + rng_below(r, 400);

	for (size_t i = from; everything && i < len; i++)
		mem[i] = (uint8_t)rng_next(r);
	for (uint32_t i = 0; i < places; i++)
		mem[from + rng_below(r, (uint32_t)(len - from))] = (uint8_t)rng_next(r);
}

/* A pool that was recovered from anything can be filled and emptied. */
static void use(struct rng *r)
{
	check_sound(&pool, &streams);
	check_age_is_by_stamp(&pool);
	while (pool.free_count > 0) {
		uint32_t n = rng_below(r, STREAMS);
		uint64_t page = rng_next(r) % MOS_CHUNK_PAGE_MAX;

		must(lookup_n(&pool, n, page) == MOS_CHUNK_NONE);
		must(get_n(&pool, &streams, n, page) != MOS_CHUNK_NONE);
	}
	must(get_n(&pool, &streams, 0, 1) == MOS_CHUNK_NONE);
	for (uint32_t n = 0; n < STREAMS; n++)
		mos_chunk_put_all(&pool, &streams.list[n]);
	check_sound(&pool, &streams);
	must(pool.free_count == pool.count);
}

START_TEST(garbage_is_refused_or_becomes_a_sound_pool)
{
	static const uint32_t counts[] = {64, 65, 100, 300};
	struct rng r = rng_new();
	uint32_t joined = 0, kept = 0;

	for (uint32_t n = 0; n < STREAMS; n++)
		streams.edge[n] = rng_below(&r, 20);
	for (int round = 0; round < 1000; round++) {
		uint32_t count = counts[rng_below(&r, 4)], adopted;
		size_t len = mos_chunk_pool_footprint(count);
		size_t from = rng_below(&r, 4) ? sizeof(struct mos_chunk_pool_hdr) : 0;
		uint8_t *mem = aligned_alloc(MOS_CACHE_LINE, len);

		ck_assert_int_eq(mos_chunk_pool_new(mem, count), 0);
		if (rng_below(&r, 4))
			plausible(&r, (void *)(mem + sizeof(struct mos_chunk_pool_hdr)), count);
		if (rng_below(&r, 2))
			scribble(&r, mem, from, len, rng_below(&r, 2));

		memset(streams.list, 0, sizeof(streams.list));
		if (mos_chunk_pool_join(&pool, mem, len, keep_known, &streams, &adopted) == 0) {
			must(pool.count == count);
			use(&r);
			mos_chunk_pool_leave(&pool);
			joined++;
			kept += adopted;
		} else {
			must(from == 0);
		}
		free(mem);
	}
	ck_assert_uint_ge(joined, 600);
	ck_assert_uint_ge(kept, 10000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("chunk_pool_recover");
	TCase *tc = tcase_create("chunk_pool_recover");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, pool_agrees_with_a_model_over_many_lives);
	tcase_add_loop_test(tc, broken_chunk_is_adopted_or_freed, 0, 12);
	tcase_add_loop_test(tc, of_two_chunks_of_one_page_the_older_stays, 0, 6);
	tcase_add_test(tc, age_is_kept_over_lives);
	tcase_add_test(tc, garbage_is_refused_or_becomes_a_sound_pool);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
