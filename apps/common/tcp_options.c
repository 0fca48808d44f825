#include "apps/common/tcp_options.h"

#include <string.h>

enum { OPT_END = 0, OPT_NOP = 1, OPT_MSS = 2, OPT_WSCALE = 3, OPT_TS = 8 };

#define WSCALE_MAX 14 /* RFC 7323 section 2.3 */

static uint32_t read32(const uint8_t *at)
{
	uint32_t be;

	memcpy(&be, at, sizeof(be));
	return ntohl(be);
}

static void read_option(struct tcp_options *o, const uint8_t *header, const uint8_t *at,
                        unsigned len)
{
	if (at[0] == OPT_MSS && len == 4) {
		o->has_mss = true;
		o->mss = (uint16_t)(at[2] << 8 | at[3]);
		o->mss_at = (uint8_t)(at + 2 - header);
	} else if (at[0] == OPT_WSCALE && len == 3) {
		o->has_wscale = true;
		o->wscale = at[2] <= WSCALE_MAX ? at[2] : WSCALE_MAX;
	} else if (at[0] == OPT_TS && len == 10) {
		o->has_ts = true;
		o->ts_val = read32(at + 2);
		o->ts_ecr = read32(at + 6);
	}
}

void tcp_options_read(struct tcp_options *o, const struct tcphdr *tcp)
{
	const uint8_t *at = (const uint8_t *)(tcp + 1);
	const uint8_t *end = (const uint8_t *)tcp + tcp->doff * 4;

	*o = (struct tcp_options){0};
	while (at < end && at[0] != OPT_END) {
		if (at[0] == OPT_NOP) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] < 2 || at[1] > end - at)
			return; /* what follows cannot be told */
		read_option(o, (const uint8_t *)tcp, at, at[1]);
		at += at[1];
	}
}
