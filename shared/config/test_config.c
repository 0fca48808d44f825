/*
 * The configuration on the bench: text in, struct or message out. Rows of texts that differ in
 * one thing from a good file; test_config_model.c writes random good ones.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/config/test_config.h"

#define GOOD TEST_CONFIG_GOOD

char test_config_err[MOS_CONFIG_ERR_LEN];
static struct mos_config cfg;

int test_config_parse(struct mos_config *out, const char *text, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);
	int rc;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, len);
	memset(out, 0xa5, sizeof(*out));
	rc = mos_config_parse(out, "mos.conf", copy, len, test_config_err, sizeof(test_config_err));
	free(copy);
	return rc;
}

void test_config_load(struct mos_config *out, const char *text)
{
	int rc = test_config_parse(out, text, strlen(text));

	ck_assert_msg(rc == 0, "%s\nin\n%s", test_config_err, text);
	ck_assert_str_eq(test_config_err, "");
}

static bool is_zeroed(const struct mos_config *c)
{
	static const struct mos_config zero;

	return memcmp(c, &zero, sizeof(zero)) == 0;
}

void test_config_expect(const char *text, size_t len, const char *message)
{
	int rc = test_config_parse(&cfg, text, len);

	ck_assert_msg(rc == -EINVAL, "accepted, expected %s\nin\n%s", message, text);
	ck_assert_msg(strcmp(test_config_err, message) == 0, "%s\nexpected\n%s\nin\n%s",
	              test_config_err, message, text);
	ck_assert(is_zeroed(&cfg));
}

static void load(const char *text)
{
	test_config_load(&cfg, text);
}

/* A good file with some more lines in mos { }, the first of them at line 2. */
static void load_with(const char *lines)
{
	static char text[16384];

	snprintf(text, sizeof(text), "mos {\n%s\n netdev {\n eth0 1\n eth1 1\n }\n}\n", lines);
	load(text);
}

static void expect_error(const char *text, const char *message)
{
	test_config_expect(text, strlen(text), message);
}

START_TEST(smallest_file_gets_every_default)
{
	load("mos { netdev { dpdk0 } }");
	ck_assert(cfg.forward);
	ck_assert_int_eq(cfg.nb_mem_channels, 0);
	ck_assert_int_eq(cfg.max_concurrency, 100000);
	ck_assert_int_eq(cfg.rmem_size, 8192);
	ck_assert_int_eq(cfg.wmem_size, 8192);
	ck_assert_int_eq(cfg.tcp_tw_interval, 0);
	ck_assert_int_eq(cfg.tcp_timeout, 30);
	ck_assert(!cfg.no_ring_buffers);
	ck_assert_str_eq(cfg.mos_log, "");
	ck_assert_uint_eq(cfg.stat_print, 0);
	ck_assert_str_eq(cfg.prefix, "mos");
	ck_assert_int_eq(cfg.workers, 1);
	ck_assert_int_eq(cfg.fail_policy, MOS_CONFIG_FAIL_OPEN);
	ck_assert_int_eq(cfg.fail_hold_ms, 1000);
	ck_assert_int_eq(cfg.idle, MOS_CONFIG_IDLE_SLEEP);
	ck_assert_int_eq(cfg.clock, MOS_CONFIG_CLOCK_WALL);
	ck_assert_int_eq(cfg.end_of_file, MOS_CONFIG_EOF_RUN);
	ck_assert_int_eq(cfg.flow_area, 0);
	ck_assert_int_eq(cfg.stream_memory, 32);
	ck_assert_int_eq(cfg.stall_kill_ms, 0);
	ck_assert(!cfg.ipv6);
	ck_assert_int_eq(cfg.ring_size, 4096);
	ck_assert_int_eq(cfg.mbufs, 0);
	ck_assert_int_eq(cfg.mbuf_size, 2048);
	ck_assert_int_eq(cfg.io_cpu, -1);
	ck_assert_int_eq(cfg.tcp_checksum, MOS_CONFIG_CSUM_VERIFY);
	ck_assert(cfg.monitor && !cfg.end_host);
	ck_assert_uint_eq(cfg.cpu_mask, 1);
	ck_assert_uint_eq(cfg.app_count + cfg.arp_count + cfg.route_count, 0);
	ck_assert_uint_eq(cfg.port_count, 1);
	ck_assert_str_eq(cfg.port[0].name, "dpdk0");
	ck_assert_str_eq(cfg.port[0].devargs, "");
	ck_assert_int_eq(cfg.port[0].kind, MOS_CONFIG_PORT_IFACE);
	ck_assert_int_eq(cfg.port[0].peer, -1);
	ck_assert_uint_eq(cfg.port[0].cpu_mask, 0);
}
END_TEST

#define FIELD(name) offsetof(struct mos_config, name)

START_TEST(every_number_is_read_and_its_limits_hold)
{
	static const struct {
		const char *key;
		size_t offset;
		const char *low, *high, *below, *above;
		int32_t low_value, high_value;
		const char *range;
	} rows[] = {
		{"nb_mem_channels", FIELD(nb_mem_channels), "0", "32", "-1", "33", 0, 32,
	         "0 (detected) or 1..32"},
		{"max_concurrency", FIELD(max_concurrency), "2", "0x4000000", "1", "67108865", 2,
	         67108864, "2..67108864"},
		{"rmem_size", FIELD(rmem_size), "1", "1073741824", "0", "1073741825", 1, 1073741824,
	         "1..1073741824"},
		{"wmem_size", FIELD(wmem_size), "1", "1073741824", "0", "1073741825", 1, 1073741824,
	         "1..1073741824"},
		{"tcp_tw_interval", FIELD(tcp_tw_interval), "0", "31536000", "-1", "31536001", 0,
	         31536000, "0..31536000"},
		{"tcp_timeout", FIELD(tcp_timeout), "-1", "31536000", "0", "31536001", -1, 31536000,
	         "-1 (never) or 1..31536000"},
		{"workers", FIELD(workers), "1", "32", "0", "33", 1, 32, "1..32"},
		{"flow_area", FIELD(flow_area), "0", "4096", "-1", "4097", 0, 4096, "0..4096"},
		{"stream_memory", FIELD(stream_memory), "1", "65536", "0", "65537", 1, 65536,
	         "1..65536"},
		{"stall_kill", FIELD(stall_kill_ms), "0", "3600000", "-1", "3600001", 0, 3600000,
	         "0 (never) or 1..3600000"},
		{"ring_size", FIELD(ring_size), "256", "65536", "128", "131072", 256, 65536,
	         "256..65536, power of two"},
		{"ring_size", FIELD(ring_size), "0x200", "32768", "257", "65535", 512, 32768,
	         "256..65536, power of two"},
		{"mbufs", FIELD(mbufs), "0", "4194304", "2047", "4194305", 0, 4194304,
	         "0 (computed) or 2048..4194304"},
		{"mbuf_size", FIELD(mbuf_size), "02000", "16384", "1023", "16385", 1024, 16384,
	         "1024..16384"},
		{"io_cpu", FIELD(io_cpu), "-1", "1023", "-2", "1024", -1, 1023,
	         "-1 (any) or 0..1023"},
	};
	char line[100], message[200];
	size_t i, j;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *bad[] = {rows[i].below, rows[i].above};
		int32_t value;

		snprintf(line, sizeof(line), " %s = %s", rows[i].key, rows[i].low);
		load_with(line);
		memcpy(&value, (const char *)&cfg + rows[i].offset, sizeof(value));
		ck_assert_int_eq(value, rows[i].low_value);

		snprintf(line, sizeof(line), " %s=%s # comment", rows[i].key, rows[i].high);
		load_with(line);
		memcpy(&value, (const char *)&cfg + rows[i].offset, sizeof(value));
		ck_assert_int_eq(value, rows[i].high_value);

		for (j = 0; j < 2; j++) {
			snprintf(line, sizeof(line), "mos {\n\n %s = %s\n}", rows[i].key, bad[j]);
			snprintf(message, sizeof(message), "mos.conf:3: `%s` is out of range: %s",
			         rows[i].key, rows[i].range);
			expect_error(line, message);
		}
	}
}
END_TEST

START_TEST(every_flag_choice_and_text_is_read)
{
	load_with("forward = 0\nno_ring_buffers = 1\nipv6 = 1\nmos_log = logs/\nprefix = A-z_09\n"
	          "idle = poll\nclock = packet\nend_of_file = stop\ntcp_checksum = trust\n"
	          "port = what ever\nflow_area = 17\nstat_print = eth1\n");
	ck_assert(!cfg.forward && cfg.no_ring_buffers && cfg.ipv6);
	ck_assert_str_eq(cfg.mos_log, "logs/");
	ck_assert_str_eq(cfg.prefix, "A-z_09");
	ck_assert_int_eq(cfg.idle, MOS_CONFIG_IDLE_POLL);
	ck_assert_int_eq(cfg.clock, MOS_CONFIG_CLOCK_PACKET);
	ck_assert_int_eq(cfg.end_of_file, MOS_CONFIG_EOF_STOP);
	ck_assert_int_eq(cfg.tcp_checksum, MOS_CONFIG_CSUM_TRUST);
	ck_assert_int_eq(cfg.flow_area, 24);
	ck_assert_uint_eq(cfg.stat_print, 2);

	load_with("forward = 1\nno_ring_buffers = 0\nipv6 = 0\nidle = sleep\nclock = wall\n"
	          "end_of_file = run\ntcp_checksum = verify\nmos_log = \"a # b {c}\"\n"
	          "stat_print = eth0 eth1");
	ck_assert(cfg.forward && !cfg.no_ring_buffers && !cfg.ipv6);
	ck_assert_int_eq(cfg.idle, MOS_CONFIG_IDLE_SLEEP);
	ck_assert_int_eq(cfg.clock, MOS_CONFIG_CLOCK_WALL);
	ck_assert_int_eq(cfg.end_of_file, MOS_CONFIG_EOF_RUN);
	ck_assert_int_eq(cfg.tcp_checksum, MOS_CONFIG_CSUM_VERIFY);
	ck_assert_str_eq(cfg.mos_log, "a # b {c}");
	ck_assert_uint_eq(cfg.stat_print, 3);
}
END_TEST

START_TEST(fail_policy_has_four_forms)
{
	static const struct {
		const char *value;
		enum mos_config_policy policy;
		int32_t hold_ms;
	} rows[] = {
		{"open", MOS_CONFIG_FAIL_OPEN, 0},
		{"closed", MOS_CONFIG_FAIL_CLOSED, 0},
		{"hold 1 open", MOS_CONFIG_FAIL_OPEN, 1},
		{"hold 3600000 closed", MOS_CONFIG_FAIL_CLOSED, 3600000},
	};
	char line[64];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(line, sizeof(line), "fail_policy = %s", rows[i].value);
		load_with(line);
		ck_assert_int_eq(cfg.fail_policy, rows[i].policy);
		ck_assert_int_eq(cfg.fail_hold_ms, rows[i].hold_ms);
	}
}
END_TEST

START_TEST(application_is_read_and_joined)
{
	load("application {\n type = end\n run = ./srv -p 'www root' \"a b\"c '' # x\n"
	     " core_mask = 0xf0\n}\n"
	     "application\n\n# on a later line\n{ run = mon\n type = monitor\n ip_forward = 0 }\n"
	     "application { run = \"#{x}\" }\n"
	     "application { run = x\n cpu_mask = 010 }\n" GOOD);
	ck_assert_uint_eq(cfg.app_count, 4);
	ck_assert_int_eq(cfg.app[0].type, MOS_CONFIG_APP_END);
	ck_assert_uint_eq(cfg.app[0].cpu_mask, 0xf0);
	ck_assert(cfg.app[0].ip_forward);
	ck_assert_uint_eq(cfg.app[0].argc, 5);
	ck_assert_str_eq(mos_config_app_arg(&cfg.app[0], 0), "./srv");
	ck_assert_str_eq(mos_config_app_arg(&cfg.app[0], 1), "-p");
	ck_assert_str_eq(mos_config_app_arg(&cfg.app[0], 2), "www root");
	ck_assert_str_eq(mos_config_app_arg(&cfg.app[0], 3), "a bc");
	ck_assert_str_eq(mos_config_app_arg(&cfg.app[0], 4), "");
	ck_assert_int_eq(cfg.app[1].type, MOS_CONFIG_APP_MONITOR);
	ck_assert(!cfg.app[1].ip_forward);
	ck_assert_uint_eq(cfg.app[1].cpu_mask, UINT64_MAX);
	ck_assert_int_eq(cfg.app[2].type, MOS_CONFIG_APP_UNSET);
	ck_assert_str_eq(mos_config_app_arg(&cfg.app[2], 0), "#{x}");
	ck_assert_uint_eq(cfg.app[3].cpu_mask, 8);
	ck_assert(cfg.end_host && cfg.monitor);
	ck_assert(!cfg.forward);

	load("application { run = x\n type = end }" GOOD);
	ck_assert(cfg.end_host && !cfg.monitor && cfg.forward);
}
END_TEST

START_TEST(netdev_takes_every_kind_of_port)
{
	load("mos {\n stat_print = 03:00.0 net_pcap0,rx_pcap=in.pcap\n nic_forward_table {\n"
	     "  0000:03:00.0 net_pcap0\n }\n netdev {\n"
	     "  eth0.100 0x5\n"
	     "  03:00.0 2 # short\n"
	     "  0001:AF:1f.7,rx-queues=2\n"
	     "  10000:00:00.1\n"
	     "  net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap 0x8000000000000000\n"
	     "  \"net_pcap1,rx_pcap=with space.pcap\"\n"
	     "  net_tap-a.b\n"
	     "  _br-lan\n"
	     "  net_\n"
	     " }\n route_table {\n 10.0.0.0/8 net_pcap1\n}\n}");
	ck_assert_uint_eq(cfg.port_count, 9);
	ck_assert_str_eq(cfg.port[0].name, "eth0.100");
	ck_assert_uint_eq(cfg.port[0].cpu_mask, 5);
	ck_assert_str_eq(cfg.port[1].name, "0000:03:00.0");
	ck_assert_str_eq(cfg.port[1].devargs, "0000:03:00.0");
	ck_assert_int_eq(cfg.port[1].kind, MOS_CONFIG_PORT_PCI);
	ck_assert_int_eq(cfg.port[1].peer, 4);
	ck_assert_str_eq(cfg.port[2].name, "0001:af:1f.7");
	ck_assert_str_eq(cfg.port[2].devargs, "0001:af:1f.7,rx-queues=2");
	ck_assert_str_eq(cfg.port[3].name, "10000:00:00.1");
	ck_assert_str_eq(cfg.port[4].name, "net_pcap0");
	ck_assert_str_eq(cfg.port[4].devargs, "net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap");
	ck_assert_int_eq(cfg.port[4].kind, MOS_CONFIG_PORT_VDEV);
	ck_assert_int_eq(cfg.port[4].peer, 1);
	ck_assert_uint_eq(cfg.port[4].cpu_mask, UINT64_C(1) << 63);
	ck_assert_str_eq(cfg.port[5].devargs, "net_pcap1,rx_pcap=with space.pcap");
	ck_assert_str_eq(cfg.port[6].name, "net_tap-a.b");
	ck_assert_int_eq(cfg.port[7].kind, MOS_CONFIG_PORT_IFACE);
	ck_assert_uint_eq(cfg.stat_print, 1 << 1 | 1 << 4);
	ck_assert_uint_eq(cfg.route[0].port, 5);
	ck_assert_int_eq(cfg.workers, 4);
	ck_assert_int_eq(mos_config_find_port(&cfg, "3:0.0"), -ENOENT);
	ck_assert_int_eq(mos_config_find_port(&cfg, "03:00.0"), 1);
	ck_assert_int_eq(mos_config_find_port(&cfg, "0001:af:1F.7"), 2);
	ck_assert_int_eq(mos_config_find_port(&cfg, "eth0"), -ENOENT);
	ck_assert_int_eq(mos_config_find_port(&cfg, ""), -ENOENT);
}
END_TEST

START_TEST(workers_default_to_the_cores_of_netdev)
{
	load("mos { netdev {\n a 0x3\n b 0x6\n c\n} }");
	ck_assert_int_eq(cfg.workers, 3);
	ck_assert_uint_eq(cfg.cpu_mask, 7);
	load("mos { workers = 5\n netdev {\n a 0x3\n} }");
	ck_assert_int_eq(cfg.workers, 5);
	ck_assert_uint_eq(cfg.cpu_mask, 3);
	load("mos { workers = 32\n netdev { a } }");
	ck_assert_uint_eq(cfg.cpu_mask, UINT32_MAX);
	load("mos { netdev { a 0xffffffff } }");
	ck_assert_int_eq(cfg.workers, 32);
	load("mos { workers = 2\n netdev { a 0x1ffffffff } }");
	ck_assert_int_eq(cfg.workers, 2);
	expect_error("mos {\n\n netdev { a 0x1ffffffff } }",
	             "mos.conf:3: the masks name 33 CPUs; `workers` can be 32");
}
END_TEST

START_TEST(tables_are_read)
{
	load_with(" arp_table {\n  10.1.2.3/24 00:11:22:aa:BB:ff\n  10.1.2.3 1:2:3:4:5:6\n"
	          "  0.0.0.0/0 ff:ff:ff:ff:ff:ff\n  1.2.3.4/1 0:0:0:0:0:0\n }\n"
	          " route_table {\n  192.168.77.1/0x10 eth1\n  0.0.0.0/0 eth0\n }\n"
	          " nic_forward_table { eth1 eth0 }\n");
	ck_assert_uint_eq(cfg.arp_count, 4);
	ck_assert_uint_eq(ntohl(cfg.arp[0].addr_be), 0x0a010200);
	ck_assert_uint_eq(cfg.arp[0].prefix, 24);
	ck_assert_mem_eq(cfg.arp[0].mac, "\x00\x11\x22\xaa\xbb\xff", 6);
	ck_assert_uint_eq(ntohl(cfg.arp[1].addr_be), 0x0a010203);
	ck_assert_uint_eq(cfg.arp[1].prefix, 32);
	ck_assert_mem_eq(cfg.arp[1].mac, "\1\2\3\4\5\6", 6);
	ck_assert_uint_eq(cfg.arp[2].prefix, 0);
	ck_assert_uint_eq(cfg.arp[3].addr_be, 0);
	ck_assert_uint_eq(cfg.route_count, 2);
	ck_assert_uint_eq(ntohl(cfg.route[0].addr_be), 0xc0a80000);
	ck_assert_uint_eq(cfg.route[0].prefix, 16);
	ck_assert_uint_eq(cfg.route[0].port, 1);
	ck_assert_uint_eq(cfg.route[1].prefix, 0);
	ck_assert_int_eq(cfg.port[0].peer, 1);
	ck_assert_int_eq(cfg.port[1].peer, 0);
}
END_TEST

/* As the setup script of mOS writes them from its templates. */
START_TEST(generated_upstream_files_load)
{
	load("############### head ###############\n\n"
	     "application {\n\ttype = end\n\trun = epserver\n\tcore_mask = 0x0003\n}\n\n"
	     "# section #\nmos {\n\tforward = 0\n\n\t#####\n\t# comment [mandatory]\n"
	     "\tnb_mem_channels = 4\n\n\tnetdev {\n\t\tdpdk0 0x0003\n\t\tdpdk1 0x0003\n\t}\n"
	     "\tstat_print = dpdk0 dpdk1\n\tmos_log = logs/\n\tarp_table {\n\t}\n"
	     "\troute_table {\n\t}\n\n\tmultiprocess = slave\n\t# rmem_size = 8192\n}\n");
	ck_assert(cfg.end_host && !cfg.monitor && !cfg.forward);
	ck_assert_int_eq(cfg.nb_mem_channels, 4);
	ck_assert_int_eq(cfg.workers, 2);
	ck_assert_uint_eq(cfg.stat_print, 3);
	load("mos {\r\n\tforward = 1\r\n\t\r\n\tnetdev {\r\n\t\teth0 0x0001\r\n\t}\r\n"
	     "\tstat_print =\r\n\tnic_forward_table {\t\r\n\t}\r\n\tmultiprocess = 0 master\r\n"
	     "\ttcp_tw_interval = 30\r\n}\r\n");
	ck_assert_int_eq(cfg.tcp_tw_interval, 30);
	load_with("multiprocess = 0x3");
	load_with("multiprocess = master\nmos_log =\nport =");
}
END_TEST

START_TEST(layout_of_the_text_is_free)
{
	load("mos{netdev{eth0}}");
	load("mos\n{\n netdev # here\n # there\n {\n eth0 1 } idle = poll\n}");
	ck_assert_int_eq(cfg.idle, MOS_CONFIG_IDLE_POLL);
	load("\n\n \t#\n#}\nmos { netdev {eth0 1# mask\n#eth1\n} # }\n }#");
	ck_assert_uint_eq(cfg.port_count, 1);
	load("mos { netdev { 'eth0' \"1\" }\n arp_table { } route_table { }\n}");
	ck_assert_uint_eq(cfg.port[0].cpu_mask, 1);
	load("mos { netdev { eth0 } fail_policy = closed }");
	ck_assert_int_eq(cfg.fail_policy, MOS_CONFIG_FAIL_CLOSED);
}
END_TEST

START_TEST(every_truncation_is_an_answer)
{
	static const char text[] =
		"application {\n run = a 'b c'\n}\nmos {\n stat_print = eth0\n netdev {\n eth0 1\n"
		" net_x,a=b 0x2\n }\n route_table {\n 10.0.0.0/8 eth0\n }\n}";
	size_t len;

	for (len = 0; len < sizeof(text) - 1; len++) {
		ck_assert_int_eq(test_config_parse(&cfg, text, len), -EINVAL);
		ck_assert_int_eq(strncmp(test_config_err, "mos.conf:", 9), 0);
	}
	ck_assert_int_eq(test_config_parse(&cfg, text, len), 0);
}
END_TEST

START_TEST(message_stays_one_clean_line)
{
	static const char text[] = "mos {\n netdev { \"a\tb\" }\n}";
	char err[24];

	ck_assert_int_eq(mos_config_parse(&cfg, "a\nb", text, strlen(text), test_config_err,
	                                  sizeof(test_config_err)),
	                 -EINVAL);
	ck_assert_str_eq(test_config_err,
	                 "a?b:2: `a?b`: a port has letters, digits, _ . and - in its name");
	ck_assert_int_eq(mos_config_parse(&cfg, "mos.conf", "x", 1, err, sizeof(err)), -EINVAL);
	ck_assert_str_eq(err, "mos.conf:1: expected `=");
	ck_assert_int_eq(mos_config_parse(&cfg, "mos.conf", "x", 1, err, 5), -EINVAL);
	ck_assert_str_eq(err, "mos.");
	ck_assert_int_eq(mos_config_parse(&cfg, "mos.conf", "x", 1, NULL, 0), -EINVAL);
}
END_TEST

static void write_file(const char *path, const char *text, size_t size)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, strlen(text), f), strlen(text));
	if (size > strlen(text))
		ck_assert_int_eq(ftruncate(fileno(f), (off_t)size), 0);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(files_are_loaded_and_bad_ones_named)
{
	char dir[] = "/tmp/test_config.XXXXXX", path[64], message[128];
	char *err = test_config_err;
	size_t err_len = sizeof(test_config_err);

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/mos.conf", dir);

	ck_assert_int_eq(mos_config_load(&cfg, path, err, err_len), -ENOENT);
	snprintf(message, sizeof(message), "%s: No such file or directory", path);
	ck_assert_str_eq(err, message);
	ck_assert_int_eq(mos_config_load(&cfg, path, NULL, 0), -ENOENT);
	ck_assert_int_eq(mos_config_load(&cfg, "/\n\x1b", err, err_len), -ENOENT);
	ck_assert_str_eq(err, "/??: No such file or directory");

	write_file(path, GOOD, 0);
	ck_assert_int_eq(mos_config_load(&cfg, path, err, err_len), 0);
	ck_assert_str_eq(err, "");
	ck_assert_str_eq(cfg.port[1].name, "eth1");

	write_file(path, "mos {\n", 0);
	ck_assert_int_eq(mos_config_load(&cfg, path, err, err_len), -EINVAL);
	snprintf(message, sizeof(message), "%s:1: block `mos` is never closed", path);
	ck_assert_str_eq(err, message);
	ck_assert(is_zeroed(&cfg));

	write_file(path, "", MOS_CONFIG_FILE_MAX);
	ck_assert_int_eq(mos_config_load(&cfg, path, err, err_len), -EINVAL);
	write_file(path, "", MOS_CONFIG_FILE_MAX + 1);
	ck_assert_int_eq(mos_config_load(&cfg, path, err, err_len), -EFBIG);
	snprintf(message, sizeof(message), "%s: larger than 1 MiB", path);
	ck_assert_str_eq(err, message);
	ck_assert_int_eq(unlink(path), 0);

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	snprintf(message, sizeof(message), "%s: not a regular file", path);
	ck_assert_int_eq(mos_config_load(&cfg, path, err, err_len), -EINVAL);
	ck_assert_str_eq(err, message);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mos_config_load(&cfg, dir, err, err_len), -EINVAL);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

/* What describe prints as default is what the parser takes for it. */
START_TEST(description_has_every_key_aligned)
{
	static const char *const keys[] = {
		"type",
		"run",
		"cpu_mask",
		"core_mask",
		"ip_forward",
		"forward",
		"nb_mem_channels",
		"max_concurrency",
		"rmem_size",
		"wmem_size",
		"tcp_tw_interval",
		"tcp_timeout",
		"no_ring_buffers",
		"mos_log",
		"stat_print",
		"port",
		"multiprocess",
		"prefix",
		"workers",
		"fail_policy",
		"idle",
		"clock",
		"end_of_file",
		"flow_area",
		"stream_memory",
		"stall_kill",
		"ipv6",
		"ring_size",
		"mbufs",
		"mbuf_size",
		"io_cpu",
		"tcp_checksum",
		"netdev",
		"arp_table",
		"route_table",
		"nic_forward_table",
	};
	char *text, needle[64];
	size_t len, i;
	FILE *f = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(f);
	mos_config_describe(f);
	ck_assert_int_eq(fclose(f), 0);
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		snprintf(needle, sizeof(needle), "\n  %s ", keys[i]);
		ck_assert_msg(strstr(text, needle) != NULL, "no %s in\n%s", keys[i], text);
	}
	ck_assert_ptr_nonnull(strstr(text, "-1 (never) or 1..31536000"));
	ck_assert_ptr_null(strstr(text, "(null)"));
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	SRunner *runner = srunner_create(suite);
	TCase *tc = tcase_create("config");
	int failed;

	tcase_add_test(tc, smallest_file_gets_every_default);
	tcase_add_test(tc, every_number_is_read_and_its_limits_hold);
	tcase_add_test(tc, every_flag_choice_and_text_is_read);
	tcase_add_test(tc, fail_policy_has_four_forms);
	tcase_add_test(tc, application_is_read_and_joined);
	tcase_add_test(tc, netdev_takes_every_kind_of_port);
	tcase_add_test(tc, workers_default_to_the_cores_of_netdev);
	tcase_add_test(tc, tables_are_read);
	tcase_add_test(tc, generated_upstream_files_load);
	tcase_add_test(tc, layout_of_the_text_is_free);
	tcase_add_test(tc, every_truncation_is_an_answer);
	tcase_add_test(tc, message_stays_one_clean_line);
	tcase_add_test(tc, files_are_loaded_and_bad_ones_named);
	tcase_add_test(tc, description_has_every_key_aligned);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, test_config_errors());
	suite_add_tcase(suite, test_config_model());

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
