/*
 * What a change of bytes does to an Internet checksum, without a look at the other bytes
 * (RFC 1624).
 *
 *   delta = 0;                                        nothing has changed since the sum was right
 *   delta = mos_sum_change(delta, old, new, n, odd);  for each change
 *   sum = mos_sum_mend(sum, delta);                   right again
 *
 * A sum that was wrong stays wrong by as much: who broke it can still be found out. All numbers are
 * in network order as they stand, like those of shared/packet/checksum.h. Pure.
 */
#ifndef MOS_SECONDARY_EDIT_SUM_H
#define MOS_SECONDARY_EDIT_SUM_H

#include "shared/packet/checksum.h"

/* A sum of mos_csum_partial in 16 bits. */
static inline uint16_t mos_sum_fold(uint64_t sum)
{
	return (uint16_t)~mos_csum_fold(sum);
}

/* The sum of bytes that begin at an odd offset of what is summed: RFC 1071 2.B. */
static inline uint16_t mos_sum_swap(uint16_t sum, bool odd)
{
	return odd ? __builtin_bswap16(sum) : sum;
}

/* len bytes become others. odd: the first lies at an odd offset of what is summed. */
static inline uint16_t mos_sum_change(uint16_t delta, const void *from, const void *to,
                                      uint32_t len, bool odd)
{
	uint32_t gone = (uint16_t)~mos_sum_fold(mos_csum_partial(from, len, 0));
	uint32_t come = mos_sum_fold(mos_csum_partial(to, len, 0));

	return mos_sum_fold((uint64_t)delta + mos_sum_swap(mos_sum_fold(gone + come), odd));
}

/* The checksum field after the changes: RFC 1624, equation 3. */
static inline uint16_t mos_sum_mend(uint16_t field, uint16_t delta)
{
	return mos_csum_fold((uint64_t)(uint16_t)~field + delta);
}

#endif
