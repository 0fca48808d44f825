/*
 * Capture files: nothing is lost, time is the capture's, and there is an end. See test_rig.h.
 */
#include <stdlib.h>

#include "primary/dispatch/test_rig.h"

static struct rig rig;

/* Two capture ports, 0 and 1; what is forwarded leaves by the other. Port 2 is not used. */
static const struct rig_opt two_files = {
	.workers = 2,
	.policy = MOS_CONFIG_FAIL_CLOSED,
	.clock = MOS_CONFIG_CLOCK_PACKET,
	.lossless = {1, 1, 1},
};

static unsigned in_ring(uint32_t shard)
{
	return rte_ring_count(rig.p.root->shard[shard]->rx);
}

static uint64_t clock_ns(void)
{
	return rig.p.root->clock_ns;
}

START_TEST(nothing_is_read_before_every_shard_is_served)
{
	rig_open(&rig, &two_files);
	for (uint32_t i = 0; i < 10; i++)
		rig_send_at(&rig, 0, rig_tcp(&rig, i, false, 0), i);
	rig_rounds(&rig, 3);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_RX_PACKETS), 0);
	rig_service_one(&rig, 0, MOS_SERVICE_SERVED);
	rig_service_one(&rig, 1, MOS_SERVICE_HELD);
	rig_rounds(&rig, 3);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_RX_PACKETS), 0);
	rig_service_one(&rig, 1, MOS_SERVICE_SERVED);
	rig_round(&rig);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_TO_SHARD), 10);
	rig_close(&rig);
}
END_TEST

START_TEST(a_slow_worker_is_waited_for)
{
	struct rig_opt one = two_files;
	unsigned sent = 0, worked = 0;

	one.workers = 1;
	rig_open(&rig, &one);
	rig_service(&rig, MOS_SERVICE_SERVED);
	while (sent < 1000) {
		rig_send_at(&rig, 0, rig_tcp(&rig, sent, false, 0), sent);
		sent++;
	}
	rig_rounds(&rig, 100);
	ck_assert_uint_le(in_ring(0), 255);
	ck_assert_uint_ge(in_ring(0), 200);
	for (int i = 0; i < 2000 && worked < sent; i++) {
		worked += rig_work(&rig, 0, 5);
		rig_round(&rig);
	}
	ck_assert_uint_eq(worked, 1000);
	rig_rounds(&rig, 20);
	ck_assert_uint_eq(rig.wire_count[1], 1000);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_RING_FULL), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(a_slow_port_is_waited_for)
{
	struct rig_opt one = two_files;

	one.workers = 1;
	rig_open(&rig, &one);
	rig_service(&rig, MOS_SERVICE_SERVED);
	rig.plugged = true;
	while (rte_ring_free_count(rig.tx[1]) > 10)
		rte_ring_enqueue(rig.tx[1], rig_tcp(&rig, 0, true, 0));
	for (uint32_t i = 0; i < 500; i++)
		rig_send_at(&rig, 0, rig_tcp(&rig, i, false, 0), i);
	for (int i = 0; i < 100; i++) {
		rig_work(&rig, 0, 32);
		rig_round(&rig);
	}
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_TX_PACKETS), 10);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_TX_BYTES), 10 * 54);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_TX_FULL), 0);
	rig.plugged = false;
	for (int i = 0; i < 100; i++) {
		rig_work(&rig, 0, 32);
		rig_round(&rig);
	}
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_TX_PACKETS), 500);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_TX_BYTES), 500 * 54);
	rig_close(&rig);
}
END_TEST

START_TEST(two_files_are_merged_by_time)
{
	struct rig_opt one = two_files;
	uint64_t last = 0;
	void *m;

	one.workers = 1;
	rig_open(&rig, &one);
	rig_service(&rig, MOS_SERVICE_SERVED);
	for (uint32_t i = 0; i < 90; i++) { /* 0, 2, 4, ... and 1, 4, 7, ... */
		rig_send_at(&rig, 0, rig_tcp(&rig, 1, false, 0), 1000000 + 2 * i);
		rig_send_at(&rig, 1, rig_tcp(&rig, 1, true, 0), 1000001 + 3 * i);
	}
	rig_rounds(&rig, 10);
	ck_assert_uint_eq(in_ring(0), 180);
	while (rte_ring_sc_dequeue(rig.p.root->shard[0]->rx, &m) == 0) {
		const struct mos_pkt_meta *meta = mos_meta(&rig.p, m);

		ck_assert_uint_ge(meta->ts_ns, last);
		ck_assert_uint_eq(meta->ts_ns % 1000, 0);
		ck_assert_uint_eq(meta->in_port + meta->out_port, 1);
		last = meta->ts_ns;
		rte_ring_sp_enqueue(rig.p.root->shard[0]->tx, m);
	}
	ck_assert_uint_eq(clock_ns(), last);
	rig_rounds(&rig, 5);
	ck_assert_uint_eq(rig.wire_count[0], 90);
	ck_assert_uint_eq(rig.wire_count[1], 90);
	rig_close(&rig);
}
END_TEST

START_TEST(the_clock_never_goes_back)
{
	rig_open(&rig, &two_files);
	rig_service(&rig, MOS_SERVICE_SERVED);
	rig_send_at(&rig, 0, rig_tcp(&rig, 1, false, 0), 5000);
	rig_send_at(&rig, 0, rig_tcp(&rig, 1, false, 0), 3000); /* a capture out of order */
	rig_round(&rig);
	ck_assert_uint_eq(clock_ns(), 5000000);
	rig_close(&rig);
}
END_TEST

START_TEST(packets_wait_for_a_successor_however_long_it_takes)
{
	struct rig_opt one = two_files;

	one.workers = 1;
	rig_open(&rig, &one);
	rig_service(&rig, MOS_SERVICE_SERVED);
	for (uint32_t i = 0; i < 20; i++)
		rig_send_at(&rig, 0, rig_tcp(&rig, i, false, 0), i);
	rig_round(&rig);
	rig_service(&rig, MOS_SERVICE_UNSERVED);
	rig_rounds(&rig, 5);
	ck_assert_uint_eq(in_ring(0), 20);
	ck_assert_uint_eq(rig_count(&rig, MOS_CTR_DROP_NO_WORKER), 0);
	rig_close(&rig);
}
END_TEST

static bool all_done(void)
{
	bool done;

	mos_shard_map_online();
	done = mos_capture_all_done(rig.d, mos_shard_map_get());
	mos_shard_map_offline();
	return done;
}

START_TEST(the_end_comes_when_rings_are_dry_and_workers_went_round_twice)
{
	struct mos_shard *s;

	rig_open(&rig, &two_files);
	rig_service(&rig, MOS_SERVICE_SERVED);
	for (uint32_t i = 0; i < 2; i++)
		mos_lease_grant(&rig.p.root->shard[i]->lease, 1, 1, 1);
	s = rig.p.root->shard[0];
	for (uint32_t i = 0; i < 10; i++)
		rig_send_at(&rig, 0, rig_tcp(&rig, i, false, 0), i);
	rig_rounds(&rig, 3);
	ck_assert(!all_done()); /* the rings hold packets */
	rig_work(&rig, 0, 255);
	rig_work(&rig, 1, 255);
	ck_assert(!all_done()); /* the tx rings do */
	rig_round(&rig);
	s->ledger.count = 1;
	ck_assert(!all_done()); /* a worker has something in hand */
	s->ledger.count = 0;
	ck_assert(!all_done()); /* first seen dry */
	mos_lease_beat(&rig.p.root->shard[0]->lease);
	mos_lease_beat(&rig.p.root->shard[0]->lease);
	mos_lease_beat(&rig.p.root->shard[1]->lease);
	ck_assert(!all_done()); /* worker 1 has gone round once */
	mos_lease_beat(&rig.p.root->shard[1]->lease);
	ck_assert(all_done());
	ck_assert_uint_eq(rig.p.root->port[0].at_end, 1);
	rig_close(&rig);
}
END_TEST

START_TEST(a_last_packet_by_a_worker_puts_off_the_end)
{
	struct mos_shard *s;
	void *m;

	rig_open(&rig, &two_files);
	rig_service(&rig, MOS_SERVICE_SERVED);
	s = rig.p.root->shard[0];
	mos_lease_grant(&s->lease, 1, 1, 1);
	rig_rounds(&rig, 2);
	ck_assert(!all_done());
	ck_assert_int_eq(rte_ring_sc_dequeue(s->blank, &m), 0); /* a timer of it sends */
	mos_meta(&rig.p, m)->verdict = MOS_VERDICT_FORWARD;
	mos_meta(&rig.p, m)->out_port = 1;
	rte_pktmbuf_append((struct rte_mbuf *)m, 60);
	rte_ring_sp_enqueue(s->tx, m);
	mos_lease_beat(&s->lease);
	mos_lease_beat(&s->lease);
	ck_assert(!all_done());
	rig_round(&rig);
	ck_assert_uint_eq(rig.wire_count[1], 1);
	ck_assert(!all_done()); /* dry anew: two more rounds */
	mos_lease_beat(&s->lease);
	mos_lease_beat(&s->lease);
	ck_assert(all_done());
	rig_close(&rig);
}
END_TEST

START_TEST(run_tells_the_end_once_and_stops_when_told)
{
	rig_open(&rig, &two_files);
	rig_service(&rig, MOS_SERVICE_SERVED);
	ck_assert_int_eq(mos_dispatch_run(rig.d), MOS_DISPATCH_END_OF_FILE);
	rig.p.report = 1;
	ck_assert_int_eq(mos_dispatch_run(rig.d), MOS_DISPATCH_REPORT);
	ck_assert_uint_eq(rig.p.report, 0);
	rig.p.stop = 1;
	ck_assert_int_eq(mos_dispatch_run(rig.d), MOS_DISPATCH_STOP);
	rig_close(&rig);
}
END_TEST

START_TEST(leave_waits_for_leases_but_not_for_ever)
{
	struct mos_lease *l;

	rig_open(&rig, &two_files);
	rig_service(&rig, MOS_SERVICE_SERVED);
	l = &rig.p.root->shard[0]->lease;
	ck_assert_uint_eq(mos_dispatch_leave(rig.d, 1000000), 0); /* nobody: at once */
	mos_lease_grant(l, 1, 1, 1);
	ck_assert_uint_eq(mos_dispatch_leave(rig.d, 20), 1);
	rig.p.stop = 2;
	ck_assert_uint_eq(mos_dispatch_leave(rig.d, 1000000), 1); /* a second signal: at once */
	rig_close(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("capture");
	TCase *tc = tcase_create("all");
	SRunner *r;
	int failed;

	rig_eal();
	tcase_add_test(tc, nothing_is_read_before_every_shard_is_served);
	tcase_add_test(tc, a_slow_worker_is_waited_for);
	tcase_add_test(tc, a_slow_port_is_waited_for);
	tcase_add_test(tc, two_files_are_merged_by_time);
	tcase_add_test(tc, the_clock_never_goes_back);
	tcase_add_test(tc, packets_wait_for_a_successor_however_long_it_takes);
	tcase_add_test(tc, the_end_comes_when_rings_are_dry_and_workers_went_round_twice);
	tcase_add_test(tc, a_last_packet_by_a_worker_puts_off_the_end);
	tcase_add_test(tc, run_tells_the_end_once_and_stops_when_told);
	tcase_add_test(tc, leave_waits_for_leases_but_not_for_ever);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
