/*
 * What mos.conf may not be. Each row differs from a good file in one thing; the message is
 * compared to the letter.
 */

#include <errno.h>
#include <string.h>

#include "shared/config/test_config.h"

static struct mos_config cfg;

static void load(const char *text)
{
	test_config_load(&cfg, text);
}

static void expect_error(const char *text, const char *message)
{
	test_config_expect(text, strlen(text), message);
}

#define GOOD              TEST_CONFIG_GOOD
#define IN_MOS(lines)     "mos {\n" lines "\n netdev {\n eth0 1\n eth1 1\n eth2 1\n }\n}\n"
#define IN_APP(lines)     "application {\n" lines "\n}\n" GOOD
#define IN_NETDEV(lines)  "mos {\n netdev {\n" lines "\n }\n}\n"
#define IN_TABLE(n, line) IN_MOS(" " n " {\n" line "\n }")
#define TEN(x)            x x x x x x x x x x
#define LONG_58           "abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd"
#define LONG_64           LONG_58 "efabcd"

static const struct {
	const char *text, *message;
} errors[] = {
	/* structure */
	{"", "mos.conf:1: no `mos` block"},
	{"# only\n\n", "mos.conf:1: no `mos` block"},
	{"\nmos {\n forward = 1\n}", "mos.conf:2: `mos` has no `netdev` block"},
	{"\nmos {\n netdev {\n }\n}", "mos.conf:3: `netdev` names no port"},
	{"mos {\n netdev {\n eth0 1\n", "mos.conf:2: block `netdev` is never closed"},
	{"mos {\n netdev {\n eth0 1\n}\n#}", "mos.conf:1: block `mos` is never closed"},
	{GOOD "}\n", "mos.conf:7: `}` closes no block"},
	{GOOD GOOD, "mos.conf:7: block `mos` was already given at line 1"},
	{IN_MOS("netdev { }"), "mos.conf:3: block `netdev` was already given at line 2"},
	{IN_MOS("arp_table {\n}\narp_table { }"),
         "mos.conf:4: block `arp_table` was already given at line 2"},
	{GOOD "application", "mos.conf:7: expected `=` or `{` after `application`"},
	{"mos\nnetdev", "mos.conf:1: expected `=` or `{` after `mos`"},
	{IN_MOS("forward"), "mos.conf:2: expected `=` or `{` after `forward`"},
	{IN_MOS("forward 1"), "mos.conf:2: expected `=` or `{` after `forward`"},
	{IN_MOS("= 1"), "mos.conf:2: unexpected `=`"},
	{"{\n}", "mos.conf:1: unexpected `{`"},
	{"\xef\xbb\xbfmos {", "mos.conf:1: unexpected byte 0xef"},
	{"mos {\n}\n\"", "mos.conf:3: unexpected `\"`"},
	{GOOD "stray text", "mos.conf:7: expected `=` or `{` after `stray`"},
	{"mos { netdev { eth0 } } stray", "mos.conf:1: expected `=` or `{` after `stray`"},
	{IN_MOS("idle = poll { }"), "mos.conf:2: unexpected `{`; put text with braces in quotes"},
	{IN_MOS("idle = {poll"), "mos.conf:2: unexpected `{`; put text with braces in quotes"},
	{IN_NETDEV("eth0{"), "mos.conf:3: unexpected `{`; put text with braces in quotes"},
	{IN_MOS("mos_log = 'a\n'"), "mos.conf:2: quote ' is never closed"},
	{"application { run = \"a", "mos.conf:1: quote \" is never closed"},
	{IN_APP("run = don't"), "mos.conf:2: quote ' is never closed"},
	{"mos {\n netdev \x01{", "mos.conf:2: control character 0x01"},
	{"mos {\n# \x7f\n", "mos.conf:2: control character 0x7f"},
	/* names */
	{IN_MOS("foo = 1"), "mos.conf:2: unknown key `foo`"},
	{IN_MOS("\ntcp_timeuot = 1"),
         "mos.conf:3: unknown key `tcp_timeuot`; did you mean `tcp_timeout`?"},
	{IN_MOS("tcp_timeot = 1"),
         "mos.conf:2: unknown key `tcp_timeot`; did you mean `tcp_timeout`?"},
	{IN_MOS("Forward = 1"), "mos.conf:2: unknown key `Forward`; did you mean `forward`?"},
	{IN_MOS("arptable {\n}"),
         "mos.conf:2: unknown block `arptable`; did you mean `arp_table`?"},
	{"mso {\n}", "mos.conf:1: unknown block `mso`; did you mean `mos`?"},
	{IN_MOS("run = x"), "mos.conf:2: key `run` belongs inside `application`"},
	{"forward = 1\n" GOOD, "mos.conf:1: key `forward` belongs inside `mos`"},
	{"netdev {\n}\n" GOOD, "mos.conf:1: block `netdev` belongs inside `mos`"},
	{IN_MOS("application {\n}"), "mos.conf:2: block `application` stands outside of others; "
                                     "is a `}` missing above?"},
	{IN_MOS("mos { }"),
         "mos.conf:2: block `mos` stands outside of others; is a `}` missing above?"},
	{IN_MOS("arp_table = 1"), "mos.conf:2: `arp_table` is a block: `{` instead of `=`"},
	{IN_MOS("forward {\n}"), "mos.conf:2: `forward` is a key: `=` instead of `{`"},
	{IN_MOS(LONG_64 " = 1"),
         "mos.conf:2: unknown word `abcdefabcdefabcdefabcdefabcdefabcdefabcd...`"},
	/* values */
	{IN_MOS("forward ="), "mos.conf:2: `forward` has no value"},
	{IN_MOS("forward = # 1"), "mos.conf:2: `forward` has no value"},
	{IN_MOS("forward = 2"), "mos.conf:2: `forward` is out of range: 0|1"},
	{IN_MOS("forward = -1"), "mos.conf:2: `forward` is out of range: 0|1"},
	{IN_MOS("forward = yes"), "mos.conf:2: `yes` is not a number"},
	{IN_MOS("forward = 1 2"), "mos.conf:2: stray `2` after the value of `forward`"},
	{IN_MOS("forward = 1\n\nforward = 1"), "mos.conf:4: `forward` is already set at line 2"},
	{IN_MOS("rmem_size = 8k"), "mos.conf:2: `8k` is not a number"},
	{IN_MOS("rmem_size = 08"), "mos.conf:2: `08` is not a number"},
	{IN_MOS("rmem_size = 0x"), "mos.conf:2: `0x` is not a number"},
	{IN_MOS("rmem_size = 0xg"), "mos.conf:2: `0xg` is not a number"},
	{IN_MOS("rmem_size = -"), "mos.conf:2: `-` is not a number"},
	{IN_MOS("rmem_size = --1"), "mos.conf:2: `--1` is not a number"},
	{IN_MOS("rmem_size = ''"), "mos.conf:2: `` is not a number"},
	{IN_MOS("rmem_size = 18446744073709551616"),
         "mos.conf:2: number `18446744073709551616` is too big"},
	{IN_MOS("rmem_size = 9223372036854775808"),
         "mos.conf:2: number `9223372036854775808` is too big"},
	{IN_MOS("rmem_size = -18446744073709551615"),
         "mos.conf:2: number `-18446744073709551615` is too big"},
	{IN_MOS("rmem_size = 4294967297"),
         "mos.conf:2: `rmem_size` is out of range: 1..1073741824"},
	{IN_MOS("idle = Poll"), "mos.conf:2: `idle` is sleep|poll, not `Poll`"},
	{IN_MOS("idle = pol"), "mos.conf:2: `idle` is sleep|poll, not `pol`"},
	{IN_MOS("idle = sleep|poll"), "mos.conf:2: `idle` is sleep|poll, not `sleep|poll`"},
	{IN_MOS("clock = ''"), "mos.conf:2: `clock` is wall|packet, not ``"},
	{IN_MOS("prefix = a/b"), "mos.conf:2: `prefix` takes letters, digits, _ and - only"},
	{IN_MOS("prefix = ''"), "mos.conf:2: `prefix` takes letters, digits, _ and - only"},
	{IN_MOS("prefix = " TEN("abc") "ab"), "mos.conf:2: `prefix` is longer than 31 bytes"},
	{IN_MOS("mos_log = a b"), "mos.conf:2: stray `b` after the value of `mos_log`"},
	{IN_MOS("mos_log = " LONG_64 LONG_64 LONG_64 LONG_64),
         "mos.conf:2: `mos_log` is longer than 255 bytes"},
	{IN_MOS("fail_policy ="),
         "mos.conf:2: `fail_policy` is open, closed, or hold <ms> open|closed"},
	{IN_MOS("fail_policy = opened"),
         "mos.conf:2: `fail_policy` is open, closed, or hold <ms> open|closed"},
	{IN_MOS("fail_policy = hold 5"),
         "mos.conf:2: `fail_policy` is open, closed, or hold <ms> open|closed"},
	{IN_MOS("fail_policy = hold 5 hold"),
         "mos.conf:2: `fail_policy` is open, closed, or hold <ms> open|closed"},
	{IN_MOS("fail_policy = hold 0 open"), "mos.conf:2: `hold` is out of range: 1..3600000 ms"},
	{IN_MOS("fail_policy = hold 3600001 open"),
         "mos.conf:2: `hold` is out of range: 1..3600000 ms"},
	{IN_MOS("fail_policy = hold 1s open"), "mos.conf:2: `1s` is not a number"},
	{IN_MOS("multiprocess ="), "mos.conf:2: `multiprocess` is `[core] [master|slave]`"},
	{IN_MOS("multiprocess = x"), "mos.conf:2: `multiprocess` is `[core] [master|slave]`"},
	{IN_MOS("multiprocess = 0 master x"),
         "mos.conf:2: `multiprocess` is `[core] [master|slave]`"},
	{IN_MOS("multiprocess = -1"), "mos.conf:2: `multiprocess` is `[core] [master|slave]`"},
	{IN_MOS("stat_print = eth0 dpdk7"),
         "mos.conf:2: unknown port `dpdk7`; netdev does not have it"},
	{IN_MOS("stat_print = eth0\nstat_print = eth0"),
         "mos.conf:3: `stat_print` is already set at line 2"},
	/* application */
	{"\napplication {\n}\n" GOOD, "mos.conf:2: `application` has no `run`"},
	{IN_APP("run = a") IN_APP("type = end"), "mos.conf:10: `application` has no `run`"},
	{IN_APP("run ="), "mos.conf:2: `run` names no program"},
	{IN_APP("run = '' a"), "mos.conf:2: `run` names no program"},
	{IN_APP("run = " TEN("a ") TEN("b ") "c"), "mos.conf:2: more than 20 words"},
	{IN_APP("type = both"), "mos.conf:2: `type` is end or monitor"},
	{IN_APP("type = end run = x"), "mos.conf:2: `type` is end or monitor"},
	{IN_APP("cpu_mask = 0"), "mos.conf:2: CPU mask 0 names no CPU"},
	{IN_APP("cpu_mask = -1"), "mos.conf:2: `-1` is not a CPU mask"},
	{IN_APP("core_mask = 0x10000000000000000"),
         "mos.conf:2: CPU mask `0x10000000000000000` has more than 64 bits"},
	{IN_APP("cpu_mask = 1\ncore_mask = 1"), "mos.conf:3: `cpu_mask` is already set at line 2"},
	{IN_APP("ip_forward = 3"), "mos.conf:2: `ip_forward` is out of range: 0|1"},
	{TEN("application { run = x }\n") "application { run = y }\n" GOOD,
         "mos.conf:11: more than 10 `application` blocks"},
	/* netdev */
	{IN_NETDEV("eth0 0"), "mos.conf:3: CPU mask 0 names no CPU"},
	{IN_NETDEV("eth0 all"), "mos.conf:3: `all` is not a CPU mask"},
	{IN_NETDEV("eth0 1 2"),
         "mos.conf:3: a line of `netdev` is `<port> [cpu mask]`; is a `}` missing above?"},
	{"mos { netdev { eth0 1 eth1 1 } }",
         "mos.conf:1: a line of `netdev` is `<port> [cpu mask]`; is a `}` missing above?"},
	{IN_NETDEV("eth0 1\neth1\neth0 2"), "mos.conf:5: port `eth0` is given twice"},
	{IN_NETDEV("03:00.0\n0000:03:00.0,a=b"), "mos.conf:4: port `0000:03:00.0` is given twice"},
	{IN_NETDEV("net_pcap0,rx_pcap=a\nnet_pcap0,rx_pcap=b"),
         "mos.conf:4: port `net_pcap0` is given twice"},
	{IN_NETDEV("eth0:1"), "mos.conf:3: `eth0:1`: no PCI address like 0000:03:00.0"},
	{IN_NETDEV("03:20.0"), "mos.conf:3: `03:20.0`: no PCI address like 0000:03:00.0"},
	{IN_NETDEV("03:00.8"), "mos.conf:3: `03:00.8`: no PCI address like 0000:03:00.0"},
	{IN_NETDEV("03:00.00"), "mos.conf:3: `03:00.00`: no PCI address like 0000:03:00.0"},
	{IN_NETDEV("003:00.0"), "mos.conf:3: `003:00.0`: no PCI address like 0000:03:00.0"},
	{IN_NETDEV("123456789:03:00.0"),
         "mos.conf:3: `123456789:03:00.0`: no PCI address like 0000:03:00.0"},
	{IN_NETDEV("eth0/1"),
         "mos.conf:3: `eth0/1`: a port has letters, digits, _ . and - in its name"},
	{IN_NETDEV("-eth0"),
         "mos.conf:3: `-eth0`: a port has letters, digits, _ . and - in its name"},
	{IN_NETDEV("''"), "mos.conf:3: ``: a port has letters, digits, _ . and - in its name"},
	{IN_NETDEV("eth0,a=b"),
         "mos.conf:3: `eth0,a=b`: only a PCI address or a vdev (net_...) takes arguments"},
	{IN_NETDEV("abcdefghijklmnop"),
         "mos.conf:3: `abcdefghijklmnop`: interface name longer than 15 bytes"},
	{IN_NETDEV("net_" TEN("abcdef")),
         "mos.conf:3: `net_" TEN("abcdef") "`: port name longer than 63 bytes"},
	{IN_NETDEV("net_a," LONG_64 LONG_64 LONG_64 LONG_64 LONG_64 LONG_64 LONG_64 LONG_64),
         "mos.conf:3: `net_a," LONG_58 "`: device arguments longer than 511 bytes"},
	/* tables */
	{IN_TABLE("arp_table", "10.0.0.1/24"),
         "mos.conf:3: a line of `arp_table` is `<ip>[/<prefix>] <mac>`; is a `}` missing above?"},
	{IN_TABLE("arp_table", "10.0.0.1/33 1:2:3:4:5:6"),
         "mos.conf:3: `10.0.0.1/33`: the prefix is 0..32 bits"},
	{IN_TABLE("arp_table", "10.0.0.1/ 1:2:3:4:5:6"),
         "mos.conf:3: `10.0.0.1/`: the prefix is 0..32 bits"},
	{IN_TABLE("arp_table", "10.0.0.1/-1 1:2:3:4:5:6"),
         "mos.conf:3: `10.0.0.1/-1`: the prefix is 0..32 bits"},
	{IN_TABLE("arp_table", "10.0.0/8 1:2:3:4:5:6"),
         "mos.conf:3: `10.0.0` is not an IPv4 address"},
	{IN_TABLE("arp_table", "10.0.0.256 1:2:3:4:5:6"),
         "mos.conf:3: `10.0.0.256` is not an IPv4 address"},
	{IN_TABLE("arp_table", "fe80::1 1:2:3:4:5:6"),
         "mos.conf:3: `fe80::1` is not an IPv4 address"},
	{IN_TABLE("arp_table", "2001:db8::1111:2222 1:2:3:4:5:6"),
         "mos.conf:3: `2001:db8::1111:2222` is not an IPv4 address"},
	{IN_TABLE("arp_table", "10.0.0.1 1:2:3:4:5"),
         "mos.conf:3: `1:2:3:4:5` is not a MAC address"},
	{IN_TABLE("arp_table", "10.0.0.1 1:2:3:4:5:6:7"),
         "mos.conf:3: `1:2:3:4:5:6:7` is not a MAC address"},
	{IN_TABLE("arp_table", "10.0.0.1 1:2:3:4:5:678"),
         "mos.conf:3: `1:2:3:4:5:678` is not a MAC address"},
	{IN_TABLE("arp_table", "10.0.0.1 1:2:3:4::6"),
         "mos.conf:3: `1:2:3:4::6` is not a MAC address"},
	{IN_TABLE("arp_table", "10.0.0.1 1:2:3:4:5:g"),
         "mos.conf:3: `1:2:3:4:5:g` is not a MAC address"},
	{IN_TABLE("arp_table", "10.0.0.1/8 1:2:3:4:5:6\n10.9.9.9/8 1:2:3:4:5:7"),
         "mos.conf:4: `10.9.9.9/8` is given twice"},
	{IN_TABLE("route_table", "10.0.0.0/8"),
         "mos.conf:3: a line of `route_table` is "
         "`<ip>[/<prefix>] <port>`; is a `}` missing above?"},
	{IN_TABLE("route_table", "10.0.0.0/8 eht0"),
         "mos.conf:3: unknown port `eht0`; did you mean `eth0`?"},
	{IN_TABLE("route_table", "default eth0"), "mos.conf:3: `default` is not an IPv4 address"},
	{IN_TABLE("route_table", "10.0.0.0/8 eth0\n10.0.0.1/8 eth1"),
         "mos.conf:4: `10.0.0.1/8` is given twice"},
	{IN_TABLE("nic_forward_table", "eth0"), "mos.conf:3: a line of `nic_forward_table` is "
                                                "`<port> <port>`; is a `}` missing above?"},
	{IN_TABLE("nic_forward_table", "eth0 eth1 eth2"),
         "mos.conf:3: a line of `nic_forward_table` is `<port> <port>`; is a `}` missing above?"},
	{IN_TABLE("nic_forward_table", "eth0 veth"),
         "mos.conf:3: unknown port `veth`; did you mean `eth0`?"},
	{IN_TABLE("nic_forward_table", "eth0 a!"),
         "mos.conf:3: unknown port `a!`; netdev does not have it"},
	{IN_TABLE("nic_forward_table", "eth0 eth0"),
         "mos.conf:3: a pair needs two ports, `eth0` is one"},
	{IN_TABLE("nic_forward_table", "eth0 eth1\neth2 eth1"),
         "mos.conf:4: port `eth1` already has the pair `eth0`"},
	{IN_TABLE("nic_forward_table", "eth0 eth1\neth1 eth0"),
         "mos.conf:4: port `eth1` already has the pair `eth0`"},
};

START_TEST(error_names_file_line_and_cause)
{
	expect_error(errors[_i].text, errors[_i].message);
}
END_TEST

static void expect_limit(const char *head, const char *entry, int count, const char *tail,
                         const char *message)
{
	static char text[1 << 16];
	int i, n;

	n = snprintf(text, sizeof(text), "%s", head);
	for (i = 0; i < count; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, entry, i, i);
	snprintf(text + n, sizeof(text) - (size_t)n, "%s", tail);
	if (message == NULL)
		load(text);
	else
		expect_error(text, message);
}

START_TEST(tables_hold_their_limit_and_no_more)
{
	const char *netdev = "}\nnetdev { eth0\n}\n}";

	expect_limit("mos { netdev {\n", "eth%d\n", 16, "} }", NULL);
	ck_assert_uint_eq(cfg.port_count, 16);
	expect_limit("mos { netdev {\n", "eth%d\n", 17, "} }",
	             "mos.conf:18: more than 16 lines in `netdev`");
	expect_limit("mos { arp_table {\n", "10.0.0.%d 1:2:3:4:5:%x\n", 128, netdev, NULL);
	ck_assert_uint_eq(cfg.arp_count, 128);
	expect_limit("mos { arp_table {\n", "10.0.0.%d 1:2:3:4:5:%x\n", 129, netdev,
	             "mos.conf:130: more than 128 lines in `arp_table`");
	expect_limit("mos { route_table {\n", "10.0.0.%d eth0\n", 128, netdev, NULL);
	ck_assert_uint_eq(cfg.route_count, 128);
	expect_limit("mos { route_table {\n", "10.0.0.%d eth0\n", 129, netdev,
	             "mos.conf:130: more than 128 lines in `route_table`");
	expect_limit("mos { nic_forward_table {\n", "a%d b%d\n", 17, netdev,
	             "mos.conf:18: more than 16 lines in `nic_forward_table`");
	expect_limit("", "application { run = a%d }\n", 10, "mos { netdev { eth0 } }", NULL);
	ck_assert_uint_eq(cfg.app_count, 10);
	ck_assert_str_eq(mos_config_app_arg(&cfg.app[9], 0), "a9");
}
END_TEST

/* All 16 ports in pairs, and as many waiting lines as there can be. */
START_TEST(fullest_file_loads)
{
	static char text[1 << 16];
	int i, n;

	n = snprintf(text, sizeof(text), "mos {\nstat_print =");
	for (i = 0; i < 16; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " eth%d", i);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "\nnic_forward_table {\n");
	for (i = 0; i < 16; i += 2)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "eth%d eth%d\n", i, i + 1);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "}\nroute_table {\n");
	for (i = 0; i < 128; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%d.0.0.0/8 eth%d\n", i, i % 16);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "}\nnetdev {\n");
	for (i = 0; i < 16; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "eth%d\n", i);
	snprintf(text + n, sizeof(text) - (size_t)n, "} }");
	load(text);
	ck_assert_uint_eq(cfg.stat_print, 0xffff);
	for (i = 0; i < 16; i++)
		ck_assert_int_eq(cfg.port[i].peer, i ^ 1);
	for (i = 0; i < 128; i++)
		ck_assert_uint_eq(cfg.route[i].port, i % 16);
}
END_TEST

START_TEST(run_takes_twenty_words_and_a_full_line)
{
	char text[4096], line[MOS_CONFIG_LINE_MAX + 2];

	load(IN_APP("run = " TEN("a ") TEN("b ")));
	ck_assert_uint_eq(cfg.app[0].argc, 20);
	ck_assert_str_eq(mos_config_app_arg(&cfg.app[0], 19), "b");

	memset(line, 'x', sizeof(line));
	memcpy(line, "run=", 4);
	line[MOS_CONFIG_LINE_MAX] = '\0';
	snprintf(text, sizeof(text), "application {\n%s\n}\n" GOOD, line);
	load(text);
	ck_assert_uint_eq(strlen(mos_config_app_arg(&cfg.app[0], 0)), MOS_CONFIG_LINE_MAX - 4);

	line[MOS_CONFIG_LINE_MAX] = 'x';
	line[MOS_CONFIG_LINE_MAX + 1] = '\0';
	snprintf(text, sizeof(text), "application {\n%s\n}\n" GOOD, line);
	expect_error(text, "mos.conf:2: line longer than 1023 bytes");
	line[0] = '#';
	snprintf(text, sizeof(text), GOOD "\n%s", line);
	expect_error(text, "mos.conf:8: line longer than 1023 bytes");
}
END_TEST

START_TEST(longest_device_string_fits)
{
	char text[2048], devargs[MOS_CONFIG_DEVARGS_LEN];

	memset(devargs, 'x', sizeof(devargs));
	memcpy(devargs, "net_a,", 6);
	devargs[sizeof(devargs) - 1] = '\0';
	snprintf(text, sizeof(text), "mos { netdev { %s } }", devargs);
	load(text);
	ck_assert_str_eq(cfg.port[0].devargs, devargs);
	snprintf(text, sizeof(text), "mos { netdev { %sx } }", devargs);
	expect_error(
		text,
		"mos.conf:1: `net_a,xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`"
		": device arguments longer than 511 bytes");
	load("mos { netdev { net_" LONG_58 "a } }");
	ck_assert_uint_eq(strlen(cfg.port[0].name), 63);
}
END_TEST

START_TEST(nul_byte_is_an_error)
{
	static const char text[] = GOOD "# \0\n";

	test_config_expect(text, sizeof(text) - 1, "mos.conf:7: NUL byte; is this a text file?");
}
END_TEST

TCase *test_config_errors(void)
{
	TCase *tc = tcase_create("errors");

	tcase_add_loop_test(tc, error_names_file_line_and_cause, 0,
	                    (int)(sizeof(errors) / sizeof(errors[0])));
	tcase_add_test(tc, tables_hold_their_limit_and_no_more);
	tcase_add_test(tc, fullest_file_loads);
	tcase_add_test(tc, run_takes_twenty_words_and_a_full_line);
	tcase_add_test(tc, longest_device_string_fits);
	tcase_add_test(tc, nul_byte_is_an_error);
	return tc;
}
