/* What a run has come to, as a table and as JSON. */
#ifndef MOS_BENCH_KILL_REPORT_H
#define MOS_BENCH_KILL_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "test/bench/kill/sink_lines.h"

/* What only the end of the run knows. */
void report_seconds(double seconds); /* of killing */
void report_untold(struct untold u);
void report_lost_frames(uint64_t n); /* between the kernels and the primary */

void print_progress(FILE *out, double seconds);
void print_report(FILE *out, uint64_t seed, double seconds);
bool write_json(const char *path, uint64_t seed);

#endif
