/* What a classic network card would do with a packet. */
#ifndef MOS_SECONDARY_TOEPLITZ_H
#define MOS_SECONDARY_TOEPLITZ_H

#include <netinet/in.h>

/*
 * Which of nqueues (1..) receive queues gets packets of this 4-tuple, of either direction: the
 * Toeplitz hash with a key of bytes 0x05, its low 7 bits modulo nqueues. Byte order does not
 * matter.
 */
int mos_toeplitz_queue(in_addr_t sip, in_addr_t dip, in_port_t sp, in_port_t dp, int nqueues);

#endif
