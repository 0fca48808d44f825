/*
 * What a worker keeps for other processes that look at its flows: records that are removed come
 * free when the readers have looked away, and not before. The test is the primary and the reader,
 * too.
 */
#include <string.h>

#include <rte_rcu_qsbr.h>

#include "secondary/readers/reader.h"
#include "secondary/readers/readers.h"
#include "shared/root/user_area.h"
#include "test/eal/worker_tests.h"

enum { FLOWS = 2, SLOT = 5, OTHER_SLOT = 127, AREA = 16 };

static _Alignas(MOS_CACHE_LINE) uint8_t variable[16384];
static struct mos_reader reader, other;

/* As the primary: mos_sup_reader_register() and mos_sup_reader_unregister(). */
static void register_slot(unsigned slot)
{
	uint64_t now = hs.root->readers_now;

	ck_assert_int_eq(rte_rcu_qsbr_thread_register(hs.root->readers, slot), 0);
	hs.root->readers_now =
		mos_readers_word(mos_readers_turn(now) + 1, mos_readers_count(now) + 1);
}

static void unregister_slot(unsigned slot)
{
	uint64_t now = hs.root->readers_now;

	rte_rcu_qsbr_thread_offline(hs.root->readers, slot);
	ck_assert_int_eq(rte_rcu_qsbr_thread_unregister(hs.root->readers, slot), 0);
	hs.root->readers_now = mos_readers_word(mos_readers_turn(now), mos_readers_count(now) - 1);
}

static void begin(void)
{
	const struct hs_opt opt = {.flows = FLOWS, .flow_area = AREA};

	ck_assert_uint_le(rte_rcu_qsbr_get_memsize(MOS_ATTACH_SLOTS), sizeof(variable));
	hs_open(&opt);
	hs.root->readers = variable;
	ck_assert_int_eq(rte_rcu_qsbr_init(hs.root->readers, MOS_ATTACH_SLOTS), 0);
	ck_assert_int_eq(mos_readers_check(hs.root), 0);
	hs_passive();
}

static void begin_to_read(struct mos_reader *r, unsigned slot)
{
	register_slot(slot);
	hs_round();
	ck_assert(mos_reader_begin(r, hs.root, slot, 0));
}

/* A client's SYN, which makes a flow if there is room; its RST, which ends it. */
static void syn(uint32_t client)
{
	struct hs_pkt p = SYN(1000);

	p.flow = client;
	hs_send(&p);
	hs_round();
}

static void end_flow(uint32_t client)
{
	struct hs_pkt p = S_RST_ACK(0, 1001);

	p.flow = client;
	hs_send(&p);
	hs_round();
}

static uint32_t flows(void)
{
	return hs.c->flows.count;
}

static uint32_t limbo(void)
{
	return hs.c->flows.limbo.count;
}

static void rounds(unsigned n)
{
	while (n-- > 0)
		hs_round();
}

START_TEST(without_readers_a_record_is_free_at_once)
{
	begin();
	for (uint32_t i = 0; i < 10; i++) {
		syn(i);
		ck_assert_uint_eq(flows(), 1);
		end_flow(i);
		ck_assert_uint_eq(flows(), 0);
		ck_assert_uint_eq(limbo(), 0);
	}
	ck_assert_uint_eq(((struct rte_rcu_qsbr *)hs.root->readers)->token, 1); /* none was drawn */
}
END_TEST

START_TEST(record_is_kept_until_the_reader_has_looked_away)
{
	const struct mos_flow *f;
	struct mos_area *area;
	struct mos_flow was;

	begin();
	begin_to_read(&reader, SLOT);
	syn(0);
	f = mos_flow_at(&hs.c->flows, mos_flow_table_next(&hs.c->flows, 0));
	area = mos_shard_user_area(hs.shard, (uint32_t)(f - hs.c->flows.flows));
	area->bytes[0] = 0x1234;
	ck_assert(mos_flow_snapshot(&was, f));
	end_flow(0);
	rounds(5);
	ck_assert_uint_eq(limbo(), 1);
	syn(1); /* takes the other record */
	syn(2); /* as if the table were full */
	ck_assert_uint_eq(flows(), 1);
	ck_assert_uint_eq(hs_count(MOS_CTR_W_FLOW_TABLE_FULL), 1);
	ck_assert_uint_eq(f->id, was.id);
	ck_assert_mem_eq(&f->key, &was.key, sizeof(was.key));
	ck_assert_uint_eq(area->bytes[0], 0x1234);

	mos_reader_quiescent(&reader);
	rounds(2);
	ck_assert_uint_eq(limbo(), 0);
	syn(2);
	ck_assert_uint_eq(flows(), 2);
	ck_assert_uint_ne(f->id, was.id);
	ck_assert_uint_eq(area->bytes[0], 0);
}
END_TEST

/* A word that was said before the record was removed does not count. */
START_TEST(grace_period_begins_with_the_batch)
{
	begin();
	begin_to_read(&reader, SLOT);
	syn(0);
	syn(1);
	end_flow(0);
	rounds(1); /* closes the batch of flow 0 */
	end_flow(1);
	rounds(3);
	ck_assert_uint_eq(limbo(), 2);
	mos_reader_quiescent(&reader);
	hs_round(); /* frees the first batch, closes the second */
	ck_assert_uint_eq(limbo(), 1);
	rounds(3);
	ck_assert_uint_eq(limbo(), 1);
	mos_reader_quiescent(&reader);
	rounds(2);
	ck_assert_uint_eq(limbo(), 0);
}
END_TEST

START_TEST(all_readers_are_waited_for)
{
	begin();
	begin_to_read(&reader, SLOT);
	begin_to_read(&other, OTHER_SLOT);
	syn(0);
	end_flow(0);
	rounds(2);
	mos_reader_quiescent(&reader);
	rounds(3);
	ck_assert_uint_eq(limbo(), 1);
	mos_reader_pause(&other); /* waits for its terminal */
	rounds(2);
	ck_assert_uint_eq(limbo(), 0);
	syn(0);
	end_flow(0);
	rounds(2);
	mos_reader_resume(&other);
	mos_reader_quiescent(&reader);
	rounds(2);
	ck_assert_uint_eq(limbo(), 0); /* it has come back behind the removal */
}
END_TEST

START_TEST(dead_reader_is_not_waited_for)
{
	begin();
	begin_to_read(&reader, SLOT);
	syn(0);
	end_flow(0);
	rounds(4);
	ck_assert_uint_eq(limbo(), 1);
	unregister_slot(SLOT);
	rounds(2);
	ck_assert_uint_eq(limbo(), 0);
	syn(1);
	end_flow(1);
	ck_assert_uint_eq(limbo(), 0); /* nobody is there any more */
	begin_to_read(&reader, SLOT);  /* the slot serves again */
	syn(2);
	end_flow(2);
	rounds(3);
	ck_assert_uint_eq(limbo(), 1);
}
END_TEST

START_TEST(reader_begins_when_the_worker_knows_of_it)
{
	begin();
	register_slot(SLOT);
	ck_assert(!mos_reader_begin(&reader, hs.root, SLOT, 1)); /* the worker stands still */
	hs_round();
	ck_assert(mos_reader_begin(&reader, hs.root, SLOT, 1));
	unregister_slot(SLOT);
	register_slot(SLOT); /* before the worker has looked: it is another turn */
	ck_assert(!mos_reader_begin(&reader, hs.root, SLOT, 1));
	ck_assert(mos_lease_declare_dead(&hs.shard->lease));
	ck_assert(mos_reader_begin(&reader, hs.root, SLOT, 1)); /* nobody removes anything */
}
END_TEST

START_TEST(successor_keeps_what_is_being_looked_at)
{
	begin();
	begin_to_read(&reader, SLOT);
	syn(0);
	syn(1);
	end_flow(0);
	rounds(2);
	hs_bury();
	hs_attach(1);
	hs_passive();
	ck_assert_uint_eq(mos_readers_count(hs.shard->readers_seen), 1);
	rounds(4); /* all records are looked at meanwhile */
	ck_assert_uint_eq(limbo(), 1);
	syn(2);
	ck_assert_uint_eq(flows(), 1);
	mos_reader_quiescent(&reader);
	rounds(2);
	syn(2);
	ck_assert_uint_eq(flows(), 2);
}
END_TEST

START_TEST(variable_of_another_size_is_refused)
{
	begin();
	ck_assert_int_eq(rte_rcu_qsbr_init(hs.root->readers, 64), 0);
	ck_assert_int_eq(mos_readers_check(hs.root), -EPROTO);
}
END_TEST

TCase *limbo_case(void)
{
	TCase *tc = tcase_create("limbo");

	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_test(tc, without_readers_a_record_is_free_at_once);
	tcase_add_test(tc, record_is_kept_until_the_reader_has_looked_away);
	tcase_add_test(tc, grace_period_begins_with_the_batch);
	tcase_add_test(tc, all_readers_are_waited_for);
	tcase_add_test(tc, dead_reader_is_not_waited_for);
	tcase_add_test(tc, reader_begins_when_the_worker_knows_of_it);
	tcase_add_test(tc, successor_keeps_what_is_being_looked_at);
	tcase_add_test(tc, variable_of_another_size_is_refused);
	return tc;
}
