/*
 * The file that all workers write to, read while it grows: each line goes to its connection, and a
 * connection that both sides have told of is compared.
 */
#ifndef MOS_BENCH_KILL_SINK_LINES_H
#define MOS_BENCH_KILL_SINK_LINES_H

#include <stdbool.h>
#include <stdint.h>

/* False with a line on stderr. */
bool sink_lines_open(const char *path);

/* Take what is new. NULL, or what is wrong. */
const char *sink_lines_take(void);

/*
 * Of the connections [0, count), all closed: how many are still to be told of, those without a
 * strike (plain) and those with.
 */
struct untold {
	uint32_t plain, struck;
	uint32_t example; /* a plain one */
};
struct untold sink_lines_untold(uint32_t count);

#endif
