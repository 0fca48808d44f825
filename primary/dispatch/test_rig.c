#include "primary/dispatch/test_rig.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eth_ring.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf_dyn.h>
#include <rte_tcp.h>

#include "primary/eal/test_eal.h"

enum {
	HDRS = sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) +
	       sizeof(struct rte_tcp_hdr)
};

static struct rte_ring *device_rx[RIG_PORTS], *device_tx[RIG_PORTS];
static int device_port[RIG_PORTS];

/*
 * net_ring is a driver that EAL loads as a plug-in; its one function for rings of our own is not in
 * what libdpdk.pc links.
 */
static void make_devices(void)
{
	typeof(rte_eth_from_rings) *from_rings = NULL;
	void *lib = dlopen("librte_net_ring.so", RTLD_NOW);
	char name[RTE_RING_NAMESIZE];

	if (lib != NULL)
		from_rings = (typeof(from_rings))dlsym(lib, "rte_eth_from_rings");
	if (from_rings == NULL) {
		fprintf(stderr, "no librte_net_ring.so: skipped\n");
		exit(77);
	}
	for (unsigned i = 0; i < RIG_PORTS; i++) {
		snprintf(name, sizeof(name), "rig_rx%u", i);
		device_rx[i] = rte_ring_create(name, 1024, SOCKET_ID_ANY, 0);
		snprintf(name, sizeof(name), "rig_tx%u", i);
		device_tx[i] = rte_ring_create(name, 1024, SOCKET_ID_ANY, 0);
		snprintf(name, sizeof(name), "rig%u", i);
		device_port[i] = from_rings(name, &device_rx[i], 1, &device_tx[i], 1, 0);
		if (device_port[i] < 0) {
			fprintf(stderr, "net_ring makes no port\n");
			exit(EXIT_FAILURE);
		}
	}
}

void rig_eal(void)
{
	test_eal_start("rig", "96");
	make_devices();
}

static struct rte_mempool *device_pool(void)
{
	static struct rte_mempool *pool; /* the devices want one; they never take from it */

	if (pool == NULL)
		pool = rte_pktmbuf_pool_create("rig", 63, 0, 0, 256, SOCKET_ID_ANY);
	return pool;
}

static void start_device(unsigned i)
{
	uint16_t port = (uint16_t)device_port[i];
	struct rte_eth_conf conf = {0};

	ck_assert_int_eq(rte_eth_dev_configure(port, 1, 1, &conf), 0);
	ck_assert_int_eq(rte_eth_rx_queue_setup(port, 0, 64, 0, NULL, device_pool()), 0);
	ck_assert_int_eq(rte_eth_tx_queue_setup(port, 0, 64, 0, NULL), 0);
	ck_assert_int_eq(rte_eth_dev_start(port), 0);
}

static void stop_device(unsigned i)
{
	void *m;

	rte_eth_dev_stop((uint16_t)device_port[i]);
	while (rte_ring_dequeue(device_rx[i], &m) == 0 || rte_ring_dequeue(device_tx[i], &m) == 0)
		rte_pktmbuf_free(m);
}

static void set_row(struct rig *r, const struct rig_opt *opt, unsigned i)
{
	struct mos_port_row *row = &r->p.root->port[i];

	row->dpdk_port = (uint16_t)device_port[i];
	row->mtu = 1500;
	row->link_up = 1;
	row->lossless = opt->lossless[i] != 0;
	row->pair = i == 0 ? 1 : i == 1 ? 0 : MOS_PORT_NONE;
	if (opt->pair[i] != 0)
		row->pair = opt->pair[i] < 0 ? MOS_PORT_NONE : (uint8_t)(opt->pair[i] - 1);
}

void rig_open(struct rig *r, const struct rig_opt *opt)
{
	struct mos_memory_plan plan;
	struct mos_config *cfg = &r->p.cfg;
	char err[256] = "";

	memset(r, 0, sizeof(*r));
	cfg->workers = opt->workers ? opt->workers : 2;
	cfg->ring_size = 256;
	cfg->mbuf_size = 2048;
	cfg->max_concurrency = 64;
	cfg->stream_memory = 1;
	cfg->forward = !opt->consume;
	cfg->fail_policy = opt->policy;
	cfg->clock = opt->clock;
	cfg->idle = MOS_CONFIG_IDLE_POLL;
	cfg->port_count = RIG_PORTS;
	strcpy(cfg->prefix, "rig");
	r->p.wake_fd = -1;
	ck_assert_int_eq(mos_memory_plan(&plan, cfg, err, sizeof(err)), 0);
	ck_assert_msg(mos_memory_new(&r->p, &plan, err, sizeof(err)) == 0, "%s", err);
	for (unsigned i = 0; i < RIG_PORTS; i++) {
		r->rx[i] = device_rx[i];
		r->tx[i] = device_tx[i];
		start_device(i);
		set_row(r, opt, i);
	}
	ck_assert_int_eq(mos_memory_fill_blanks(&r->p), 0);
	ck_assert_int_eq(mos_shard_map_init(r->p.root), 0);
	ck_assert_int_eq(mos_dispatch_create(&r->d, &r->p), 0);
	mos_root_publish(r->p.root);
}

void rig_close(struct rig *r)
{
	mos_dispatch_destroy(r->d);
	for (unsigned i = 0; i < RIG_PORTS; i++) {
		rte_pktmbuf_free_bulk(r->wire[i], r->wire_count[i]);
		stop_device(i);
	}
	mos_memory_drain(&r->p);
	ck_assert_uint_eq(rte_mempool_avail_count(r->p.pool), r->p.pool_size);
	mos_memory_delete(&r->p);
	mos_shard_map_fini();
}

struct rte_mbuf *rig_frame(struct rig *r, const void *bytes, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->p.pool);

	ck_assert_ptr_nonnull(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), bytes, len);
	return m;
}

struct rte_mbuf *rig_tcp(struct rig *r, uint32_t flow, bool back, uint32_t payload)
{
	uint8_t bytes[2048] = {0};
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)bytes;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(ip + 1);
	uint32_t client = 0x0a000001 + flow, server = 0xc0a80102; /* 10.0.0.1.., 192.168.1.2 */
	uint16_t cport = (uint16_t)(1024 + flow % 60000);

	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	ip->version_ihl = 0x45;
	ip->total_length = rte_cpu_to_be_16((uint16_t)(HDRS - sizeof(*eth) + payload));
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_TCP;
	ip->src_addr = rte_cpu_to_be_32(back ? server : client);
	ip->dst_addr = rte_cpu_to_be_32(back ? client : server);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	tcp->src_port = rte_cpu_to_be_16(back ? 80 : cport);
	tcp->dst_port = rte_cpu_to_be_16(back ? cport : 80);
	tcp->data_off = 5 << 4;
	tcp->tcp_flags = RTE_TCP_ACK_FLAG;
	return rig_frame(r, bytes, HDRS + payload);
}

void rig_send(struct rig *r, unsigned port, struct rte_mbuf *m)
{
	ck_assert_int_eq(rte_ring_enqueue(r->rx[port], m), 0);
}

void rig_send_at(struct rig *r, unsigned port, struct rte_mbuf *m, uint64_t ts_us)
{
	mos_meta(&r->p, m)->ts_ns = ts_us; /* as net_pcap does: the field before it is parsed */
	m->ol_flags |= r->d->ts_flag;
	rig_send(r, port, m);
}

bool rig_round(struct rig *r)
{
	bool work;
	void *m;

	mos_shard_map_online();
	work = mos_dispatch_round(r->d);
	mos_shard_map_offline();
	for (unsigned i = 0; i < RIG_PORTS && !r->plugged; i++)
		while (r->wire_count[i] < RIG_WIRE && rte_ring_dequeue(r->tx[i], &m) == 0)
			r->wire[i][r->wire_count[i]++] = m;
	return work;
}

void rig_rounds(struct rig *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rig_round(r);
}

unsigned rig_work(struct rig *r, uint32_t shard, unsigned max)
{
	struct mos_shard *s = r->p.root->shard[shard];
	void *m[256];
	unsigned n;

	n = rte_ring_sc_dequeue_burst(s->rx, m, RTE_MIN(max, 256u), NULL);
	ck_assert_uint_eq(rte_ring_sp_enqueue_burst(s->tx, m, n, NULL), n);
	return n;
}

void rig_service_one(struct rig *r, uint32_t shard, enum mos_service service)
{
	ck_assert_int_eq(mos_shard_map_set(shard, service), 0);
}

void rig_service(struct rig *r, enum mos_service service)
{
	for (uint32_t s = 0; s < r->p.root->shard_count; s++)
		rig_service_one(r, s, service);
}
