#include "shared/packet/packet.h"

#include <arpa/inet.h>
#include <string.h>

/* Kinds and whole lengths: RFC 9293 3.1, RFC 2018, RFC 7323. */
enum {
	KIND_END = 0,
	KIND_NOP = 1,
	KIND_MSS = 2,
	KIND_WSCALE = 3,
	KIND_SACK_OK = 4,
	KIND_TS = 8,

	LEN_MSS = 4,
	LEN_WSCALE = 3,
	LEN_SACK_OK = 2,
	LEN_TS = 10,

	WSCALE_MAX = 14,
};

static uint32_t load_be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return ntohl(v);
}

/* Read one option of opt_len bytes, all of them there. */
static void take(struct mos_tcp_opts *o, const uint8_t *opt, uint32_t opt_len)
{
	switch (opt[0]) {
	case KIND_MSS:
		if (opt_len == LEN_MSS)
			o->mss = (uint16_t)(opt[2] << 8 | opt[3]);
		break;
	case KIND_WSCALE:
		if (opt_len == LEN_WSCALE) {
			o->has_wscale = true;
			o->wscale = opt[2] < WSCALE_MAX ? opt[2] : WSCALE_MAX;
		}
		break;
	case KIND_SACK_OK:
		if (opt_len == LEN_SACK_OK)
			o->sack_ok = true;
		break;
	case KIND_TS:
		if (opt_len == LEN_TS) {
			o->has_ts = true;
			o->ts_val = load_be32(opt + 2);
			o->ts_ecr = load_be32(opt + 6);
		}
		break;
	}
}

bool mos_tcp_opts_parse(struct mos_tcp_opts *o, const uint8_t *opt, uint32_t len)
{
	memset(o, 0, sizeof(*o));
	while (len > 0 && opt[0] != KIND_END) {
		uint32_t opt_len = 1;

		if (opt[0] != KIND_NOP) {
			if (len < 2 || opt[1] < 2 || opt[1] > len)
				return false;
			opt_len = opt[1];
			take(o, opt, opt_len);
		}
		opt += opt_len;
		len -= opt_len;
	}
	return true;
}
