#include "shared/flow_table/flow_text.h"

#include <arpa/inet.h>
#include <stdio.h>

const char *mos_flow_end_text(char text[static MOS_FLOW_END_LEN], const struct mos_flow_key *key,
                              int side)
{
	const uint8_t *addr = side == MOS_CLI ? key->src : key->dst;
	unsigned port = ntohs(side == MOS_CLI ? key->src_port_be : key->dst_port_be);
	char ip[INET6_ADDRSTRLEN];

	if (key->ip_version == 4) {
		inet_ntop(AF_INET, addr + 12, ip, sizeof(ip));
		snprintf(text, MOS_FLOW_END_LEN, "%s:%u", ip, port);
	} else {
		inet_ntop(AF_INET6, addr, ip, sizeof(ip));
		snprintf(text, MOS_FLOW_END_LEN, "[%s]:%u", ip, port);
	}
	return text;
}

const char *mos_flow_key_text(char text[static MOS_FLOW_TEXT_LEN], const struct mos_flow_key *key)
{
	char src[MOS_FLOW_END_LEN], dst[MOS_FLOW_END_LEN], vlan[sizeof(" vlan 65535")] = "";

	mos_flow_end_text(src, key, MOS_CLI);
	mos_flow_end_text(dst, key, MOS_SVR);
	if (key->vlan != 0)
		snprintf(vlan, sizeof(vlan), " vlan %u", key->vlan);
	snprintf(text, MOS_FLOW_TEXT_LEN, "%s > %s%s", src, dst, vlan);
	return text;
}

const char *mos_flow_state_name(unsigned state)
{
	static const char *const names[] = {
		"CLOSED",     "LISTEN",     "SYN_SENT", "SYN_RCVD", "ESTABLISHED", "FIN_WAIT_1",
		"FIN_WAIT_2", "CLOSE_WAIT", "CLOSING",  "LAST_ACK", "TIME_WAIT",
	};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}
