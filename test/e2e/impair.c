/*
 * impair: a cable with faults, for kernels without netem. It carries frames between two interfaces:
 *
 *   impair [-s SEED] [-t FAULTS] [-b FAULTS] [-r DEV_C] DEV_A DEV_B
 *
 *          there (-t) -->
 *   DEV_A ---------------- DEV_B      FAULTS   loss=P,dup=P,late=P,round=P: percent of frames
 *      \    <-- back (-b)             loss     is not sent
 *       '--- round ---> DEV_C         dup      is sent twice, the second time late
 *                                     late     is sent behind the next 1..8 frames, at most 5 ms
 *                                     round    leaves by DEV_C instead: only data of TCP and IPv4
 *
 * Each direction throws its own dice, so the n-th frame of a direction meets the same fate in every
 * run with that seed. It prints "impair: up" when frames pass, "round SRC SPORT DST DPORT SEQ LEN"
 * for each that goes round, and at the end, which SIGTERM asks for, what each direction did.
 * VLAN tags, which the kernel takes off, are not carried.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX   9216
#define HELD_MAX    64 /* of one direction; further ones are not held */
#define BEHIND_MAX  8  /* frames */
#define HOLD_NS     5000000
#define BURST       64
#define BUFFER_SIZE (64 << 20)
#define PPM_MAX     1000000

enum fault { LOSS, DUP, LATE, ROUND, FAULTS };

static const char *const fault_names[] = {"loss", "dup", "late", "round", NULL};

/* A frame that waits. */
struct held {
	uint64_t after; /* frames that came in by then */
	int64_t until_ns;
	size_t len; /* 0 = free */
	uint8_t frame[FRAME_MAX];
};

struct direction {
	const char *name;
	int in, out, round;
	uint32_t ppm[FAULTS];
	uint64_t dice;
	uint64_t came, sent, not_sent, met[FAULTS];
	struct held held[HELD_MAX];
	unsigned held_count;
};

static struct direction there = {.name = "there", .round = -1};
static struct direction back = {.name = "back", .round = -1};
static volatile sig_atomic_t told_to_end;

static void die(const char *what)
{
	fprintf(stderr, "impair: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* ---- Dice: SplitMix64 ---- */

static uint64_t throw_dice(struct direction *d)
{
	uint64_t x = d->dice += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static bool strikes(struct direction *d, enum fault fault)
{
	return throw_dice(d) % PPM_MAX < d->ppm[fault];
}

/* ---- Frames ---- */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void send_frame(struct direction *d, int fd, const uint8_t *frame, size_t len)
{
	if (send(fd, frame, len, MSG_DONTWAIT) == (ssize_t)len)
		d->sent++;
	else
		d->not_sent++;
}

/* Until so many more have come in. Without room it is sent at once. */
static void hold(struct direction *d, unsigned behind, const uint8_t *frame, size_t len)
{
	struct held *h = d->held;

	if (d->held_count == HELD_MAX) {
		send_frame(d, d->out, frame, len);
		return;
	}
	while (h->len > 0)
		h++;
	h->after = d->came + behind;
	h->until_ns = now_ns() + HOLD_NS;
	h->len = len;
	memcpy(h->frame, frame, len);
	d->held_count++;
}

static void release_held(struct direction *d)
{
	int64_t now;

	if (d->held_count == 0)
		return;
	now = now_ns();
	for (struct held *h = d->held; h < d->held + HELD_MAX; h++) {
		if (h->len == 0 || (h->after > d->came && h->until_ns > now))
			continue;
		send_frame(d, d->out, h->frame, h->len);
		h->len = 0;
		d->held_count--;
	}
}

/* Does the frame carry data of a connection that is neither starting nor ending? Then say which. */
static bool tell_data(const uint8_t *frame, size_t len)
{
	char src[INET_ADDRSTRLEN], dst[INET_ADDRSTRLEN];
	struct tcphdr tcp;
	struct iphdr ip;
	int data;

	if (len < ETH_HLEN + sizeof(ip) || frame[12] != 0x08 || frame[13] != 0x00)
		return false;
	memcpy(&ip, frame + ETH_HLEN, sizeof(ip));
	if (ip.protocol != IPPROTO_TCP || len < ETH_HLEN + ip.ihl * 4u + sizeof(tcp))
		return false;
	memcpy(&tcp, frame + ETH_HLEN + ip.ihl * 4, sizeof(tcp));
	data = ntohs(ip.tot_len) - ip.ihl * 4 - tcp.doff * 4;
	if (tcp.syn || tcp.fin || tcp.rst || data <= 0)
		return false;
	inet_ntop(AF_INET, &ip.saddr, src, sizeof(src));
	inet_ntop(AF_INET, &ip.daddr, dst, sizeof(dst));
	printf("round %s %u %s %u %u %d\n", src, ntohs(tcp.source), dst, ntohs(tcp.dest),
	       ntohl(tcp.seq), data);
	return true;
}

/* Each frame throws as many dice, whatever its fate. */
static void carry(struct direction *d, const uint8_t *frame, size_t len)
{
	unsigned behind = 1 + throw_dice(d) % BEHIND_MAX;
	bool met[FAULTS];

	for (int fault = 0; fault < FAULTS; fault++)
		met[fault] = strikes(d, fault);
	met[ROUND] = met[ROUND] && d->round >= 0 && tell_data(frame, len);
	d->came++;
	for (int fault = 0; fault < FAULTS; fault++)
		d->met[fault] += met[fault];
	if (met[LOSS])
		return;
	if (met[ROUND])
		send_frame(d, d->round, frame, len);
	else if (met[LATE])
		hold(d, behind, frame, len);
	else
		send_frame(d, d->out, frame, len);
	if (met[DUP])
		hold(d, behind, frame, len);
}

static void carry_burst(struct direction *d)
{
	uint8_t frame[FRAME_MAX];
	ssize_t len;

	for (int n = 0; n < BURST; n++) {
		len = recv(d->in, frame, sizeof(frame), MSG_DONTWAIT | MSG_TRUNC);
		if (len < 0 && errno != EAGAIN && errno != EINTR)
			die(d->name);
		if (len < 0)
			break;
		if (len > (ssize_t)sizeof(frame))
			d->not_sent++;
		else
			carry(d, frame, (size_t)len);
		release_held(d);
	}
	release_held(d);
}

/* ---- Interfaces ---- */

static int open_device(const char *name)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int one = 1, size = BUFFER_SIZE;

	addr.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || addr.sll_ifindex == 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0 ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die(name);
	return fd;
}

static void on_signal(int signum)
{
	told_to_end = 1;
}

static void print_direction(const struct direction *d)
{
	printf("impair: %s: came %llu sent %llu", d->name, (unsigned long long)d->came,
	       (unsigned long long)d->sent);
	for (int fault = 0; fault < FAULTS; fault++)
		printf(" %s %llu", fault_names[fault], (unsigned long long)d->met[fault]);
	printf(" failed %llu\n", (unsigned long long)d->not_sent);
}

/* The signal comes while it waits, and only then. */
static void run(void)
{
	struct pollfd fds[2] = {{.fd = there.in, .events = POLLIN},
	                        {.fd = back.in, .events = POLLIN}};
	const struct timespec soon = {.tv_nsec = HOLD_NS / 5};
	sigset_t none;

	sigemptyset(&none);
	while (!told_to_end) {
		bool waits = there.held_count + back.held_count > 0;

		if (ppoll(fds, 2, waits ? &soon : NULL, &none) < 0 && errno != EINTR)
			die("ppoll");
		carry_burst(&there);
		carry_burst(&back);
	}
}

/* ---- Start ---- */

static void usage(void)
{
	fprintf(stderr, "usage: impair [-s SEED] [-t FAULTS] [-b FAULTS] [-r DEV_C] DEV_A DEV_B\n");
	exit(EXIT_FAILURE);
}

static void parse_faults(struct direction *d, char *text)
{
	char *value;
	double percent;

	while (*text != '\0') {
		int fault = getsubopt(&text, (char *const *)(uintptr_t)fault_names, &value);

		if (fault < 0 || value == NULL)
			usage();
		percent = strtod(value, &value);
		if (*value != '\0' || !(percent >= 0 && percent <= 100))
			usage();
		d->ppm[fault] = (uint32_t)(percent * PPM_MAX / 100);
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	const char *round = NULL;
	uint64_t seed = 1;
	sigset_t end;
	int c;

	while ((c = getopt(argc, argv, "s:t:b:r:")) != -1) {
		switch (c) {
		case 's': seed = strtoull(optarg, NULL, 0); break;
		case 't': parse_faults(&there, optarg); break;
		case 'b': parse_faults(&back, optarg); break;
		case 'r': round = optarg; break;
		default: usage();
		}
	}
	if (argc - optind != 2)
		usage();
	setlinebuf(stdout);
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigaddset(&end, SIGINT);
	sigprocmask(SIG_BLOCK, &end, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);

	there.dice = seed;
	back.dice = ~seed;
	there.in = back.out = open_device(argv[optind]);
	there.out = back.in = open_device(argv[optind + 1]);
	if (round != NULL)
		there.round = open_device(round);
	printf("impair: up\n");
	run();
	print_direction(&there);
	print_direction(&back);
	return EXIT_SUCCESS;
}
