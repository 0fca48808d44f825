#include "secondary/filter/filter.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include "secondary/filter/syn_frame.h"
#include "shared/platform.h"

/* As tcpdump's: a filter may look at the whole frame. */
#define SNAP_LEN 262144

/* The longest IP packet behind the longest link header that is parsed. */
#define FRAME_MAX (65535 + 14 + 8)

/* Above this many instructions libpcap's optimiser, of the third order, takes seconds. */
#define OPTIMISE_MAX 4096

/* Private memory; immutable once compiled. */
struct mos_filter {
	struct bpf_program program;
};

/* ---- compile ---- */

__attribute__((format(printf, 3, 4))) static int refuse(char *why, size_t why_len, const char *fmt,
                                                        ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, why_len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* Runs of letters, digits and what stands within names, addresses and numbers. */
static unsigned count_words(const char *expr)
{
	unsigned words = 0;
	bool inside = false;

	for (; *expr != '\0'; expr++) {
		bool part = isalnum((unsigned char)*expr) || strchr("._:-", *expr) != NULL;

		words += part && !inside;
		inside = part;
	}
	return words;
}

static int check_size(const char *expr, char *why, size_t why_len)
{
	unsigned words;

	if (strnlen(expr, MOS_FILTER_LEN_MAX + 1) > MOS_FILTER_LEN_MAX)
		return refuse(why, why_len, "longer than %d characters", MOS_FILTER_LEN_MAX);
	words = count_words(expr);
	if (words > MOS_FILTER_WORDS_MAX)
		return refuse(why, why_len, "%u words, more than %d", words, MOS_FILTER_WORDS_MAX);
	return 0;
}

static int compile(pcap_t *pcap, struct bpf_program *program, const char *expr, bool optimise,
                   char *why, size_t why_len)
{
	const char *text;

	if (pcap_compile(pcap, program, expr, optimise, PCAP_NETMASK_UNKNOWN) == 0)
		return 0;
	text = pcap_geterr(pcap);
	return refuse(why, why_len, "%.*s", (int)strcspn(text, "\n"), text);
}

/*
 * The plain program tells how long the optimiser would take. Since libpcap 1.8 pcap_compile() may
 * run in several threads at once.
 */
static int compile_best(struct bpf_program *program, const char *expr, char *why, size_t why_len)
{
	struct bpf_program plain;
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAP_LEN);
	int rc;

	if (pcap == NULL)
		return -ENOMEM;
	rc = compile(pcap, &plain, expr, false, why, why_len);
	if (rc == 0 && plain.bf_len <= OPTIMISE_MAX) {
		rc = compile(pcap, program, expr, true, why, why_len);
		pcap_freecode(&plain);
	} else if (rc == 0) {
		*program = plain;
	}
	pcap_close(pcap);
	return rc;
}

int mos_filter_compile(struct mos_filter **out, const char *expr, char *why, size_t why_len)
{
	struct mos_filter *f;
	int rc = check_size(expr, why, why_len);

	if (rc)
		return rc;
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	rc = compile_best(&f->program, expr, why, why_len);
	if (rc) {
		free(f);
		return rc;
	}
	*out = f;
	return 0;
}

void mos_filter_destroy(struct mos_filter *f)
{
	if (f == NULL)
		return;
	pcap_freecode(&f->program);
	free(f);
}

/* ---- match ---- */

static bool run(const struct mos_filter *f, const uint8_t *bytes, uint32_t len)
{
	return bpf_filter(f->program.bf_insns, bytes, len, len) != 0;
}

/* The program wants contiguous bytes. */
static __attribute__((noinline)) bool run_segments(const struct mos_filter *f,
                                                   const struct rte_mbuf *m, uint32_t len)
{
	uint8_t copy[FRAME_MAX];
	const uint8_t *bytes;

	len = RTE_MIN(len, (uint32_t)FRAME_MAX);
	bytes = rte_pktmbuf_read(m, 0, len, copy);
	return bytes != NULL && run(f, bytes, len);
}

/* Bytes up to where the IP packet ends. Its header lies in the first segment. */
static uint32_t len_of(const struct rte_mbuf *m, const struct mos_pkt_meta *meta)
{
	const struct rte_ipv4_hdr *ip4;
	const struct rte_ipv6_hdr *ip6;

	if (mos_likely(meta->pkt_class == MOS_PKT_TCP))
		return (uint32_t)meta->payload_off + meta->payload_len;
	if (meta->pkt_class != MOS_PKT_IP)
		return m->pkt_len;
	if (meta->ip_version == 4) {
		ip4 = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, meta->l3_off);
		return (uint32_t)meta->l3_off + rte_be_to_cpu_16(ip4->total_length);
	}
	ip6 = rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, meta->l3_off);
	return (uint32_t)meta->l3_off + sizeof(*ip6) + rte_be_to_cpu_16(ip6->payload_len);
}

bool mos_filter_match(const struct mos_filter *f, const struct rte_mbuf *m,
                      const struct mos_pkt_meta *meta)
{
	uint32_t len;

	if (f == NULL)
		return true;
	len = RTE_MIN(len_of(m, meta),
	              m->pkt_len); /* the application may have changed the packet */
	if (mos_likely(len <= m->data_len))
		return run(f, rte_pktmbuf_mtod(m, const uint8_t *), len);
	return run_segments(f, m, len);
}

bool mos_filter_match_flow(const struct mos_filter *f, const struct mos_flow *flow)
{
	uint8_t frame[MOS_SYN_FRAME_MAX];

	return f == NULL || run(f, frame, mos_syn_frame(frame, flow));
}
