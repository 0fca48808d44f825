#include "apps/rewrite/mss.h"

#include "apps/rewrite/edits.h"
#include "apps/rewrite/word.h"

#define HEADER_REST 41 /* bytes: the longest options, and one more */
#define PLACE_MIN   (2 * WORD_MAX)

/* room may be less than nothing. */
static uint16_t at_least_min(uint16_t mss, long room)
{
	if (mss <= MSS_MIN || room >= mss)
		return mss;
	return room < MSS_MIN ? MSS_MIN : (uint16_t)room;
}

uint16_t mss_in_one_place(uint16_t mss)
{
	if (mss > EDIT_PUT_MAX + HEADER_REST)
		return EDIT_PUT_MAX;
	return mss > PLACE_MIN + HEADER_REST ? mss - HEADER_REST : PLACE_MIN;
}

uint16_t mss_for_word(uint16_t mss, size_t len, size_t by_len)
{
	size_t place = mss_in_one_place(mss);
	long most = (long)(by_len > len ? place * len / by_len : place);

	return at_least_min(mss, most - (long)(len - 1));
}

uint16_t mss_for_line(uint16_t mss, size_t add)
{
	return at_least_min(mss, (long)mss - (long)add);
}
