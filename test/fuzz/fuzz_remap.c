/*
 * Fuzz target: streams whose length is edited (MOS_SEQ_REMAP), against the naive image of
 * secondary/remap/remap_model.h; and what a successor makes of chunks that were damaged.
 *
 * Input: mode byte, then the numbers the model picks: one byte each for those below 256 or less,
 * else two, big endian; taken modulo their range. Beyond the input they are zeroes, and the play ends.
 *   mode & 1   ends with bytes of chunks that are damaged, and a successor: no model knows what
 *              then holds, but nothing may crash, hang or leak
 */
#include "secondary/remap/remap_model.h"
#include "test/fuzz/fuzz.h"

enum { STEPS_MAX = 3000, HITS_MAX = 8, WITHIN = 2 * MOS_CHUNK_PAGE };

static const uint8_t *next, *end;

static uint32_t next_byte(void)
{
	return next < end ? *next++ : 0;
}

static uint32_t pick(uint32_t below)
{
	uint32_t n = next_byte();

	if (below > 256)
		n = n << 8 | next_byte();
	return n % below;
}

/* Bytes of a chunk that holds edits. */
static void damage(void)
{
	uint32_t used = chunks_used(), nth, at;
	struct mos_chunk *c = mos_chunk_at(&b.pool, 0);

	if (used == 0)
		return;
	nth = below(used);
	for (uint32_t i = 0; i < CHUNKS; i++)
		if (c[i].owner >> 63 && nth-- == 0)
			c += i, i = CHUNKS;
	at = below(100) < 80 ? below(64) : below(sizeof(*c));
	((uint8_t *)c)[at] = (uint8_t)below(256);
}

static void use_what_is_left(void)
{
	static uint8_t sent[200], out[4000];

	for (int i = 0; i < 4; i++) {
		uint32_t seq = m.start + below(SENT_MAX), len = below(sizeof(sent));

		mos_remap_touches(&b.r, b.flow, CLI, seq, len, true);
		mos_remap_image(&b.r, b.flow, CLI, seq, sent, len, true, out, below(sizeof(out)));
		unmap(map(seq));
		unmap_start(map(seq));
		mos_remap_packet(&b.r, b.flow, CLI, mos_remap_decided(&b.r, b.flow, CLI),
		                 sizeof(sent), false);
		if (mos_remap_note_insert(&b.r, 5, 1 + below(1400), 1400) == 0)
			mos_remap_commit(&b.r, out);
		else
			mos_remap_discard(&b.r);
		mos_remap_acked(&b.r, b.flow, CLI, map(seq));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const struct model none;
	bool damaged = size > 0 && (input[0] & 1);

	next = input + (size > 0);
	end = input + size;
	m = none;
	m.pick = pick;
	model_begin();
	while (next < end && m.steps < STEPS_MAX && model_step()) {
	}
	if (damaged) {
		for (uint32_t n = below(HITS_MAX); n > 0; n--)
			damage();
		bench_die();
		if (!mos_remap_lost(bench_flow(), CLI))
			use_what_is_left();
		m.una = 0; /* nothing is known of it */
	}
	model_end();
	return 0;
}
