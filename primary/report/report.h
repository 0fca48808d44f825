/*
 * What the primary says on standard output, without ever waiting for who reads it.
 *
 * Both threads of the primary report, and neither may stand still because a pipe is full: a line
 * that would have to wait is left out and counted, and the next one that goes through says how many
 * are missing. Lines come whole: one write each, up to PIPE_BUF.
 */
#ifndef MOS_PRIMARY_REPORT_H
#define MOS_PRIMARY_REPORT_H

#include <stddef.h>

/* Say one line, "mos-primary: " in front and the newline behind added here. Any thread. */
void mos_report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Say a text of several lines, each ended by a newline. Any thread. */
void mos_report_text(const char *text, size_t len);

#endif
