/*
 * A worker on the bench: one context on one shard, fed from memory, everything on one thread.
 *
 *   rig_start       once: EAL without ports, and the packets
 *     rig_open      a shard and a context for so many flows; the caller makes sockets
 *       rig_step    the same packet of every flow, in passes
 *     rig_close     both are gone, and the callback sets and sockets with them
 *
 * A pass takes 4096 packets, or as many as there are flows: from a full rx ring into an empty tx
 * ring by rounds of mos_loop_round(). Before it, untimed, each mbuf gets the headers of the next
 * flow in a random order, is parsed as the primary does it, and put into the ring: packets come
 * from the caches, as after a NIC's DMA; records and index come from wherever they are. No two
 * packets of a burst belong to one flow, which is the worst case. Frames of 64 bytes, 76 with
 * timestamps.
 *
 * What fails ends the program, with a line that says why. Not its job: what is measured, tables.
 */
#ifndef MOS_TEST_BENCH_RIG_H
#define MOS_TEST_BENCH_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "secondary/worker.h"

enum {
	RIG_FRAME = 64, /* bytes */
	RIG_PASSES_MAX = 4096,
};

/* The packets of a connection: the last ACK ends it. A reset ends one that only has its SYN. */
enum rig_step { OPEN, OPEN_ACK, ACK, ASK, ANSWER, CLOSE, CLOSE_ACK, LAST, STEPS, RESET = STEPS };

struct rig {
	struct mos_root root;
	struct mos_shard *shard;
	struct mos_ctx *ctx;
	uint32_t flow_count;
	bool stamps; /* the caller's: packets carry timestamps */
};

extern struct rig rig;

/* What was measured again and again; beyond RIG_PASSES_MAX it is not noted. */
struct rig_samples {
	uint64_t cycles[RIG_PASSES_MAX]; /* hundredths */
	unsigned count;
};

/* Cycles. */
struct rig_figure {
	double least, median;
};

void rig_die(const char *why);

/* cpu: its number, for EAL. Prints what kind of memory is used. */
void rig_start(char *cpu);

/* verify: of TCP checksums. */
void rig_open(uint32_t flows, bool verify);
void rig_close(void);

/* All connections begin anew; those before have ended. */
void rig_forget_numbers(void);

/* Send a packet of every flow; noted are the cycles per packet of each pass. s may be NULL. */
void rig_step(enum rig_step step, struct rig_samples *s);

/* Note that n of something took so many cycles. */
void rig_note(struct rig_samples *s, uint64_t cycles, uint64_t n);

/* Sorts the samples. At least one was noted. */
struct rig_figure rig_figure_of(struct rig_samples *s);

#endif
