/*
 * Tables from text and files, and their replacement: first step by step with two made-up stack
 * threads, then with real ones that match while tables come and go. Use after free, leaks and
 * races are the sanitizers' to find.
 */
#include "apps/simple_firewall/rule_table.h"

#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CORES   2
#define RELOADS 200

static char err[RULES_ERROR_LEN];
static char path[] = "/tmp/rule_table_XXXXXX";
static struct rules rules;

static struct rule_table *table_of(const char *text)
{
	struct rule_table *t = rule_table_parse("rules", text, strlen(text), CORES, err);

	ck_assert_msg(t != NULL, "%s", err);
	return t;
}

static struct rule_key port_80(void)
{
	return (struct rule_key){.family = AF_INET, .port = {1000, 80}};
}

static void begin(void)
{
	memset(&rules, 0, sizeof(rules));
	rules.core_count = CORES;
}

static void end(void)
{
	struct rule_table *t;

	for (unsigned i = 0; i < CORES; i++)
		rules_core_ended(&rules, i);
	while ((t = rules_collect(&rules)) != NULL)
		rule_table_free(t);
	ck_assert_ptr_null(rules.retired);
	rule_table_free(rules_current(&rules));
}

/* ---- Tables ---- */

START_TEST(first_rule_that_matches_decides)
{
	struct rule_table *t = table_of("# web\n\npass dst port 80\ndrop dst port 80-90\n"
	                                "drop src 10.0.0.0/8");
	struct rule_key key = port_80();

	ck_assert_uint_eq(t->rule_count, 3);
	ck_assert_uint_eq(t->rule[0].line, 3);
	ck_assert_uint_eq(t->rule[2].line, 5);
	ck_assert_uint_eq(rule_table_match(t, &key), 0);
	key.port[RULE_DST] = 81;
	ck_assert_uint_eq(rule_table_match(t, &key), 1);
	key.port[RULE_DST] = 91;
	ck_assert_uint_eq(rule_table_match(t, &key), t->rule_count);
	rule_table_free(t);
}
END_TEST

START_TEST(counts_of_all_cores_are_summed)
{
	struct rule_table *t = table_of("drop dst port 1\npass dst port 2\n");
	struct rule_tally tally = {0};
	uint64_t packets, bytes;

	rule_table_count(t, 0, 0, 60);
	rule_table_count(t, 1, 0, 40);
	rule_table_count(t, 1, 1, 7);
	rule_table_count(t, 0, t->rule_count, 1);
	rule_table_sum(t, 0, &packets, &bytes);
	ck_assert_uint_eq(packets, 2);
	ck_assert_uint_eq(bytes, 100);
	rule_table_tally(t, &tally);
	ck_assert_uint_eq(tally.dropped, 2);
	ck_assert_uint_eq(tally.dropped_bytes, 100);
	ck_assert_uint_eq(tally.passed, 2);
	ck_assert_uint_eq(tally.passed_bytes, 8);
	rule_table_free(t);
}
END_TEST

START_TEST(text_without_rules_is_a_table)
{
	struct rule_table *t = table_of("\n# nothing\n");
	struct rule_key key = port_80();

	ck_assert_uint_eq(rule_table_match(t, &key), 0);
	ck_assert_uint_eq(t->rule_count, 0);
	rule_table_free(t);
	rule_table_free(table_of(""));
}
END_TEST

START_TEST(mistake_anywhere_gives_no_table_and_names_the_line)
{
	const char text[] = "drop any\n\n# x\npass src 1.2.3.4/33\nbad\n";

	ck_assert_ptr_null(rule_table_parse("my.rules", text, strlen(text), CORES, err));
	ck_assert_ptr_nonnull(strstr(err, "my.rules:4: '1.2.3.4/33'"));
}
END_TEST

START_TEST(more_rules_than_the_limit_are_refused)
{
	static char text[(RULES_MAX + 1) * 9];

	for (size_t i = 0; i <= RULES_MAX; i++)
		memcpy(text + i * 9, "drop any\n", 9);
	ck_assert_ptr_null(rule_table_parse("rules", text, sizeof(text), 1, err));
	ck_assert_ptr_nonnull(strstr(err, "rules:65537: more than 65536 rules"));
	rule_table_free(rule_table_parse("rules", text, sizeof(text) - 9, 1, err));
}
END_TEST

/* ---- Files ---- */

static void write_file(const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(file_of_any_size_is_read_whole)
{
	static char text[200000];
	struct rule_table *t;

	memset(text, '\n', sizeof(text));
	memcpy(text + sizeof(text) - 8, "drop any", 8);
	write_file(text, sizeof(text));
	t = rule_table_load(path, CORES, err);
	ck_assert_msg(t != NULL, "%s", err);
	ck_assert_uint_eq(t->rule_count, 1);
	ck_assert_uint_eq(t->rule[0].line, sizeof(text) - 7);
	rule_table_free(t);
}
END_TEST

START_TEST(what_is_no_regular_file_is_refused_at_once)
{
	ck_assert_ptr_null(rule_table_load("/nowhere/rules", CORES, err));
	ck_assert_str_eq(err, "/nowhere/rules: No such file or directory");
	ck_assert_ptr_null(rule_table_load("/tmp", CORES, err));
	ck_assert_str_eq(err, "/tmp: not a regular file");
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_ptr_null(rule_table_load(path, CORES, err));
	ck_assert_ptr_nonnull(strstr(err, "not a regular file"));
}
END_TEST

/* ---- Replacement ---- */

START_TEST(replaced_table_is_kept_until_each_core_has_passed)
{
	struct rule_table *first = table_of("drop any\n"), *second = table_of("pass any\n");

	rules_publish(&rules, first);
	ck_assert_ptr_null(rules_collect(&rules));
	rules_pass(&rules, 0);
	rules_publish(&rules, second);
	ck_assert_ptr_eq(rules_current(&rules), second);
	ck_assert_ptr_null(rules_collect(&rules));
	rules_pass(&rules, 0);
	ck_assert_ptr_null(rules_collect(&rules));
	rules_pass(&rules, 1);
	ck_assert_ptr_eq(rules_collect(&rules), first);
	ck_assert_ptr_null(rules_collect(&rules));
	rule_table_free(first);
}
END_TEST

START_TEST(several_replaced_tables_come_back_in_their_order)
{
	struct rule_table *t[4];

	for (int i = 0; i < 4; i++)
		rules_publish(&rules, t[i] = table_of("drop any\n"));
	rules_pass(&rules, 0);
	rules_pass(&rules, 1);
	for (int i = 0; i < 3; i++) {
		ck_assert_ptr_eq(rules_collect(&rules), t[i]);
		rule_table_free(t[i]);
	}
	ck_assert_ptr_null(rules_collect(&rules));
}
END_TEST

START_TEST(core_that_has_ended_holds_nothing)
{
	struct rule_table *first = table_of("drop any\n");

	rules_publish(&rules, first);
	rules_publish(&rules, table_of("pass any\n"));
	rules_core_ended(&rules, 0);
	rules_pass(&rules, 1);
	ck_assert_ptr_eq(rules_collect(&rules), first);
	rule_table_free(first);
}
END_TEST

static atomic_bool ended;
static atomic_uint running;
static uint64_t asked[CORES];

static void *stack_thread(void *arg)
{
	unsigned core = *(unsigned *)arg;
	struct rule_key key = port_80();

	atomic_fetch_add(&running, 1);
	while (!atomic_load(&ended)) {
		for (int i = 0; i < 20; i++) {
			struct rule_table *t = rules_current(&rules);

			rule_table_count(t, core, rule_table_match(t, &key), 1);
			asked[core]++;
		}
		rules_pass(&rules, core);
		sched_yield(); /* the machine may have fewer processors than threads */
	}
	rules_core_ended(&rules, core);
	return NULL;
}

static void collect_into(struct rule_tally *tally)
{
	struct rule_table *t;

	while ((t = rules_collect(&rules)) != NULL) {
		rule_table_tally(t, tally);
		rule_table_free(t);
	}
}

START_TEST(reloads_under_load_lose_no_count)
{
	unsigned number[CORES];
	struct rule_tally tally = {0};
	pthread_t thread[CORES];

	rules_publish(&rules, table_of("drop dst port 80\n"));
	for (unsigned i = 0; i < CORES; i++) {
		number[i] = i;
		ck_assert_int_eq(pthread_create(&thread[i], NULL, stack_thread, &number[i]), 0);
	}
	while (atomic_load(&running) < CORES)
		sched_yield();
	for (int i = 0; i < RELOADS; i++) {
		rules_publish(&rules, table_of(i % 2 ? "drop dst port 80\n" : "drop any\n# x\n"));
		collect_into(&tally);
		sched_yield();
	}
	atomic_store(&ended, true);
	for (unsigned i = 0; i < CORES; i++)
		pthread_join(thread[i], NULL);
	collect_into(&tally);
	rule_table_tally(rules_current(&rules), &tally);
	ck_assert_uint_eq(tally.dropped, asked[0] + asked[1]);
	ck_assert_uint_eq(tally.passed, 0);
}
END_TEST

static TCase *replacement_tests(void)
{
	TCase *tc = tcase_create("replacement");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, replaced_table_is_kept_until_each_core_has_passed);
	tcase_add_test(tc, several_replaced_tables_come_back_in_their_order);
	tcase_add_test(tc, core_that_has_ended_holds_nothing);
	tcase_add_test(tc, reloads_under_load_lose_no_count);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("simple_firewall_rule_table");
	TCase *tc = tcase_create("table");
	int fd = mkstemp(path);

	if (fd < 0)
		return EXIT_FAILURE;
	close(fd);
	tcase_add_test(tc, first_rule_that_matches_decides);
	tcase_add_test(tc, counts_of_all_cores_are_summed);
	tcase_add_test(tc, text_without_rules_is_a_table);
	tcase_add_test(tc, mistake_anywhere_gives_no_table_and_names_the_line);
	tcase_add_test(tc, more_rules_than_the_limit_are_refused);
	tcase_add_test(tc, file_of_any_size_is_read_whole);
	tcase_add_test(tc, what_is_no_regular_file_is_refused_at_once);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, replacement_tests());

	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	unlink(path);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
