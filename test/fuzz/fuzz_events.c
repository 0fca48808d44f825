/*
 * Fuzz target: any sequence of definitions, registrations, dispatches and purges against the naive
 * model (secondary/event/test_model.h).
 *
 * Input: the numbers the model picks, one byte each for those below 256 or less, else two, big
 * endian; taken modulo their range. The last operation picks zeroes where the input ends.
 */
#include "secondary/event/test_model.h"
#include "test/fuzz/fuzz.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	next = input;
	end = input + size;
	model_begin();
	while (next < end)
		model_step(pick);
	model_end();
	return 0;
}
