#include "shared/flow_table/flow_text.h"

#include <arpa/inet.h>
#include <stdio.h>

#define END_LEN (INET6_ADDRSTRLEN + sizeof("[]:65535"))

static void write_end(char text[static END_LEN], bool ip4, const uint8_t addr[16], uint16_t port_be)
{
	char ip[INET6_ADDRSTRLEN];

	if (ip4) {
		inet_ntop(AF_INET, addr + 12, ip, sizeof(ip));
		snprintf(text, END_LEN, "%s:%u", ip, ntohs(port_be));
	} else {
		inet_ntop(AF_INET6, addr, ip, sizeof(ip));
		snprintf(text, END_LEN, "[%s]:%u", ip, ntohs(port_be));
	}
}

const char *mos_flow_key_text(char text[static MOS_FLOW_TEXT_LEN], const struct mos_flow_key *key)
{
	char src[END_LEN], dst[END_LEN], vlan[sizeof(" vlan 65535")] = "";
	bool ip4 = key->ip_version == 4;

	write_end(src, ip4, key->src, key->src_port_be);
	write_end(dst, ip4, key->dst, key->dst_port_be);
	if (key->vlan != 0)
		snprintf(vlan, sizeof(vlan), " vlan %u", key->vlan);
	snprintf(text, MOS_FLOW_TEXT_LEN, "%s > %s%s", src, dst, vlan);
	return text;
}
