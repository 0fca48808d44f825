/*
 * TSC cycles of user-defined events, callback changes and syn filters, in the worker's loop; how
 * packets come is told in bench_rig.h. All events are below PKT_IN at MOS_HK_SND.
 *
 *   bench_events [--help] [CPU]
 *
 *   events   data packets of open flows, for sets of events whose filters say yes or no, and of
 *            allocated events, some of which a filter raises: per packet; above a packet without
 *            callbacks per event of the set; and as a multiple of a packet with a plain callback
 *   changes  a callback on each flow takes one event away from its set and adds another: all
 *            flows the same one, or one of 16 in turn
 *   filters  first SYNs of a passive socket with a syn filter; above one without
 *
 * The rows of a table take turns, as often as time allows; printed is the least pass and the
 * median. Less than a minute in all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "mos_api.h"
#include "mos_ext.h"
#include "secondary/loop/loop.h"
#include "test/bench/bench_rig.h"

enum {
	FEW = 8,      /* events in a small set */
	MANY = 64,    /* in the largest one */
	DEPTH = 8,    /* of the chain */
	ADDED = 16,   /* different events that a change adds */
	BLOCK = 1000, /* changes that are one sample */
};

/* A set of callbacks, and what packets cost with it. */
struct row {
	const char *name;
	event_t event[MANY];
	unsigned count; /* events */
	unsigned calls; /* callbacks that a packet runs */
	struct mos_cb_set *set;
	struct rig_samples samples;
};

enum {
	NOTHING,
	PLAIN,
	ONE_NO,
	ONE_YES,
	FEW_NO,
	FEW_ONE,
	FEW_YES,
	MANY_NO,
	MANY_ONE,
	MANY_YES,
	CHAIN_NO,
	CHAIN_YES,
	RAISE_0,
	RAISE_1,
	RAISE_8,
	ROWS
};

static struct row rows[ROWS] = {
	[NOTHING] = {.name = "no callback"},
	[PLAIN] = {.name = "plain callback", .calls = 1},
	[ONE_NO] = {.name = "1 event, false"},
	[ONE_YES] = {.name = "1 event, true", .calls = 1},
	[FEW_NO] = {.name = "8 events, none true"},
	[FEW_ONE] = {.name = "8 events, one true", .calls = 1},
	[FEW_YES] = {.name = "8 events, all true", .calls = FEW},
	[MANY_NO] = {.name = "64 events, none true"},
	[MANY_ONE] = {.name = "64 events, one true", .calls = 1},
	[MANY_YES] = {.name = "64 events, all true", .calls = MANY},
	[CHAIN_NO] = {.name = "chain of 8, first false"},
	[CHAIN_YES] = {.name = "chain of 8, all true", .calls = DEPTH},
	[RAISE_0] = {.name = "64 to raise, none is"},
	[RAISE_1] = {.name = "64 to raise, 1 is", .calls = 1},
	[RAISE_8] = {.name = "64 to raise, 8 are", .calls = 8},
};

static event_t never[MANY + ADDED], always[MANY]; /* below PKT_IN */
static uint64_t seen;                             /* by the callbacks */

/* ---- events ---- */

static bool say_no(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	return false;
}

static bool say_yes(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	return true;
}

/* arg: the row. Raised is every so many'th of its events. */
static bool raise_some(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	const struct row *row;
	unsigned number;

	memcpy(&number, arg->arg, sizeof(number));
	row = &rows[number];
	for (unsigned i = 0; i < row->calls; i++)
		mtcp_raise_event(mctx, row->event[(i + 1) * (MANY / row->calls) - 1]);
	return true;
}

static void count(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	seen++;
}

/* A number makes it another event than those with the same filter. */
static event_t define(event_t base, filter_t filter, unsigned number)
{
	struct filter_arg arg = {&number, sizeof(number)};
	event_t event = mtcp_define_event(base, filter, &arg);

	if (event == MOS_NULL_EVENT)
		rig_die("no event");
	return event;
}

static void add(struct row *row, const event_t *event, unsigned n)
{
	memcpy(&row->event[row->count], event, n * sizeof(*event));
	row->count += n;
}

static void define_chain(struct row *row, filter_t first)
{
	event_t event = define(MOS_ON_PKT_IN, first, MANY + ADDED);

	add(row, &event, 1);
	for (unsigned i = 1; i < DEPTH; i++) {
		event = define(event, say_yes, 0);
		add(row, &event, 1);
	}
}

static void define_raised(unsigned number)
{
	event_t base = define(MOS_ON_PKT_IN, raise_some, number);

	for (unsigned i = 0; i < MANY; i++) {
		event_t child = mtcp_alloc_event(base);

		if (child == MOS_NULL_EVENT)
			rig_die("no event");
		add(&rows[number], &child, 1);
	}
}

static void define_events(void)
{
	const event_t plain = MOS_ON_PKT_IN;

	for (unsigned i = 0; i < RTE_DIM(never); i++)
		never[i] = define(MOS_ON_PKT_IN, say_no, i);
	for (unsigned i = 0; i < RTE_DIM(always); i++)
		always[i] = define(MOS_ON_PKT_IN, say_yes, i);
	add(&rows[PLAIN], &plain, 1);
	add(&rows[ONE_NO], never, 1);
	add(&rows[ONE_YES], always, 1);
	add(&rows[FEW_NO], never, FEW);
	add(&rows[FEW_ONE], never, FEW - 1);
	add(&rows[FEW_ONE], always, 1);
	add(&rows[FEW_YES], always, FEW);
	add(&rows[MANY_NO], never, MANY);
	add(&rows[MANY_ONE], never, MANY - 1);
	add(&rows[MANY_ONE], always, 1);
	add(&rows[MANY_YES], always, MANY);
	define_chain(&rows[CHAIN_NO], say_no);
	define_chain(&rows[CHAIN_YES], say_yes);
	define_raised(RAISE_0);
	define_raised(RAISE_1);
	define_raised(RAISE_8);
}

/* ---- sets ---- */

/* `set`, whose reference is taken over, with cb for an event. */
static struct mos_cb_set *with(struct mos_cb_set *set, event_t event, callback_t cb)
{
	struct mos_cb_set *changed =
		mos_cb_sets_change(&rig.ctx->sockets.sets, set, event, MOS_HOOK_SND, cb);

	if (changed == NULL)
		rig_die("no set");
	mos_cb_set_unref(set);
	return changed;
}

static struct mos_cb_set *set_of(const event_t *event, unsigned n, callback_t cb)
{
	struct mos_cb_set *set = mos_cb_set_ref(rig.ctx->sockets.sets.empty);

	for (unsigned i = 0; i < n; i++)
		set = with(set, event[i], cb);
	return set;
}

/* Have every flow carry the set, as if its passive socket had had it. */
static void give_set(struct mos_cb_set *set)
{
	struct mos_sockets *s = &rig.ctx->sockets;

	for (uint32_t i = 0; i < rig.flow_count; i++) {
		struct mos_flow_sock *a = mos_socket_active(s, mos_active_id(s, 0, i), NULL);

		if (a == NULL)
			rig_die("a flow has no socket");
		mos_cb_set_unref(atomic_exchange(&a->set, mos_cb_set_ref(set)));
	}
}

/* Free the sets that nobody has. */
static void purge_sets(void)
{
	struct mos_cb_sets *sets = &rig.ctx->sockets.sets;

	do
		mos_cb_sets_purge(sets);
	while (sets->cursor != 0);
}

static int open_socket(void)
{
	int sock = mtcp_socket(&rig.ctx->api, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

	if (sock < 0)
		rig_die("no socket");
	return sock;
}

static void open_flows(uint32_t flows)
{
	rig_open(flows, false);
	open_socket();
	rig_step(OPEN, NULL);
	rig_step(OPEN_ACK, NULL);
	rig_step(ACK, NULL);
}

static void close_flows(void)
{
	if (mos_counter_get(&rig.shard->counters, MOS_CTR_W_TCP_BOGUS) != 0)
		rig_die("some packets made no sense");
	rig_close();
}

/* ---- part: events ---- */

static void measure_row(struct row *row)
{
	give_set(row->set);
	seen = 0;
	rig_step(ASK, &row->samples);
	rig_step(ANSWER, &row->samples);
	if (seen != UINT64_C(2) * row->calls * rig.flow_count)
		rig_die("callbacks are missing, or too many");
}

static void print_events(void)
{
	struct rig_figure nothing = rig_figure_of(&rows[NOTHING].samples),
			  plain = rig_figure_of(&rows[PLAIN].samples);

	printf("\nevents, %u flows       least median   per event   times plain callback\n",
	       rig.flow_count);
	for (unsigned i = 0; i < ROWS; i++) {
		struct rig_figure f = rig_figure_of(&rows[i].samples);

		printf("%-24s %6.0f %6.0f", rows[i].name, f.least, f.median);
		if (rows[i].count > 0)
			printf("   %9.1f   %11.2f %6.2f", (f.least - nothing.least) / rows[i].count,
			       f.least / plain.least, f.median / plain.median);
		printf("\n");
	}
	fflush(stdout);
}

static void measure_events(uint32_t flows, double seconds)
{
	open_flows(flows);
	for (unsigned i = 0; i < ROWS; i++) {
		rows[i].set = set_of(rows[i].event, rows[i].count, count);
		rows[i].samples.count = 0;
	}
	rig_begin_part(seconds);
	for (unsigned round = 0; rig_goes_on(round); round++)
		for (unsigned i = 0; i < ROWS; i++)
			measure_row(&rows[i]);
	print_events();
	close_flows();
}

/* ---- part: changes ---- */

static struct change {
	unsigned events; /* in the set */
	unsigned kinds;  /* of changes */
	struct mos_cb_set *set;
	struct rig_samples away, added; /* by BLOCK of them */
	uint32_t sets;                  /* that one round left in the table */
	size_t bytes;
} changes[] = {
	{.events = 1, .kinds = 1},
	{.events = 1, .kinds = ADDED},
	{.events = MANY, .kinds = 1},
	{.events = MANY, .kinds = ADDED},
};

static struct change *change;     /* under way */
static uint64_t tsc_cycles;       /* that reading the clock takes */
static uint64_t away, added;      /* cycles in this block */
static unsigned in_block, failed; /* changes */

static void change_events(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	uint64_t t0 = mos_tsc(), t1, t2;

	failed += mtcp_register_callback(mctx, sock, never[change->events - 1], MOS_HK_SND, NULL) !=
	          0;
	t1 = mos_tsc();
	failed += mtcp_register_callback(mctx, sock, never[MANY + (unsigned)sock % change->kinds],
	                                 MOS_HK_SND, count) != 0;
	t2 = mos_tsc();
	away += t1 - t0 - tsc_cycles;
	added += t2 - t1 - tsc_cycles;
	seen++;
	if (++in_block < BLOCK)
		return;
	rig_note(&change->away, away, BLOCK);
	rig_note(&change->added, added, BLOCK);
	in_block = 0;
	away = 0;
	added = 0;
}

static uint64_t clock_cycles(void)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < 10000; i++) {
		uint64_t t = mos_tsc(), took = mos_tsc() - t;

		least = took < least ? took : least;
	}
	return least;
}

static void measure_change(struct change *c, enum rig_step step)
{
	const struct mos_cb_sets *sets = &rig.ctx->sockets.sets;
	uint32_t had;
	size_t had_bytes;

	give_set(c->set);
	purge_sets();
	had = sets->count;
	had_bytes = sets->bytes;
	change = c;
	seen = 0;
	rig_step(step, NULL);
	if (seen != rig.flow_count || failed != 0)
		rig_die("not every flow was changed");
	c->sets = sets->count - had;
	c->bytes = sets->bytes - had_bytes;
}

static void print_changes(void)
{
	for (struct change *c = changes; c < changes + RTE_DIM(changes); c++) {
		struct rig_figure a = rig_figure_of(&c->away), b = rig_figure_of(&c->added);

		printf("%8u %7u %9u %8.0f %6.0f %8.0f %6.0f %6u %8zu\n", rig.flow_count, c->events,
		       c->kinds, a.least, a.median, b.least, b.median, c->sets, c->bytes);
	}
	fflush(stdout);
}

static void measure_changes(uint32_t flows, double seconds)
{
	open_flows(flows);
	for (struct change *c = changes; c < changes + RTE_DIM(changes); c++) {
		c->set = with(set_of(never, c->events, count), MOS_ON_PKT_IN, change_events);
		c->away.count = 0;
		c->added.count = 0;
	}
	rig_begin_part(seconds);
	for (unsigned round = 0; rig_goes_on(round); round++)
		for (struct change *c = changes; c < changes + RTE_DIM(changes); c++)
			measure_change(c, round % 2 ? ANSWER : ASK);
	print_changes();
	close_flows();
}

/* ---- part: filters ---- */

static struct filter_row {
	const char *name;
	char *expr; /* NULL: none */
	struct rig_samples samples;
} filters[] = {
	{.name = "no filter"},
	{.name = "dst port 80", .expr = "dst port 80"},
	{.name = "nets and ports",
         .expr = "tcp and src net 10.0.0.0/8 and dst net 192.168.0.0/16 "
                 "and (dst port 443 or dst port 8080 or dst port 80)"},
	{.name = "one of 64 ports"},
};

/* The last port is the one that packets have. */
static void write_port_list(struct filter_row *row)
{
	static char expr[MANY * sizeof(" or dst port 65535")];
	size_t len = 0;

	for (unsigned i = 1; i < MANY; i++)
		len += (size_t)snprintf(expr + len, sizeof(expr) - len, "dst port %u or ",
		                        2 * i + 1);
	snprintf(expr + len, sizeof(expr) - len, "dst port 80");
	row->expr = expr;
}

static void measure_filter(struct filter_row *row)
{
	union monitor_filter filter = {.stream_syn_filter = row->expr};
	mctx_t mctx = &rig.ctx->api;
	int sock = open_socket();

	if (mtcp_bind_monitor_filter(mctx, sock, &filter) != 0)
		rig_die(mtcp_filter_error());
	rig_forget_numbers();
	rig_step(OPEN, &row->samples);
	if (rig.ctx->flows.count != rig.flow_count)
		rig_die("a filter did not accept a flow");
	rig_step(RESET, NULL);
	if (rig.ctx->flows.count != 0)
		rig_die("some flows did not end");
	mtcp_close(mctx, sock);
	while (atomic_load(&rig.ctx->sockets.mon[sock].state) != MOS_SOCK_FREE)
		mos_loop_round(rig.ctx);
}

static void print_filters(void)
{
	double least = rig_figure_of(&filters[0].samples).least;

	for (struct filter_row *row = filters; row < filters + RTE_DIM(filters); row++) {
		struct rig_figure f = rig_figure_of(&row->samples);

		printf("%8u  %-16s %6.0f %6.0f   %9.0f\n", rig.flow_count, row->name, f.least,
		       f.median, f.least - least);
	}
	fflush(stdout);
}

static void measure_filters(uint32_t flows, double seconds)
{
	rig_open(flows, false);
	for (unsigned i = 0; i < RTE_DIM(filters); i++)
		filters[i].samples.count = 0;
	rig_begin_part(seconds);
	for (unsigned round = 0; rig_goes_on(round); round++)
		for (unsigned i = 0; i < RTE_DIM(filters); i++)
			measure_filter(&filters[i]);
	print_filters();
	close_flows();
}

/* ---- all of it ---- */

static void help(void)
{
	printf("usage: bench_events [CPU]\n"
	       "TSC cycles of user-defined events, of changes of callbacks and of syn filters in\n"
	       "the worker's loop, which runs on CPU (0). Takes less than a minute.\n");
}

int main(int argc, char **argv)
{
	static char first[] = "0";

	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		help();
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	rig_start(argc > 1 ? argv[1] : first);
	define_events();
	write_port_list(&filters[RTE_DIM(filters) - 1]);
	tsc_cycles = clock_cycles();

	printf("TSC cycles, packets of %d bytes; per event: what the least is above no callback\n",
	       RIG_FRAME);
	measure_events(1000, 5);
	measure_events(100000, 12);
	printf("\nchanges on each flow                 one away        one more  left in the "
	       "table\n"
	       "   flows  events  different  least median    least median   sets    bytes\n");
	measure_changes(1000, 3);
	measure_changes(100000, 5);
	measure_changes(1000000, 1);
	printf("\nfirst SYN, by filter         least median   above none\n");
	measure_filters(1000, 3);
	measure_filters(100000, 6);
	return 0;
}
