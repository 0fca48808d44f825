/*
 * What edit.c must come to, done on an array in the most obvious way: for tests and fuzzing.
 */
#ifndef MOS_SECONDARY_EDIT_MODEL_H
#define MOS_SECONDARY_EDIT_MODEL_H

#include <stdint.h>

#include "shared/packet/packet.h"

#define EDIT_BYTES_MAX 16384

struct edit_bytes {
	uint8_t b[EDIT_BYTES_MAX];
	uint32_t len;
	uint32_t head; /* bytes in the first mbuf, or more: no header reaches beyond them */
};

/* One edit that was accepted. meta: of the frame before it; offset: within the outermost place. */
void edit_model(struct edit_bytes *f, const struct mos_pkt_meta *meta, int option, uint32_t offset,
                const void *data, uint32_t len);

/* Compute the checksums anew: of IPv4 with a header of ip_hdr bytes, and of TCP. */
void edit_model_sum_ip4(struct edit_bytes *f, uint32_t l3_off, uint32_t ip_hdr);
void edit_model_sum_tcp(struct edit_bytes *f, const struct mos_pkt_meta *meta);

#endif
