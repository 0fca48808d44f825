#include "test/bench/kill/primary_log.h"

#include <inttypes.h>
#include <string.h>

#include "test/bench/kill/conns.h"
#include "test/mp/harness.h"

enum { COUNTERS_MAX = 128 };

struct deaths deaths;

static size_t mark;
static bool in_counters;
static unsigned counter_count;
static struct {
	char name[40];
	uint64_t value;
} counters[COUNTERS_MAX];
static uint64_t audit_missed;

/* ---- counters ---- */

static bool take_counter(const char *line)
{
	char name[40];
	uint64_t value;

	if (!in_counters || sscanf(line, "  %39[a-z0-9_] %" SCNu64, name, &value) != 2 ||
	    counter_count == COUNTERS_MAX)
		return false;
	memcpy(counters[counter_count].name, name, sizeof(name));
	counters[counter_count++].value = value;
	return true;
}

static void take_other(const char *line)
{
	unsigned long long found, all;
	const char *at;

	if (strcmp(line, "mos-primary: counters:") == 0) {
		in_counters = true;
		counter_count = 0;
		return;
	}
	at = strstr(line, "mbuf audit: ");
	if (at != NULL && sscanf(at, "mbuf audit: %llu of %llu", &found, &all) == 2)
		audit_missed = all - found;
}

uint64_t primary_counter(const char *name)
{
	for (unsigned i = 0; i < counter_count; i++)
		if (strcmp(counters[i].name, name) == 0)
			return counters[i].value;
	return 0;
}

uint64_t primary_audit_missed(void)
{
	return audit_missed;
}

void primary_print_counters(FILE *out, const char *format)
{
	for (unsigned i = 0; i < counter_count; i++)
		fprintf(out, format, counters[i].name, counters[i].value);
}

/* ---- deaths ---- */

static void count_stage(const char *name)
{
	unsigned i = 0;

	while (i < STAGES_MAX - 1 && deaths.stage_name[i][0] != '\0' &&
	       strcmp(deaths.stage_name[i], name) != 0)
		i++;
	snprintf(deaths.stage_name[i], sizeof(deaths.stage_name[i]), "%s", name);
	deaths.stage[i]++;
}

/* "flow 17 (10.9.1.1:10003 > 10.9.2.0:9000), strikes 2" */
static void strike(const char *line, bool suspect)
{
	unsigned client[5], server[5], strikes = 0;
	const char *at = strstr(line, ", flow ");
	uint32_t number = CONNS_MAX;

	if (at != NULL &&
	    sscanf(at, ", flow %*u (%u.%u.%u.%u:%u > %u.%u.%u.%u:%u), strikes %u", &client[0],
	           &client[1], &client[2], &client[3], &client[4], &server[0], &server[1],
	           &server[2], &server[3], &server[4], &strikes) == 11)
		number = conn_number(client[4], server[2] << 8 | server[3]);
	if (number == CONNS_MAX) {
		deaths.unnamed += suspect;
		return;
	}
	if (conns[number].strikes < UINT8_MAX)
		conns[number].strikes++;
	if (strikes >= 3) {
		deaths.given_up++;
		atomic_store(&conns[number].given_up, true);
	}
}

static void take_death(const char *line)
{
	unsigned in_hand = 0, rescued = 0, waiting = 0, recovered = 0;
	char suspect[4] = "", stage[16] = "";
	const char *at = strstr(line, "died: "), *found = strstr(line, "recovered ");

	deaths.count++;
	sscanf(at, "died: in hand %u, rescued %u, waiting %u, suspect %3[a-z], stage %15[A-Za-z]",
	       &in_hand, &rescued, &waiting, suspect, stage);
	if (found != NULL)
		sscanf(found, "recovered %u", &recovered);
	deaths.in_hand += in_hand > 0;
	deaths.rescued += rescued;
	deaths.waiting += waiting;
	deaths.recovered += recovered;
	deaths.suspects += strcmp(suspect, "yes") == 0;
	deaths.ledger_bad += strstr(line, "ledger damaged") != NULL;
	count_stage(in_hand == 0 && strcmp(stage, "idle") == 0 ? "nothing" : stage);
	strike(line, strcmp(suspect, "yes") == 0);
}

static struct primary_said read_shard(const char *line)
{
	struct primary_said s = {.what = SAID_OTHER};
	const char *at = strstr(line, "shard ");
	int end = 0;

	if (at == NULL)
		return s;
	if (sscanf(at, "shard %u: served by pid %d", &s.shard, &s.pid) == 2)
		s.what = SAID_SERVED;
	else if (sscanf(at, "shard %u: without a worker for %lf", &s.shard, &s.ms) == 2)
		s.what = SAID_UNSERVED_FOR;
	else if (sscanf(at, "shard %u: handed over by pid %d", &s.shard, &s.pid) == 2)
		s.what = SAID_HANDED_OVER;
	else if (sscanf(at, "shard %u: pid %d %n", &s.shard, &s.pid, &end) == 2 && end > 0 &&
	         strcmp(at + end, "gave it back") == 0)
		s.what = SAID_GAVE_BACK;
	else if (sscanf(at, "shard %u: worker pid %d died", &s.shard, &s.pid) == 2)
		s.what = SAID_DIED;
	return s;
}

struct primary_said primary_log_next(int timeout_ms)
{
	struct primary_said s = {.what = SAID_NOTHING};
	char line[LINE_LEN];

	if (!proc_wait_line(harness.primary, &mark, "", line, timeout_ms))
		return s;
	if (line[0] == '\0' && proc_ended(harness.primary))
		return s;
	s.what = SAID_OTHER;
	if (take_counter(line))
		return s;
	take_other(line);
	s = read_shard(line);
	if (s.what == SAID_DIED)
		take_death(line);
	return s;
}
