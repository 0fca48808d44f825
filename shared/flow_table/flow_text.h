/*
 * The name of a flow in messages: "10.0.0.1:40000 > 10.0.0.2:80", "[fd00::1]:40000 > [fd00::2]:80",
 * and " vlan 7" behind it when it is tagged. Any process, any thread; nothing is believed of the
 * key, which may be what a dead process has left.
 */
#ifndef MOS_SHARED_FLOW_TEXT_H
#define MOS_SHARED_FLOW_TEXT_H

#include <netinet/in.h>

#include "shared/flow_table/flow.h"

#define MOS_FLOW_TEXT_LEN (2 * (INET6_ADDRSTRLEN + sizeof("[]:65535")) + sizeof(" >  vlan 65535"))

/* Write the name; returns text. */
const char *mos_flow_key_text(char text[static MOS_FLOW_TEXT_LEN], const struct mos_flow_key *key);

/* Its client or server alone: "10.0.0.1:40000"; without the VLAN. Returns text. */
#define MOS_FLOW_END_LEN (INET6_ADDRSTRLEN + sizeof("[]:65535"))
const char *mos_flow_end_text(char text[static MOS_FLOW_END_LEN], const struct mos_flow_key *key,
                              int side);

/* Name of an enum tcpstate: "ESTABLISHED"; "?" for what is none. */
const char *mos_flow_state_name(unsigned state);

#endif
