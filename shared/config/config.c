#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/config/config_parse.h"

/* clang-format off */
const struct mos_config_block mos_config_blocks[MOS_BLOCK_COUNT] = {
	[MOS_BLOCK_FILE] = {.name = ""},
	[MOS_BLOCK_APPLICATION] = {
		.name = "application", .parent = MOS_BLOCK_FILE, .block_max = MOS_CONFIG_APP_MAX,
		.meaning = "what runs in the workers; up to 10 blocks"},
	[MOS_BLOCK_MOS] = {
		.name = "mos", .parent = MOS_BLOCK_FILE, .block_max = 1,
		.meaning = "the system; exactly one block"},
	[MOS_BLOCK_NETDEV] = {
		.name = "netdev", .parent = MOS_BLOCK_MOS, .block_max = 1,
		.entry_max = MOS_CONFIG_PORT_MAX, .entry = mos_config_netdev_entry,
		.usage = "<port> [cpu mask]",
		.meaning = "ports: interface, net_... vdev or PCI address; required"},
	[MOS_BLOCK_ARP] = {
		.name = "arp_table", .parent = MOS_BLOCK_MOS, .block_max = 1,
		.entry_max = MOS_CONFIG_ARP_MAX, .entry = mos_config_arp_entry,
		.usage = "<ip>[/<prefix>] <mac>",
		.meaning = "MAC address of the next hop (no effect yet)"},
	[MOS_BLOCK_ROUTE] = {
		.name = "route_table", .parent = MOS_BLOCK_MOS, .block_max = 1,
		.entry_max = MOS_CONFIG_ROUTE_MAX, .entry = mos_config_route_entry,
		.names_ports = true, .usage = "<ip>[/<prefix>] <port>",
		.meaning = "port towards an address (no effect yet)"},
	[MOS_BLOCK_FORWARD] = {
		.name = "nic_forward_table", .parent = MOS_BLOCK_MOS, .block_max = 1,
		.entry_max = MOS_CONFIG_PAIR_MAX, .entry = mos_config_forward_entry,
		.names_ports = true, .usage = "<port> <port>",
		.meaning = "ports that forward to each other, before any route"},
};
/* clang-format on */

static int read_body(struct mos_config_parser *p, enum mos_config_block_id id);

static enum mos_config_block_id find_block(const char *name)
{
	enum mos_config_block_id id;

	for (id = MOS_BLOCK_FILE + 1; id < MOS_BLOCK_COUNT; id++)
		if (strcmp(mos_config_blocks[id].name, name) == 0)
			return id;
	return MOS_BLOCK_FILE;
}

/* A word that is neither key nor block here: a slip of the pen, or one that belongs elsewhere. */
static int fail_unknown(struct mos_config_parser *p, enum mos_config_block_id id, unsigned int line,
                        const char *what, const char *name)
{
	static const enum mos_config_block_id key_blocks[] = {MOS_BLOCK_APPLICATION, MOS_BLOCK_MOS};
	struct mos_config_near near = {.word = name};
	enum mos_config_block_id other = find_block(name);
	size_t i;

	if (other != MOS_BLOCK_FILE && mos_config_blocks[other].parent == MOS_BLOCK_FILE)
		return mos_config_fail(
			p, line, "block `%s` stands outside of others; is a `}` missing above?",
			name);
	if (other != MOS_BLOCK_FILE)
		return mos_config_fail(p, line, "block `%s` belongs inside `%s`", name,
		                       mos_config_blocks[mos_config_blocks[other].parent].name);
	for (i = 0; i < sizeof(key_blocks) / sizeof(key_blocks[0]); i++)
		if (mos_config_key_find(key_blocks[i], name) != NULL)
			return mos_config_fail(p, line, "key `%s` belongs inside `%s`", name,
			                       mos_config_blocks[key_blocks[i]].name);

	mos_config_key_near(id, &near);
	for (other = MOS_BLOCK_FILE + 1; other < MOS_BLOCK_COUNT; other++)
		if (mos_config_blocks[other].parent == id)
			mos_config_near_try(&near, mos_config_blocks[other].name);
	if (near.best != NULL)
		return mos_config_fail(p, line, "unknown %s `%s`; did you mean `%s`?", what, name,
		                       near.best);
	return mos_config_fail(p, line, "unknown %s `%s`", what, name);
}

/* The struct that a block's keys fill. */
static void *block_base(struct mos_config_parser *p, enum mos_config_block_id id)
{
	if (id == MOS_BLOCK_APPLICATION)
		return &p->cfg->app[p->cfg->app_count - 1];
	return p->cfg;
}

static int read_block(struct mos_config_parser *p, enum mos_config_block_id id, unsigned int line)
{
	const struct mos_config_block *block = &mos_config_blocks[id];

	if (id == MOS_BLOCK_APPLICATION) {
		if (p->cfg->app_count == block->block_max)
			return mos_config_fail(p, line, "more than %u `%s` blocks",
			                       block->block_max, block->name);
		p->cfg->app_count++;
	} else if (p->block_line[id] != 0) {
		return mos_config_fail(p, line, "block `%s` was already given at line %u",
		                       block->name, p->block_line[id]);
	}
	p->block_line[id] = line;
	mos_config_key_defaults(p, id, block_base(p, id));

	if (read_body(p, id) != 0)
		return -EINVAL;
	if (id == MOS_BLOCK_APPLICATION &&
	    mos_config_key_line(p, MOS_BLOCK_APPLICATION, "run") == 0)
		return mos_config_fail(p, line, "`application` has no `run`");
	return 0;
}

/* `name = value` or `name { body }` */
static int read_statement(struct mos_config_parser *p, enum mos_config_block_id id)
{
	const struct mos_config_key *key;
	enum mos_config_block_id child;
	unsigned int line = p->line;
	const char *start;
	char name[64];
	size_t len;

	len = mos_config_scan_name(p, &start);
	if (len == 0 && (unsigned char)*start < 0x80)
		return mos_config_fail(p, line, "unexpected `%c`", *start);
	if (len == 0)
		return mos_config_fail(p, line, "unexpected byte 0x%02x", (unsigned char)*start);
	if (len >= sizeof(name))
		return mos_config_fail(p, line, "unknown word `%.40s...`", start);
	memcpy(name, start, len);
	name[len] = '\0';
	key = mos_config_key_find(id, name);
	child = find_block(name);

	mos_config_skip_space(p);
	if (mos_config_peek(p) == '=') {
		if (key == NULL && child != MOS_BLOCK_FILE)
			return mos_config_fail(p, line, "`%s` is a block: `{` instead of `=`",
			                       name);
		if (key == NULL)
			return fail_unknown(p, id, line, "key", name);
		p->at++;
		return mos_config_key_read(p, key, block_base(p, id));
	}
	mos_config_skip_blank(p);
	if (mos_config_peek(p) != '{')
		return mos_config_fail(p, line, "expected `=` or `{` after `%s`", name);
	if (key != NULL)
		return mos_config_fail(p, line, "`%s` is a key: `=` instead of `{`", name);
	if (child == MOS_BLOCK_FILE || mos_config_blocks[child].parent != id)
		return fail_unknown(p, id, line, "block", name);
	p->at++;
	return read_block(p, child, line);
}

/* Put a line that names ports aside until netdev is known. */
int mos_config_later(struct mos_config_parser *p, const char *at, const struct mos_config_key *key,
                     enum mos_config_block_id block)
{
	struct mos_config_later *later = &p->later[p->later_count];

	assert(p->later_count < MOS_CONFIG_LATER_MAX);
	later->at = at;
	later->line = p->line;
	later->key = key;
	later->block = block;
	p->later_count++;
	return 0;
}

static int read_entry(struct mos_config_parser *p, enum mos_config_block_id id)
{
	const struct mos_config_block *block = &mos_config_blocks[id];
	const char *at = p->at;

	if (p->entry_count[id] == block->entry_max)
		return mos_config_fail(p, p->line, "more than %u lines in `%s`", block->entry_max,
		                       block->name);
	p->entry_count[id]++;
	if (mos_config_scan_words(p) != 0)
		return -EINVAL;
	if (block->names_ports)
		return mos_config_later(p, at, NULL, id);
	return block->entry(p);
}

/* What stands between `{` and `}`, or the whole file. Nests as deep as the blocks do: two. */
static int read_body(struct mos_config_parser *p, enum mos_config_block_id id)
{
	const struct mos_config_block *block = &mos_config_blocks[id];
	int rc;

	for (;;) {
		mos_config_skip_blank(p);
		switch (mos_config_peek(p)) {
		case -1:
			if (id == MOS_BLOCK_FILE)
				return 0;
			return mos_config_fail(p, p->block_line[id], "block `%s` is never closed",
			                       block->name);
		case '}':
			if (id == MOS_BLOCK_FILE)
				return mos_config_fail(p, p->line, "`}` closes no block");
			p->at++;
			return 0;
		default:
			rc = block->entry != NULL ? read_entry(p, id) : read_statement(p, id);
			if (rc != 0)
				return rc;
		}
	}
}

static int read_later(struct mos_config_parser *p)
{
	unsigned int i;
	int rc;

	for (i = 0; i < p->later_count; i++) {
		const struct mos_config_later *later = &p->later[i];

		p->at = later->at;
		p->line = later->line;
		rc = mos_config_scan_words(p);
		assert(rc == 0);
		if (later->key != NULL)
			rc = mos_config_key_set(p, later->key, p->cfg);
		else
			rc = mos_config_blocks[later->block].entry(p);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int count_workers(struct mos_config_parser *p)
{
	struct mos_config *cfg = p->cfg;
	int cpu_count;
	uint32_t i;

	for (i = 0; i < cfg->port_count; i++)
		cfg->cpu_mask |= cfg->port[i].cpu_mask;
	cpu_count = __builtin_popcountll(cfg->cpu_mask);
	if (cfg->workers == 0 && cpu_count > MOS_CONFIG_WORKER_MAX)
		return mos_config_fail(p, p->block_line[MOS_BLOCK_NETDEV],
		                       "the masks name %d CPUs; `workers` can be %d", cpu_count,
		                       MOS_CONFIG_WORKER_MAX);
	if (cfg->workers == 0)
		cfg->workers = cpu_count > 0 ? cpu_count : 1;
	if (cfg->cpu_mask == 0)
		cfg->cpu_mask = (UINT64_C(1) << cfg->workers) - 1;
	return 0;
}

static void join_applications(struct mos_config *cfg)
{
	uint32_t i;

	for (i = 0; i < cfg->app_count; i++) {
		cfg->forward &= cfg->app[i].ip_forward;
		cfg->end_host |= cfg->app[i].type == MOS_CONFIG_APP_END;
		cfg->monitor |= cfg->app[i].type == MOS_CONFIG_APP_MONITOR;
	}
	if (!cfg->end_host)
		cfg->monitor = true;
}

static int read_all(struct mos_config_parser *p)
{
	if (mos_config_check_bytes(p) != 0 || read_body(p, MOS_BLOCK_FILE) != 0)
		return -EINVAL;
	if (p->block_line[MOS_BLOCK_MOS] == 0)
		return mos_config_fail(p, 1, "no `mos` block");
	if (p->block_line[MOS_BLOCK_NETDEV] == 0)
		return mos_config_fail(p, p->block_line[MOS_BLOCK_MOS],
		                       "`mos` has no `netdev` block");
	if (p->cfg->port_count == 0)
		return mos_config_fail(p, p->block_line[MOS_BLOCK_NETDEV],
		                       "`netdev` names no port");
	if (read_later(p) != 0 || count_workers(p) != 0)
		return -EINVAL;
	join_applications(p->cfg);
	return 0;
}

int mos_config_parse(struct mos_config *cfg, const char *name, const char *text, size_t len,
                     char *err, size_t err_len)
{
	struct mos_config_parser p = {
		.cfg = cfg,
		.name = name,
		.at = text,
		.end = text + len,
		.line = 1,
		.err = err,
		.err_len = err_len,
	};
	int rc;

	if (err_len > 0)
		err[0] = '\0';
	memset(cfg, 0, sizeof(*cfg));
	rc = read_all(&p);
	if (rc != 0)
		memset(cfg, 0, sizeof(*cfg));
	return rc;
}

/* Read it whole. Returns the bytes read, up to MOS_CONFIG_FILE_MAX + 1, or -errno. */
static ssize_t read_file(int fd, char *text)
{
	size_t len = 0;
	ssize_t n;

	while (len <= MOS_CONFIG_FILE_MAX) {
		n = read(fd, text + len, MOS_CONFIG_FILE_MAX + 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* cause NULL: what the error number says. */
static int fail_file(const char *path, const char *cause, int rc, char *err, size_t err_len)
{
	snprintf(err, err_len, "%s: %s", path, cause != NULL ? cause : strerror(-rc));
	if (err_len > 0)
		mos_config_clean(err);
	return rc;
}

int mos_config_load(struct mos_config *cfg, const char *path, char *err, size_t err_len)
{
	struct stat st;
	char *text;
	ssize_t len;
	int fd, rc;

	memset(cfg, 0, sizeof(*cfg));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us up */
	if (fd < 0 || fstat(fd, &st) != 0) {
		rc = fail_file(path, NULL, -errno, err, err_len);
		goto out_close;
	}
	if (!S_ISREG(st.st_mode)) {
		rc = fail_file(path, "not a regular file", -EINVAL, err, err_len);
		goto out_close;
	}
	text = malloc(MOS_CONFIG_FILE_MAX + 1);
	if (text == NULL) {
		rc = fail_file(path, NULL, -ENOMEM, err, err_len);
		goto out_close;
	}
	len = read_file(fd, text);
	if (len < 0)
		rc = fail_file(path, NULL, (int)len, err, err_len);
	else if (len > MOS_CONFIG_FILE_MAX)
		rc = fail_file(path, "larger than 1 MiB", -EFBIG, err, err_len);
	else
		rc = mos_config_parse(cfg, path, text, (size_t)len, err, err_len);
	free(text);
out_close:
	if (fd >= 0)
		close(fd);
	return rc;
}
