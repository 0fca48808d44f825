/*
 * Sockets on the bench: the stack thread's part is played by the test itself, or by a second thread
 * that walks path and sets as dispatch does. Filters are blocks of memory here: sanitizers tell
 * whether each is freed, once, and not too early. So do references of callback sets: when
 * everything is closed and swept, the table's own is the only one.
 */
#ifndef MOS_SECONDARY_SOCKET_BENCH_H
#define MOS_SECONDARY_SOCKET_BENCH_H

#include <check.h>

#include "secondary/filter/filter.h"
#include "secondary/socket/socket.h"

#define FLOWS   100
#define PASSIVE MOS_SOCK_MONITOR_STREAM
#define RAW     MOS_SOCK_MONITOR_RAW
#define ALL     UINT64_MAX /* every passive socket accepts the flow */

/* Numbers of events, as bits. */
enum { PKT_IN_BIT = 0, START_BIT = 2 };
#define PKT_IN MOS_ON_PKT_IN
#define START  MOS_ON_CONN_START

/* A filter that filters nothing. */
struct mos_filter {
	int number;
};

extern _Atomic int filters; /* alive */
extern struct mos_sockets socks;

struct mos_filter *new_filter(int number);
/* mos_socket_bind of both uses. */
int bind_filters(int id, struct mos_filter *first, struct mos_filter *second);

/* The fixture of each test. */
void setup(void);
void teardown(void);

void cb_a(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);
void cb_b(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);

struct mos_cb_set *set_of(int id);
unsigned refs_of(struct mos_cb_set *set);
callback_t flow_cb(int id, uint32_t flow, unsigned bit, enum mos_hook hook);
uint64_t path(void);

/* The parts of the suite. */
TCase *hold_case(void);
TCase *thread_case(void);

#endif
