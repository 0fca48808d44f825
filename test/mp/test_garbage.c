/*
 * One shard's memory is overwritten with random bytes, as a worker gone wild would do it: through
 * /proc/PID/mem of the primary, so that no process of the system is bent for it. The primary and the
 * other worker go on; the shard's worker goes on, or ends; and the shard is served again.
 */
#include "test/mp/harness.h"
#include "test/mp/traffic.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_ring.h>

#include "shared/control/control_msg.h"
#include "shared/flow_table/flow_table_layout.h"
#include "shared/names.h"
#include "shared/root/shard.h"

enum {
	FLOWS = 64,
	PACE = 2000, /* packets per second */
	SOME = 50,   /* packets that prove that something goes on */
	BAD = 0,     /* the shard that is overwritten */
	GOOD = 1,
	STARTS = 6, /* workers that may end before one serves the shard for good */
	BLOCK = 1 << 21,
};

#define KEYS                                                    \
	"\tfail_policy = hold 1000 open\n\tstall_kill = 1500\n" \
	"\tstream_memory = 1\n\tflow_area = 64\n\tring_size = 1024\n"

static struct traffic *traffic;
static struct worker seat[2];
static uint64_t rng;

static uint64_t next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* ---- the primary's memory ---- */

static int mem_fd;
static uint64_t shard_va; /* of the bad shard */
static struct mos_shard shard;

static bool is_the_shard(const struct mos_shard *s, uint64_t va)
{
	return s->magic == MOS_SHARD_MAGIC && s->index == BAD && (uint64_t)(uintptr_t)s->rx > va &&
	       s->lease.pid == (int)proc_pid(seat[BAD].proc);
}

static bool search(uint64_t from, uint64_t to)
{
	static char block[BLOCK];

	for (uint64_t va = from; va + sizeof(shard) <= to; va += BLOCK) {
		ssize_t n = pread(mem_fd, block, BLOCK, (off_t)va);

		for (ssize_t at = 0; at + (ssize_t)sizeof(shard) <= n; at += MOS_CACHE_LINE) {
			memcpy(&shard, block + at, sizeof(shard));
			if (is_the_shard(&shard, va + (uint64_t)at)) {
				shard_va = va + (uint64_t)at;
				return true;
			}
		}
	}
	return false;
}

static void find_shard(void)
{
	char path[64], line[512], file[64];
	unsigned long from, to;
	bool found = false;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)proc_pid(harness.primary));
	mem_fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(mem_fd, 0);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)proc_pid(harness.primary));
	snprintf(file, sizeof(file), "%smap_", harness.prefix);
	maps = fopen(path, "re");
	ck_assert_ptr_nonnull(maps);
	while (!found && fgets(line, sizeof(line), maps))
		if (strstr(line, file) != NULL && sscanf(line, "%lx-%lx", &from, &to) == 2)
			found = search(from, to);
	fclose(maps);
	expect(found, "shard %d is nowhere in the primary's hugepages", BAD);
}

static void scribble(uint64_t va, uint64_t len)
{
	uint64_t words[512];

	while (len > 0) {
		size_t n = len < sizeof(words) ? len : sizeof(words);

		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			words[i] = next_random();
		expect(pwrite(mem_fd, words, n, (off_t)va) == (ssize_t)n, "cannot write at %lx",
		       (unsigned long)va);
		va += n;
		len -= n;
	}
}

/* ---- what is hit ---- */

static uint64_t va_of(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static void hit_head(void)
{
	scribble(shard_va, offsetof(struct mos_shard, lease));
}

static void hit_lease(void)
{
	scribble(shard_va + offsetof(struct mos_shard, lease), sizeof(struct mos_lease));
}

static void hit_ledger(void)
{
	scribble(shard_va + offsetof(struct mos_shard, ledger), sizeof(struct mos_ledger));
}

static void hit_ring(const struct rte_ring *r)
{
	scribble(va_of(r), sizeof(*r));
}

static void hit_rx(void)
{
	hit_ring(shard.rx);
}

static void hit_tx(void)
{
	hit_ring(shard.tx);
}

static void hit_blank(void)
{
	hit_ring(shard.blank);
}

static void hit_entries(void)
{
	scribble(va_of(shard.rx) + sizeof(struct rte_ring), 1024 * sizeof(void *));
	scribble(va_of(shard.tx) + sizeof(struct rte_ring), 1024 * sizeof(void *));
}

static void hit_table_head(void)
{
	scribble(va_of(shard.flow_table), sizeof(struct mos_flow_table_hdr));
}

static void hit_table(void)
{
	scribble(va_of(shard.flow_table) + sizeof(struct mos_flow_table_hdr),
	         shard.flow_table_bytes - sizeof(struct mos_flow_table_hdr));
}

static void hit_chunks(void)
{
	scribble(va_of(shard.chunk_pool), shard.chunk_pool_bytes);
}

static void hit_all(void)
{
	scribble(shard_va, va_of(shard.chunk_pool) + shard.chunk_pool_bytes - shard_va);
}

/* Here and there a word, as a stray pointer does. */
static void hit_words(void)
{
	uint64_t len = va_of(shard.chunk_pool) - shard_va;

	for (int i = 0; i < 2000; i++)
		scribble(shard_va + next_random() % (len / 8) * 8, 8);
}

static const struct {
	const char *name;
	void (*hit)(void);
	bool fatal; /* no worker can go on with it: the shard is made anew */
} parts[] = {
	{"head", hit_head, true},
	{"lease", hit_lease, true},
	{"ledger", hit_ledger, false},
	{"rx ring", hit_rx, true},
	{"tx ring", hit_tx, true},
	{"blank ring", hit_blank, true},
	{"entries of rings", hit_entries, false},
	{"head of the flow table", hit_table_head, true},
	{"flow table", hit_table, false},
	{"chunks", hit_chunks, true},
	{"words", hit_words, false},
	{"all", hit_all, true},
};
#define PARTS ((int)(sizeof(parts) / sizeof(parts[0])))

/* ---- the system ---- */

static void begin(void)
{
	const char *seed = getenv("MOS_TEST_SEED");

	rng = seed != NULL ? strtoull(seed, NULL, 0) : now_ns();
	rng |= 1;
	fprintf(stderr, "MOS_TEST_SEED=0x%" PRIx64 "\n", rng);
	harness_configure(KEYS);
	harness_start_primary();
	for (unsigned i = 0; i < 2; i++)
		seat[i] = harness_start_worker(i, NULL);
	traffic = traffic_start(END_A, END_B, FLOWS);
	ck_assert_ptr_nonnull(traffic);
	expect(traffic_establish(traffic, SOON_MS), "handshakes do not pass the box");
	traffic_pace(traffic, PACE);
	find_shard();
}

/* Packets that the holder of the shard has given back so far; false when it is not held by w. */
static bool progress(const struct worker *w, uint32_t *packets)
{
	struct mos_shard now;
	struct rte_ring rx;

	ck_assert_int_eq(pread(mem_fd, &now, sizeof(now), (off_t)shard_va), sizeof(now));
	ck_assert_int_eq(pread(mem_fd, &rx, sizeof(rx), (off_t)va_of(shard.rx)), sizeof(rx));
	*packets = rx.cons.tail;
	return now.lease.state == MOS_LEASE_HELD && now.lease.pid == (int)proc_pid(w->proc) &&
	       rx.size == 1024;
}

/* It takes packets, and goes on doing so. */
static bool serves(const struct worker *w)
{
	uint64_t deadline = now_ns() + (uint64_t)SOON_MS * 1000000;
	uint32_t first, packets;
	bool held = false;

	while (!proc_ended(w->proc) && now_ns() < deadline) {
		if (!held)
			held = progress(w, &first);
		else if (!progress(w, &packets))
			held = false;
		else if (packets - first >= SOME && packets - first < INT32_MAX)
			return true;
		usleep(1000);
	}
	return false;
}

/* The bad shard has a worker that takes packets, if need be a new one. */
static void assert_served(const char *what)
{
	for (int i = 0; i < STARTS && !serves(&seat[BAD]); i++) {
		expect(proc_ended(seat[BAD].proc), "its worker stands still after garbage in: %s",
		       what);
		proc_free(seat[BAD].proc);
		seat[BAD] = harness_launch_worker(BAD, NULL);
	}
	expect(!proc_ended(seat[BAD].proc), "shard %d is not served again after garbage in: %s",
	       BAD, what);
}

static void assert_others_live(const char *what)
{
	uint64_t n = traffic_count(traffic).received;

	expect(!proc_ended(harness.primary), "the primary died of garbage in: %s", what);
	expect(!proc_ended(seat[GOOD].proc), "the other worker died of garbage in: %s", what);
	expect(traffic_wait_received(traffic, n + SOME, SOON_MS),
	       "traffic stands still after garbage in: %s", what);
}

static void end(void)
{
	traffic_settle(traffic, 300);
	close(mem_fd);
	for (unsigned i = 0; i < 2; i++)
		harness_stop_worker(&seat[i]);
	harness_stop_primary(); /* all packets are found, nothing is left behind */
	traffic_stop(traffic);
}

static void wait_renewed(uint64_t n, const char *what)
{
	expect(harness_wait_counter("shards_renewed", n, SOON_MS),
	       "shard %d is not made anew after garbage in: %s", BAD, what);
}

START_TEST(garbage_under_a_living_worker_is_its_shards_alone)
{
	uint64_t renewed = 0;

	begin();
	for (int i = 0; i < PARTS; i++) {
		parts[i].hit();
		if (parts[i].fatal)
			wait_renewed(renewed + 1, parts[i].name);
		assert_others_live(parts[i].name);
		assert_served(parts[i].name);
		harness_report();
		renewed = harness_counter("shards_renewed");
	}
	end();
}
END_TEST

static bool is_put_away(void)
{
	struct mos_lease lease;

	ck_assert_int_eq(pread(mem_fd, &lease, sizeof(lease),
	                       (off_t)(shard_va + offsetof(struct mos_shard, lease))),
	                 sizeof(lease));
	return lease.state == MOS_LEASE_FREE && lease.pid == 0;
}

/*
 * And wait until the primary has put the shard in order: what is hit then is nobody's. The worker
 * may have died before, of earlier garbage.
 */
static void kill_bad_worker(void)
{
	uint64_t deadline = now_ns() + (uint64_t)SOON_MS * 1000000;

	harness_kill_worker(&seat[BAD]);
	while (!is_put_away() && now_ns() < deadline)
		usleep(1000);
	expect(is_put_away(), "the shard of a dead worker is not put in order");
}

START_TEST(garbage_in_an_orphaned_shard_is_not_given_to_a_worker)
{
	uint64_t renewed = 0;

	begin();
	for (int i = 0; i < PARTS; i++) {
		kill_bad_worker();
		parts[i].hit();
		seat[BAD] = harness_launch_worker(BAD, NULL);
		assert_served(parts[i].name);
		if (parts[i].fatal)
			wait_renewed(renewed + 1, parts[i].name);
		assert_others_live(parts[i].name);
		harness_report();
		renewed = harness_counter("shards_renewed");
	}
	end();
}
END_TEST

/* ---- a lease that is not what the supervisor knows ---- */

static void call_it_free(void)
{
	const uint32_t state = MOS_LEASE_FREE;

	expect(pwrite(mem_fd, &state, sizeof(state),
	              (off_t)(shard_va + offsetof(struct mos_shard, lease.state))) == sizeof(state),
	       "cannot write to the lease");
}

/* Send it, and receive the answer; in a process of its own. */
static void ask(int fd, struct mos_ctl_msg *m, enum mos_ctl_type answer)
{
	if (mos_ctl_send(fd, m) != 0 || mos_ctl_recv(fd, m, SOON_MS) != 0 || m->type != answer)
		_exit(EXIT_FAILURE);
}

/* A worker that asks for a shard as soon as the bad one seems to be free. */
static void __attribute__((noreturn)) ask_for_what_is_free(void)
{
	struct mos_ctl_msg m;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), MOS_CONTROL_SOCK_FMT, harness.prefix);
	fd = mos_ctl_connect(path);
	mos_ctl_init(&m, MOS_CTL_HELLO);
	ask(fd, &m, MOS_CTL_WELCOME);
	mos_ctl_init(&m, MOS_CTL_ATTACHED);
	if (mos_ctl_send(fd, &m) != 0)
		_exit(EXIT_FAILURE);
	mos_ctl_init(&m, MOS_CTL_LEASE);
	m.shard = BAD;
	call_it_free();
	ask(fd, &m, MOS_CTL_REFUSED);
	_exit(EXIT_SUCCESS);
}

START_TEST(shard_that_its_holder_calls_free_is_not_leased)
{
	pid_t pid;
	int status;

	begin();
	pid = fork();
	if (pid == 0)
		ask_for_what_is_free();
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	expect(status == 0, "the shard of a living worker was given to another");
	wait_renewed(1, "state of the lease");
	assert_others_live("state of the lease");
	assert_served("state of the lease");
	end();
}
END_TEST

START_TEST(shard_that_its_dead_holder_called_free_is_made_anew)
{
	begin();
	call_it_free();
	harness_kill_worker(&seat[BAD]);
	wait_renewed(1, "state of the lease");
	seat[BAD] = harness_launch_worker(BAD, NULL);
	assert_served("state of the lease");
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("garbage");
	TCase *tc = tcase_create("garbage");

	tcase_add_checked_fixture(tc, harness_begin, harness_end);
	tcase_set_timeout(tc, 0);
	tcase_add_test(tc, garbage_under_a_living_worker_is_its_shards_alone);
	tcase_add_test(tc, garbage_in_an_orphaned_shard_is_not_given_to_a_worker);
	tcase_add_test(tc, shard_that_its_holder_calls_free_is_not_leased);
	tcase_add_test(tc, shard_that_its_dead_holder_called_free_is_made_anew);
	suite_add_tcase(s, tc);
	return harness_main(s);
}
