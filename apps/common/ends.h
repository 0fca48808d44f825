/*
 * Who talks in a connection, in words: "10.0.0.1:40000", "[fd00::1]:80".
 */
#ifndef COMMON_ENDS_H
#define COMMON_ENDS_H

#include <stdbool.h>

#include "mos_api.h"

#define END_LEN sizeof("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535")

struct ends {
	char client[END_LEN];
	char server[END_LEN];
};

/* Fill in the ends of an active socket's flow. Stack thread. False with errno when it has none. */
bool ends_read(struct ends *ends, mctx_t mctx, int sock);

#endif
