/*
 * Classic BPF, as libpcap generates it, put into the instructions of rte_bpf.
 *
 *   classic   A   X   M[0..15]          the packet
 *   rte_bpf   r0  r7  64 bytes at r10   the mbuf in r6; r8 is scratch
 *
 * Why not rte_bpf_convert()? Its result comes from EAL's shared heap, whose lock does not survive
 * SIGKILL: a worker takes nothing there after it has attached. And up to DPDK 22.11 at least it
 * confuses A and X in loads of bytes and words at [x + k], so that `tcp[13]` reads somewhere else.
 */
#ifndef MOS_SECONDARY_EBPF_H
#define MOS_SECONDARY_EBPF_H

#include <stdint.h>

struct bpf_insn;
struct rte_bpf_prm;

/*
 * Fill *prm for rte_bpf_load(). Any thread. Only programs that mos_cbpf_suits_rte_bpf() lets
 * through. prm->ins comes from malloc and is the caller's, to be freed after loading. Returns 0 or
 * -ENOMEM.
 */
int mos_ebpf_convert(struct rte_bpf_prm *prm, const struct bpf_insn *insns, uint32_t count);

#endif
