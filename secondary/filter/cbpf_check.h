/*
 * Which classic BPF programs rte_bpf may run.
 *
 * rte_bpf computes what libpcap's bpf_filter() does, except at some edges, and there it is unsafe:
 * its loads add offsets in 32 bits without a look at the carry, so that the four bytes from offset
 * 0xfffffffe on pass for bytes inside the packet. An offset that comes from the packet may be any.
 * Here programs are kept from it that
 *
 *   - may load from an offset of 2^31 or more,
 *   - may shift by 32 or more (bpf_filter: 0; a CPU: anything),
 *   - jump backwards (protochain), or contain an instruction that libpcap does not generate.
 *
 * What a register may hold at most is followed through the program: jumps lead forward, so one pass
 * does. Bounds are coarse; a program refused for nothing is only run slower.
 */
#ifndef MOS_SECONDARY_CBPF_CHECK_H
#define MOS_SECONDARY_CBPF_CHECK_H

#include <stdbool.h>
#include <stdint.h>

struct bpf_insn;

/* Longest program that rte_bpf takes, in instructions. */
#define MOS_CBPF_LEN_MAX 4096

/* False also when memory for the check is short. Any thread. */
bool mos_cbpf_suits_rte_bpf(const struct bpf_insn *insns, uint32_t count);

#endif
