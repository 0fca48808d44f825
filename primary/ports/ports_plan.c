#include <ctype.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_mbuf.h>

#include "primary/ports/ports.h"
#include "shared/platform.h"

enum {
	L2_MAX = 22,                            /* Ethernet and two tags */
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

/* Find the kernel interface of a port: sets kernel_if, kernel_index, mtu and was_promiscuous. */
static int find_iface(struct mos_port *port, int sock, const char *iface)
{
	struct ifreq ifr = {0};
	size_t len = strlen(iface);

	if (len >= IF_NAMESIZE)
		return -ENODEV;
	memcpy(ifr.ifr_name, iface, len + 1);
	if (ioctl(sock, SIOCGIFINDEX, &ifr) < 0)
		return -errno;
	memcpy(port->kernel_if, iface, len + 1);
	port->kernel_index = ifr.ifr_ifindex;
	if (ioctl(sock, SIOCGIFMTU, &ifr) < 0)
		return -errno;
	port->mtu = (uint16_t)(ifr.ifr_mtu > 65535 ? 65535 : ifr.ifr_mtu);
	if (ioctl(sock, SIOCGIFFLAGS, &ifr) == 0)
		port->was_promiscuous = (ifr.ifr_flags & IFF_PROMISC) != 0;
	return 0;
}

/*
 * A kernel interface through net_af_packet. The driver needs frames that divide a block, and refuses
 * frames that would not fit an mbuf; the kernel cuts off what does not fit a frame.
 */
static int plan_iface(struct mos_port *port, int sock, uint32_t index,
                      const struct mos_config_port *cp, uint32_t mbuf_size, char *err,
                      size_t err_len)
{
	uint32_t frame, block, mbuf_need;
	int rc = find_iface(port, sock, cp->name);

	if (rc < 0)
		return fail(err, err_len, -rc, "port %s: no such interface; see `ip link`",
		            cp->name);
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
	return 0;
}

/* The value of one of a device's arguments, "" = it is not there. */
static const char *argument(const struct mos_port *port, const char *key, char *value, size_t len)
{
	char pattern[32];
	const char *at;

	snprintf(pattern, sizeof(pattern), ",%s=", key);
	at = strstr(port->devargs, pattern);
	snprintf(value, len, "%s", at == NULL ? "" : at + strlen(pattern));
	value[strcspn(value, ",")] = '\0';
	return value;
}

/* What net_af_xdp takes for a packet: all of it, with the pool's header and padding. */
static uint32_t xdp_buffer(uint32_t mbuf_size)
{
	uint32_t mbuf = (uint32_t)sizeof(struct rte_mbuf) + RTE_PKTMBUF_HEADROOM + mbuf_size;

	return rte_mempool_calc_obj_size(mbuf, 0, NULL);
}

/*
 * net_af_xdp itself says "up" at all times, and knows no MTU. It makes packets buffers of the
 * kernel, of one memory page at most. Frames that do not fit are dropped by the kernel, so an
 * interface that has such is refused.
 */
static int plan_xdp(struct mos_port *port, int sock, uint32_t mbuf_size, char *err, size_t err_len)
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE), fit = mbuf_size;
	char iface[MOS_CONFIG_DEVARGS_LEN];
	int rc;

	if (*argument(port, "iface", iface, sizeof(iface)) == '\0')
		return fail(err, err_len, EINVAL, "port %s: which interface? Write %s,iface=NAME",
		            port->name, port->name);
	rc = find_iface(port, sock, iface);
	if (rc < 0)
		return fail(err, err_len, -rc, "port %s: no such interface: %s; see `ip link`",
		            port->name, iface);
	while (xdp_buffer(fit) > page)
		fit -= MOS_CACHE_LINE;
	if (fit < mbuf_size)
		return fail(err, err_len, EINVAL,
		            "port %s: AF_XDP takes no packets of mbuf_size = %u; set mbuf_size = "
		            "%u, or less",
		            port->name, mbuf_size, fit);
	if ((uint32_t)port->mtu + L2_MAX > mbuf_size)
		return fail(
			err, err_len, EINVAL,
			"port %s: MTU %u does not fit mbuf_size = %u; `ip link set %s mtu 1500`",
			port->name, port->mtu, mbuf_size, iface);
	return 0;
}

/*
 * A primary that was killed leaves the socket of its net_memif behind, and the driver would find the
 * address in use. When nobody listens there it is removed.
 */
static void plan_memif(struct mos_port *port)
{
	char role[16], abstract[16], path[MOS_CONFIG_DEVARGS_LEN];
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct stat st;
	int sock;

	argument(port, "role", role, sizeof(role));
	argument(port, "socket-abstract", abstract, sizeof(abstract));
	argument(port, "socket", path, sizeof(path));
	port->leaves_handler = true;
	port->reconnects = strcmp(role, "server") != 0 && strcmp(role, "master") != 0;
	if (port->reconnects || strcmp(abstract, "no") != 0 ||
	    strlen(path) >= sizeof(addr.sun_path) || stat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	memcpy(addr.sun_path, path, strlen(path));
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return;
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno == ECONNREFUSED)
		unlink(path);
	close(sock);
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
	port->chains = true;
	return rc;
}

static int plan_vdev(struct mos_port *port, int sock, uint32_t mbuf_size, char *err, size_t err_len)
{
	if (is_driver(port->device, "net_pcap") || is_driver(port->device, "eth_pcap"))
		return plan_pcap(port, err, err_len);
	if (is_driver(port->device, "net_af_xdp"))
		return plan_xdp(port, sock, mbuf_size, err, err_len);
	if (is_driver(port->device, "net_memif"))
		plan_memif(port);
	/* It asks for its interface by name, which fails once that moved to another namespace. */
	port->link_unknown = is_driver(port->device, "net_tap");
	port->any_length =
		is_driver(port->device, "net_null") || is_driver(port->device, "net_ring");
	port->chains = port->any_length;
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
	if (port->pci)
		return 0;
	return plan_vdev(port, ports->sock, (uint32_t)cfg->mbuf_size, err, err_len);
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
