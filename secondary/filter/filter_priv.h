/*
 * Inside of secondary/filter, for its tests and benchmark: which of the three machines runs a
 * filter.
 */
#ifndef MOS_SECONDARY_FILTER_PRIV_H
#define MOS_SECONDARY_FILTER_PRIV_H

#include <pcap/pcap.h>
#include <stdint.h>

#include "secondary/filter/filter.h"

struct rte_bpf;

enum mos_filter_backend {
	MOS_FILTER_JIT,         /* rte_bpf's machine code */
	MOS_FILTER_INTERPRETER, /* rte_bpf */
	MOS_FILTER_LIBPCAP,     /* bpf_filter() */
};

/* Private memory; immutable once compiled. */
struct mos_filter {
	uint64_t (*jit)(void *mbuf); /* into bpf; NULL = none */
	struct rte_bpf *bpf;         /* NULL = none */
	struct bpf_program classic;
};

/* As mos_filter_compile, with the first machine from `best` on that takes the expression. */
int mos_filter_compile_for(struct mos_filter **out, const char *expr, enum mos_filter_backend best,
                           char *why, size_t why_len);

enum mos_filter_backend mos_filter_backend(const struct mos_filter *f);

#endif
