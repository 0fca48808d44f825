/*
 * The bytes of a frame, wherever its mbufs are cut. Offsets count from the first byte of the frame;
 * a range that is read or written lies within pkt_len.
 *
 * Memory: that of the mbufs. No mbuf is added or taken away: a worker can do neither. Any thread
 * that has the packet in hand.
 */
#ifndef MOS_SECONDARY_CHAIN_H
#define MOS_SECONDARY_CHAIN_H

#include <stdint.h>

struct rte_mbuf;

void mos_chain_read(const struct rte_mbuf *m, uint32_t off, void *to, uint32_t len);
void mos_chain_write(struct rte_mbuf *m, uint32_t off, const void *from, uint32_t len);
void mos_chain_zero(struct rte_mbuf *m, uint32_t off, uint32_t len);

/* Ones' complement sum of a range, not folded: as mos_csum_partial of it in one piece. */
uint64_t mos_chain_sum(const struct rte_mbuf *m, uint32_t off, uint32_t len);

/* As memmove. */
void mos_chain_move(struct rte_mbuf *m, uint32_t to, uint32_t from, uint32_t len);

/*
 * Make the frame so long, at its end: what is new is zero, within mos_chain_room. A shorter one may
 * leave mbufs empty.
 */
void mos_chain_resize(struct rte_mbuf *m, uint32_t len);

/* How much longer it can become. */
uint32_t mos_chain_room(struct rte_mbuf *m);

#endif
