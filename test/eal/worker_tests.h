/*
 * The parts of test_worker, and packets by what they are: client 0 sends from number 1000 on, its
 * server from 5000 on; S_ is what the server sends.
 */
#ifndef MOS_TEST_WORKER_TESTS_H
#define MOS_TEST_WORKER_TESTS_H

#include <errno.h>

#include "mos_ext.h"
#include "test/eal/harness.h"

/* clang-format off */
#define PKT(side, bits, s, a, len) \
	{.from = (side), .flags = (bits), .seq = (s), .ack = (a), .payload = (len)}
#define SYN(seq)              PKT(MOS_CLI, MOS_TCP_SYN, seq, 0, 0)
#define ACK(seq, ack)         PKT(MOS_CLI, MOS_TCP_ACK, seq, ack, 0)
#define DATA(seq, ack, len)   PKT(MOS_CLI, MOS_TCP_ACK | MOS_TCP_PSH, seq, ack, len)
#define FIN(seq, ack)         PKT(MOS_CLI, MOS_TCP_FIN | MOS_TCP_ACK, seq, ack, 0)
#define RST(seq)              PKT(MOS_CLI, MOS_TCP_RST, seq, 0, 0)
#define SYN_ACK(seq, ack)     PKT(MOS_SVR, MOS_TCP_SYN | MOS_TCP_ACK, seq, ack, 0)
#define S_ACK(seq, ack)       PKT(MOS_SVR, MOS_TCP_ACK, seq, ack, 0)
#define S_DATA(seq, ack, len) PKT(MOS_SVR, MOS_TCP_ACK | MOS_TCP_PSH, seq, ack, len)
#define S_FIN(seq, ack)       PKT(MOS_SVR, MOS_TCP_FIN | MOS_TCP_ACK, seq, ack, 0)
#define S_RST(seq)            PKT(MOS_SVR, MOS_TCP_RST, seq, 0, 0)
#define S_RST_ACK(seq, ack)   PKT(MOS_SVR, MOS_TCP_RST | MOS_TCP_ACK, seq, ack, 0)
/* clang-format on */

/* The call fails with this errno. */
#define fails(err, call)                                                     \
	do {                                                                 \
		errno = 0;                                                   \
		ck_assert_int_eq((call), -1);                                \
		ck_assert_msg(errno == (err), "%s: errno %d", #call, errno); \
	} while (0)

/* One for each test_worker_*.c. */
TCase *order_case(void);
TCase *rows_case(void);
TCase *new_data_case(void);
TCase *streams_case(void);
TCase *torn_case(void);
TCase *unheard_case(void);
TCase *held_case(void);
TCase *flows_case(void);
TCase *packet_case(void);
TCase *api_case(void);
TCase *ask_case(void);
TCase *hand_case(void);
TCase *edit_case(void);
TCase *edited_case(void);
TCase *keep_case(void);
TCase *time_case(void);
TCase *event_case(void);
TCase *filter_case(void);
TCase *stop_case(void);
TCase *loop_case(void);
TCase *limbo_case(void);
TCase *adopt_case(void);
TCase *restore_case(void);
TCase *foreach_case(void);
TCase *model_case(void);
TCase *peek_case(void);
TCase *peekv_case(void);
TCase *readers_case(void);
TCase *buffer_case(void);
TCase *policy_case(void);
TCase *gap_case(void);
TCase *offset_case(void);
TCase *nat_case(void);
TCase *remap_case(void);
TCase *remap_forged_case(void);
TCase *send_case(void);
TCase *monkey_case(void);
TCase *talk_case(void);

#endif
