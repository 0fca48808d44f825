/*
 * What the names of mos.conf become, before EAL. In a network namespace of its own, where lo gets
 * whatever MTU a test needs; skipped when that is not allowed.
 */
#include "primary/ports/ports.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct mos_config cfg;
static struct mos_ports ports;
static char err[512], dir[] = "/tmp/mos_ports_XXXXXX", capture[64];

static void one_port(enum mos_config_port_kind kind, const char *name, const char *devargs)
{
	memset(&cfg, 0, sizeof(cfg));
	cfg.mbuf_size = 2048;
	cfg.port_count = 1;
	cfg.port[0].kind = kind;
	snprintf(cfg.port[0].name, sizeof(cfg.port[0].name), "%s", name);
	snprintf(cfg.port[0].devargs, sizeof(cfg.port[0].devargs), "%s", devargs);
}

static int plan(void)
{
	int rc = mos_ports_plan(&ports, &cfg, err, sizeof(err));

	if (rc == 0)
		close(ports.sock);
	return rc;
}

static void set_lo_mtu(int mtu)
{
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq ifr = {.ifr_name = "lo"};

	ifr.ifr_mtu = mtu;
	ck_assert_int_eq(ioctl(sock, SIOCSIFMTU, &ifr), 0);
	close(sock);
}

static void says(const char *words)
{
	ck_assert_msg(strstr(err, words) != NULL, "'%s' does not say '%s'", err, words);
}

START_TEST(an_interface_becomes_af_packet)
{
	set_lo_mtu(1500);
	one_port(MOS_CONFIG_PORT_IFACE, "lo", "");
	ck_assert_int_eq(plan(), 0);
	ck_assert_str_eq(ports.port[0].device, "net_af_packet_0");
	ck_assert_ptr_eq(strstr(ports.port[0].devargs, "net_af_packet_0,iface=lo,"),
	                 ports.port[0].devargs);
	ck_assert_ptr_nonnull(strstr(ports.port[0].devargs, "framesz=2048"));
	ck_assert_uint_eq(ports.port[0].mtu, 1500);
	ck_assert(!ports.port[0].pci && !ports.port[0].lossless && !ports.port[0].any_length);
}
END_TEST

START_TEST(a_missing_interface_is_named)
{
	one_port(MOS_CONFIG_PORT_IFACE, "veth9", "");
	ck_assert_int_lt(plan(), 0);
	ck_assert_str_eq(err, "port veth9: no such interface; see `ip link`");
	one_port(MOS_CONFIG_PORT_IFACE, "a_name_longer_than_any_interface", "");
	ck_assert_int_lt(plan(), 0);
	says("no such interface");
}
END_TEST

START_TEST(a_large_mtu_says_which_mbuf_size_it_needs)
{
	const char *need;

	set_lo_mtu(9000);
	one_port(MOS_CONFIG_PORT_IFACE, "lo", "");
	ck_assert_int_eq(plan(), -EINVAL);
	says("MTU 9000 does not fit mbuf_size = 2048");
	need = strstr(err, "set mbuf_size = ");
	ck_assert_ptr_nonnull(need);
	cfg.mbuf_size = atoi(need + strlen("set mbuf_size = "));
	ck_assert_int_le(cfg.mbuf_size, 16384); /* a value that mos.conf takes */
	ck_assert_int_eq(plan(), 0);
	ck_assert_uint_eq(ports.port[0].mtu, 9000);

	set_lo_mtu(65536);
	ck_assert_int_eq(plan(), -EINVAL);
	says("MTU 65535 is too large; `ip link set lo mtu 9000`");
}
END_TEST

START_TEST(a_capture_is_lossless_and_must_be_there)
{
	char args[128];

	snprintf(args, sizeof(args), "net_pcap0,rx_pcap=%s/none.pcap", dir);
	one_port(MOS_CONFIG_PORT_VDEV, "net_pcap0", args);
	ck_assert_int_eq(plan(), -ENOENT);
	says("port net_pcap0: cannot read capture file");
	says("none.pcap: No such file");

	snprintf(args, sizeof(args), "net_pcap0,rx_pcap=%s", dir);
	one_port(MOS_CONFIG_PORT_VDEV, "net_pcap0", args);
	ck_assert_int_lt(plan(), 0);
	says("is a directory");

	snprintf(args, sizeof(args), "net_pcap0,tx_pcap=out.pcap,rx_pcap=%s", capture);
	one_port(MOS_CONFIG_PORT_VDEV, "net_pcap0", args);
	ck_assert_int_eq(plan(), 0);
	ck_assert(ports.port[0].lossless && !ports.port[0].endless && ports.port[0].any_length);

	snprintf(args, sizeof(args), "net_pcap0,rx_pcap=%s,infinite_rx=1", capture);
	one_port(MOS_CONFIG_PORT_VDEV, "net_pcap0", args);
	ck_assert_int_eq(plan(), 0);
	ck_assert(ports.port[0].lossless && ports.port[0].endless);
}
END_TEST

START_TEST(af_xdp_has_link_and_mtu_of_its_interface)
{
	set_lo_mtu(1700);
	one_port(MOS_CONFIG_PORT_VDEV, "net_af_xdp0",
	         "net_af_xdp0,start_queue=0,iface=lo,queue_count=1");
	ck_assert_int_eq(plan(), 0);
	ck_assert_str_eq(ports.port[0].devargs, cfg.port[0].devargs);
	ck_assert_str_eq(ports.port[0].kernel_if, "lo");
	ck_assert_uint_eq(ports.port[0].mtu, 1700);
	ck_assert(!ports.port[0].any_length && !ports.port[0].chains);

	set_lo_mtu(9000);
	ck_assert_int_eq(plan(), -EINVAL);
	says("port net_af_xdp0: MTU 9000 does not fit mbuf_size = 2048");
	cfg.mbuf_size = 4096;
	ck_assert_int_eq(plan(), -EINVAL);
	says("AF_XDP takes no packets of mbuf_size = 4096; set mbuf_size = 3");
	one_port(MOS_CONFIG_PORT_VDEV, "net_af_xdp0", "net_af_xdp0,iface=veth9");
	ck_assert_int_eq(plan(), -ENODEV);
	says("port net_af_xdp0: no such interface: veth9");
	one_port(MOS_CONFIG_PORT_VDEV, "net_af_xdp0", "net_af_xdp0");
	ck_assert_int_eq(plan(), -EINVAL);
	says("Write net_af_xdp0,iface=NAME");
}
END_TEST

static void plan_memif(const char *role, const char *path)
{
	char args[256];

	snprintf(args, sizeof(args), "net_memif0,role=%s,socket=%s,socket-abstract=no", role, path);
	one_port(MOS_CONFIG_PORT_VDEV, "net_memif0", args);
	ck_assert_int_eq(plan(), 0);
}

START_TEST(a_memif_socket_left_behind_is_removed_and_no_other_file)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/memif", dir);
	ck_assert_int_eq(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(sock, 1), 0);
	plan_memif("server", addr.sun_path);
	ck_assert_int_eq(access(addr.sun_path, F_OK), 0); /* somebody listens */
	close(sock);
	plan_memif("client", addr.sun_path);
	ck_assert_int_eq(access(addr.sun_path, F_OK), 0);
	plan_memif("server", addr.sun_path);
	ck_assert_int_lt(access(addr.sun_path, F_OK), 0);
	plan_memif("server", capture);
	ck_assert_int_eq(access(capture, F_OK), 0);
}
END_TEST

START_TEST(other_devices_go_through_as_they_are_written)
{
	one_port(MOS_CONFIG_PORT_VDEV, "net_pcap0", "net_pcap0,iface=eth0");
	ck_assert_int_eq(plan(), 0);
	ck_assert(!ports.port[0].lossless && !ports.port[0].any_length);

	one_port(MOS_CONFIG_PORT_VDEV, "net_memif0", "net_memif0,role=client,id=3");
	ck_assert_int_eq(plan(), 0);
	ck_assert_str_eq(ports.port[0].device, "net_memif0");
	ck_assert_str_eq(ports.port[0].devargs, "net_memif0,role=client,id=3");
	ck_assert(!ports.port[0].pci && !ports.port[0].lossless);

	one_port(MOS_CONFIG_PORT_VDEV, "net_tap0", "net_tap0,iface=tap0");
	ck_assert_int_eq(plan(), 0);
	ck_assert(ports.port[0].link_unknown);

	one_port(MOS_CONFIG_PORT_PCI, "0000:03:00.0", "0000:03:00.0");
	ck_assert_int_eq(plan(), 0);
	ck_assert(ports.port[0].pci);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ports_plan");
	TCase *tc = tcase_create("all");
	SRunner *r;
	int failed;
	FILE *f;

	if (unshare(CLONE_NEWNET) < 0 || mkdtemp(dir) == NULL)
		return 77;
	snprintf(capture, sizeof(capture), "%s/a.pcap", dir);
	f = fopen(capture, "w");
	if (f != NULL)
		fclose(f);
	tcase_add_test(tc, an_interface_becomes_af_packet);
	tcase_add_test(tc, a_missing_interface_is_named);
	tcase_add_test(tc, a_large_mtu_says_which_mbuf_size_it_needs);
	tcase_add_test(tc, a_capture_is_lossless_and_must_be_there);
	tcase_add_test(tc, af_xdp_has_link_and_mtu_of_its_interface);
	tcase_add_test(tc, a_memif_socket_left_behind_is_removed_and_no_other_file);
	tcase_add_test(tc, other_devices_go_through_as_they_are_written);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	unlink(capture);
	rmdir(dir);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
