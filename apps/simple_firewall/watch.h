/*
 * What the firewall does to packets: the events it defines and their callbacks.
 *
 *   first SYN -> MOS_ON_PKT_IN -> is_first_syn? -> on_flow_syn: ask the rules, count, drop, forget
 *   SYN without flow -> MOS_ON_ORPHAN -> is_first_syn? -> on_orphan_syn: ask the rules, count, drop
 *   TCP in IP fragments -> MOS_ON_PKT_IN of a raw socket -> on_raw_packet: drop
 *
 * The flow of a SYN is forgotten at once (MOS_STOP_MON), whatever the rules said: a SYN that is
 * sent again begins a new one and is asked again, and later packets of the connection cost no
 * callback.
 */
#ifndef SIMPLE_FIREWALL_WATCH_H
#define SIMPLE_FIREWALL_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "mos_api.h"
#include "apps/simple_firewall/rule_table.h"

/* Define the events; *rules is asked from now on. Application thread, once. 0, or -1 with errno. */
int watch_init(struct rules *rules);

/*
 * Have a context ask the rules; with fragments: and drop TCP in IP fragments. Application thread.
 * 0, or -1 with errno.
 */
int watch_start(mctx_t mctx, bool fragments);

/*
 * How many fragments were dropped, and how many packets of any kind should have been and could
 * not be. Any thread.
 */
void watch_sum(uint64_t *fragments, uint64_t *failed);

#endif
