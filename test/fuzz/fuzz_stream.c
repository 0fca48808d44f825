/*
 * Fuzz target: any sequence of operations on two flows whose streams share a small pool.
 *
 * Input: operations of secondary/stream/stream_play.h, PLAY_OP bytes each. They go through
 * tcp_track and secondary/stream as the pipeline does it, with a naive receiver beside each stream
 * that knows what each call must answer.
 */
#include "secondary/stream/stream_play.h"
#include "test/fuzz/fuzz.h"

enum { FLOWS = 2, OPS_MAX = 400 };

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static struct play play;

	play.rig.seed = "fuzz_stream";
	play.rig.step = 0;
	play_open(&play, FLOWS, MOS_CHUNK_COUNT_MIN);
	for (size_t i = 0; i < OPS_MAX && size - i * PLAY_OP >= PLAY_OP; i++)
		play_step(&play, input + i * PLAY_OP);
	play_close(&play);
	return 0;
}
