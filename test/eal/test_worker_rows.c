/*
 * The order tables of specification section 4.3, row by row: what comes before, one packet, and
 * exactly what is raised for it, with the states its callbacks read. Each row runs over IPv4, over
 * IPv6 and with a VLAN tag, and with three sockets in the path. Where upstream is wrong by section
 * 11, the rows say what is right.
 */
#include "test/eal/worker_tests.h"

#define BEFORE_MAX 10

struct event_row {
	const char *name;
	struct hs_pkt before[BEFORE_MAX]; /* up to one without flags */
	struct hs_pkt p;
	const char *lines;
};

/* clang-format off */

#define HANDSHAKE SYN(1000), SYN_ACK(5000, 1001), ACK(1001, 5001)
/* The server has said behind the handshake what it takes: up to 1001 + HS_WND. */
#define HEARD     HANDSHAKE, S_ACK(5001, 1001)
#define FIN_DATA(seq, ack, len) PKT(MOS_CLI, MOS_TCP_FIN | MOS_TCP_ACK, seq, ack, len)
#define END_OF(first, second, state) \
	"RCV " first ": STATE_CHANGE CONN_END [" state "]\n" \
	"SND " first ": STATE_CHANGE CONN_END [" state "]\n" \
	"RCV " second ": STATE_CHANGE CONN_END [CLOSED/CLOSED]\n" \
	"SND " second ": STATE_CHANGE CONN_END [CLOSED/CLOSED]\n"
#define IN_ESTABLISHED \
	"SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n" \
	"RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"

static const struct event_row rows[] = {
	{"SYN", {{0}}, SYN(1000),
	 "SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	 "RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n"},
	{"SYN again", {SYN(1000)}, SYN(1000), /* D-10 */
	 "SND CLI: PKT_IN [SYN_SENT/SYN_RCVD]\n"
	 "RCV SVR: PKT_IN REXMIT [SYN_SENT/SYN_RCVD]\n"},
	{"SYN/ACK", {SYN(1000)}, SYN_ACK(5000, 1001),
	 "SND SVR: PKT_IN [SYN_SENT/SYN_RCVD]\n"
	 "RCV CLI: PKT_IN STATE_CHANGE [ESTABLISHED/SYN_RCVD]\n"},
	{"SYN/ACK again", {SYN(1000), SYN_ACK(5000, 1001)}, SYN_ACK(5000, 1001),
	 "SND SVR: PKT_IN [ESTABLISHED/SYN_RCVD]\n"
	 "RCV CLI: PKT_IN REXMIT [ESTABLISHED/SYN_RCVD]\n"},
	{"SYN/ACK again, after the handshake", {HANDSHAKE}, SYN_ACK(5000, 1001),
	 "SND SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "RCV CLI: PKT_IN REXMIT [ESTABLISHED/ESTABLISHED]\n"},
	{"handshake ACK", {SYN(1000), SYN_ACK(5000, 1001)}, ACK(1001, 5001),
	 "SND CLI: PKT_IN [ESTABLISHED/SYN_RCVD]\n"
	 "RCV SVR: PKT_IN STATE_CHANGE [ESTABLISHED/ESTABLISHED]\n"},
	{"handshake ACK with data", {SYN(1000), SYN_ACK(5000, 1001)}, DATA(1001, 5001, 7),
	 "SND CLI: PKT_IN [ESTABLISHED/SYN_RCVD]\n"
	 "RCV SVR: PKT_IN STATE_CHANGE [ESTABLISHED/ESTABLISHED]\n"
	 "NULL SVR: NEW_DATA [ESTABLISHED/ESTABLISHED]\n"},

	{"data in order", {HANDSHAKE}, DATA(1001, 5001, 100),
	 IN_ESTABLISHED
	 "NULL SVR: NEW_DATA [ESTABLISHED/ESTABLISHED]\n"},
	{"data from the server", {HANDSHAKE}, S_DATA(5001, 1001, 100),
	 "SND SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "RCV CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "NULL CLI: NEW_DATA [ESTABLISHED/ESTABLISHED]\n"},
	{"pure ACK", {HANDSHAKE, DATA(1001, 5001, 100)}, S_ACK(5001, 1101),
	 "SND SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "RCV CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"},
	{"data out of order", {HANDSHAKE}, DATA(1101, 5001, 100), IN_ESTABLISHED},
	{"segment filling the hole", {HANDSHAKE, DATA(1101, 5001, 100)}, DATA(1001, 5001, 100),
	 IN_ESTABLISHED
	 "NULL SVR: NEW_DATA [ESTABLISHED/ESTABLISHED]\n"},

	{"retransmitted data", {HANDSHAKE, DATA(1001, 5001, 100)}, DATA(1001, 5001, 100),
	 "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "RCV SVR: REXMIT [ESTABLISHED/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"},
	{"retransmitted in part", {HANDSHAKE, DATA(1001, 5001, 100)}, DATA(1051, 5001, 100),
	 "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "RCV SVR: REXMIT [ESTABLISHED/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "NULL SVR: NEW_DATA [ESTABLISHED/ESTABLISHED]\n"},
	{"retransmitted by the server", {HANDSHAKE, S_DATA(5001, 1001, 9)}, S_DATA(5001, 1001, 9),
	 "SND SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "RCV CLI: REXMIT [ESTABLISHED/ESTABLISHED]\n"
	 "RCV CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"},
	{"keep-alive with a byte", {HANDSHAKE, DATA(1001, 5001, 9)}, DATA(1009, 5001, 1),
	 "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "RCV SVR: REXMIT [ESTABLISHED/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"},
	{"keep-alive without", {HANDSHAKE, DATA(1001, 5001, 9)}, ACK(1009, 5001), IN_ESTABLISHED},
	/* States are those from before the receiver's update. */
	{"retransmitted, and the ACK of the FIN",
	 {HANDSHAKE, DATA(1001, 5001, 9), S_FIN(5001, 1010)}, DATA(1001, 5002, 9),
	 "SND CLI: PKT_IN [CLOSE_WAIT/FIN_WAIT_1]\n"
	 "RCV SVR: REXMIT [CLOSE_WAIT/FIN_WAIT_1]\n"
	 "RCV SVR: PKT_IN STATE_CHANGE [CLOSE_WAIT/FIN_WAIT_2]\n"},

	{"data to the end of the window", {HEARD}, DATA(1001 + HS_WND - 100, 5001, 100),
	 IN_ESTABLISHED},
	{"data beyond the window", {HEARD}, DATA(1001 + HS_WND - 99, 5001, 100),
	 "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "NULL SVR: ERROR [ESTABLISHED/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"},
	{"data far beyond the window", {HEARD, DATA(1001, 5001, 9)}, DATA(1001000, 5001, 100),
	 "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "NULL SVR: ERROR [ESTABLISHED/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"},
	{"data beyond the client's window", {HANDSHAKE}, S_DATA(6001 + HS_WND, 1001, 100),
	 "SND SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "NULL CLI: ERROR [ESTABLISHED/ESTABLISHED]\n"
	 "RCV CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"},
	{"data beyond a window that is not known", {HANDSHAKE}, DATA(1001000, 5001, 100),
	 IN_ESTABLISHED},
	{"sent again, and beyond the window", /* 250 bytes, of which 50 are to be had */
	 {SYN(1000), {MOS_SVR, MOS_TCP_SYN | MOS_TCP_ACK, 5000, 1001, .wnd = 100}, ACK(1001, 5001),
	  {MOS_SVR, MOS_TCP_ACK, 5001, 1001, .wnd = 100}, DATA(1001, 5001, 50)},
	 DATA(1001, 5001, 250),
	 "SND CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "RCV SVR: REXMIT [ESTABLISHED/ESTABLISHED]\n"
	 "NULL SVR: ERROR [ESTABLISHED/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "NULL SVR: NEW_DATA [ESTABLISHED/ESTABLISHED]\n"},

	{"first FIN", {HANDSHAKE}, FIN(1001, 5001),
	 "SND CLI: PKT_IN STATE_CHANGE [FIN_WAIT_1/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN STATE_CHANGE [FIN_WAIT_1/CLOSE_WAIT]\n"},
	{"first FIN after data", {HANDSHAKE, DATA(1001, 5001, 9)}, FIN(1010, 5001),
	 "SND CLI: PKT_IN STATE_CHANGE [FIN_WAIT_1/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN STATE_CHANGE [FIN_WAIT_1/CLOSE_WAIT]\n"},
	{"FIN with data", {HANDSHAKE}, FIN_DATA(1001, 5001, 9),
	 "SND CLI: PKT_IN STATE_CHANGE [FIN_WAIT_1/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN STATE_CHANGE [FIN_WAIT_1/CLOSE_WAIT]\n"
	 "NULL SVR: NEW_DATA [FIN_WAIT_1/CLOSE_WAIT]\n"},
	{"FIN before the data it follows", {HANDSHAKE}, FIN(1101, 5001), /* D-24 */
	 "SND CLI: PKT_IN STATE_CHANGE [FIN_WAIT_1/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN [FIN_WAIT_1/ESTABLISHED]\n"},
	{"that data", {HANDSHAKE, FIN(1101, 5001)}, DATA(1001, 5001, 100),
	 "SND CLI: PKT_IN [FIN_WAIT_1/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN STATE_CHANGE [FIN_WAIT_1/CLOSE_WAIT]\n"
	 "NULL SVR: NEW_DATA [FIN_WAIT_1/CLOSE_WAIT]\n"},
	{"FIN again", {HANDSHAKE, FIN(1001, 5001)}, FIN(1001, 5001),
	 "SND CLI: PKT_IN [FIN_WAIT_1/CLOSE_WAIT]\n"
	 "RCV SVR: PKT_IN REXMIT [FIN_WAIT_1/CLOSE_WAIT]\n"},
	{"FIN with data again", {HANDSHAKE, FIN_DATA(1001, 5001, 9)}, FIN_DATA(1001, 5001, 9),
	 "SND CLI: PKT_IN [FIN_WAIT_1/CLOSE_WAIT]\n"
	 "RCV SVR: REXMIT [FIN_WAIT_1/CLOSE_WAIT]\n"
	 "RCV SVR: PKT_IN [FIN_WAIT_1/CLOSE_WAIT]\n"},
	{"ACK of the FIN", {HANDSHAKE, FIN(1001, 5001)}, S_ACK(5001, 1002),
	 "SND SVR: PKT_IN [FIN_WAIT_1/CLOSE_WAIT]\n"
	 "RCV CLI: PKT_IN STATE_CHANGE [FIN_WAIT_2/CLOSE_WAIT]\n"},
	/* D-04: the half-closed end still receives. */
	{"data after a FIN", {HANDSHAKE, FIN(1001, 5001)}, S_DATA(5001, 1001, 9),
	 "SND SVR: PKT_IN [FIN_WAIT_1/CLOSE_WAIT]\n"
	 "RCV CLI: PKT_IN [FIN_WAIT_1/CLOSE_WAIT]\n"
	 "NULL CLI: NEW_DATA [FIN_WAIT_1/CLOSE_WAIT]\n"},
	{"data after the ACK of the FIN", {HANDSHAKE, FIN(1001, 5001), S_ACK(5001, 1002)},
	 S_DATA(5001, 1002, 9),
	 "SND SVR: PKT_IN [FIN_WAIT_2/CLOSE_WAIT]\n"
	 "RCV CLI: PKT_IN [FIN_WAIT_2/CLOSE_WAIT]\n"
	 "NULL CLI: NEW_DATA [FIN_WAIT_2/CLOSE_WAIT]\n"},
	{"second FIN", {HANDSHAKE, FIN(1001, 5001), S_ACK(5001, 1002)}, S_FIN(5001, 1002),
	 "SND SVR: PKT_IN STATE_CHANGE [FIN_WAIT_2/LAST_ACK]\n"
	 "RCV CLI: PKT_IN STATE_CHANGE [TIME_WAIT/LAST_ACK]\n"},
	{"last ACK",
	 {HANDSHAKE, FIN(1001, 5001), S_ACK(5001, 1002), S_FIN(5001, 1002)}, ACK(1002, 5002),
	 "SND CLI: PKT_IN [TIME_WAIT/LAST_ACK]\n"
	 "RCV SVR: PKT_IN STATE_CHANGE [TIME_WAIT/CLOSED]\n"
	 END_OF("SVR", "CLI", "TIME_WAIT/CLOSED")},
	{"FIN after the end",
	 {HANDSHAKE, FIN(1001, 5001), S_ACK(5001, 1002), S_FIN(5001, 1002), ACK(1002, 5002)},
	 FIN(1001, 5001), "NULL BOTH: ORPHAN []\n"},
	{"FIN answered by FIN and ACK in one", {HANDSHAKE, FIN(1001, 5001)}, S_FIN(5001, 1002),
	 "SND SVR: PKT_IN STATE_CHANGE [FIN_WAIT_1/LAST_ACK]\n"
	 "RCV CLI: PKT_IN STATE_CHANGE [TIME_WAIT/LAST_ACK]\n"},
	{"FINs that cross", {HANDSHAKE, FIN(1001, 5001)}, S_FIN(5001, 1001),
	 "SND SVR: PKT_IN STATE_CHANGE [FIN_WAIT_1/CLOSING]\n"
	 "RCV CLI: PKT_IN STATE_CHANGE [CLOSING/CLOSING]\n"},

	{"RST of the server", {HANDSHAKE}, S_RST(5001),
	 "SND SVR: PKT_IN STATE_CHANGE [ESTABLISHED/CLOSED]\n"
	 "RCV CLI: PKT_IN STATE_CHANGE [CLOSED/CLOSED]\n"
	 END_OF("CLI", "SVR", "CLOSED/CLOSED")}, /* D-35: once more, though nothing changed */
	{"RST of the client", {HANDSHAKE}, RST(1001),
	 "SND CLI: PKT_IN STATE_CHANGE [CLOSED/ESTABLISHED]\n"
	 "RCV SVR: PKT_IN STATE_CHANGE [CLOSED/CLOSED]\n"
	 END_OF("SVR", "CLI", "CLOSED/CLOSED")},
	{"RST answering a SYN", {SYN(1000)}, S_RST_ACK(0, 1001),
	 "SND SVR: PKT_IN STATE_CHANGE [SYN_SENT/CLOSED]\n"
	 "RCV CLI: PKT_IN STATE_CHANGE [CLOSED/CLOSED]\n"
	 END_OF("CLI", "SVR", "CLOSED/CLOSED")},
	{"RST out of the window", {HANDSHAKE}, S_RST(5001 + (1u << 20)), /* D-25 */
	 "SND SVR: PKT_IN [ESTABLISHED/ESTABLISHED]\n"
	 "RCV CLI: PKT_IN [ESTABLISHED/ESTABLISHED]\n"},

	{"SYN of a new connection", {HANDSHAKE}, SYN(900000), /* D-09 */
	 END_OF("SVR", "CLI", "ESTABLISHED/CLOSED")
	 "SND CLI: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/LISTEN]\n"
	 "RCV SVR: PKT_IN CONN_START STATE_CHANGE [SYN_SENT/SYN_RCVD]\n"},

	{"ACK without flow", {{0}}, ACK(1001, 5001), "NULL BOTH: ORPHAN []\n"},
	{"data without flow", {{0}}, S_DATA(5001, 1001, 9), "NULL BOTH: ORPHAN []\n"},
	{"SYN/ACK without flow", {{0}}, SYN_ACK(5000, 1001), "NULL BOTH: ORPHAN []\n"},
	{"RST without flow", {{0}}, RST(1001), "NULL BOTH: ORPHAN []\n"},
};

/* clang-format on */

/* ---- running a row ---- */

enum variant { OVER_IP4, OVER_IP6, TAGGED, TAGGED_IP6, VARIANTS };

static struct hs_pkt as(enum variant v, struct hs_pkt p)
{
	p.ip6 = v == OVER_IP6 || v == TAGGED_IP6;
	p.vlan = v == TAGGED || v == TAGGED_IP6 ? 5 : 0;
	return p;
}

static void send_as(enum variant v, const struct hs_pkt *p)
{
	struct hs_pkt q = as(v, *p);

	hs_send(&q);
}

static void go_before(enum variant v, const struct event_row *r)
{
	for (unsigned i = 0; i < BEFORE_MAX && r->before[i].flags != 0; i++) {
		send_as(v, &r->before[i]);
		hs_round();
	}
	hs_clear();
}

static void check_row(enum variant v, const struct event_row *r, const char *want)
{
	go_before(v, r);
	send_as(v, &r->p);
	hs_round();
	ck_assert_msg(strcmp(hs.log, want) == 0, "%s, variant %d:\n%snot\n%s", r->name, (int)v,
	              hs.log, want);
}

START_TEST(each_row_raises_what_it_says)
{
	for (int v = 0; v < VARIANTS; v++) {
		hs_open(NULL);
		hs_passive_all();
		check_row((enum variant)v, &rows[_i], rows[_i].lines);
		if (v + 1 < VARIANTS)
			hs_close();
	}
}
END_TEST

/* ---- three sockets ---- */

#define SOCKETS 3

/* In which order the sockets of the path get what a line says. */
static bool backwards(const char *line, const struct hs_pkt *p)
{
	if (strstr(line, "CONN_END") != NULL || strstr(line, "ORPHAN") != NULL)
		return false;
	if (strstr(line, "NEW_DATA") != NULL) /* the server sent it */
		return strstr(line, "NULL CLI") != NULL;
	return p->from == MOS_SVR;
}

/* Each line once for each socket. */
static void for_all_sockets(char *out, size_t size, const struct event_row *r)
{
	size_t n = 0;

	out[0] = '\0';
	for (const char *at = r->lines, *next; *at != '\0'; at = next) {
		char line[128];

		next = strchr(at, '\n') + 1;
		snprintf(line, sizeof(line), "%.*s", (int)(next - at), at);
		for (int i = 0; i < SOCKETS; i++)
			n += (size_t)snprintf(out + n, size - n, "%d %s",
			                      backwards(line, &r->p) ? SOCKETS - 1 - i : i, line);
	}
	ck_assert_uint_lt(n, size);
}

START_TEST(each_row_runs_through_the_path)
{
	static char want[4096];

	for_all_sockets(want, sizeof(want), &rows[_i]);
	hs_open(NULL);
	for (int i = 0; i < SOCKETS; i++)
		hs_passive_all();
	hs.show_sock = true;
	check_row(OVER_IP4, &rows[_i], want);
}
END_TEST

/* ---- the same in one burst ---- */

/* The row's packets and those before it share a burst: nothing changes. */
START_TEST(each_row_is_the_same_within_a_burst)
{
	const struct event_row *r = &rows[_i];
	size_t len = strlen(r->lines);

	hs_open(NULL);
	hs_passive_all();
	for (unsigned i = 0; i < BEFORE_MAX && r->before[i].flags != 0; i++)
		hs_send(&r->before[i]);
	hs_send(&r->p);
	hs_round();
	ck_assert_msg(hs.log_len >= len && strcmp(hs.log + hs.log_len - len, r->lines) == 0,
	              "%s:\n%s", r->name, hs.log);
}
END_TEST

TCase *rows_case(void)
{
	TCase *tc = tcase_create("rows");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, NULL, hs_close);
	tcase_add_loop_test(tc, each_row_raises_what_it_says, 0, (int)RTE_DIM(rows));
	tcase_add_loop_test(tc, each_row_runs_through_the_path, 0, (int)RTE_DIM(rows));
	tcase_add_loop_test(tc, each_row_is_the_same_within_a_burst, 0, (int)RTE_DIM(rows));
	return tc;
}
