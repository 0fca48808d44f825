#include <ctype.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "primary/ports/ports.h"
#include "shared/platform.h"

enum {
	L2_MAX = 22,				/* Ethernet and two tags */
	TPACKET_OVERHEAD = TPACKET2_HDRLEN + 2, /* + alignment of the IP header */
	TPACKET_HDR_ROOM =
		TPACKET2_HDRLEN - sizeof(struct sockaddr_ll), /* not counted by the driver */
	AF_PACKET_FRAMES = 1024,
	BLOCK_MIN = 4096,
	MBUF_SIZE_MAX = 16384, /* that mos.conf takes */
};

static int __attribute__((format(printf, 4, 5)))
fail(char *err, size_t err_len, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(err, err_len, fmt, args);
	va_end(args);
	return -code;
}

/*
 * A kernel interface through net_af_packet. The driver needs frames that divide a block, and refuses
 * frames that would not fit an mbuf; the kernel cuts off what does not fit a frame.
 */
static int plan_iface(struct mos_port *port, int sock, uint32_t index,
		      const struct mos_config_port *cp, uint32_t mbuf_size, char *err,
		      size_t err_len)
{
	struct ifreq ifr = {0};
	uint32_t frame, block, mbuf_need;

	if (strlen(cp->name) >= IF_NAMESIZE)
		return fail(err, err_len, EINVAL, "port %s: no such interface; see `ip link`",
			    cp->name);
	memcpy(port->kernel_if, cp->name, strlen(cp->name) + 1);
	memcpy(ifr.ifr_name, cp->name, strlen(cp->name) + 1);
	if (ioctl(sock, SIOCGIFMTU, &ifr) < 0)
		return fail(err, err_len, errno, "port %s: no such interface; see `ip link`",
			    cp->name);
	if (ifr.ifr_mtu > 65535)
		ifr.ifr_mtu = 65535;
	port->mtu = (uint16_t)ifr.ifr_mtu;

	frame = mos_pow2_ceil(port->mtu + L2_MAX + TPACKET_OVERHEAD);
	if (frame < 2048)
		frame = 2048;
	mbuf_need = frame - TPACKET_HDR_ROOM;
	if (mbuf_need > MBUF_SIZE_MAX)
		return fail(err, err_len, EINVAL,
			    "port %s: MTU %u is too large; `ip link set %s mtu 9000`, or less",
			    cp->name, port->mtu, cp->name);
	if (mbuf_need > mbuf_size)
		return fail(err, err_len, EINVAL,
			    "port %s: MTU %u does not fit mbuf_size = %u; set mbuf_size = %u, or "
			    "`ip link set %s mtu 1500`",
			    cp->name, port->mtu, mbuf_size, mbuf_need, cp->name);
	block = frame < BLOCK_MIN ? BLOCK_MIN : frame;
	snprintf(port->device, sizeof(port->device), "net_af_packet_%u", index);
	snprintf(port->devargs, sizeof(port->devargs),
		 "net_af_packet_%u,iface=%s,qpairs=1,framesz=%u,framecnt=%u,blocksz=%u", index,
		 cp->name, frame, AF_PACKET_FRAMES, block);

	if (ioctl(sock, SIOCGIFFLAGS, &ifr) == 0)
		port->was_promiscuous = (ifr.ifr_flags & IFF_PROMISC) != 0;
	return 0;
}

/* The capture file of a net_pcap device must be there: the driver's own message is no help. */
static int check_capture(const struct mos_port *port, const char *path, char *err, size_t err_len)
{
	struct stat st;

	if (stat(path, &st) < 0 || access(path, R_OK) < 0)
		return fail(err, err_len, errno, "port %s: cannot read capture file %s: %s",
			    port->name, path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return fail(err, err_len, EISDIR, "port %s: capture file %s is a directory",
			    port->name, path);
	return 0;
}

static bool is_driver(const char *device, const char *driver)
{
	return strncmp(device, driver, strlen(driver)) == 0;
}

/* Find out what a net_pcap device reads and writes. Its arguments: name,key=value,key=value,... */
static int plan_pcap(struct mos_port *port, char *err, size_t err_len)
{
	char args[sizeof(port->devargs)], *save, *arg;
	bool infinite = false, writes_iface = false;
	int rc = 0;

	memcpy(args, port->devargs, sizeof(args));
	for (arg = strtok_r(args, ",", &save); rc == 0 && arg != NULL;
	     arg = strtok_r(NULL, ",", &save)) {
		if (strncmp(arg, "rx_pcap=", 8) == 0) {
			rc = check_capture(port, arg + 8, err, err_len);
			port->lossless = true;
		} else if (strncmp(arg, "infinite_rx=", 12) == 0) {
			infinite = atoi(arg + 12) > 0;
		} else if (strncmp(arg, "iface=", 6) == 0 || strncmp(arg, "tx_iface=", 9) == 0) {
			writes_iface = true;
		}
	}
	port->endless = port->lossless && infinite;
	port->any_length = !writes_iface;
	return rc;
}

static int plan_vdev(struct mos_port *port, char *err, size_t err_len)
{
	if (is_driver(port->device, "net_pcap") || is_driver(port->device, "eth_pcap"))
		return plan_pcap(port, err, err_len);
	/* It asks for its interface by name, which fails once that moved to another namespace. */
	port->link_unknown = is_driver(port->device, "net_tap");
	port->any_length =
		is_driver(port->device, "net_null") || is_driver(port->device, "net_ring");
	return 0;
}

static int plan_port(struct mos_ports *ports, uint32_t i, const struct mos_config *cfg, char *err,
		     size_t err_len)
{
	const struct mos_config_port *cp = &cfg->port[i];
	struct mos_port *port = &ports->port[i];

	snprintf(port->name, sizeof(port->name), "%s", cp->name);
	if (cp->kind == MOS_CONFIG_PORT_IFACE)
		return plan_iface(port, ports->sock, i, cp, (uint32_t)cfg->mbuf_size, err, err_len);

	snprintf(port->device, sizeof(port->device), "%s", cp->name);
	snprintf(port->devargs, sizeof(port->devargs), "%s", cp->devargs);
	port->pci = cp->kind == MOS_CONFIG_PORT_PCI;
	return port->pci ? 0 : plan_vdev(port, err, err_len);
}

int mos_ports_plan(struct mos_ports *ports, const struct mos_config *cfg, char *err, size_t err_len)
{
	int rc = 0;

	memset(ports, 0, sizeof(*ports));
	ports->sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ports->sock < 0)
		return fail(err, err_len, errno, "socket: %s", strerror(errno));
	ports->count = cfg->port_count;
	for (uint32_t i = 0; rc == 0 && i < cfg->port_count; i++)
		rc = plan_port(ports, i, cfg, err, err_len);
	if (rc < 0) {
		close(ports->sock);
		ports->sock = -1;
	}
	return rc;
}
