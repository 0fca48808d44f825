/* What the public calls share. Private to this folder. */
#ifndef MOS_SECONDARY_API_PRIV_H
#define MOS_SECONDARY_API_PRIV_H

#include <errno.h>

/* How a public call fails: return fail(EINVAL). */
static inline int fail(int err)
{
	errno = err;
	return -1;
}

#endif
