/* The worker on the bench: see harness.h. */
#include <stdlib.h>

#include "test/eal/worker_tests.h"

int main(void)
{
	Suite *s = suite_create("worker");
	SRunner *sr = srunner_create(s);
	int failed;

	hs_eal();
	suite_add_tcase(s, order_case());
	suite_add_tcase(s, rows_case());
	suite_add_tcase(s, new_data_case());
	suite_add_tcase(s, streams_case());
	suite_add_tcase(s, torn_case());
	suite_add_tcase(s, unheard_case());
	suite_add_tcase(s, held_case());
	suite_add_tcase(s, flows_case());
	suite_add_tcase(s, packet_case());
	suite_add_tcase(s, api_case());
	suite_add_tcase(s, ask_case());
	suite_add_tcase(s, hand_case());
	suite_add_tcase(s, edit_case());
	suite_add_tcase(s, edited_case());
	suite_add_tcase(s, keep_case());
	suite_add_tcase(s, time_case());
	suite_add_tcase(s, event_case());
	suite_add_tcase(s, filter_case());
	suite_add_tcase(s, stop_case());
	suite_add_tcase(s, loop_case());
	suite_add_tcase(s, adopt_case());
	suite_add_tcase(s, restore_case());
	suite_add_tcase(s, foreach_case());
	suite_add_tcase(s, limbo_case());
	suite_add_tcase(s, model_case());
	suite_add_tcase(s, peek_case());
	suite_add_tcase(s, peekv_case());
	suite_add_tcase(s, readers_case());
	suite_add_tcase(s, buffer_case());
	suite_add_tcase(s, policy_case());
	suite_add_tcase(s, gap_case());
	suite_add_tcase(s, offset_case());
	suite_add_tcase(s, nat_case());
	suite_add_tcase(s, remap_case());
	suite_add_tcase(s, remap_forged_case());
	suite_add_tcase(s, send_case());
	suite_add_tcase(s, monkey_case());
	suite_add_tcase(s, talk_case());
	srunner_set_fork_status(sr, CK_NOFORK);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
