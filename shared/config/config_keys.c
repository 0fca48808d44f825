#include <assert.h>
#include <errno.h>
#include <string.h>

#include "shared/config/config_keys.h"

#define YEAR_S  31536000
#define HOUR_MS 3600000
#define GIB     (1 << 30)

#define FIELD(type, field) .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)
#define APP_KEY(key, field) \
	.name = key, .block = MOS_BLOCK_APPLICATION, FIELD(struct mos_config_app, field)
#define MOS_KEY(key, field) .name = key, .block = MOS_BLOCK_MOS, FIELD(struct mos_config, field)
#define RANGE(low, high)    .min = low, .max = high
/* One more value outside of the range. */
#define OR(value, text)     .flags = KEY_SPECIAL, .special = value, .special_meaning = text

/* clang-format off */
const struct mos_config_key mos_config_keys[] = {
	{APP_KEY("type", type), .kind = KEY_OTHER, .set = mos_config_set_type,
	 .range = "end|monitor", .def_text = "none",
	 .meaning = "what its process uses: end-host or monitoring sockets"},
	{APP_KEY("run", args), .kind = KEY_OTHER, .set = mos_config_set_run,
	 .range = "1..20 words", .def_text = "required",
	 .meaning = "command line, for mtcp_getconf"},
	{APP_KEY("cpu_mask", cpu_mask), .kind = KEY_MASK, .def = "0xffffffffffffffff",
	 .meaning = "CPUs of its threads, for mtcp_getconf"},
	{APP_KEY("core_mask", cpu_mask), .kind = KEY_MASK, .def_text = "see cpu_mask",
	 .meaning = "another spelling of cpu_mask"},
	{APP_KEY("ip_forward", ip_forward), .kind = KEY_BOOL, .def = "1",
	 .meaning = "0 in any application turns `forward` off"},

	{MOS_KEY("forward", forward), .kind = KEY_BOOL, .def = "1",
	 .meaning = "1: forward packets after monitoring, 0: consume them"},
	{MOS_KEY("nb_mem_channels", nb_mem_channels), .kind = KEY_INT, RANGE(1, 32),
	 OR(0, "detected"), .def = "0", .meaning = "memory channels (no effect: EAL finds out)"},
	{MOS_KEY("max_concurrency", max_concurrency), .kind = KEY_INT, RANGE(2, 1 << 26),
	 .def = "100000", .unit = "flows", .meaning = "most flows of one worker at a time"},
	{MOS_KEY("rmem_size", rmem_size), .kind = KEY_INT, RANGE(1, GIB),
	 .def = "8192", .unit = "bytes", .meaning = "unread data that is kept per side of a flow"},
	{MOS_KEY("wmem_size", wmem_size), .kind = KEY_INT, RANGE(1, GIB),
	 .def = "8192", .unit = "bytes",
	 .meaning = "send buffer of an end-host socket (no effect yet)"},
	{MOS_KEY("tcp_tw_interval", tcp_tw_interval), .kind = KEY_INT, RANGE(0, YEAR_S),
	 .def = "0", .unit = "s", .meaning = "time a flow stays in TIME_WAIT"},
	{MOS_KEY("tcp_timeout", tcp_timeout), .kind = KEY_INT, RANGE(1, YEAR_S),
	 OR(-1, "never"), .def = "30", .unit = "s",
	 .meaning = "a flow without packets for so long is removed"},
	{MOS_KEY("no_ring_buffers", no_ring_buffers), .kind = KEY_BOOL, .def = "0",
	 .meaning = "1: streams can be read only where the program sets a buffer size"},
	{MOS_KEY("mos_log", mos_log), .kind = KEY_PATH, .def_text = "none",
	 .meaning = "directory for log files (no effect yet)"},
	{MOS_KEY("stat_print", stat_print), .kind = KEY_OTHER, .set = mos_config_set_stat_print,
	 .flags = KEY_NAMES_PORTS, .range = "port names", .def_text = "none",
	 .meaning = "ports whose statistics are printed (no effect yet)"},
	{.name = "port", .block = MOS_BLOCK_MOS, .kind = KEY_OTHER, .set = mos_config_set_ignored,
	 .range = "any", .def_text = "none", .meaning = "accepted for old files, without effect"},
	{.name = "multiprocess", .block = MOS_BLOCK_MOS, .kind = KEY_OTHER,
	 .set = mos_config_set_multiprocess, .range = "[core] [master|slave]", .def_text = "none",
	 .meaning = "accepted for old files, without effect"},

	{MOS_KEY("prefix", prefix), .kind = KEY_PREFIX, .def = "mos",
	 .meaning = "names the system: EAL --file-prefix and run directory"},
	{MOS_KEY("workers", workers), .kind = KEY_INT, RANGE(1, MOS_CONFIG_WORKER_MAX),
	 .def_text = "cores of netdev", .meaning = "shards: how many workers share the traffic"},
	{MOS_KEY("fail_policy", fail_policy), .kind = KEY_OTHER, .set = mos_config_set_fail_policy,
	 .range = "[hold 1..3600000] open|closed", .def = "hold 1000 open", .unit = "ms",
	 .meaning = "packets without a worker: wait, then forward unmonitored or drop"},
	{MOS_KEY("idle", idle), .kind = KEY_CHOICE, .range = "sleep|poll", .def = "sleep",
	 .meaning = "a worker or I/O core with nothing to do sleeps shortly or spins"},
	{MOS_KEY("clock", clock), .kind = KEY_CHOICE, .range = "wall|packet", .def = "wall",
	 .meaning = "time of the stack: the host's, or that of the capture"},
	{MOS_KEY("end_of_file", end_of_file), .kind = KEY_CHOICE, .range = "run|stop", .def = "run",
	 .meaning = "after the last packet of all capture files: stay, or end the system"},
	{MOS_KEY("flow_area", flow_area), .kind = KEY_INT, RANGE(0, 4096), .flags = KEY_ROUND8,
	 .def = "0", .unit = "bytes",
	 .meaning = "application's memory per flow, survives restarts (no call reaches it yet)"},
	{MOS_KEY("stream_memory", stream_memory), .kind = KEY_INT, RANGE(1, 65536),
	 .def = "32", .unit = "MB",
	 .meaning = "memory of one worker for data that is unread or out of order"},
	{MOS_KEY("stall_kill", stall_kill_ms), .kind = KEY_INT, RANGE(1, HOUR_MS),
	 OR(0, "never"), .def = "0", .unit = "ms",
	 .meaning = "a worker that makes no progress for so long is killed"},
	{MOS_KEY("ipv6", ipv6), .kind = KEY_BOOL, .def = "0",
	 .meaning = "1: IPv6 flows are monitored too"},
	{MOS_KEY("ring_size", ring_size), .kind = KEY_INT, RANGE(256, 65536), .flags = KEY_POW2,
	 .def = "4096", .unit = "packets", .meaning = "each ring between I/O core and worker"},
	{MOS_KEY("mbufs", mbufs), .kind = KEY_INT, RANGE(2048, 4194304), OR(0, "computed"),
	 .def = "0", .unit = "packets", .meaning = "packet buffers of the system"},
	{MOS_KEY("mbuf_size", mbuf_size), .kind = KEY_INT, RANGE(1024, 16384),
	 .def = "2048", .unit = "bytes",
	 .meaning = "data room of a packet buffer; MTU 9000 needs 16352"},
	{MOS_KEY("io_cpu", io_cpu), .kind = KEY_INT, RANGE(0, 1023), OR(-1, "any"),
	 .def = "-1", .meaning = "CPU of the I/O core"},
	{MOS_KEY("tcp_checksum", tcp_checksum), .kind = KEY_CHOICE, .range = "verify|trust",
	 .def = "verify", .meaning = "whether TCP checksums of received packets are checked"},
};
/* clang-format on */

const unsigned int mos_config_key_count = sizeof(mos_config_keys) / sizeof(mos_config_keys[0]);

static_assert(sizeof(mos_config_keys) / sizeof(mos_config_keys[0]) <= MOS_CONFIG_KEY_MAX,
              "struct mos_config_parser has a line for each key");

const struct mos_config_key *mos_config_key_find(enum mos_config_block_id block, const char *name)
{
	unsigned int i;

	for (i = 0; i < mos_config_key_count; i++)
		if (mos_config_keys[i].block == block && strcmp(mos_config_keys[i].name, name) == 0)
			return &mos_config_keys[i];
	return NULL;
}

void mos_config_key_near(enum mos_config_block_id block, struct mos_config_near *near)
{
	unsigned int i;

	for (i = 0; i < mos_config_key_count; i++)
		if (mos_config_keys[i].block == block)
			mos_config_near_try(near, mos_config_keys[i].name);
}

/* Two spellings of one key share the field. */
static bool is_same(const struct mos_config_key *a, const struct mos_config_key *b)
{
	return a == b || (a->block == b->block && a->size != 0 && a->size == b->size &&
	                  a->offset == b->offset);
}

int mos_config_key_read(struct mos_config_parser *p, const struct mos_config_key *key, void *base)
{
	const char *at = p->at;
	unsigned int i;

	for (i = 0; i < mos_config_key_count; i++)
		if (p->key_line[i] != 0 && is_same(key, &mos_config_keys[i]))
			return mos_config_fail(p, p->line, "`%s` is already set at line %u",
			                       mos_config_keys[i].name, p->key_line[i]);
	p->key_line[key - mos_config_keys] = p->line;

	if (mos_config_scan_words(p) != 0)
		return -EINVAL;
	if ((key->flags & KEY_NAMES_PORTS) != 0)
		return mos_config_later(p, at, key, key->block);
	return mos_config_key_set(p, key, base);
}

void mos_config_key_defaults(struct mos_config_parser *p, enum mos_config_block_id block,
                             void *base)
{
	const char *at = p->at, *end = p->end;
	unsigned int i;

	for (i = 0; i < mos_config_key_count; i++) {
		const struct mos_config_key *key = &mos_config_keys[i];
		int rc = 0;

		if (key->block != block)
			continue;
		p->key_line[i] = 0;
		if (key->def == NULL)
			continue;
		p->at = key->def;
		p->end = key->def + strlen(key->def);
		rc = mos_config_scan_words(p);
		assert(rc == 0);
		rc = mos_config_key_set(p, key, base);
		assert(rc == 0);
	}
	p->at = at;
	p->end = end;
}

unsigned int mos_config_key_line(const struct mos_config_parser *p, enum mos_config_block_id block,
                                 const char *name)
{
	return p->key_line[mos_config_key_find(block, name) - mos_config_keys];
}
