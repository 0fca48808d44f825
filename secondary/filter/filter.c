#include "secondary/filter/filter.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>
#include <rte_bpf.h>
#include <rte_ip.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include "secondary/filter/cbpf_check.h"
#include "secondary/filter/ebpf.h"
#include "secondary/filter/filter_priv.h"
#include "secondary/filter/syn_frame.h"
#include "shared/eal_host/eal_host.h"
#include "shared/platform.h"

/* As tcpdump's: a filter may look at the whole frame. */
#define SNAP_LEN 262144

/* The longest IP packet behind the longest link header that is parsed. */
#define FRAME_MAX (65535 + 14 + 8)

/* Above this many instructions libpcap's optimiser, of the third order, takes seconds. */
#define OPTIMISE_MAX 4096

__attribute__((format(printf, 3, 4))) static int refuse(char *why, size_t why_len, const char *fmt,
                                                        ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, why_len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- compile ---- */

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

/* libpcap's time grows with the square of what an expression stands for, so that is bounded. */
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

static int compile(pcap_t *pcap, struct bpf_program *prog, const char *expr, bool optimise,
                   char *why, size_t why_len)
{
	const char *text;

	if (pcap_compile(pcap, prog, expr, optimise, PCAP_NETMASK_UNKNOWN) == 0)
		return 0;
	text = pcap_geterr(pcap);
	return refuse(why, why_len, "%.*s", (int)strcspn(text, "\n"), text);
}

/* pcap_compile() of libpcap 1.8 and later may run in several threads at once. */
static int compile_classic(struct bpf_program *prog, const char *expr, char *why, size_t why_len)
{
	struct bpf_program optimised;
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAP_LEN);
	int rc;

	if (pcap == NULL)
		return -ENOMEM;
	rc = compile(pcap, prog, expr, false, why, why_len);
	if (rc == 0 && prog->bf_len <= OPTIMISE_MAX) {
		rc = compile(pcap, &optimised, expr, true, why, why_len);
		pcap_freecode(prog);
		*prog = optimised;
	}
	pcap_close(pcap);
	return rc;
}

/*
 * Where any step fails the program stays with libpcap. rte_bpf_load() takes memory by malloc and
 * mmap, none from the shared heap.
 */
static void load(struct mos_filter *f, enum mos_filter_backend best)
{
	struct rte_bpf_prm prm;
	struct rte_bpf_jit jit;

	if (best == MOS_FILTER_LIBPCAP ||
	    !mos_cbpf_suits_rte_bpf(f->classic.bf_insns, f->classic.bf_len) ||
	    mos_ebpf_convert(&prm, f->classic.bf_insns, f->classic.bf_len) != 0)
		return;
	if (getenv(MOS_ENV_EAL_LOG) == NULL) /* a refusal is not an error here */
		rte_log_set_level_pattern("lib.bpf", RTE_LOG_EMERG);
	f->bpf = rte_bpf_load(&prm);
	free((void *)(uintptr_t)prm.ins);
	if (f->bpf != NULL && best == MOS_FILTER_JIT && rte_bpf_get_jit(f->bpf, &jit) == 0)
		f->jit = jit.func;
}

int mos_filter_compile_for(struct mos_filter **out, const char *expr, enum mos_filter_backend best,
                           char *why, size_t why_len)
{
	struct mos_filter *f;
	int rc = check_size(expr, why, why_len);

	if (rc)
		return rc;
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	rc = compile_classic(&f->classic, expr, why, why_len);
	if (rc) {
		free(f);
		return rc;
	}
	load(f, best);
	*out = f;
	return 0;
}

int mos_filter_compile(struct mos_filter **out, const char *expr, char *why, size_t why_len)
{
	return mos_filter_compile_for(out, expr, MOS_FILTER_JIT, why, why_len);
}

enum mos_filter_backend mos_filter_backend(const struct mos_filter *f)
{
	return f->jit ? MOS_FILTER_JIT : f->bpf ? MOS_FILTER_INTERPRETER : MOS_FILTER_LIBPCAP;
}

void mos_filter_destroy(struct mos_filter *f)
{
	if (f == NULL)
		return;
	rte_bpf_destroy(f->bpf);
	pcap_freecode(&f->classic);
	free(f);
}

/* ---- match ---- */

/* libpcap's interpreter takes contiguous frames: those in several segments are copied. */
static __attribute__((noinline)) bool run_libpcap(const struct mos_filter *f,
                                                  const struct rte_mbuf *m)
{
	uint8_t copy[FRAME_MAX];
	uint32_t len = RTE_MIN(m->pkt_len, (uint32_t)FRAME_MAX);
	const uint8_t *bytes = rte_pktmbuf_mtod(m, const uint8_t *);

	if (len > m->data_len)
		bytes = rte_pktmbuf_read(m, 0, len, copy);
	return bytes != NULL && bpf_filter(f->classic.bf_insns, bytes, m->pkt_len, len) != 0;
}

static bool run(const struct mos_filter *f, const struct rte_mbuf *m)
{
	void *ctx = (void *)(uintptr_t)m; /* programs only read */

	if (mos_likely(f->jit != NULL))
		return f->jit(ctx) != 0;
	return f->bpf != NULL ? rte_bpf_exec(f->bpf, ctx) != 0 : run_libpcap(f, m);
}

/* Where the IP packet ends, in bytes of the frame. The header lies in the first segment. */
static uint32_t packet_end(const struct rte_mbuf *m, const struct mos_pkt_meta *meta)
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

/* Run on the first end bytes: a stand-in for the mbuf says that there are no more. */
static __attribute__((noinline)) bool run_cut(const struct mos_filter *f, const struct rte_mbuf *m,
                                              uint32_t end)
{
	struct rte_mbuf cut = {
		.buf_addr = m->buf_addr,
		.data_off = m->data_off,
		.data_len = (uint16_t)RTE_MIN(m->data_len, end),
		.pkt_len = end,
		.nb_segs = m->nb_segs,
		.next = m->next,
	};

	return run(f, &cut);
}

bool mos_filter_match(const struct mos_filter *f, const struct rte_mbuf *m,
                      const struct mos_pkt_meta *meta)
{
	uint32_t end;

	if (f == NULL)
		return true;
	end = packet_end(m, meta);
	return end < m->pkt_len ? run_cut(f, m, end) : run(f, m);
}

bool mos_filter_match_flow(const struct mos_filter *f, const struct mos_flow *flow)
{
	uint8_t frame[MOS_SYN_FRAME_MAX];
	uint32_t len;

	if (f == NULL)
		return true;
	len = mos_syn_frame(frame, flow);
	return run(f, &(const struct rte_mbuf){
			      .buf_addr = frame,
			      .data_len = (uint16_t)len,
			      .pkt_len = len,
			      .nb_segs = 1,
		      });
}
