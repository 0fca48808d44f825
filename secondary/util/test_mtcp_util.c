/*
 * The public helpers on the bench: compiled in directly, no library.
 *
 * Hash values come from the reference implementation. mos_toeplitz_queue() is compared with the
 * textbook form of the Toeplitz hash. StrToArgs() works on exactly allocated arrays, so that a
 * sanitizer sees the first byte too far.
 */
#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mtcp_epoll.h"
#include "mtcp_util.h"
#include "secondary/util/toeplitz.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- xxHash ---- */

struct hash_row {
	size_t len;
	uint64_t seed; /* its low half for XXH32 */
	uint32_t xxh32;
	uint64_t xxh64;
};

/* The input is the first len bytes of the sequence that fill() makes. */
static const struct hash_row hash_rows[] = {
	/* clang-format off */
	{0, 0x0ULL, 0x02cc5d05U, 0xef46db3751d8e999ULL},
	{0, 0x9e3779b1f00dcafeULL, 0x5952889dU, 0x8aed7016c17e2313ULL},
	{1, 0x0ULL, 0x376a5b3fU, 0x2078e1ad38ad738bULL},
	{1, 0x9e3779b1f00dcafeULL, 0x3a447559U, 0x0cfcc6cfa3deee6aULL},
	{3, 0x0ULL, 0xa982f899U, 0x634d95fc01a189cdULL},
	{3, 0x9e3779b1f00dcafeULL, 0x2096cd63U, 0x20d01dc2e02b4044ULL},
	{4, 0x0ULL, 0xb75c0586U, 0xeed340908a1ac6c6ULL},
	{4, 0x9e3779b1f00dcafeULL, 0xfc98221eU, 0xe9310f38a12b6ab3ULL},
	{5, 0x0ULL, 0x0a41674aU, 0x342bd7a5f3e2edcdULL},
	{5, 0x9e3779b1f00dcafeULL, 0x58d12873U, 0xaf20f874459fcfe9ULL},
	{7, 0x0ULL, 0x048047fcU, 0x0da493621d6dc898ULL},
	{7, 0x9e3779b1f00dcafeULL, 0x3555e75bU, 0xccb23d1cd9ee3fdcULL},
	{8, 0x0ULL, 0xa30094efU, 0x76f916c7bb523126ULL},
	{8, 0x9e3779b1f00dcafeULL, 0x92fd3c22U, 0xca0667576dbc216fULL},
	{11, 0x0ULL, 0x7b478635U, 0x8beae4d88d350b4bULL},
	{11, 0x9e3779b1f00dcafeULL, 0x38904783U, 0x2e3be48a798e5dcaULL},
	{15, 0x0ULL, 0xaa281c9dU, 0x4e1c333b057fb6a4ULL},
	{15, 0x9e3779b1f00dcafeULL, 0xd5854b72U, 0x877b3fa5d08f0b7aULL},
	{16, 0x0ULL, 0x816898eeU, 0x7bbeff67699312f6ULL},
	{16, 0x9e3779b1f00dcafeULL, 0x1b913547U, 0xdc9412d71394a501ULL},
	{17, 0x0ULL, 0x47f728f7U, 0x5a63f300c4cb3d87ULL},
	{17, 0x9e3779b1f00dcafeULL, 0xfa7df3e9U, 0x9b4e0adffb84f523ULL},
	{31, 0x0ULL, 0x750e88e9U, 0x65c5feb01da7464dULL},
	{31, 0x9e3779b1f00dcafeULL, 0x49600ab6U, 0xb65c82645acd8660ULL},
	{32, 0x0ULL, 0x1869aba7U, 0x7665c921c9bf2ec7ULL},
	{32, 0x9e3779b1f00dcafeULL, 0xa44b6528U, 0x160f2f51e5caecffULL},
	{33, 0x0ULL, 0xe53f9babU, 0xb5a9d9ef259ae821ULL},
	{33, 0x9e3779b1f00dcafeULL, 0xd3085cffU, 0x2fafa6dd12b0fb30ULL},
	{39, 0x0ULL, 0x14e5e8d4U, 0xe2148dbbc5ab4089ULL},
	{39, 0x9e3779b1f00dcafeULL, 0x2f98a13eU, 0x6146b27d918376e9ULL},
	{44, 0x0ULL, 0xae6de883U, 0x99597b95f6740623ULL},
	{44, 0x9e3779b1f00dcafeULL, 0x232c2ce2U, 0x74502053d96195ecULL},
	{47, 0x0ULL, 0x40822150U, 0xffb42101c210309eULL},
	{47, 0x9e3779b1f00dcafeULL, 0x138f18bfU, 0xce8003cd5aa8e939ULL},
	{63, 0x0ULL, 0xba2350b6U, 0xb0289cd9324034f0ULL},
	{63, 0x9e3779b1f00dcafeULL, 0x41e7df00U, 0x7ed44c461a61c051ULL},
	{64, 0x0ULL, 0x23971640U, 0xfff2525c99bf2005ULL},
	{64, 0x9e3779b1f00dcafeULL, 0x787e046aU, 0xa88a61498fa40a05ULL},
	{67, 0x0ULL, 0x681ea6e7U, 0xc0388bac4a10efdeULL},
	{67, 0x9e3779b1f00dcafeULL, 0x9ba47a94U, 0xdfcd4c702f492baeULL},
	{255, 0x0ULL, 0xf84e5a7bU, 0xb75387e16b347906ULL},
	{255, 0x9e3779b1f00dcafeULL, 0xb68466a9U, 0x2c1990d8e2b686f3ULL},
	/* clang-format on */
};

static void fill(unsigned char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (unsigned char)(i * 167 + 13);
}

START_TEST(hashes_equal_the_published_ones)
{
	ck_assert_uint_eq(XXH32("", 0, 0), 0x02CC5D05);
	ck_assert_uint_eq(XXH64("", 0, 0), 0xEF46DB3751D8E999);
	ck_assert_uint_eq(XXH32("abc", 3, 0), 0x32D153FF);
	ck_assert_uint_eq(XXH64("abc", 3, 0), 0x44BC2CF5AD770999);
	ck_assert_uint_eq(XXH32(NULL, 0, 0), 0x02CC5D05);
	ck_assert_uint_eq(XXH64(NULL, 0, 0), 0xEF46DB3751D8E999);
}
END_TEST

/* Lengths around every stripe and lane, at each alignment. */
START_TEST(hashes_equal_the_reference_at_any_length_and_alignment)
{
	const struct hash_row *row = &hash_rows[_i];

	for (size_t shift = 0; shift < 8; shift++) {
		unsigned char *mem = malloc(shift + row->len);

		ck_assert_ptr_nonnull(mem);
		fill(mem + shift, row->len);
		ck_assert_uint_eq(XXH32(mem + shift, row->len, (uint32_t)row->seed), row->xxh32);
		ck_assert_uint_eq(XXH64(mem + shift, row->len, row->seed), row->xxh64);
		free(mem);
	}
}
END_TEST

/* ---- mos_toeplitz_queue ---- */

/* The hash as network cards define it: 12 bytes of input, the key's bits sliding along. */
static int textbook_rss(const unsigned char input[12], int nqueues)
{
	const uint64_t key = 0x0505050505050505;
	uint32_t hash = 0;

	for (int bit = 0; bit < 96; bit++)
		if (input[bit / 8] & 0x80 >> bit % 8)
			hash ^= (uint32_t)(key << bit % 8 >> 32);
	return (int)((hash & 0x7f) % (uint32_t)nqueues);
}

START_TEST(rss_core_is_the_toeplitz_hash_of_both_directions)
{
	unsigned char in[12];

	srandom(20);
	for (int round = 0; round < 10000; round++) {
		in_addr_t sip, dip;
		in_port_t sp, dp;
		int nqueues = 1 + (int)(random() % 130);

		for (size_t i = 0; i < sizeof(in); i++)
			in[i] = (unsigned char)random();
		memcpy(&sip, in, 4);
		memcpy(&dip, in + 4, 4);
		memcpy(&sp, in + 8, 2);
		memcpy(&dp, in + 10, 2);

		int core = textbook_rss(in, nqueues);

		ck_assert_int_eq(mos_toeplitz_queue(sip, dip, sp, dp, nqueues), core);
		ck_assert_int_eq(mos_toeplitz_queue(dip, sip, dp, sp, nqueues), core);
		ck_assert_int_eq(
			mos_toeplitz_queue(ntohl(sip), ntohl(dip), ntohs(sp), ntohs(dp), nqueues),
			core);
	}
}
END_TEST

/* ---- StrToArgs ---- */

#define WORDS_MAX 4

struct args_row {
	const char *line;
	int max_argc;
	int error; /* 0 or an errno */
	const char *words[WORDS_MAX];
};

static const struct args_row args_rows[] = {
	/* clang-format off */
	{ "",                       5, 0,      { NULL } },
	{ " \t\n ",                 5, 0,      { NULL } },
	{ "epserver",               5, 0,      { "epserver" } },
	{ "  a  -p\t/www \n",       5, 0,      { "a", "-p", "/www" } },
	{ "a \"b c\" d",            5, 0,      { "a", "b c", "d" } },
	{ "a 'b \"c' d",            5, 0,      { "a", "b \"c", "d" } },
	{ "a\" b\"c'd e'",          5, 0,      { "a bcd e" } },
	{ "\"\" ''x \"\"",          5, 0,      { "", "x", "" } },
	{ "a \"b",                  5, EINVAL, { "a" } },
	{ "'",                      5, EINVAL, { NULL } },
	{ "a b c",                  4, 0,      { "a", "b", "c" } },
	{ "a b c ",                 4, 0,      { "a", "b", "c" } },
	{ "a b c d",                4, E2BIG,  { "a", "b", "c" } },
	{ "a",                      1, E2BIG,  { NULL } },
	{ " ",                      1, 0,      { NULL } },
	/* clang-format on */
};

START_TEST(line_is_split_at_blanks_and_quotes_hold)
{
	const struct args_row *row = &args_rows[_i];
	char **argv = malloc((size_t)row->max_argc * sizeof(*argv));
	char *line = strdup(row->line);
	int argc = -1, want = 0;

	while (want < WORDS_MAX && row->words[want] != NULL)
		want++;

	errno = 0;
	ck_assert_int_eq(StrToArgs(line, &argc, argv, row->max_argc), row->error ? -1 : 0);
	ck_assert_int_eq(errno, row->error);
	ck_assert_int_eq(argc, want);
	for (int i = 0; i < argc; i++)
		ck_assert_str_eq(argv[i], row->words[i]);
	ck_assert_ptr_null(argv[argc]);
	free(line);
	free(argv);
}
END_TEST

START_TEST(any_line_stays_inside_its_arrays)
{
	static const char alphabet[] = "ab \t\"'";

	srandom(21);
	for (int round = 0; round < 20000; round++) {
		int max_argc = 1 + (int)(random() % 6);
		size_t len = (size_t)(random() % 24);
		char **argv = malloc((size_t)max_argc * sizeof(*argv));
		char *line = malloc(len + 1);
		int argc;

		for (size_t i = 0; i < len; i++)
			line[i] = alphabet[random() % (long)(sizeof(alphabet) - 1)];
		line[len] = '\0';

		StrToArgs(line, &argc, argv, max_argc);
		ck_assert_int_ge(argc, 0);
		ck_assert_int_lt(argc, max_argc);
		ck_assert_ptr_null(argv[argc]);
		for (int i = 0; i < argc; i++)
			ck_assert(argv[i] >= line && argv[i] + strlen(argv[i]) <= line + len);
		free(line);
		free(argv);
	}
}
END_TEST

START_TEST(split_refuses_null)
{
	char line[] = "a", *argv[2];
	int argc;

	errno = 0;
	ck_assert_int_eq(StrToArgs(NULL, &argc, argv, 2), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(StrToArgs(line, NULL, argv, 2), -1);
	ck_assert_int_eq(StrToArgs(line, &argc, NULL, 2), -1);
	ck_assert_int_eq(StrToArgs(line, &argc, argv, 0), -1);
	ck_assert_int_eq(StrToArgs(line, &argc, argv, -1), -1);
	ck_assert_str_eq(line, "a");
}
END_TEST

/* ---- The small ones ---- */

START_TEST(exactly_one_event_bit_has_a_name)
{
	static const struct {
		uint32_t event;
		const char *name;
	} named[] = {
		{MOS_EPOLLNONE, "NONE"},   {MOS_EPOLLIN, "IN"},   {MOS_EPOLLPRI, "PRI"},
		{MOS_EPOLLOUT, "OUT"},     {MOS_EPOLLERR, "ERR"}, {MOS_EPOLLHUP, "HUP"},
		{MOS_EPOLLRDHUP, "RDHUP"},
	};

	for (size_t i = 0; i < COUNT(named); i++)
		ck_assert_str_eq(EventToString(named[i].event), named[i].name);
	ck_assert_ptr_null(EventToString(0));
	ck_assert_ptr_null(EventToString(MOS_EPOLLIN | MOS_EPOLLOUT));
	ck_assert_ptr_null(EventToString((uint32_t)MOS_EPOLLET));
	ck_assert_ptr_null(EventToString(UINT32_MAX));
}
END_TEST

START_TEST(there_is_a_processor)
{
	ck_assert_int_ge(GetNumCPUs(), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mtcp_util");
	TCase *hash = tcase_create("xxhash");
	TCase *rss = tcase_create("rss");
	TCase *args = tcase_create("args");
	TCase *small = tcase_create("small");

	tcase_add_test(hash, hashes_equal_the_published_ones);
	tcase_add_loop_test(hash, hashes_equal_the_reference_at_any_length_and_alignment, 0,
	                    COUNT(hash_rows));
	tcase_add_test(rss, rss_core_is_the_toeplitz_hash_of_both_directions);
	tcase_add_loop_test(args, line_is_split_at_blanks_and_quotes_hold, 0, COUNT(args_rows));
	tcase_add_test(args, any_line_stays_inside_its_arrays);
	tcase_add_test(args, split_refuses_null);
	tcase_add_test(small, exactly_one_event_bit_has_a_name);
	tcase_add_test(small, there_is_a_processor);
	suite_add_tcase(suite, hash);
	suite_add_tcase(suite, rss);
	suite_add_tcase(suite, args);
	suite_add_tcase(suite, small);

	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
