#include "test/mp/churn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netpacket/packet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS     0x0a090100u /* 10.9.1.0/24 and on */
#define SERVER      0x0a090002u
#define PORTS       1000u /* of each client */
#define SERVER_PORT 81
#define ISS         1000u
#define BATCH_US    5000

struct frame {
	struct ether_header eth;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

struct churn {
	pthread_t thread;
	int fd[2]; /* at the clients' end, at the server's */
	unsigned per_batch;
	_Atomic uint64_t count;
	_Atomic bool stop;
};

static uint16_t ip_checksum(const struct iphdr *ip)
{
	const uint8_t *at = (const void *)ip;
	uint32_t sum = 0;

	for (size_t i = 0; i < sizeof(*ip); i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t) ~(sum + (sum >> 16)));
}

/* The first packet of flow n, from its client, or the last, from the server. */
static void send_frame(const struct churn *c, uint64_t n, bool last)
{
	struct frame f;
	uint32_t client = htonl(CLIENTS + (uint32_t)(n / PORTS % 4096));
	uint16_t port = htons((uint16_t)(20000 + n % PORTS));
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.ttl = 64,
		.protocol = IPPROTO_TCP,
		.tot_len = htons(sizeof(f.ip) + sizeof(f.tcp)),
	};

	memset(&f, 0, sizeof(f));
	memset(f.eth.ether_dhost, 2, ETH_ALEN);
	memset(f.eth.ether_shost, 4, ETH_ALEN);
	f.eth.ether_type = htons(ETHERTYPE_IP);
	ip.saddr = last ? htonl(SERVER) : client;
	ip.daddr = last ? client : htonl(SERVER);
	ip.check = ip_checksum(&ip);
	f.ip = ip;
	f.tcp.source = last ? htons(SERVER_PORT) : port;
	f.tcp.dest = last ? port : htons(SERVER_PORT);
	f.tcp.doff = 5;
	f.tcp.syn = !last;
	f.tcp.rst = f.tcp.ack = last;
	f.tcp.seq = htonl(last ? 0 : ISS);
	f.tcp.ack_seq = htonl(last ? ISS + 1 : 0);
	f.tcp.window = htons(60000);
	if (send(c->fd[last], &f, sizeof(f), 0) < 0 && errno != ENOBUFS)
		perror("churn");
}

static void *run(void *arg)
{
	struct churn *c = arg;

	while (!atomic_load(&c->stop)) {
		for (unsigned i = 0; i < c->per_batch; i++) {
			uint64_t n = atomic_fetch_add(&c->count, 1);

			send_frame(c, n, false);
			if (n >= CHURN_OPEN)
				send_frame(c, n - CHURN_OPEN, true);
		}
		usleep(BATCH_US);
	}
	return NULL;
}

static int open_interface(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* it receives nothing */

	if (fd < 0 || at.sll_ifindex == 0 || bind(fd, (void *)&at, sizeof(at)) < 0) {
		fprintf(stderr, "churn: %s: %s\n", name, strerror(errno));
		abort();
	}
	return fd;
}

struct churn *churn_start(const char *if_a, const char *if_b, unsigned per_second)
{
	struct churn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	c->fd[0] = open_interface(if_a);
	c->fd[1] = open_interface(if_b);
	c->per_batch = per_second / (1000000 / BATCH_US);
	if (pthread_create(&c->thread, NULL, run, c) != 0)
		abort();
	return c;
}

uint64_t churn_count(const struct churn *c)
{
	return atomic_load(&c->count);
}

void churn_stop(struct churn *c)
{
	atomic_store(&c->stop, true);
	pthread_join(c->thread, NULL);
	close(c->fd[0]);
	close(c->fd[1]);
	free(c);
}
