/*
 * A worker dies at each of its kill points, one after the other, under traffic:
 *
 *   steady flows   paced, each packet known by name (traffic.h); whatever dies, they must go on
 *   turns          short connections that lead the worker to its points (kill_wire.h)
 *
 *   for each name in the worker's list: the order to die there is given; the worker dies by itself;
 *   a clean one takes its place; no flow is lost, no packet came twice or overtook another, memory
 *   is whole
 *
 * Points of a worker's start are met by one that comes after another that died in the middle of a
 * change; those of its end by one that is asked to end. Some of both are met a second time while one
 * worker replaces another. Needs a build with -Dkill_points=true.
 * MOS_POINTS=NAME[,NAME...] takes only these.
 */
#include "test/mp/harness.h"
#include "test/mp/kill_ports.h"
#include "test/mp/kill_wire.h"
#include "test/mp/traffic.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/kill_point/kill_point.h"
#include "shared/names.h"

enum {
	STEADY_FLOWS = 32,
	PACE = 800, /* packets per second */
	POINTS_MAX = 400,
	FEWEST = 100, /* points: a list that is shorter is not the list */
	NAME_LEN = 60,
	ONE_RING = 4096,
	NEARLY_A_RING = 3900,
	BURSTS = 64,       /* packets */
	FORWARD_US = 1000, /* from a wire to the worker's ring, on an idle machine */
};

static char names[POINTS_MAX][NAME_LEN];
static unsigned name_count;
static struct mos_kill_order *order;
static char order_path[96];
static struct traffic *traffic;
static struct worker worker;
static struct proc *auditor;
static unsigned deaths, copies; /* copies: deaths between a copy that was sent and its original */
static uint64_t passed_by;      /* packets, by a ring that was full */

/* ---- the list ---- */

static bool known(const char *name)
{
	for (unsigned i = 0; i < name_count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static bool wanted(const char *name)
{
	const char *list = getenv("MOS_POINTS"), *at = list != NULL ? strstr(list, name) : NULL;
	size_t len = strlen(name);

	if (list == NULL)
		return true;
	for (; at != NULL; at = strstr(at + 1, name))
		if ((at == list || at[-1] == ',') && (at[len] == '\0' || at[len] == ','))
			return true;
	return false;
}

static void learn_names(void)
{
	static char text[POINTS_MAX * NAME_LEN];
	char path[300];
	const char *const argv[] = {"env", MOS_KILL_ENV "=?", path, NULL};
	unsigned all = 0;

	snprintf(path, sizeof(path), "%s/test/mp/kill_app", harness.build);
	ck_assert_int_eq(proc_run(argv, text, sizeof(text), SOON_MS), 0);
	for (char *name = strtok(text, "\n"); name != NULL; name = strtok(NULL, "\n")) {
		ck_assert_msg(name_count < POINTS_MAX && strlen(name) < NAME_LEN, "%s", name);
		all++;
		if (wanted(name) && !known(name))
			strcpy(names[name_count++], name);
	}
	ck_assert_msg(all >= FEWEST, "only %u kill points: no build with -Dkill_points=true", all);
	ck_assert_msg(name_count > 0, "no such kill point");
}

static bool begins(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

/* ---- orders ---- */

static void make_orders(void)
{
	int fd;

	snprintf(order_path, sizeof(order_path), "%s/order", harness.dir);
	fd = open(order_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert(fd >= 0 && ftruncate(fd, sizeof(*order)) == 0);
	order = mmap(NULL, sizeof(*order), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(order, MAP_FAILED);
	close(fd);
}

static void give_order(const char *name)
{
	ck_assert_uint_eq(order->left, 0);
	strcpy(order->name, name);
	__atomic_store_n(&order->left, 1, __ATOMIC_RELEASE);
}

static bool obeyed(void)
{
	return __atomic_load_n(&order->left, __ATOMIC_ACQUIRE) == 0;
}

/* ---- workers ---- */

/* from: the process whose shard it takes over, 0 = none. */
static struct worker launch(pid_t from)
{
	char path[300], orders[128], take_over[64];
	const char *const argv[] = {"env", orders, take_over, path, "-f", harness.conf, NULL};

	snprintf(path, sizeof(path), "%s/test/mp/kill_app", harness.build);
	snprintf(orders, sizeof(orders), MOS_KILL_ENV "=@%s", order_path);
	snprintf(take_over, sizeof(take_over), from != 0 ? MOS_ENV_TAKE_OVER "=%d" : "FROM=%d",
	         (int)from);
	return harness_launch_program(0, argv);
}

static void await_service(void)
{
	expect(harness_wait_served(&worker, READY_MS) && harness_wait_up(&worker, READY_MS),
	       "no worker comes up");
}

static void start(void)
{
	worker = launch(0);
	await_service();
}

/* It has killed itself. */
static void bury(const char *name)
{
	int status = proc_wait_end(worker.proc, SOON_MS);

	expect(obeyed(), "%s: not reached", name);
	expect(status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
	       "%s: the worker ended with wait status 0x%x", name, (unsigned)status);
	deaths++;
	harness_forget_worker(&worker);
}

/* Turns until it is dead. */
static void lead_to(const char *name)
{
	uint64_t deadline = now_ns() + (uint64_t)SOON_MS * 1000000;

	for (unsigned turn = 0; !obeyed() && now_ns() < deadline; turn++)
		for (unsigned part = 0; wire_take_turn(turn, part) && !obeyed(); part++)
			;
}

/* It begins with bursts of steady packets: what is done twice, or not at all, is seen by them. */
static void die_at_work(const char *name)
{
	uint64_t sent;

	proc_freeze(worker.proc);
	sent = traffic_count(traffic).sent + BURSTS;
	traffic_send(traffic, BURSTS);
	expect(traffic_wait_sent(traffic, sent, SOON_MS), "traffic does not go on");
	give_order(name);
	usleep(FORWARD_US);
	proc_signal(worker.proc, SIGCONT);
	lead_to(name);
	bury(name);
}

/* The one before has died while it changed the index and a record. */
static void die_at_start(const char *name)
{
	die_at_work("insert.key");
	give_order(name);
	worker = launch(0);
	bury(name);
}

/* The successor comes while the old one serves, which may die before it has put all down. */
static void die_while_replaced(const char *name)
{
	struct worker successor;

	give_order(name);
	successor = launch(proc_pid(worker.proc));
	bury(name);
	worker = successor;
}

/* The successor dies before the old one is asked to go. */
static void die_as_successor(const char *name)
{
	struct worker old = worker;

	give_order(name);
	worker = launch(proc_pid(old.proc));
	bury(name);
	worker = old;
}

/* The successor dies when it has the shard, and the old one has gone. */
static void die_taking_over(const char *name)
{
	die_as_successor(name);
	expect(proc_wait_end(worker.proc, SOON_MS) == 0, "%s: the old one does not end", name);
	harness_forget_worker(&worker);
}

static void die_at_end(const char *name)
{
	give_order(name);
	proc_signal(worker.proc, SIGINT);
	bury(name);
}

/* The primary takes nothing, and what the worker sends fills the tx ring. */
static void die_without_room(const char *name)
{
	uint64_t sent;

	traffic_settle(traffic, 20);
	proc_freeze(worker.proc);
	sent = traffic_count(traffic).sent + NEARLY_A_RING;
	traffic_send(traffic, NEARLY_A_RING);
	expect(traffic_wait_sent(traffic, sent, SOON_MS), "traffic does not go on");
	harness_report(); /* has been through another round by now */
	proc_freeze(harness.primary);
	give_order(name);
	proc_signal(worker.proc, SIGCONT);
	while (!obeyed() && !proc_ended(worker.proc))
		usleep(200);
	proc_signal(harness.primary, SIGCONT);
	bury(name);
	traffic_pace(traffic, PACE);
}

static void die(const char *name)
{
	if (begins(name, "attach.") || begins(name, "adopt.") || begins(name, "restore.") ||
	    strcmp(name, "lease.leased") == 0)
		die_at_start(name);
	else if (begins(name, "lease."))
		die_at_end(name);
	else if (begins(name, "takeover."))
		die_taking_over(name);
	else if (strcmp(name, "ring.no_room") == 0)
		die_without_room(name);
	else
		die_at_work(name);
	copies += strcmp(name, "outbox.counted") == 0;
}

/* ---- what must be in order afterwards ---- */

/* Flows on which three workers died pass unmonitored. */
static unsigned struck_out(void)
{
	static bool out[STEADY_FLOWS];
	char line[LINE_LEN];
	static size_t mark;
	unsigned n = 0;

	while (proc_wait_line(harness.primary, &mark, "worker pid", line, 0)) {
		const char *at = strstr(line, "10.9.0.1:");
		unsigned port = at != NULL ? (unsigned)atoi(at + strlen("10.9.0.1:")) : 0;

		if (strstr(line, "strikes 3") != NULL && port - STEADY < STEADY_FLOWS)
			out[port - STEADY] = true;
	}
	for (unsigned i = 0; i < STEADY_FLOWS; i++)
		n += out[i];
	return n;
}

static void check_flows(const char *name)
{
	uint64_t deadline = now_ns() + (uint64_t)SOON_MS * 1000000;
	unsigned flows = STEADY_FLOWS - struck_out(), live = 0, established = 0;
	unsigned long long missed = 0, known = 0;
	char line[LINE_LEN] = "";

	do {
		size_t mark = proc_mark(worker.proc);

		proc_signal(worker.proc, SIGUSR1);
		expect(proc_wait_line(worker.proc, &mark, "app: steady", line, SOON_MS),
		       "%s: the successor does not answer", name);
		sscanf(line, "app: steady %u established %u missed %llu of %llu", &live,
		       &established, &missed, &known);
	} while (live < flows && now_ns() < deadline);
	expect(proc_count_lines(worker.proc, 0, "app: again") == 0,
	       "%s: packets were worked on twice", name);
	expect(live == flows && established == flows, "%s: of %u flows are left: %s", name, flows,
	       line);
	expect(known > 0 && missed <= deaths + passed_by, "%s: packets were not worked on: %s",
	       name, line);
}

/* The audit looks on while the worker works: it counts when it finds all in order once. */
static void check_memory(const char *name)
{
	uint64_t deadline = now_ns() + (uint64_t)SOON_MS * 1000000;
	unsigned stray, astray, torn;
	char line[LINE_LEN] = "";

	do {
		size_t mark = proc_mark(auditor);

		proc_signal(auditor, SIGUSR1);
		expect(proc_wait_line(auditor, &mark, "audit: flows", line, SOON_MS),
		       "%s: no audit", name);
		stray = astray = torn = 1;
		sscanf(line,
		       "audit: flows %*u chunks used %*u of %*u stray %u index astray %u torn %u",
		       &stray, &astray, &torn);
	} while (stray + astray + torn > 0 && now_ns() < deadline);
	expect(stray + astray + torn == 0, "%s: memory is not whole: %s", name, line);
}

/* On a machine that gives the successor no time, a ring may run full: then packets pass it by. */
static void check_packets(const char *name)
{
	struct traffic_counts c = traffic_count(traffic);
	uint64_t deadline = now_ns() + (uint64_t)SOON_MS * 1000000;
	unsigned found = 0, all = 1;
	char line[LINE_LEN] = "";

	do {
		harness_report();
		proc_last_line(harness.primary, "mbuf audit:", line);
		sscanf(line, "mos-primary: mbuf audit: %u of %u found", &found, &all);
	} while (found != all && now_ns() < deadline);
	expect(found == all, "%s: packet buffers are lost: %s", name, line);
	expect(harness_counter("garbage") == 0, "%s: garbage in the tx ring", name);
	expect(c.duplicates <= copies, "%s: %" PRIu64 " packets came twice", name, c.duplicates);
	passed_by = harness_counter("unmonitored_ring");
	expect(c.overtaken == 0 || passed_by > 0,
	       "%s: %" PRIu64 " packets overtook others although no ring was full", name,
	       c.overtaken);
}

static void check_all(const char *name)
{
	uint64_t before;

	before = traffic_count(traffic).received;
	expect(traffic_wait_received(traffic, before + STEADY_FLOWS, SOON_MS),
	       "%s: packets do not pass any more", name);
	check_packets(name);
	check_flows(name);
	check_memory(name);
	wire_keep_lasting();
}

static void die_and_go_on(const char *name)
{
	die(name);
	start();
	check_all(name);
}

/* Once more, while one worker replaces another. */
static void replace_and_go_on(const char *name)
{
	if (begins(name, "attach.")) {
		die_as_successor(name);
	} else if (strcmp(name, "adopt.begin") == 0 || strcmp(name, "restore.step") == 0) {
		die_taking_over(name);
		start();
	} else if (begins(name, "lease.") && strcmp(name, "lease.leased") != 0) {
		die_while_replaced(name);
		await_service();
	} else {
		return;
	}
	printf("%-28s in an upgrade\n", name);
	check_all(name);
}

/* ---- the test ---- */

static void configure(void)
{
	char text[1024];

	snprintf(text, sizeof(text),
	         "mos {\n\tprefix = %s\n\tworkers = 1\n\tmax_concurrency = 256\n"
	         "\tflow_area = 32\n\tstream_memory = 1\n\tring_size = %d\n"
	         "\ttcp_timeout = 3600\n\ttcp_tw_interval = 1\n"
	         "\tfail_policy = hold 120000 open\n"
	         "\tnetdev {\n\t\tbox_a\n\t\tbox_b\n\t}\n"
	         "\tnic_forward_table {\n\t\tbox_a box_b\n\t}\n}\n",
	         harness.prefix, ONE_RING);
	harness_write_conf(text);
}

static void start_auditor(void)
{
	char path[300];
	const char *const argv[] = {path, harness.conf, NULL};
	size_t mark = 0;

	snprintf(path, sizeof(path), "%s/test/mp/kill_audit", harness.build);
	auditor = proc_start(argv, NULL);
	expect(proc_wait_line(auditor, &mark, "audit: ready", NULL, READY_MS), "no audit");
}

static void begin(void)
{
	configure();
	make_orders();
	harness_start_primary();
	start_auditor();
	start();
	traffic = traffic_start(END_A, END_B, STEADY_FLOWS);
	ck_assert_ptr_nonnull(traffic);
	expect(traffic_establish(traffic, SOON_MS), "handshakes do not pass the box");
	traffic_pace(traffic, PACE);
	ck_assert(wire_open(END_A, END_B));
	wire_begin_lasting();
	expect(traffic_wait_received(traffic, 4 * STEADY_FLOWS, SOON_MS), "no traffic");
}

static void end(void)
{
	struct traffic_counts c;

	traffic_settle(traffic, 200);
	c = traffic_count(traffic);
	harness_stop_worker(&worker);
	proc_signal(auditor, SIGINT);
	expect(proc_wait_end(auditor, SOON_MS) == 0, "the audit does not end");
	proc_free(auditor);
	harness_stop_primary();
	printf("steady packets: sent %" PRIu64 ", came out %" PRIu64 ", twice %" PRIu64 "\n",
	       c.sent, c.received, c.duplicates);
	printf("rescued %" PRIu64 ", suspects forwarded %" PRIu64 ", dropped %" PRIu64
	       ", recovered %" PRIu64 "\n",
	       harness_counter("rescued"), harness_counter("suspect_forwarded"),
	       harness_counter("suspect_dropped"), harness_counter("mbufs_recovered"));
	traffic_stop(traffic);
	wire_close();
}

START_TEST(a_worker_may_die_at_any_point)
{
	uint64_t began;

	learn_names();
	begin();
	for (unsigned i = 0; i < name_count; i++) {
		began = now_ns();
		die_and_go_on(names[i]);
		printf("%-28s %4" PRIu64 " ms\n", names[i], (now_ns() - began) / 1000000);
		replace_and_go_on(names[i]);
	}
	printf("kill points: %u, deaths: %u\n", name_count, deaths);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kill_points");
	TCase *tc = tcase_create("kill_points");

	tcase_set_timeout(tc, 600);
	tcase_add_checked_fixture(tc, harness_begin, harness_end);
	tcase_add_test(tc, a_worker_may_die_at_any_point);
	suite_add_tcase(s, tc);
	return harness_main(s);
}
