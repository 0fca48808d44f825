/*
 * Ports: from the names in mos.conf to started DPDK devices and the port table of the root.
 *
 *   kind in mos.conf    becomes
 *   eth0                --vdev net_af_packet_<i>,iface=eth0,...    frame size from its MTU
 *   net_af_xdp0,iface=  --vdev as written                          link and MTU are the kernel's
 *   net_xyz0,a=b,...    --vdev as written                          any DPDK virtual device
 *   0000:03:00.0        --allow as written                         any DPDK driver
 *
 * Two steps: mos_ports_plan() before EAL starts checks what can be checked without DPDK
 * (interfaces, files) and gives the device arguments; mos_ports_start() after it finds the devices,
 * configures one queue each way and fills root->port[]. The index of a port is its line in
 * `netdev`, everywhere.
 *
 * net_af_packet would have the kernel join IPv4 fragments; whole_fragments.c prevents it. An outer
 * VLAN tag of type 0x88a8 leaves it as 0x8100: the driver does not tell which one it was.
 *
 * A kernel interface that goes away while its port runs is a port without link from then on, also
 * when another one of its name comes.
 *
 * A net_memif client connects when it is started, and never again: without link it is started once
 * per second, so that neither the order of start nor a server that ends matters.
 *
 * A net_pcap device that reads a file (rx_pcap=) is lossless: it waits instead of dropping, its
 * packets carry the capture's time, and it comes to an end. With infinite_rx=1 it has neither time
 * nor end.
 *
 * Everything here is called by the main thread.
 */
#ifndef MOS_PRIMARY_PORTS_H
#define MOS_PRIMARY_PORTS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "shared/config/config.h"
#include "shared/root/root.h"

struct mos_primary;
struct rte_mempool;

struct mos_port {
	char name[MOS_CONFIG_NAME_LEN];            /* as in mos.conf */
	char device[MOS_CONFIG_NAME_LEN];          /* name of the DPDK device */
	char devargs[MOS_CONFIG_DEVARGS_LEN + 64]; /* for --vdev or --allow */
	bool pci;                                  /* devargs belong to --allow */
	bool lossless;                             /* reads a capture file */
	bool endless;                              /* ... over and over */
	bool started;
	bool was_promiscuous;        /* leave it so at the end */
	char kernel_if[IF_NAMESIZE]; /* "" = none */
	int kernel_index;            /* of it: another one of that name is not ours */
	uint16_t dpdk_port;
	uint16_t mtu;        /* bytes of IP packet */
	bool any_length;     /* sends frames of any length (a file, a sink) */
	bool chains;         /* sends packets that are spread over several mbufs */
	bool csum_offload;   /* computes checksums of IPv4 and TCP when a packet asks for it */
	bool link_unknown;   /* what the driver says of the link may be wrong: taken for up */
	bool reconnects;     /* a memif client: started again until it has its server */
	bool leaves_handler; /* its driver's handlers of interrupts outlive the port */
	bool running;        /* frames may be received and sent; not while it is started again */
	uint32_t polls;      /* without link, since it was started */
	uint32_t held;       /* mbufs it took from the pool when it was started */
};

struct mos_ports {
	uint32_t count;
	uint32_t kept; /* most mbufs that drivers did not give back when their ports were closed */
	int sock;      /* for questions about kernel interfaces, -1 = closed */
	struct rte_mempool *pool; /* of all ports, set when they are started */
	struct mos_port port[MOS_CONFIG_PORT_MAX];
};

/*
 * Before EAL: decide what each port becomes. 0 or -errno with one line in err: no such interface,
 * MTU over mbuf_size, capture file missing.
 */
int mos_ports_plan(struct mos_ports *ports, const struct mos_config *cfg, char *err,
                   size_t err_len);

/*
 * After EAL and memory: configure and start all ports, fill root->port[] and p->pool_at_ports, set
 * p->ports. 0 or -errno with one line in err; the ports are stopped and closed again then.
 */
int mos_ports_start(struct mos_ports *ports, struct mos_primary *p, char *err, size_t err_len);

/*
 * Ask for each link once: root->port[].link_up. Starts ports that have to be started again: see
 * running. Slow (system calls): ten times a second.
 */
void mos_ports_poll_links(struct mos_ports *ports, struct mos_root *root);

/*
 * Stop all ports: none receives or sends any more; packets in their queues are freed. But some
 * drivers keep theirs (net_af_xdp: its fill and completion rings): see kept. Where one has a port
 * that leaves a handler, interrupts are halted for good (mos_eal_interrupts_halt).
 */
void mos_ports_stop(struct mos_ports *ports);

/* One line per port that lost packets by itself: missed, without buffer, errors. */
void mos_ports_print(FILE *out, const struct mos_ports *ports);

#endif
