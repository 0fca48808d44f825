/* What a successor makes of edits: those that are whole, and garbage. */
#include "secondary/remap/remap_priv.h"
#include "secondary/remap/test_remap.h"

#define ISN 1000u

static uint8_t payload[2000], out[2000];

static void setup(void)
{
	bench_open(ISN);
}

static void teardown(void)
{
	mos_remap_free_flow(&b.r, b.flow);
	ck_assert_uint_eq(chunks_used(), 0);
	bench_close();
}

/* n packets of 10 bytes, into each of which `len` bytes go. */
static void some_edits(uint32_t n, uint32_t len)
{
	for (uint32_t i = 0; i < n; i++) {
		mos_remap_packet(&b.r, b.flow, CLI, ISN + 10 * i, 10, false);
		must(mos_remap_note_insert(&b.r, 5, len, 1400) == 0);
		mos_remap_commit(&b.r, payload);
	}
}

static struct mos_chunk *chunk_of(uint64_t page)
{
	uint32_t c =
		mos_chunk_lookup(&b.pool, mos_remap_owner(bench_flow()->id, CLI), b.flow, page);

	ck_assert(c != MOS_CHUNK_NONE);
	return mos_chunk_at(&b.pool, c);
}

static struct mos_log_state *state(void)
{
	return (struct mos_log_state *)chunk_of(0)->bytes;
}

START_TEST(successor_finds_all_edits)
{
	some_edits(20, 700);
	bench_die();
	ck_assert(!mos_remap_lost(bench_flow(), CLI));
	ck_assert_uint_eq(map(ISN + 200), ISN + 200 + 20 * 700);
	ck_assert_uint_eq(unmap(ISN + 105 + 10 * 700 + 3), ISN + 105);
	ck_assert_uint_eq(mos_remap_decided(&b.r, b.flow, CLI), ISN + 200);
}
END_TEST

START_TEST(edits_that_were_not_committed_never_were)
{
	some_edits(1, 10);
	mos_remap_packet(&b.r, b.flow, CLI, ISN + 10, 10, false);
	for (int i = 0; i < 3; i++)
		must(mos_remap_note_insert(&b.r, 1405 * (uint32_t)i, 1400, 1400) == 0);
	ck_assert_uint_eq(chunks_used(), 4);
	bench_die();
	ck_assert_uint_eq(chunks_used(), 2);
	ck_assert_uint_eq(mos_remap_decided(&b.r, b.flow, CLI), ISN + 10);
}
END_TEST

START_TEST(first_edit_that_was_not_committed_leaves_nothing)
{
	mos_remap_packet(&b.r, b.flow, CLI, ISN, 10, false);
	must(mos_remap_note_chomp(&b.r, 0, 5) == 0);
	bench_die();
	ck_assert(!mos_remap_lost(bench_flow(), CLI));
	ck_assert_uint_eq(chunks_used(), 0);
	ck_assert_uint_eq(mos_remap_decided(&b.r, b.flow, CLI), ISN);
}
END_TEST

START_TEST(torn_flow_keeps_its_edits)
{
	some_edits(3, 100);
	bench_flow()->flags |= MOS_FLOW_TORN | MOS_FLOW_SUSPECT;
	bench_die();
	ck_assert_uint_eq(map(ISN + 30), ISN + 330);
}
END_TEST

START_TEST(chunks_of_a_flow_that_is_not_edited_are_free)
{
	some_edits(3, 100);
	bench_flow()->flags &= (uint8_t)~MOS_FLOW_REMAP;
	bench_die();
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

/* ---- damage: each alone loses the stream, and frees all ---- */

static void lose_state(void)
{
	chunk_of(0)->owner = 0;
}

static void lose_page(void)
{
	chunk_of(5)->owner = 0;
}

static void move_end(void)
{
	state()->fate += UINT64_C(1) << 32;
}

static void end_beyond_page(void)
{
	state()->fate |= UINT64_C(0xff) << 32;
}

/* The rest of the last page is not used, and the next one is not there. */
static void end_at_the_next_page(void)
{
	uint32_t decided = (uint32_t)state()->fate, end = (uint32_t)(state()->fate >> 32);
	uint8_t *page = chunk_of((end >> 8) + 1)->bytes;

	((struct mos_log_rec *)(page + (end & 0xff) * MOS_LOG_UNIT))->kind = MOS_LOG_SKIP;
	state()->fate = (uint64_t)mos_log_next_page(end) << 32 | decided;
}

static void move_begin(void)
{
	state()->past += UINT64_C(2) << 32;
}

static void begin_behind_end(void)
{
	state()->past = state()->fate + (UINT64_C(1) << 32);
}

static void change_delta(void)
{
	state()->past++;
}

static void lower_decided(void)
{
	state()->fate -= 11;
}

static void decided_far_away(void)
{
	state()->fate ^= 0x80000000u;
}

static struct mos_log_rec *second(void)
{
	return (struct mos_log_rec *)(chunk_of(2)->bytes);
}

static void wrong_kind(void)
{
	second()->kind = 77;
}

static void skip_where_a_record_was(void)
{
	second()->kind = MOS_LOG_SKIP;
}

static void wrong_order(void)
{
	second()->seq -= 100;
}

static void wrong_length(void)
{
	second()->inserted = UINT16_MAX;
}

static void (*const damages[])(void) = {
	lose_state,           lose_page,        move_end,         end_beyond_page,
	end_at_the_next_page, move_begin,       begin_behind_end, change_delta,
	lower_decided,        decided_far_away, wrong_kind,       skip_where_a_record_was,
	wrong_order,          wrong_length,
};

START_TEST(damaged_edits_are_lost_as_a_whole_and_freed)
{
	some_edits(20, 700); /* two in a page */
	damages[_i]();
	bench_die();
	ck_assert(mos_remap_lost(bench_flow(), CLI));
	ck_assert_uint_eq(chunks_used(), 0);
}
END_TEST

START_TEST(garbage_neither_crashes_nor_hangs)
{
	struct rng rng = rng_new();

	for (int round = 0; round < 3000; round++) {
		uint32_t pages = 1 + rng_below(&rng, 20), hits = 1 + rng_below(&rng, 4);

		bench_flow()->remap[CLI] = MOS_REMAP_KNOWN;
		bench_flow()->decided[CLI] = ISN;
		some_edits(pages, 1 + rng_below(&rng, 1400));
		for (uint32_t i = 0; i < hits; i++) {
			struct mos_chunk *c = mos_chunk_at(&b.pool, rng_below(&rng, CHUNKS));
			uint32_t bits = 8 * (rng_below(&rng, 2) ? 300 : MOS_CHUNK_BYTES);
			uint32_t bit = rng_below(&rng, bits);

			((uint8_t *)c)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		bench_die();
		if (!mos_remap_lost(bench_flow(), CLI)) {
			uint32_t seq = ISN + rng_below(&rng, 200);

			mos_remap_image(&b.r, b.flow, CLI, seq, payload, 100, true, out,
			                sizeof(out));
			unmap(map(seq));
			mos_remap_acked(&b.r, b.flow, CLI, map(seq));
		}
		mos_remap_free_flow(&b.r, b.flow);
		ck_assert_uint_eq(chunks_used(), 0);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("remap_adopt");
	TCase *tc = tcase_create("remap_adopt");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, successor_finds_all_edits);
	tcase_add_test(tc, edits_that_were_not_committed_never_were);
	tcase_add_test(tc, first_edit_that_was_not_committed_leaves_nothing);
	tcase_add_test(tc, torn_flow_keeps_its_edits);
	tcase_add_test(tc, chunks_of_a_flow_that_is_not_edited_are_free);
	tcase_add_loop_test(tc, damaged_edits_are_lost_as_a_whole_and_freed, 0,
	                    sizeof(damages) / sizeof(damages[0]));
	tcase_add_test(tc, garbage_neither_crashes_nor_hangs);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
