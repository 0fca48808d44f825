#include "secondary/filter/cbpf_check.h"

#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#define OFFSET_MAX 0x7fffffff

/* The most that registers and memory may hold before an instruction. */
struct bounds {
	bool reached;
	uint32_t a, x;
	uint32_t mem[BPF_MEMWORDS];
};

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* A sum or product that may have wrapped may be anything. */
static uint32_t clamp(uint64_t v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

/* The largest number with as many bits. */
static uint32_t all_bits(uint32_t v)
{
	return v == 0 ? 0 : UINT32_MAX >> __builtin_clz(v);
}

/* Another way leads here, with these bounds. */
static void join(struct bounds *to, const struct bounds *from)
{
	if (!to->reached) {
		*to = *from;
		return;
	}
	to->a = max_u32(to->a, from->a);
	to->x = max_u32(to->x, from->x);
	for (unsigned i = 0; i < BPF_MEMWORDS; i++)
		to->mem[i] = max_u32(to->mem[i], from->mem[i]);
}

/* A load at offset k, or at x + k. */
static bool check_load(const struct bpf_insn *in, uint32_t x)
{
	return (uint64_t)in->k + x + sizeof(uint32_t) <= OFFSET_MAX;
}

static uint32_t loaded_max(const struct bpf_insn *in)
{
	switch (BPF_SIZE(in->code)) {
	case BPF_B: return UINT8_MAX;
	case BPF_H: return UINT16_MAX;
	default: return UINT32_MAX;
	}
}

static bool do_load(const struct bpf_insn *in, struct bounds *b)
{
	switch (in->code) {
	case BPF_LD | BPF_ABS | BPF_B:
	case BPF_LD | BPF_ABS | BPF_H:
	case BPF_LD | BPF_ABS | BPF_W: b->a = loaded_max(in); return check_load(in, 0);
	case BPF_LD | BPF_IND | BPF_B:
	case BPF_LD | BPF_IND | BPF_H:
	case BPF_LD | BPF_IND | BPF_W: b->a = loaded_max(in); return check_load(in, b->x);
	case BPF_LDX | BPF_MSH | BPF_B: b->x = 4 * 0xf; return check_load(in, 0);
	case BPF_LD | BPF_IMM: b->a = in->k; return true;
	case BPF_LDX | BPF_IMM: b->x = in->k; return true;
	case BPF_LD | BPF_W | BPF_LEN: b->a = UINT32_MAX; return true;
	case BPF_LDX | BPF_W | BPF_LEN: b->x = UINT32_MAX; return true;
	case BPF_LD | BPF_MEM: b->a = in->k < BPF_MEMWORDS ? b->mem[in->k] : 0; break;
	case BPF_LDX | BPF_MEM: b->x = in->k < BPF_MEMWORDS ? b->mem[in->k] : 0; break;
	default: return false;
	}
	return in->k < BPF_MEMWORDS;
}

static bool do_store(const struct bpf_insn *in, struct bounds *b)
{
	if ((in->code != BPF_ST && in->code != BPF_STX) || in->k >= BPF_MEMWORDS)
		return false;
	b->mem[in->k] = in->code == BPF_ST ? b->a : b->x;
	return true;
}

static bool do_alu(const struct bpf_insn *in, struct bounds *b)
{
	bool by_x = BPF_SRC(in->code) == BPF_X;
	uint32_t v = by_x ? b->x : in->k;

	switch (BPF_OP(in->code)) {
	case BPF_ADD: b->a = clamp((uint64_t)b->a + v); return true;
	case BPF_MUL: b->a = clamp((uint64_t)b->a * v); return true;
	case BPF_AND: b->a = b->a < v ? b->a : v; return true;
	case BPF_OR:
	case BPF_XOR: b->a = all_bits(b->a | v); return true;
	case BPF_LSH: b->a = v < 32 ? clamp((uint64_t)b->a << v) : 0; return v < 32;
	case BPF_RSH: b->a = by_x || v >= 32 ? b->a : b->a >> v; return v < 32;
	case BPF_DIV: return by_x || v != 0; /* grows nothing; rte_bpf looks for 0 in X itself */
	case BPF_MOD: return by_x || v != 0;
	case BPF_SUB:
	case BPF_NEG: b->a = UINT32_MAX; return true;
	default: return false;
	}
}

/* The state behind instruction i reaches the one `ahead` further on. */
static bool do_jump_to(struct bounds *all, uint32_t count, uint32_t i, uint32_t ahead)
{
	if (ahead >= count - i - 1)
		return false;
	join(&all[i + 1 + ahead], &all[i]);
	return true;
}

static bool do_jump(const struct bpf_insn *in, struct bounds *all, uint32_t count, uint32_t i)
{
	switch (BPF_OP(in->code)) {
	case BPF_JA: return do_jump_to(all, count, i, in->k);
	case BPF_JEQ:
	case BPF_JGT:
	case BPF_JGE:
	case BPF_JSET:
		return do_jump_to(all, count, i, in->jt) && do_jump_to(all, count, i, in->jf);
	default: return false;
	}
}

/* Follow instruction i: from its bounds to those of what comes after it. */
static bool step(const struct bpf_insn *in, struct bounds *all, uint32_t count, uint32_t i)
{
	struct bounds *b = &all[i];

	switch (BPF_CLASS(in->code)) {
	case BPF_LD:
	case BPF_LDX:
		if (!do_load(in, b))
			return false;
		break;
	case BPF_ST:
	case BPF_STX:
		if (!do_store(in, b))
			return false;
		break;
	case BPF_ALU:
		if (!do_alu(in, b))
			return false;
		break;
	case BPF_MISC:
		if (BPF_MISCOP(in->code) == BPF_TAX)
			b->x = b->a;
		else if (BPF_MISCOP(in->code) == BPF_TXA)
			b->a = b->x;
		else
			return false;
		break;
	case BPF_JMP: return do_jump(in, all, count, i);
	default: return in->code == (BPF_RET | BPF_K) || in->code == (BPF_RET | BPF_A);
	}
	return do_jump_to(all, count, i, 0);
}

bool mos_cbpf_suits_rte_bpf(const struct bpf_insn *insns, uint32_t count)
{
	struct bounds *all;
	bool ok = true;

	if (count == 0 || count > MOS_CBPF_LEN_MAX)
		return false;
	all = calloc(count, sizeof(*all));
	if (all == NULL)
		return false;
	all[0].reached = true;
	for (uint32_t i = 0; i < count && ok; i++)
		ok = !all[i].reached || step(&insns[i], all, count, i);
	free(all);
	return ok;
}
