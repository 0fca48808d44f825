/*
 * mosctl: shows what a running system holds: flows, workers, counters, ports.
 *
 *   mosctl.c     options, attaching      flows.c      the walk over the records
 *   tables.c     the other commands      flow_line.c  a flow as text or JSON
 *
 * It attaches like a worker, as a reader (secondary/readers), and writes nothing but its counter
 * there. One thread. It may be killed at any moment: the primary cleans up.
 */
#ifndef MOS_SECONDARY_MOSCTL_H
#define MOS_SECONDARY_MOSCTL_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/root/root.h"

struct mosctl {
	const struct mos_root *root;
	uint32_t attach_slot;
	int ctl_fd;

	/* options */
	int shard; /* -1 = all */
	bool json;
	bool area;
	uint16_t states; /* bit per enum tcpstate, 0 = all */
};

/* The commands: 0, or 1 with one line on standard error. */
int mosctl_flows(const struct mosctl *m);
int mosctl_workers(const struct mosctl *m);
int mosctl_counters(const struct mosctl *m);
int mosctl_ports(const struct mosctl *m);

#endif
