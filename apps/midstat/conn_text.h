/*
 * Connections in words: for the page and for the event log. Any thread that may read the record.
 */
#ifndef MIDSTAT_CONN_TEXT_H
#define MIDSTAT_CONN_TEXT_H

#include <netinet/in.h>

#include "apps/midstat/conn_table.h"

#define CONN_END_LEN (sizeof("[]:65535") + INET6_ADDRSTRLEN)

/* Name of an enum tcpstate. */
const char *conn_state_name(int state);

/* One end as "address:port" or "[address]:port". */
void conn_write_end(char text[static CONN_END_LEN], const union conn_end *end);

/* Open the event log for appending; until then conn_log() does nothing. Returns 0 or -errno. */
int conn_log_open(const char *file);

/*
 * Log "time pid event client server client-state server-state[ note]". Each line is one write,
 * so several workers may share the file. The first failure is told and ends the log.
 */
void conn_log(const char *event, const struct conn *c, const char *note);

#endif
