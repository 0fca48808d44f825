/*
 * The output: lines from any number of threads into one file, none of which waits for it.
 *
 *   stack threads --lines_put()--> buffer --> writer thread --> file or stdout
 *
 * A reader that does not read must not stop the traffic: when the buffer is full, lines are lost,
 * and counted. Whole lines only are written, several in one write, each as soon as it is there;
 * several processes may append to one file.
 */
#ifndef COMMON_LINES_H
#define COMMON_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINES_BUFFER_BYTES (1u << 20)

/*
 * Open file for appending (NULL: stdout) and start the writer; it inherits the signal mask. It
 * calls on_failure when it can write no more. Application thread. Returns 0 or -errno.
 */
int lines_open(const char *file, void (*on_failure)(void));

/* Hand over one line with its newline, len bytes. Any thread. False when it is lost. */
bool lines_put(const char *line, size_t len);

/*
 * Wait, 3 s at most, until all lines are written. Application thread, when nobody puts lines any
 * more. Returns whether all were written; *lost receives how many were not, if that is known.
 */
bool lines_close(uint64_t *lost);

/* End a line on stderr with what lines_close() has found. */
void lines_tell_lost(bool ok, uint64_t lost);

#endif
