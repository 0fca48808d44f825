#include "primary/ports/ports.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <rte_ethdev.h>

#include "primary/eal/eal_primary.h"
#include "primary/memory/memory.h"
#include "primary/topology.h"
#include "shared/platform.h"

enum { RECONNECT_POLLS = 10 };

#define TX_CSUM (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM)

static int __attribute__((format(printf, 4, 5)))
fail(char *err, size_t err_len, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(err, err_len, fmt, args);
	va_end(args);
	return -code;
}

static int cannot_start(const struct mos_port *port, int code, char *err, size_t err_len)
{
	if (port->kernel_if[0] != '\0' && port->mtu > RTE_ETHER_MTU)
		return fail(err, err_len, code,
		            "port %s: the device does not start: %s; MTU %u may be too large for "
		            "its driver, `ip link set %s mtu 1500`, and its peer",
		            port->name, strerror(code), port->mtu, port->kernel_if);
	return fail(err, err_len, code, "port %s: the device does not start: %s", port->name,
	            strerror(code));
}

/*
 * One queue each way, no offloads by themselves: frames must come and go as they are on the wire.
 * Chains of mbufs (long frames of a capture, of a memif) are sent where the device can, and
 * checksums are left to one that computes those of IPv4 and TCP, for packets that ask for it.
 */
static int configure(struct mos_port *port, struct rte_mempool *pool, char *err, size_t err_len)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = {0};
	uint16_t rxd = MOS_PORT_DESC, txd = MOS_PORT_DESC, id = port->dpdk_port;
	int node = rte_eth_dev_socket_id(id);
	int rc;

	rc = rte_eth_dev_info_get(id, &info);
	if (rc == 0) {
		conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
		port->chains |= conf.txmode.offloads != 0;
		port->csum_offload = (info.tx_offload_capa & TX_CSUM) == TX_CSUM;
		if (port->csum_offload)
			conf.txmode.offloads |= TX_CSUM;
		rc = rte_eth_dev_configure(id, 1, 1, &conf);
	}
	if (rc == 0)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(id, &rxd, &txd);
	if (rc == 0)
		rc = rte_eth_rx_queue_setup(id, 0, rxd, (unsigned)node, NULL, pool);
	if (rc == 0)
		rc = rte_eth_tx_queue_setup(id, 0, txd, (unsigned)node, NULL);
	if (rc == 0)
		rc = rte_eth_dev_start(id);
	port->running = rc == 0;
	if (rc < 0 && !port->reconnects)
		return cannot_start(port, -rc, err, err_len);
	port->started = true;
	/* Not every device can; then it sees everything anyway, or says so by lost traffic. */
	if (!port->was_promiscuous)
		rte_eth_promiscuous_enable(id);
	return 0;
}

static void fill_row(struct mos_port_row *row, const struct mos_port *port, int peer)
{
	struct rte_ether_addr mac = {0};

	memset(row, 0, sizeof(*row));
	snprintf(row->name, sizeof(row->name), "%s", port->name);
	rte_eth_macaddr_get(port->dpdk_port, &mac);
	memcpy(row->mac, mac.addr_bytes, sizeof(row->mac));
	row->pair = peer < 0 ? MOS_PORT_NONE : (uint8_t)peer;
	row->lossless = port->lossless;
	row->dpdk_port = port->dpdk_port;
	row->mtu = port->mtu;
	row->csum_offload = port->csum_offload;
}

static int start_port(struct mos_port *port, struct mos_primary *p, uint32_t index, char *err,
                      size_t err_len)
{
	int rc;

	if (rte_eth_dev_get_port_by_name(port->device, &port->dpdk_port) < 0)
		return fail(err, err_len, ENODEV,
		            port->pci
		                    ? "port %s: no driver took the device; bind it with "
		                      "dpdk-devbind.py"
		                    : "port %s: no such DPDK device; check its name and arguments",
		            port->name);
	rc = configure(port, p->pool, err, err_len);
	if (rc < 0)
		return rc;
	if (port->mtu == 0)
		rte_eth_dev_get_mtu(port->dpdk_port, &port->mtu);
	fill_row(&p->root->port[index], port, p->cfg.port[index].peer);
	return 0;
}

int mos_ports_start(struct mos_ports *ports, struct mos_primary *p, char *err, size_t err_len)
{
	uint32_t before = rte_mempool_avail_count(p->pool);
	int rc = 0;

	ports->pool = p->pool;
	for (uint32_t i = 0; rc == 0 && i < ports->count; i++) {
		uint32_t had = rte_mempool_avail_count(p->pool);

		rc = start_port(&ports->port[i], p, i, err, err_len);
		ports->port[i].held = had - rte_mempool_avail_count(p->pool);
	}
	if (rc < 0) {
		mos_ports_stop(ports);
		return rc;
	}
	mos_ports_poll_links(ports, p->root);
	p->pool_at_ports = before - rte_mempool_avail_count(p->pool);
	p->ports = ports;
	return 0;
}

/*
 * net_af_packet of this DPDK says "up" once started: the kernel knows better. Carrier, because
 * IFF_RUNNING follows it up to a second later. An interface that was deleted and made again has
 * another index: the driver's socket is bound to the one that is gone.
 */
static bool kernel_link_is_up(int sock, const struct mos_port *port)
{
	struct ethtool_value carrier = {.cmd = ETHTOOL_GLINK};
	struct ifreq ifr = {0};

	memcpy(ifr.ifr_name, port->kernel_if, IF_NAMESIZE);
	if (ioctl(sock, SIOCGIFINDEX, &ifr) < 0 || ifr.ifr_ifindex != port->kernel_index)
		return false;
	if (ioctl(sock, SIOCGIFFLAGS, &ifr) < 0 || (ifr.ifr_flags & IFF_UP) == 0)
		return false;
	if ((ifr.ifr_flags & IFF_RUNNING) != 0)
		return true;
	ifr.ifr_data = (char *)&carrier;
	return ioctl(sock, SIOCETHTOOL, &ifr) == 0 && carrier.data != 0;
}

static bool link_is_up(const struct mos_ports *ports, const struct mos_port *port)
{
	struct rte_eth_link link;

	if (port->kernel_if[0] != '\0')
		return kernel_link_is_up(ports->sock, port);
	/* net_memif needs the question itself: it moves no packets before. */
	if (rte_eth_link_get_nowait(port->dpdk_port, &link) < 0 || port->link_unknown)
		return true;
	return link.link_status == RTE_ETH_LINK_UP;
}

/* Once in RECONNECT_POLLS; between two tries the server has time to answer. */
static void reconnect(struct mos_port *port)
{
	if (++port->polls < RECONNECT_POLLS)
		return;
	port->polls = 0;
	rte_log_set_level_pattern("pmd.net.memif", RTE_LOG_CRIT); /* it complains at each try */
	if (port->running)
		rte_eth_dev_stop(port->dpdk_port);
	port->running = rte_eth_dev_start(port->dpdk_port) == 0;
}

void mos_ports_poll_links(struct mos_ports *ports, struct mos_root *root)
{
	for (uint32_t i = 0; i < ports->count; i++) {
		struct mos_port *port = &ports->port[i];
		bool up = port->running && link_is_up(ports, port);

		__atomic_store_n(&root->port[i].link_up, (uint8_t)up, __ATOMIC_RELAXED);
		if (mos_unlikely(!up && port->reconnects))
			reconnect(port);
		else
			port->polls = 0;
	}
}

static void stop_port(struct mos_ports *ports, struct mos_port *port)
{
	uint32_t before = rte_mempool_avail_count(ports->pool), given;

	if (!port->was_promiscuous)
		rte_eth_promiscuous_disable(port->dpdk_port);
	if (port->running)
		rte_eth_dev_stop(port->dpdk_port);
	rte_eth_dev_close(port->dpdk_port);
	port->started = port->running = false;
	given = rte_mempool_avail_count(ports->pool) - before;
	if (given < port->held) /* then what it was sending is not back either */
		ports->kept += port->held - given + MOS_PORT_DESC;
}

/* Stop the ports whose drivers leave handlers of interrupts behind, or the others. */
static void stop_ports(struct mos_ports *ports, bool leaves_handler)
{
	for (uint32_t i = 0; i < ports->count; i++) {
		struct mos_port *port = &ports->port[i];

		if (port->started && port->leaves_handler == leaves_handler)
			stop_port(ports, port);
	}
}

static bool has_started(const struct mos_ports *ports)
{
	for (uint32_t i = 0; i < ports->count; i++)
		if (ports->port[i].started)
			return true;
	return false;
}

/*
 * Some drivers need interrupts to close a port; those that leave handlers behind must see none from
 * then on, and net_memif not even while it is stopped: it would disconnect twice at once. When
 * interrupts cannot be halted such a port stays open: the process is about to end.
 */
void mos_ports_stop(struct mos_ports *ports)
{
	stop_ports(ports, false);
	if (has_started(ports) && mos_eal_interrupts_halt() == 0)
		stop_ports(ports, true);
	if (ports->sock >= 0)
		close(ports->sock);
	ports->sock = -1;
}

void mos_ports_print(FILE *out, const struct mos_ports *ports)
{
	struct rte_eth_stats st;

	for (uint32_t i = 0; i < ports->count; i++) {
		const struct mos_port *port = &ports->port[i];

		if (!port->started || rte_eth_stats_get(port->dpdk_port, &st) < 0)
			continue;
		if (st.imissed + st.rx_nombuf + st.ierrors + st.oerrors == 0)
			continue;
		fprintf(out,
		        "  port %s: missed %llu, no buffer %llu, receive errors %llu, "
		        "send errors %llu\n",
		        port->name, (unsigned long long)st.imissed,
		        (unsigned long long)st.rx_nombuf, (unsigned long long)st.ierrors,
		        (unsigned long long)st.oerrors);
	}
}
