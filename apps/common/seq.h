/*
 * TCP sequence numbers: modulo 2^32, told apart within 2 GB.
 */
#ifndef APPS_COMMON_SEQ_H
#define APPS_COMMON_SEQ_H

#include <stdbool.h>
#include <stdint.h>

static inline bool seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_upto(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

#endif
