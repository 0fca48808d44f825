/*
 * Packets that are edited, on the bench: frames of many shapes, sent past a raw socket or into a
 * flow, and the bytes that came out.
 */
#ifndef MOS_TEST_EDIT_RIG_H
#define MOS_TEST_EDIT_RIG_H

#include "secondary/edit/edit_model.h"
#include "test/eal/worker_tests.h"

struct edit_shape {
	const char *what;
	uint32_t cut; /* the first mbuf ends here, another every 300 bytes; 0 = one mbuf */
	struct edit_bytes frame;
	struct mos_pkt_meta meta;
};

extern const unsigned edit_shape_count;

/* Shape number n, with checksums that are right. */
void edit_make_shape(struct edit_shape *s, unsigned n);

/* Cut a frame that is one mbuf as the shape says. */
void edit_cut(struct rte_mbuf *m, uint32_t first, uint32_t each);

/* The frame that came out last is edit_out from now on. */
void edit_keep_output(void);
extern struct edit_bytes edit_in, edit_out;

/* Its headers are sound, and both checksums right. */
void edit_out_is_right(void);

#endif
