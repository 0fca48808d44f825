/* Many times of one kind: percentiles, and how they spread. */
#ifndef MOS_BENCH_KILL_HISTOGRAM_H
#define MOS_BENCH_KILL_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

struct histogram {
	const char *name, *text;
	double *us; /* heap; in order once looked at */
	uint64_t count, room;
};

void histogram_add(struct histogram *h, double us);

/* The value that so many percent of all do not exceed; 0 without values. */
double histogram_percentile(struct histogram *h, double percent);

/* One line of p50, p90, p99 and max; a bar for each power of two that occurs. */
void histogram_print(FILE *out, struct histogram *h);
void histogram_write_json(FILE *out, struct histogram *h);

#endif
