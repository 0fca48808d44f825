/*
 * kill -9 of workers at random moments, under traffic, again and again.
 *
 *   seat 0, seat 1    one worker each; a killed one is replaced at once
 *   a turn            the seat of the victim is drawn; the other one must be in order; the victim is
 *                     killed while it attaches, sets up, or works; then the other's flows must go
 *                     on
 *
 * Once with workers that look on, and once with workers that send a copy of each packet in its
 * place.
 *
 * MOS_SEED repeats a run's choices (not its timing), MOS_KILLS sets how many turns it takes.
 */
#include "test/mp/harness.h"
#include "test/mp/traffic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	SEATS = 2,
	FLOWS = 64,
	PACE = 6000, /* packets per second */
	KILLS = 300,
	CHECK_EVERY = 25,   /* turns, until both flow tables are looked at */
	WORK_MS_MAX = 150,  /* from being served to being killed */
	ATTACH_MS_MAX = 80, /* from its start to being killed in its attach */
	SETUP_MS = 30,      /* of the workers that take their time between lease and sockets */
	WORK_US = 25,       /* on a packet, so that kills meet packets in hand */
	PROOF = 20,         /* packets that prove that a group of flows goes on */
	BLACKOUTS_MAX = 10000,
	LOSS_PERCENT = 5, /* by the kernel, when this machine gives the primary no time */
};

enum phase { PHASE_ATTACH, PHASE_SETUP, PHASE_RUNNING, PHASES };

static const char *const phase_names[PHASES] = {"attach", "setup", "running"};

struct seat {
	struct worker worker;
	uint64_t started_ns;
	bool slow;      /* takes SETUP_MS to set up */
	bool noted;     /* how long the shard was without a worker before this one */
	bool again;     /* its predecessor was killed before it served */
	unsigned flows; /* of its shard */
	unsigned kills;
};

static struct seat seats[SEATS];
static bool resend; /* workers send a copy of each packet in its place */
static struct traffic *traffic;
static unsigned kills_by_phase[PHASES];
static double blackout_ms[BLACKOUTS_MAX]; /* after a single kill */
static unsigned blackout_count;
static double worst_again_ms;     /* when successors were killed as well */
static uint64_t worst_silence_ns; /* of a group whose worker was not killed */

static unsigned from_environment(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? (unsigned)strtoul(text, NULL, 0) : otherwise;
}

static int random_below(int n)
{
	return (int)(random() % n);
}

static void pause_us(uint64_t us)
{
	struct timespec t = {.tv_sec = (time_t)(us / 1000000),
	                     .tv_nsec = (long)(us % 1000000) * 1000};

	nanosleep(&t, NULL);
}

/* ---- seats ---- */

static void sit_down(unsigned seat)
{
	char setup_ms[16], work_us[16];
	const char *const options[] = {
		"--setup-ms", setup_ms, "--work-us", work_us, resend ? "--resend" : NULL, NULL};

	seats[seat].started_ns = now_ns();
	seats[seat].slow = random_below(4) == 0;
	snprintf(setup_ms, sizeof(setup_ms), "%d", seats[seat].slow ? SETUP_MS : 0);
	snprintf(work_us, sizeof(work_us), "%d", WORK_US);
	seats[seat].worker = harness_launch_worker(seat, options);
}

/* How long was the shard without a worker? The primary says so when one serves it again. */
static void note_blackout(unsigned i)
{
	struct seat *s = &seats[i];
	size_t mark = s->worker.born;
	char text[64], line[LINE_LEN];
	double ms;

	if (s->noted || s->kills == 0)
		return;
	s->noted = true;
	snprintf(text, sizeof(text), "shard %u: without a worker for ", i);
	expect(proc_wait_line(harness.primary, &mark, text, line, SOON_MS), "no line \"%s\"", text);
	ms = strtod(strstr(line, "for ") + 4, NULL);
	if (s->again && ms > worst_again_ms)
		worst_again_ms = ms;
	if (!s->again && blackout_count < BLACKOUTS_MAX)
		blackout_ms[blackout_count++] = ms;
}

static void assert_served(unsigned i)
{
	const struct worker *w = &seats[i].worker;

	expect(harness_wait_served(w, READY_MS), "wedged: pid %d does not get to serve shard %u",
	       (int)proc_pid(w->proc), i);
	note_blackout(i);
}

static void assert_in_order(unsigned i)
{
	const struct worker *w = &seats[i].worker;

	assert_served(i);
	expect(harness_wait_up(w, READY_MS), "wedged: pid %d of shard %u does not come up",
	       (int)proc_pid(w->proc), i);
}

/* Which flows are whose: the workers know. */
static void learn_flows(unsigned seat)
{
	char line[LINE_LEN] = "";
	size_t mark = 0;

	expect(harness_ask_worker(&seats[seat].worker).live > 0, "shard %u has no flows", seat);
	expect(proc_wait_line(seats[seat].worker.proc, &mark, "app: ports", line, SOON_MS),
	       "no ports from the worker of shard %u", seat);
	for (char *word = strtok(line + strlen("app: ports"), " "); word != NULL;
	     word = strtok(NULL, " ")) {
		traffic_set_group(traffic, (unsigned)atoi(word) - TRAFFIC_PORT, seat);
		seats[seat].flows++;
	}
}

/*
 * Flows on which three workers died pass unmonitored, and are told of no more. To the primary, a
 * kill from outside looks like any other death.
 */
static unsigned suspects_of(unsigned i)
{
	size_t mark = 0;
	char text[32], line[LINE_LEN];
	unsigned n = 0;

	snprintf(text, sizeof(text), "shard %u: worker pid", i);
	while (proc_wait_line(harness.primary, &mark, text, line, 0))
		n += strstr(line, "strikes 3") != NULL;
	return n;
}

/* Every other flow is still there, and known to a successor as established. */
static void assert_flows_survived(unsigned i)
{
	const struct seat *s = &seats[i];
	uint64_t deadline = now_ns() + (uint64_t)SOON_MS * 1000000;
	unsigned flows = s->flows - suspects_of(i);
	struct app_report r;

	do
		r = harness_ask_worker(&s->worker);
	while (r.live < flows && now_ns() < deadline);
	harness_report();
	expect(r.live == flows, "shard %u has %u flows, not %u", i, r.live, flows);
	expect(s->kills == 0 || r.replayed == flows, "shard %u: %u of %u flows replayed", i,
	       r.replayed, flows);
	expect(r.established == r.replayed, "shard %u: %u of %u flows established", i,
	       r.established, r.replayed);
}

static void assert_all_flows_survived(void)
{
	for (unsigned i = 0; i < SEATS; i++) {
		assert_in_order(i);
		assert_flows_survived(i);
	}
}

/* ---- a turn ---- */

static enum phase phase_of(const struct worker *w)
{
	if (!harness_wait_served(w, 0))
		return PHASE_ATTACH;
	return harness_wait_up(w, 0) ? PHASE_RUNNING : PHASE_SETUP;
}

/* Let the victim live until its moment has come. */
static void wait_for_moment(unsigned i, bool in_attach)
{
	const struct seat *s = &seats[i];
	uint64_t age_us = (now_ns() - s->started_ns) / 1000, moment_us;

	if (in_attach) {
		moment_us = (uint64_t)random_below(ATTACH_MS_MAX * 1000);
		if (moment_us > age_us)
			pause_us(moment_us - age_us);
		return;
	}
	assert_served(i);
	pause_us((uint64_t)random_below((s->slow ? SETUP_MS : WORK_MS_MAX) * 1000));
}

static void note_silence(unsigned seat)
{
	uint64_t ns = traffic_group_gap_ns(traffic, seat);

	if (ns > worst_silence_ns)
		worst_silence_ns = ns;
}

static void take_turn(void)
{
	unsigned victim = (unsigned)random_below(SEATS), other = !victim;
	bool in_attach = random_below(2) == 0;
	enum phase phase;
	uint64_t before;

	assert_in_order(other);
	wait_for_moment(victim, in_attach);
	before = traffic_group_received(traffic, other);
	traffic_group_reset_gap(traffic, other);
	phase = phase_of(&seats[victim].worker);
	kills_by_phase[phase]++;
	seats[victim].kills++;
	seats[victim].again = phase == PHASE_ATTACH;
	seats[victim].noted = false;
	harness_kill_worker(&seats[victim].worker);
	sit_down(victim);
	expect(traffic_wait_group(traffic, other, before + PROOF, SOON_MS),
	       "the packets of shard %u stopped when the worker of shard %u was killed", other,
	       victim);
	note_silence(other);
}

/* ---- the sum ---- */

/* What the primary says it did not send on; suspect_dropped is part of drop_by_app. */
static uint64_t unsent_by_primary(void)
{
	static const char *const names[] = {
		"drop_ring_full",   "drop_no_worker",  "drop_tx_full",      "drop_link_down",
		"drop_too_long",    "drop_no_pair",    "drop_by_app",       "drop_l2_short",
		"drop_ip_version",  "drop_ip_hdr_len", "drop_ip_total_len", "drop_ip_checksum",
		"drop_tcp_hdr_len", "mbufs_recovered",
	};
	uint64_t sum = 0;

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		sum += harness_counter(names[i]);
	return sum;
}

static void assert_packets_add_up(const struct traffic_counts *c)
{
	uint64_t sent = c->sent + c->others_sent;
	uint64_t received = c->received + c->duplicates + c->others;
	uint64_t rx = harness_counter("rx_packets"), tx = harness_counter("tx_packets");
	/* What was dropped for a copy is no loss. */
	uint64_t copied =
		resend ? harness_counter("drop_by_app") - harness_counter("suspect_dropped") : 0;
	uint64_t unsent = unsent_by_primary() - copied;
	uint64_t twice_max = resend ? seats[0].kills + seats[1].kills : 0;
	uint64_t bound = sent * LOSS_PERCENT / 100;

	printf("packets: sent %" PRIu64 ", primary received %" PRIu64 " and sent %" PRIu64
	       " (counted as not sent: %" PRIu64 "), came out %" PRIu64 ", twice %" PRIu64
	       ", overtaken %" PRIu64 "\n",
	       sent, rx, tx, unsent, received, c->duplicates, c->overtaken);
	printf("packets: rescued %" PRIu64 ", suspects forwarded %" PRIu64 ", recovered %" PRIu64
	       ", unmonitored: ring full %" PRIu64 ", no worker %" PRIu64 "\n",
	       harness_counter("rescued"), harness_counter("suspect_forwarded"),
	       harness_counter("mbufs_recovered"), harness_counter("unmonitored_ring"),
	       harness_counter("unmonitored_noworker"));
	expect(rx <= sent && sent - rx <= bound, "too many packets lost before the primary");
	expect(tx <= rx + twice_max && rx <= tx + unsent,
	       "packets lost in the system without being counted");
	expect(received <= tx && tx - received <= bound,
	       "too many packets lost behind the primary");
	/* A copy was sent and its original not dropped yet, by a worker that was killed. */
	expect(c->duplicates <= twice_max, "%" PRIu64 " packets came twice", c->duplicates);
	expect(c->overtaken == 0 || harness_counter("unmonitored_ring") > 0,
	       "%" PRIu64 " packets overtook others although none passed by a full ring",
	       c->overtaken);
	expect(harness_counter("garbage") == 0, "garbage in a tx ring");
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print_kills(double seconds)
{
	printf("kills: %u", seats[0].kills + seats[1].kills);
	for (unsigned i = 0; i < PHASES; i++)
		printf(", %s %u", phase_names[i], kills_by_phase[i]);
	printf(" in %.1f s\n", seconds);
	if (blackout_count > 0) {
		qsort(blackout_ms, blackout_count, sizeof(blackout_ms[0]), by_size);
		printf("without a worker: median %.1f ms, worst %.1f ms of %u; "
		       "worst when the successor was killed too %.1f ms\n",
		       blackout_ms[blackout_count / 2], blackout_ms[blackout_count - 1],
		       blackout_count, worst_again_ms);
	}
	printf("flows that were in hand at three kills: %u\n", suspects_of(0) + suspects_of(1));
	printf("worst silence of the other shard %.1f ms\n", (double)worst_silence_ns / 1e6);
}

static void assert_deaths_were_seen(void)
{
	uint64_t deaths = harness_counter("worker_deaths");
	unsigned served = kills_by_phase[PHASE_SETUP] + kills_by_phase[PHASE_RUNNING];

	expect(deaths >= served && deaths <= served + kills_by_phase[PHASE_ATTACH],
	       "%u workers killed that served a shard, the primary counted %" PRIu64, served,
	       deaths);
}

static void begin(void)
{
	harness_configure("\tfail_policy = hold 120000 open\n\tring_size = 8192\n"
	                  "\ttcp_timeout = 3600\n");
	harness_start_primary();
	for (unsigned i = 0; i < SEATS; i++)
		sit_down(i);
	for (unsigned i = 0; i < SEATS; i++)
		assert_in_order(i);
	traffic = traffic_start(END_A, END_B, FLOWS);
	ck_assert_ptr_nonnull(traffic);
	expect(traffic_establish(traffic, SOON_MS), "handshakes do not pass the box");
	for (unsigned i = 0; i < SEATS; i++)
		learn_flows(i);
	expect(seats[0].flows + seats[1].flows == FLOWS, "%u and %u flows of %d", seats[0].flows,
	       seats[1].flows, FLOWS);
	traffic_pace(traffic, PACE);
}

static void kill_again_and_again(unsigned kills)
{
	unsigned seed = from_environment("MOS_SEED", (unsigned)now_ns() ^ (unsigned)getpid());
	uint64_t began = now_ns();
	struct traffic_counts counts;

	printf("MOS_SEED=%u MOS_KILLS=%u\n", seed, kills);
	srandom(seed);
	begin();
	for (unsigned i = 1; i <= kills; i++) {
		take_turn();
		if (i % CHECK_EVERY == 0)
			assert_all_flows_survived();
	}
	assert_all_flows_survived();
	traffic_settle(traffic, 300);
	counts = traffic_count(traffic);
	for (unsigned i = 0; i < SEATS; i++)
		harness_stop_worker(&seats[i].worker);
	harness_stop_primary();
	print_kills((double)(now_ns() - began) / 1e9);
	assert_packets_add_up(&counts);
	assert_deaths_were_seen();
	traffic_stop(traffic);
}

START_TEST(killed_workers_are_replaced_and_no_flow_is_lost)
{
	kill_again_and_again(from_environment("MOS_KILLS", KILLS));
}
END_TEST

/* In place of the packet, in its order, whenever the worker dies. */
START_TEST(what_killed_workers_had_sent_arrives)
{
	resend = true;
	kill_again_and_again(from_environment("MOS_KILLS", KILLS) / 4);
	expect(harness_counter("w_sent") > 1000, "workers have not sent");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kill");
	TCase *tc = tcase_create("kill");
	unsigned kills = from_environment("MOS_KILLS", KILLS);

	tcase_set_timeout(tc, 240 + kills);
	tcase_add_checked_fixture(tc, harness_begin, harness_end);
	tcase_add_test(tc, killed_workers_are_replaced_and_no_flow_is_lost);
	tcase_add_test(tc, what_killed_workers_had_sent_arrives);
	suite_add_tcase(s, tc);
	return harness_main(s);
}
