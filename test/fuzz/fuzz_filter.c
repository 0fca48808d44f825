/*
 * Filter expressions, which may come from a rule file, and frames, which come from anywhere.
 *
 * Input: mode byte, cut byte, expression, 0, frame.
 *   mode bit 0  the frame ends, else begins, where memory does
 *   mode bit 1  the bytes behind `cut` lie in another segment
 *
 * Whatever compiles is run, and must say what libpcap says of the same bytes in one piece. Frames
 * lie between pages that cannot be read: libpcap is not instrumented.
 *
 * Names resolve to nothing: the target asks no network and reads no file.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <netinet/ether.h>
#include <pcap/pcap.h>
#include <rte_mbuf.h>

#include "secondary/filter/filter.h"
#include "shared/packet/packet.h"
#include "test/fuzz/fuzz.h"

enum {
	MODE_AT_END = 1,
	MODE_SPLIT = 2,
	EXPR_MAX = 128, /* bounds the time of a compilation */
	PAGE = 4096,
};

/* ---- names: addresses in digits only ---- */

struct numeric {
	struct addrinfo info;
	struct sockaddr_in6 addr;
};

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **res)
{
	struct numeric *n = calloc(1, sizeof(*n));

	CHECK(n != NULL);
	n->info.ai_family = n->addr.sin6_family = AF_INET6;
	n->info.ai_addrlen = sizeof(n->addr);
	n->info.ai_addr = (struct sockaddr *)&n->addr;
	if (name == NULL || inet_pton(AF_INET6, name, &n->addr.sin6_addr) != 1) {
		free(n);
		return EAI_NONAME;
	}
	*res = &n->info;
	return 0;
}

void freeaddrinfo(struct addrinfo *res)
{
	free(res);
}

int getnetbyname_r(const char *name, struct netent *net, char *buf, size_t len,
                   struct netent **result, int *h_err)
{
	*result = NULL;
	*h_err = HOST_NOT_FOUND;
	return 0;
}

int getprotobyname_r(const char *name, struct protoent *proto, char *buf, size_t len,
                     struct protoent **result)
{
	*result = NULL;
	return 0;
}

struct hostent *gethostbyname(const char *name)
{
	return NULL;
}

int ether_hostton(const char *name, struct ether_addr *addr)
{
	return -1;
}

/* ---- frames ---- */

/* A page between two that cannot be read. */
static uint8_t *guarded_page(void)
{
	uint8_t *mem = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(mem != MAP_FAILED);
	CHECK(mprotect(mem + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
	return mem + PAGE;
}

static void put(struct rte_mbuf *m, uint8_t *page, const uint8_t *bytes, uint32_t len, bool at_end)
{
	memset(m, 0, sizeof(*m));
	m->buf_addr = at_end ? page + PAGE - len : page;
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	m->nb_segs = 1;
	memcpy(m->buf_addr, bytes, len);
}

/* The bytes that a filter may see: of an IP packet no padding. */
static uint32_t seen_len(const uint8_t *b, uint32_t len, const struct mos_pkt_meta *meta)
{
	const uint8_t *ip = b + meta->l3_off;

	if (meta->pkt_class != MOS_PKT_TCP && meta->pkt_class != MOS_PKT_IP)
		return len;
	if (meta->ip_version == 4)
		return meta->l3_off + (uint32_t)(ip[2] << 8 | ip[3]);
	return meta->l3_off + 40 + (uint32_t)(ip[4] << 8 | ip[5]);
}

/* Optimised or not as the filter is: that may decide about frames that are cut off. */
static bool model(const char *expr, const uint8_t *bytes, uint32_t len)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 262144);
	struct pcap_pkthdr header = {.caplen = len, .len = len};
	struct bpf_program p;
	bool accepted;

	CHECK(pcap != NULL && pcap_compile(pcap, &p, expr, 0, PCAP_NETMASK_UNKNOWN) == 0);
	if (p.bf_len <= 4096) {
		pcap_freecode(&p);
		CHECK(pcap_compile(pcap, &p, expr, 1, PCAP_NETMASK_UNKNOWN) == 0);
	}
	accepted = pcap_offline_filter(&p, &header, bytes) != 0;
	pcap_freecode(&p);
	pcap_close(pcap);
	return accepted;
}

static void run(uint8_t mode, uint32_t cut, const char *expr, const uint8_t *bytes, uint32_t len)
{
	static uint8_t *page[2];
	struct mos_filter *f;
	struct mos_pkt_meta meta;
	struct rte_mbuf first, second;
	char why[64];

	if (page[0] == NULL) {
		page[0] = guarded_page();
		page[1] = guarded_page();
	}
	if (mos_filter_compile(&f, expr, why, sizeof(why)) != 0) {
		CHECK(memchr(why, 0, sizeof(why)) != NULL && strchr(why, '\n') == NULL);
		return;
	}
	cut = mode & MODE_SPLIT && cut < len ? cut : len;
	put(&first, page[0], bytes, cut, mode & MODE_AT_END);
	if (cut < len) {
		put(&second, page[1], bytes + cut, len - cut, mode & MODE_AT_END);
		first.pkt_len = len;
		first.nb_segs = 2;
		first.next = &second;
	}
	mos_pkt_parse(&meta, first.buf_addr, cut, len, 0);
	len = seen_len(bytes, len, &meta);
	CHECK(mos_filter_match(f, &first, &meta) == model(expr, bytes, len));
	mos_filter_destroy(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	char expr[EXPR_MAX + 1];
	const uint8_t *end;
	uint8_t *frame;
	size_t len;

	if (size < 3)
		return 0;
	end = memchr(input + 2, 0, size - 2);
	if (end == NULL || end - (input + 2) > EXPR_MAX)
		return 0;
	memcpy(expr, input + 2, (size_t)(end + 1 - (input + 2)));
	len = size - (size_t)(end + 1 - input);
	if (len > PAGE)
		return 0;
	frame = malloc(len + 1); /* of exact size but for 0 */
	CHECK(frame != NULL);
	memcpy(frame, end + 1, len);
	run(input[0], input[1], expr, frame, (uint32_t)len);
	free(frame);
	return 0;
}
