/*
 * Random configurations, there and back: fill a struct, write it as a text in random order,
 * spelling and layout, and expect the parser to give the same struct byte by byte.
 */

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "shared/config/test_config.h"

#define ROUNDS    2000
#define ITEMS_MAX 64

static uint64_t seed;
static struct mos_config want, got;
static char text[1 << 18];
static size_t text_len;

static uint64_t rnd(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % below;
}

static const char *pick(const char *a, const char *b)
{
	return rnd(2) ? a : b;
}

__attribute__((format(printf, 1, 2))) static void put(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	text_len += (size_t)vsnprintf(text + text_len, sizeof(text) - text_len, fmt, args);
	va_end(args);
	if (text_len >= sizeof(text)) /* cheaper than an assertion, which writes a mark */
		ck_abort_msg("the text is too long for its buffer");
}

static void put_number(int64_t value)
{
	const char *sign = value < 0 ? "-" : "";
	uint64_t magnitude = (uint64_t)(value < 0 ? -value : value);

	switch (rnd(4)) {
	case 0: put("%s0x%" PRIx64, sign, magnitude); break;
	case 1: put("%s0X%" PRIX64, sign, magnitude); break;
	case 2: put("%s0%" PRIo64, sign, magnitude); break;
	default: put("%s%" PRIu64, sign, magnitude); break;
	}
}

static void put_mask(uint64_t mask)
{
	put(pick("0x%" PRIx64, "0%" PRIo64), mask);
}

/* In one of the three ways that keep it one word. */
static void put_word(const char *word)
{
	size_t half = rnd(strlen(word) + 1);

	if (rnd(2) && word[0] != '\0' && strpbrk(word, " #{}'") == NULL)
		put("%s", word);
	else if (rnd(2))
		put("\"%.*s\"\"%s\"", (int)half, word, word + half);
	else
		put("\"%s\"", word);
}

static void end_line(void)
{
	static const char *const ends[] = {"\n", " # {comment}\n", "\r\n", "\t\n\n  \n",
	                                   "#\n \t # one more } { ' \"\n"};

	put("%s%s", ends[rnd(5)], pick("", "\t"));
}

static void open_block(const char *name)
{
	static const char *const opens[] = {"{", " {", "\n{", " # {\n\n\t{"};

	put("%s%s", name, opens[rnd(4)]);
	if (rnd(2))
		end_line();
}

static void put_key(const char *key)
{
	put("%s%s", key, pick("=", " \t= "));
}

static void number_key(const char *key, int32_t *field, int32_t value)
{
	*field = value;
	put_key(key);
	put_number(value);
	end_line();
}

static void flag_key(const char *key, bool *field)
{
	*field = rnd(2);
	put_key(key);
	put_number(*field);
	end_line();
}

static unsigned int choice_key(const char *key, const char *zero, const char *one)
{
	unsigned int value = (unsigned int)rnd(2);

	put_key(key);
	put_word(value ? one : zero);
	end_line();
	return value;
}

static const char *port_ref(uint32_t i)
{
	const struct mos_config_port *port = &want.port[i];

	return port->kind != MOS_CONFIG_PORT_IFACE && rnd(2) ? port->devargs : port->name;
}

static void fill_port(uint32_t i)
{
	struct mos_config_port *port = &want.port[i];

	port->kind = (enum mos_config_port_kind)rnd(3);
	port->peer = -1;
	port->cpu_mask = rnd(3) ? 1 + rnd(255) : 0;
	switch (port->kind) {
	case MOS_CONFIG_PORT_IFACE:
		snprintf(port->name, sizeof(port->name), "eth%u.%u", i, (unsigned int)rnd(4096));
		return;
	case MOS_CONFIG_PORT_VDEV: snprintf(port->name, sizeof(port->name), "net_x%u", i); break;
	case MOS_CONFIG_PORT_PCI:
		snprintf(port->name, sizeof(port->name), "%04x:%02x:%02x.%x", (unsigned int)rnd(2),
		         i, (unsigned int)rnd(32), (unsigned int)rnd(8));
		break;
	}
	strcpy(port->devargs, port->name);
	strcat(port->devargs, pick("", pick(",a=b,c=/d", ",path={with #}")));
}

/* Ports first: the rest refers to them. */
static void fill_ports(void)
{
	uint32_t i;

	want.port_count = 1 + (uint32_t)rnd(MOS_CONFIG_PORT_MAX);
	for (i = 0; i < want.port_count; i++) {
		fill_port(i);
		want.cpu_mask |= want.port[i].cpu_mask;
	}
	for (i = 0; i + 1 < want.port_count; i += 2)
		if (rnd(2)) {
			want.port[i].peer = (int32_t)i + 1;
			want.port[i + 1].peer = (int32_t)i;
		}
}

static void put_ports(void)
{
	uint32_t i;

	open_block("netdev");
	for (i = 0; i < want.port_count; i++) {
		const struct mos_config_port *port = &want.port[i];
		bool is_short = port->kind == MOS_CONFIG_PORT_PCI && rnd(2) &&
		                strncmp(port->name, "0000:", 5) == 0;

		put_word((port->kind == MOS_CONFIG_PORT_IFACE ? port->name : port->devargs) +
		         (is_short ? 5 : 0));
		put(" ");
		if (port->cpu_mask != 0)
			put_mask(port->cpu_mask);
		end_line();
	}
	put("}");
	end_line();
}

static void put_pairs(void)
{
	uint32_t i, a;

	open_block("nic_forward_table");
	for (i = 0; i < want.port_count; i++)
		if (want.port[i].peer > (int32_t)i) {
			a = rnd(2) ? i : (uint32_t)want.port[i].peer;
			put_word(port_ref(a));
			put("\t");
			put_word(port_ref((uint32_t)want.port[a].peer));
			end_line();
		}
	put("}");
	end_line();
}

/* The address of entry i: unlike those of all others at any prefix from 9 to 32 bits. */
static uint32_t put_addr(uint32_t i, uint8_t *prefix)
{
	uint32_t host, addr = i << 24 | (uint32_t)rnd(1 << 24);
	char dotted[INET_ADDRSTRLEN];

	*prefix = (uint8_t)(9 + rnd(24));
	host = *prefix == 32 ? 0 : UINT32_MAX >> *prefix;
	addr = htonl(addr);
	ck_assert_ptr_nonnull(inet_ntop(AF_INET, &addr, dotted, sizeof(dotted)));
	if (*prefix == 32 && rnd(2))
		put("%s ", dotted);
	else
		put("%s/%u ", dotted, *prefix);
	return addr & ~htonl(host);
}

static void arp_table(void)
{
	uint32_t i;
	int j;

	want.arp_count = (uint32_t)rnd(MOS_CONFIG_ARP_MAX + 1);
	open_block("arp_table");
	for (i = 0; i < want.arp_count; i++) {
		want.arp[i].addr_be = put_addr(i, &want.arp[i].prefix);
		for (j = 0; j < 6; j++) {
			want.arp[i].mac[j] = (uint8_t)rnd(256);
			put("%02x%s", want.arp[i].mac[j], j < 5 ? ":" : "");
		}
		end_line();
	}
	put("}");
	end_line();
}

static void route_table(void)
{
	uint32_t i;

	want.route_count = (uint32_t)rnd(MOS_CONFIG_ROUTE_MAX + 1);
	open_block("route_table");
	for (i = 0; i < want.route_count; i++) {
		want.route[i].addr_be = put_addr(i, &want.route[i].prefix);
		want.route[i].port = (uint8_t)rnd(want.port_count);
		put_word(port_ref(want.route[i].port));
		end_line();
	}
	put("}");
	end_line();
}

static void stat_print(void)
{
	uint32_t i;

	put_key("stat_print");
	for (i = 0; i < want.port_count; i++)
		if (rnd(2)) {
			want.stat_print |= 1u << i;
			put_word(port_ref(i));
			put(" ");
		}
	end_line();
}

static void fail_policy(void)
{
	put_key("fail_policy");
	want.fail_hold_ms = rnd(2) ? 1 + (int32_t)rnd(3600000) : 0;
	want.fail_policy = (enum mos_config_policy)rnd(2);
	if (want.fail_hold_ms != 0) {
		put("hold ");
		put_number(want.fail_hold_ms);
		put(" ");
	}
	put("%s", want.fail_policy == MOS_CONFIG_FAIL_OPEN ? "open" : "closed");
	end_line();
}

static void text_key(const char *key, char *field, size_t size, const char *letters)
{
	size_t len = 1 + rnd(size - 1), i;

	for (i = 0; i < len; i++)
		field[i] = letters[rnd(strlen(letters))];
	field[len] = '\0';
	put_key(key);
	put_word(field);
	end_line();
}

static void application(struct mos_config_app *app)
{
	static const char *const words[] = {"./prog", "-c", "a b", "", "#{}", "don't", "x=y"};
	uint32_t i, used = 0;

	app->ip_forward = true;
	app->cpu_mask = UINT64_MAX;
	open_block("application");
	if (rnd(2)) {
		bool monitor = choice_key("type", "end", "monitor");

		app->type = monitor ? MOS_CONFIG_APP_MONITOR : MOS_CONFIG_APP_END;
	}
	if (rnd(2)) {
		app->cpu_mask = 1 + rnd(UINT64_MAX);
		put_key(pick("cpu_mask", "core_mask"));
		put_mask(app->cpu_mask);
		end_line();
	}
	if (rnd(2))
		flag_key("ip_forward", &app->ip_forward);
	put_key("run");
	app->argc = 1 + (uint32_t)rnd(MOS_CONFIG_ARG_MAX);
	for (i = 0; i < app->argc; i++) {
		const char *word = words[i == 0 ? 0 : rnd(7)];

		put_word(word);
		put(" ");
		app->arg_offset[i] = (uint16_t)used;
		strcpy(app->args + used, word);
		used += (uint32_t)strlen(word) + 1;
	}
	end_line();
	put("}");
	end_line();
}

static void put_item(unsigned int item)
{
	struct mos_config *w = &want;

	switch (item) {
	case 0: put_ports(); break;
	case 1: put_pairs(); break;
	case 2: arp_table(); break;
	case 3: route_table(); break;
	case 4: stat_print(); break;
	case 5: fail_policy(); break;
	case 6: flag_key("forward", &w->forward); break;
	case 7: number_key("nb_mem_channels", &w->nb_mem_channels, (int32_t)rnd(33)); break;
	case 8:
		number_key("max_concurrency", &w->max_concurrency, 2 + (int32_t)rnd(67108863));
		break;
	case 9: number_key("rmem_size", &w->rmem_size, 1 + (int32_t)rnd(1 << 30)); break;
	case 10: number_key("wmem_size", &w->wmem_size, 1 + (int32_t)rnd(1 << 30)); break;
	case 11: number_key("tcp_tw_interval", &w->tcp_tw_interval, (int32_t)rnd(31536001)); break;
	case 12:
		number_key("tcp_timeout", &w->tcp_timeout, rnd(2) ? -1 : 1 + (int32_t)rnd(99));
		break;
	case 13: flag_key("no_ring_buffers", &w->no_ring_buffers); break;
	case 14: text_key("mos_log", w->mos_log, sizeof(w->mos_log), "ab/._- #{}'"); break;
	case 15: text_key("prefix", w->prefix, sizeof(w->prefix), "abcXYZ019-_"); break;
	case 16: number_key("workers", &w->workers, 1 + (int32_t)rnd(32)); break;
	case 17: w->idle = (enum mos_config_idle)choice_key("idle", "sleep", "poll"); break;
	case 18: w->clock = (enum mos_config_clock)choice_key("clock", "wall", "packet"); break;
	case 19:
		w->end_of_file =
			(enum mos_config_end_of_file)choice_key("end_of_file", "run", "stop");
		break;
	case 20: number_key("flow_area", &w->flow_area, (int32_t)rnd(513) * 8); break;
	case 21: number_key("stall_kill", &w->stall_kill_ms, (int32_t)rnd(3600001)); break;
	case 22: flag_key("ipv6", &w->ipv6); break;
	case 23: number_key("ring_size", &w->ring_size, 1 << (8 + rnd(9))); break;
	case 24: number_key("mbufs", &w->mbufs, rnd(2) ? 0 : 2048 + (int32_t)rnd(9999)); break;
	case 25: number_key("mbuf_size", &w->mbuf_size, 1024 + (int32_t)rnd(15361)); break;
	case 26: number_key("io_cpu", &w->io_cpu, (int32_t)rnd(1025) - 1); break;
	case 27:
		w->tcp_checksum =
			(enum mos_config_tcp_checksum)choice_key("tcp_checksum", "verify", "trust");
		break;
	case 28: number_key("stream_memory", &w->stream_memory, 1 + (int32_t)rnd(65536)); break;
	default: put("multiprocess = %s\n", pick("slave", "1 master")); break;
	}
}

static void put_mos(void)
{
	unsigned int order[ITEMS_MAX], i, count = 30;

	open_block("mos");
	for (i = 0; i < count; i++) {
		unsigned int j = (unsigned int)rnd(i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	for (i = 0; i < count; i++)
		if (order[i] <= 1 || rnd(2)) /* ports and pairs were decided before */
			put_item(order[i]);
	put("}");
	end_line();
}

static void defaults(void)
{
	want.forward = true;
	want.max_concurrency = 100000;
	want.rmem_size = want.wmem_size = 8192;
	want.tcp_timeout = 30;
	strcpy(want.prefix, "mos");
	want.fail_hold_ms = 1000;
	want.stream_memory = 32;
	want.ring_size = 4096;
	want.mbuf_size = 2048;
	want.io_cpu = -1;
}

/* What the parser derives once it has everything. */
static void derive(void)
{
	uint32_t i;

	if (want.workers == 0)
		want.workers = want.cpu_mask != 0 ? __builtin_popcountll(want.cpu_mask) : 1;
	if (want.cpu_mask == 0)
		want.cpu_mask = UINT64_MAX >> (64 - want.workers);
	for (i = 0; i < want.app_count; i++) {
		if (!want.app[i].ip_forward)
			want.forward = false;
		if (want.app[i].type == MOS_CONFIG_APP_END)
			want.end_host = true;
		if (want.app[i].type == MOS_CONFIG_APP_MONITOR)
			want.monitor = true;
	}
	if (!want.end_host && !want.monitor)
		want.monitor = true;
}

START_TEST(what_is_written_is_read_back)
{
	const char *given = getenv("MOS_TEST_SEED");
	uint64_t start = given != NULL ? strtoull(given, NULL, 0) : 0x9e3779b97f4a7c15;
	int round, rc;

	seed = start;
	for (round = 0; round < ROUNDS; round++) {
		uint32_t i, mos_at;

		memset(&want, 0, sizeof(want));
		text_len = 0;
		defaults();
		fill_ports();
		want.app_count = (uint32_t)rnd(MOS_CONFIG_APP_MAX + 1);
		mos_at = (uint32_t)rnd(want.app_count + 1);
		for (i = 0; i <= want.app_count; i++) {
			if (i == mos_at)
				put_mos();
			if (i < want.app_count)
				application(&want.app[i]);
		}
		derive();
		rc = test_config_parse(&got, text, text_len);
		ck_assert_msg(rc == 0, "MOS_TEST_SEED=%" PRIu64 " round %d: %s\n%s", start, round,
		              test_config_err, text);
		ck_assert_msg(memcmp(&got, &want, sizeof(got)) == 0,
		              "MOS_TEST_SEED=%" PRIu64 " round %d: not the same\n%s", start, round,
		              text);
	}
}
END_TEST

TCase *test_config_model(void)
{
	TCase *tc = tcase_create("model");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, what_is_written_is_read_back);
	return tc;
}
