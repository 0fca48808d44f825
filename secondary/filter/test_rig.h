/* EAL without hugepages, packets, and filters for the tests of this module. */
#ifndef MOS_SECONDARY_FILTER_TEST_RIG_H
#define MOS_SECONDARY_FILTER_TEST_RIG_H

#include <check.h>
#include <rte_mbuf.h>

#include "secondary/filter/filter.h"
#include "shared/packet/packet.h"
#include "shared/packet/test_frame.h"

/* A frame as a filter gets it. */
struct packet {
	struct rte_mbuf *m;
	struct mos_pkt_meta meta;
};

/* Start EAL once, in main; exits with 77 where it cannot be had. */
void rig_eal(void);

/* Put the frame into segments of seg_len bytes and parse it. Free p.m with rte_pktmbuf_free. */
struct packet rig_packet(const void *bytes, uint32_t len, uint32_t seg_len);

/* Compile, or fail the test. */
struct mos_filter *rig_filter(const char *expr);

/* IPv4 and TCP from client to server, nothing special. */
struct test_frame rig_tcp4(uint32_t payload);

TCase *filter_case(void);
TCase *model_case(void);
TCase *syn_case(void);

#endif
