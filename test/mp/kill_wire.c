#include "test/mp/kill_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/mp/kill_ports.h"

enum {
	CLIENT,
	SERVER,
	SERVER_PORT = 80,
	WINDOW = 60000,
	SCALE = 10,
	CROSS_US = 300,  /* from one end to the other: packets of both must come in this order */
	READ_US = 5000,  /* until a timer of kill_app has run */
	FILL = 160,      /* flows with two keys: more than the index has room for in home buckets */
	AHEAD_FLOWS = 6, /* that have all chunks of a pool of 1 MB among them */
	AHEAD_CHUNKS = 100,
	CHUNK_PAGE = 1792,
};

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

struct conn {
	uint16_t port;    /* of the client */
	uint16_t outside; /* as the server sees it */
	uint32_t next[2]; /* sequence number of each end */
};

static int ends[2] = {-1, -1};
static unsigned last_from; /* who has sent last */
static uint32_t isn;       /* of the next connection */

/* ---- frames ---- */

static uint32_t add(const void *bytes, size_t len, uint32_t sum)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)b[i] << 8 : b[i];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

struct frame_bytes {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
	uint8_t rest[1460]; /* options, payload */
} __attribute__((packed));

/* A SYN tells a window scale; the payload is `len` bytes of one value. */
static void send_at(const struct conn *c, unsigned from, uint32_t seq, unsigned flags,
                    uint8_t value, uint16_t len)
{
	static const uint8_t mac[2][ETH_ALEN] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
	static const uint8_t scale[4] = {1, 3, 3, SCALE};
	uint16_t options = flags & SYN ? sizeof(scale) : 0;
	uint16_t tcp_len = (uint16_t)(sizeof(struct tcphdr) + options + len);
	struct frame_bytes f = {0};

	if (from != last_from)
		usleep(CROSS_US);
	last_from = from;
	memcpy(f.eth.h_source, mac[from], ETH_ALEN);
	memcpy(f.eth.h_dest, mac[!from], ETH_ALEN);
	f.eth.h_proto = htons(ETH_P_IP);
	f.ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP};
	f.ip.tot_len = htons((uint16_t)(sizeof(f.ip) + tcp_len));
	f.ip.saddr = htonl(from == CLIENT ? 0x0a090001 : 0x0a090002);
	f.ip.daddr = htonl(from == CLIENT ? 0x0a090002 : 0x0a090001);
	f.ip.check = fold(add(&f.ip, sizeof(f.ip), 0));
	f.tcp.source = htons(from == CLIENT ? c->port : SERVER_PORT);
	f.tcp.dest = htons(from == CLIENT ? SERVER_PORT : c->outside);
	f.tcp.seq = htonl(seq);
	f.tcp.ack_seq = flags & ACK ? htonl(c->next[!from]) : 0;
	f.tcp.doff = (sizeof(f.tcp) + options) / 4;
	f.tcp.fin = !!(flags & FIN);
	f.tcp.syn = !!(flags & SYN);
	f.tcp.rst = !!(flags & RST);
	f.tcp.psh = !!(flags & PSH);
	f.tcp.ack = !!(flags & ACK);
	f.tcp.window = htons(WINDOW);
	memcpy(f.rest, scale, options);
	memset(f.rest + options, value, len);
	f.tcp.check =
		fold(add(&f.tcp, tcp_len, add(&f.ip.saddr, 8, (uint32_t)IPPROTO_TCP + tcp_len)));
	if (send(ends[from], &f, offsetof(struct frame_bytes, tcp) + tcp_len, 0) < 0 &&
	    errno != ENOBUFS)
		perror("wire: send");
}

static void say(struct conn *c, unsigned from, unsigned flags, uint8_t value, uint16_t len)
{
	send_at(c, from, c->next[from], flags, value, len);
	c->next[from] += len + !!(flags & SYN) + !!(flags & FIN);
}

static void say_data(struct conn *c, unsigned from, uint8_t value, uint16_t len)
{
	say(c, from, ACK | PSH, value, len);
}

static struct conn new_conn(unsigned port, unsigned outside)
{
	isn += 1000000;
	return (struct conn){(uint16_t)port, (uint16_t)outside, {isn, isn + 500000}};
}

static void shake_hands(struct conn *c)
{
	say(c, CLIENT, SYN, 0, 0);
	say(c, SERVER, SYN | ACK, 0, 0);
	say(c, CLIENT, ACK, 0, 0);
}

static void reset(struct conn *c)
{
	say(c, CLIENT, RST | ACK, 0, 0);
}

/* The client waits in TIME_WAIT then. */
static void say_goodbye(struct conn *c)
{
	say(c, CLIENT, FIN | ACK, 0, 0);
	say(c, SERVER, FIN | ACK, 0, 0);
	say(c, CLIENT, ACK, 0, 0);
}

/* ---- streams ---- */

/* In order, other bytes than before, ahead of order, and more than is kept. */
static void stream(unsigned port)
{
	struct conn c = new_conn(port, port);

	shake_hands(&c);
	for (unsigned i = 0; i < 3; i++)
		say_data(&c, CLIENT, 'a', 1100);
	send_at(&c, CLIENT, c.next[CLIENT] - 500, ACK | PSH, 'b', 1000);
	c.next[CLIENT] += 500;
	usleep(READ_US);
	send_at(&c, CLIENT, c.next[CLIENT] + 2000, ACK | PSH, 'e', 1000);
	say_data(&c, CLIENT, 'c', 1000);
	say_data(&c, CLIENT, 'd', 1000);
	c.next[CLIENT] += 1000;
	say_data(&c, SERVER, 's', 700);
	say_data(&c, SERVER, 't', 1400);
	usleep(READ_US);
	for (unsigned i = 0; i < 10; i++)
		say_data(&c, SERVER, 'u', 1400);
	say(&c, CLIENT, ACK, 0, 0);
	if (port % 4 < 2)
		say_goodbye(&c);
	else
		reset(&c);
}

/* The server is not heard: what lies behind a hole is handed out at the end. */
static void monologue(unsigned port)
{
	struct conn c = new_conn(port, port);

	say(&c, CLIENT, SYN, 0, 0);
	say_data(&c, CLIENT, 'a', 100);
	c.next[CLIENT] += 1000;
	say_data(&c, CLIENT, 'b', 100);
	reset(&c);
}

/* Bytes ahead of order in more pages than there are chunks. */
static void fill_pool(unsigned port)
{
	struct conn c[AHEAD_FLOWS];

	for (unsigned i = 0; i < AHEAD_FLOWS; i++) {
		c[i] = new_conn(port + i, port + i);
		shake_hands(&c[i]);
		for (uint32_t k = 1; k <= AHEAD_CHUNKS; k++)
			send_at(&c[i], CLIENT, c[i].next[CLIENT] + k * CHUNK_PAGE, ACK | PSH, 'p',
			        1);
		usleep(CROSS_US); /* the rings are not that long */
	}
	for (unsigned i = 0; i < AHEAD_FLOWS; i++)
		reset(&c[i]);
}

/* ---- second keys ---- */

/* Two want the same port; then the first one again. */
static void translate(unsigned k)
{
	unsigned port = TRANSLATED + 2 * k;
	struct conn first = new_conn(port, OUTSIDE + k), second = new_conn(port + 1, OUTSIDE + k);

	shake_hands(&first);
	say_data(&first, CLIENT, 'x', 100);
	say_data(&first, SERVER, 'y', 100);
	shake_hands(&second);
	say_data(&second, SERVER, 'z', 100);
	first = new_conn(port, OUTSIDE + k);
	shake_hands(&first);
	say_goodbye(&first);
}

/* The first SYN is translated, but when it comes again it is not. */
static void translate_once(unsigned k)
{
	struct conn c = new_conn(TRANSLATED_ONCE + k, TRANSLATED_ONCE + k);

	send_at(&c, CLIENT, c.next[CLIENT], SYN, 0, 0);
	shake_hands(&c);
	say_data(&c, CLIENT, 'o', 50);
	reset(&c);
}

static void fill_index(unsigned port)
{
	struct conn c[FILL];

	for (unsigned i = 0; i < FILL; i++) {
		c[i] = new_conn(port + i, port + i + PORTS);
		say(&c[i], CLIENT, SYN, 0, 0);
	}
	for (unsigned i = 0; i < FILL; i++) {
		say(&c[i], SERVER, SYN | ACK, 0, 0);
	}
	for (unsigned i = 0; i < FILL; i++)
		reset(&c[i]);
}

/* ---- edits: of the client's stream ---- */

/* The server acknowledges what it got: as much as was sent, and `more`. */
static void take_all(struct conn *c, int more)
{
	c->next[CLIENT] += (uint32_t)more;
	say(c, SERVER, ACK, 0, 0);
	c->next[CLIENT] -= (uint32_t)more;
}

static void edit(unsigned port)
{
	struct conn c = new_conn(port, port);

	send_at(&c, CLIENT, c.next[CLIENT] - 5000, SYN, 0, 0); /* the SYN to come is another */
	shake_hands(&c);
	say_data(&c, CLIENT, EDIT_INSERT, 100);
	send_at(&c, CLIENT, c.next[CLIENT] - 100, ACK | PSH, EDIT_NOTHING, 100); /* again */
	take_all(&c, EDIT_BYTES);
	say_data(&c, CLIENT, EDIT_CHOMP, 100);
	take_all(&c, 0); /* as many came as went */
	say_data(&c, CLIENT, EDIT_DROP, 100);
	c.next[CLIENT] -= 100;
	for (unsigned i = 0; i < 6; i++)
		say_data(&c, CLIENT, EDIT_INSERT_LONG, 100);
	take_all(&c, 6 * EDIT_BYTES_LONG);
	say(&c, CLIENT, FIN | ACK, EDIT_DROP, 10); /* is not let through */
	if (port % 2 == 0)
		reset(&c);
}

/* The server's first packet is not its SYN. */
static void edit_unheard(unsigned port)
{
	struct conn c = new_conn(port, port);

	say(&c, CLIENT, SYN, 0, 0);
	say_data(&c, SERVER, EDIT_NOTHING, 10);
	reset(&c);
}

/* ---- connections that last ---- */

static struct conn lasting_key, lasting_edit, lasting_ahead;

void wire_begin_lasting(void)
{
	lasting_key = new_conn(OWN_OUTSIDE + 900, OWN_OUTSIDE + 900 + PORTS);
	lasting_edit = new_conn(EDITED + 900, EDITED + 900);
	lasting_ahead = new_conn(STREAMS + 900, STREAMS + 900);
	shake_hands(&lasting_key);
	shake_hands(&lasting_edit);
	shake_hands(&lasting_ahead);
	say_data(&lasting_edit, CLIENT, EDIT_INSERT, 100);
	send_at(&lasting_ahead, CLIENT, lasting_ahead.next[CLIENT] + 1000, ACK, 'g', 100);
}

void wire_keep_lasting(void)
{
	say_data(&lasting_key, CLIENT, '-', 1);
	say_data(&lasting_key, SERVER, '-', 1);
}

/* ---- turns ---- */

bool wire_take_turn(unsigned turn, unsigned part)
{
	static unsigned again; /* ports are used again after a while */
	unsigned k = again++ % 32;

	switch (part) {
	case 0: stream(STREAMS + k); return true;
	case 1: edit(EDITED + k); return true;
	case 2: translate(k); return true;
	case 3: translate_once(k); return true;
	case 4: monologue(STREAMS + 100 + k); return true;
	case 5: edit_unheard(EDITED + 100 + k); return true;
	case 6: stream(STREAMS + k + 1); return turn % 4 == 2;
	case 7: fill_index(OWN_OUTSIDE); return true;
	default: fill_pool(STREAMS + 200); return false;
	}
}

/* ---- ends ---- */

static int open_end(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* receives nothing */

	if (fd < 0 || at.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		fprintf(stderr, "wire: %s: %s\n", name, strerror(errno));
		return -1;
	}
	return fd;
}

bool wire_open(const char *if_a, const char *if_b)
{
	ends[CLIENT] = open_end(if_a);
	ends[SERVER] = open_end(if_b);
	return ends[CLIENT] >= 0 && ends[SERVER] >= 0;
}

void wire_close(void)
{
	close(ends[CLIENT]);
	close(ends[SERVER]);
}
