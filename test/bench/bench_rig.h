/*
 * A worker on the bench: one context on one shard, fed from memory, everything on one thread.
 *
 *   rig_start       once: EAL without ports, and the packets
 *     rig_open      a shard and a context for so many flows; the caller makes sockets
 *       rig_step    the same packet of every flow, in passes
 *       rig_data    a data segment of every flow, of any size, not always in order
 *     rig_close     both are gone, and the callback sets and sockets with them
 *
 * A pass takes 4096 packets, or as many as there are flows: from a full rx ring into an empty tx
 * ring by rounds of mos_loop_round(). Before it, untimed, each mbuf gets the headers of the next
 * flow in a random order, is parsed as the primary does it, and put into the ring: packets come
 * from the caches, as after a NIC's DMA; records and index come from wherever they are. No two
 * packets of a burst belong to one flow, which is the worst case. Frames of 64 bytes, 76 with
 * timestamps, more with rig_data: its payload is not written, and all 4096 packets take turns, so
 * that long ones come from where a NIC leaves them, the last level cache.
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
	RIG_DATA_MAX = 1460, /* bytes of payload */
	RIG_BYTE = 0x5a,     /* each of them */
};

/* The packets of a connection: the last ACK ends it. A reset ends one that only has its SYN. */
enum rig_step { OPEN, OPEN_ACK, ACK, ASK, ANSWER, CLOSE, CLOSE_ACK, LAST, STEPS, RESET = STEPS };

struct rig {
	struct mos_root root;
	struct mos_shard *shard;
	struct mos_ctx *ctx;
	uint32_t flow_count;
	uint64_t sent; /* bytes of payload: each once, since connections began anew */
	bool stamps;   /* the caller's: packets carry timestamps */
};

extern struct rig rig;

/* What was measured again and again; beyond RIG_PASSES_MAX it is not noted. */
struct rig_samples {
	uint64_t cycles[RIG_PASSES_MAX]; /* hundredths */
	unsigned count;
};

/* What data segments are like. */
struct rig_traffic {
	const char *name;
	uint16_t size[3]; /* bytes of payload, drawn by lot; 0 = none more */
	unsigned swapped; /* of 1000 segments: comes before the one in front of it */
	unsigned resent;  /* of 1000 segments: is the last one again */
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

/*
 * Send a segment of every flow, from the client or the server; it acknowledges what came in order.
 * A flow with a hole fills it. So two calls, one from each end, with nothing swapped fill them all.
 */
void rig_data(const struct rig_traffic *t, bool from_server, struct rig_samples *s);

/* Write the same packets, but do no more than to copy their payload: a bound for what reads it. */
void rig_copy(const struct rig_traffic *t, struct rig_samples *s);

/* Rounds of measuring go on for so many seconds, and there is always one. */
void rig_begin_part(double seconds);
bool rig_goes_on(unsigned round);

/* Note that n of something took so many cycles. */
void rig_note(struct rig_samples *s, uint64_t cycles, uint64_t n);

/* Sorts the samples. At least one was noted. */
struct rig_figure rig_figure_of(struct rig_samples *s);

#endif
