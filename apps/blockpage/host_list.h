/*
 * The hosts that are blocked: by name ("example.org", an address), or with all below a domain
 * (".example.org", the domain itself included). Upper and lower case are the same; ports and a dot
 * at the end are not looked at.
 *
 * Pure. Set up once, then only read, by any thread.
 */
#ifndef BLOCKPAGE_HOST_LIST_H
#define BLOCKPAGE_HOST_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "apps/common/http_conn.h"

#define HOST_COUNT_MAX 256

struct host_list {
	const char *name[HOST_COUNT_MAX]; /* the caller's */
	unsigned count;
};

/* Add a host or a .domain. NULL, or what is wrong with it. */
const char *host_list_add(struct host_list *list, const char *name);

/*
 * The entry that blocks a host as a Host field gives it, "host[:port]"; NULL: none.
 */
const char *host_list_match(const struct host_list *list, struct http_span host);

/*
 * The entry that blocks a request: its Host field counts, and the host that its target names, for
 * proxies ("http://host/path", "CONNECT host:port"). Neither may be there yet. NULL: none.
 */
const char *host_list_match_request(const struct host_list *list, const struct http_request *r);

#endif
