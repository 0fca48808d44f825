#include "secondary/filter/ebpf.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>
#include <rte_bpf.h>
#include <rte_mbuf.h>

#include "secondary/filter/cbpf_check.h"

enum {
	A = EBPF_REG_0,
	X = EBPF_REG_7,
	MBUF = EBPF_REG_6, /* loads from the packet expect it there */
	SCRATCH = EBPF_REG_8,
	FRAME = EBPF_REG_10,
};

/* The most that one classic instruction becomes; jumps have 16 bits. */
#define PER_INSN_MAX 6
static_assert(MOS_CBPF_LEN_MAX * PER_INSN_MAX <= INT16_MAX, "a jump reaches all of a program");

/* The program under way. With ins == NULL its length is counted only. */
struct writer {
	struct ebpf_insn *ins;
	uint32_t count;
	uint32_t *start; /* of each classic instruction; right once all were seen */
};

static void put(struct writer *w, uint8_t code, uint8_t dst, uint8_t src, int16_t off, uint32_t imm)
{
	if (w->ins != NULL)
		w->ins[w->count] = (struct ebpf_insn){
			.code = code,
			.dst_reg = dst,
			.src_reg = src,
			.off = off,
			.imm = (int32_t)imm,
		};
	w->count++;
}

static void put_mov(struct writer *w, uint8_t dst, uint8_t src)
{
	put(w, EBPF_ALU64 | EBPF_MOV | BPF_X, dst, src, 0, 0);
}

static void put_mov_imm(struct writer *w, uint8_t dst, uint32_t imm)
{
	put(w, BPF_ALU | EBPF_MOV | BPF_K, dst, 0, 0, imm);
}

static void put_exit(struct writer *w)
{
	put(w, BPF_JMP | EBPF_EXIT, 0, 0, 0, 0);
}

/* A jump to where classic instruction `target` begins. */
static void put_jump(struct writer *w, uint8_t code, uint8_t src, uint32_t imm, uint32_t target)
{
	put(w, code, A, src, (int16_t)(w->start[target] - w->count - 1), imm);
}

/* M[k] from the frame pointer, which points behind them. */
static int16_t slot(uint32_t k)
{
	return (int16_t)((int)k - BPF_MEMWORDS) * (int)sizeof(uint32_t);
}

static void put_load(struct writer *w, const struct bpf_insn *in)
{
	uint8_t to = BPF_CLASS(in->code) == BPF_LD ? A : X;

	switch (BPF_MODE(in->code)) {
	case BPF_ABS: put(w, (uint8_t)in->code, A, 0, 0, in->k); break;
	case BPF_IND: put(w, (uint8_t)in->code, A, X, 0, in->k); break;
	case BPF_IMM: put_mov_imm(w, to, in->k); break;
	case BPF_MEM: put(w, BPF_LDX | BPF_MEM | BPF_W, to, FRAME, slot(in->k), 0); break;
	case BPF_LEN:
		put(w, BPF_LDX | BPF_MEM | BPF_W, to, MBUF, offsetof(struct rte_mbuf, pkt_len), 0);
		break;
	default: /* BPF_MSH: the length of an IPv4 header; loads go through A */
		put_mov(w, SCRATCH, A);
		put(w, BPF_LD | BPF_ABS | BPF_B, A, 0, 0, in->k);
		put(w, BPF_ALU | BPF_AND | BPF_K, A, 0, 0, 0xf);
		put(w, BPF_ALU | BPF_LSH | BPF_K, A, 0, 0, 2);
		put_mov(w, X, A);
		put_mov(w, A, SCRATCH);
	}
}

static void put_alu(struct writer *w, const struct bpf_insn *in)
{
	uint8_t op = BPF_OP(in->code);
	bool by_x = BPF_SRC(in->code) == BPF_X && op != BPF_NEG;

	if (by_x && (op == BPF_DIV || op == BPF_MOD)) { /* by 0: the packet is refused */
		put(w, BPF_JMP | EBPF_JNE | BPF_K, X, 0, 2, 0);
		put_mov_imm(w, A, 0);
		put_exit(w);
	}
	put(w, (uint8_t)in->code, A, by_x ? X : 0, 0, by_x || op == BPF_NEG ? 0 : in->k);
}

/* The comparison that is true when this one is false; 0 = there is none. */
static uint8_t opposite(uint8_t op)
{
	switch (op) {
	case BPF_JEQ: return EBPF_JNE;
	case BPF_JGT: return EBPF_JLE;
	case BPF_JGE: return EBPF_JLT;
	default: return 0;
	}
}

static void put_branch(struct writer *w, const struct bpf_insn *in, uint32_t i)
{
	uint8_t op = BPF_OP(in->code), how = BPF_SRC(in->code), src = how == BPF_X ? X : 0;
	uint32_t imm = how == BPF_X ? 0 : in->k;

	if (op == BPF_JA) {
		put_jump(w, BPF_JMP | BPF_JA, 0, 0, i + 1 + in->k);
		return;
	}
	/*
	 * Immediates are taken as signed; and up to DPDK 22.11 at least the x86 compiler breaks
	 * "test" with one that fits a byte.
	 */
	if (how == BPF_K && (imm > INT32_MAX || op == BPF_JSET)) {
		put_mov_imm(w, SCRATCH, imm);
		how = BPF_X;
		src = SCRATCH;
		imm = 0;
	}
	if (in->jt == 0 && opposite(op) != 0) {
		put_jump(w, BPF_JMP | opposite(op) | how, src, imm, i + 1 + in->jf);
		return;
	}
	put_jump(w, BPF_JMP | op | how, src, imm, i + 1 + in->jt);
	if (in->jf != 0)
		put_jump(w, BPF_JMP | BPF_JA, 0, 0, i + 1 + in->jf);
}

static void put_insn(struct writer *w, const struct bpf_insn *in, uint32_t i)
{
	switch (BPF_CLASS(in->code)) {
	case BPF_LD:
	case BPF_LDX: put_load(w, in); break;
	case BPF_ST: put(w, BPF_STX | BPF_MEM | BPF_W, FRAME, A, slot(in->k), 0); break;
	case BPF_STX: put(w, BPF_STX | BPF_MEM | BPF_W, FRAME, X, slot(in->k), 0); break;
	case BPF_ALU: put_alu(w, in); break;
	case BPF_JMP: put_branch(w, in, i); break;
	case BPF_RET:
		if (BPF_RVAL(in->code) == BPF_K)
			put_mov_imm(w, A, in->k);
		put_exit(w);
		break;
	default: /* BPF_MISC */
		if (BPF_MISCOP(in->code) == BPF_TAX)
			put_mov(w, X, A);
		else
			put_mov(w, A, X);
	}
}

static void put_program(struct writer *w, const struct bpf_insn *insns, uint32_t count)
{
	w->count = 0;
	put_mov(w, MBUF, EBPF_REG_1); /* the argument */
	put_mov_imm(w, A, 0);
	put_mov_imm(w, X, 0);
	for (uint32_t i = 0; i < count; i++) {
		w->start[i] = w->count;
		put_insn(w, &insns[i], i);
	}
}

int mos_ebpf_convert(struct rte_bpf_prm *prm, const struct bpf_insn *insns, uint32_t count)
{
	struct writer w = {.start = calloc(count, sizeof(*w.start))};

	assert(count > 0 && count <= MOS_CBPF_LEN_MAX);
	if (w.start == NULL)
		return -ENOMEM;
	put_program(&w, insns, count);
	w.ins = calloc(w.count, sizeof(*w.ins));
	if (w.ins != NULL) {
		put_program(&w, insns, count); /* now that each start is known */
		*prm = (struct rte_bpf_prm){
			.ins = w.ins,
			.nb_ins = w.count,
			.prog_arg = {.type = RTE_BPF_ARG_PTR_MBUF, .size = sizeof(struct rte_mbuf)},
		};
	}
	free(w.start);
	return w.ins != NULL ? 0 : -ENOMEM;
}
