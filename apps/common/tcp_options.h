/*
 * Options of a TCP header that who speaks for an end has to know. Pure.
 */
#ifndef APPS_COMMON_TCP_OPTIONS_H
#define APPS_COMMON_TCP_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "mos_api.h"

struct tcp_options {
	bool has_mss, has_wscale, has_ts;
	uint16_t mss;
	uint8_t mss_at;          /* where its two bytes lie in the header */
	uint8_t wscale;          /* 0 to 14 */
	uint32_t ts_val, ts_ecr; /* timestamps */
};

/* Read them from a header with its options behind it, as long as its data offset says. */
void tcp_options_read(struct tcp_options *o, const struct tcphdr *tcp);

#endif
