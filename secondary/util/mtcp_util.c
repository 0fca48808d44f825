/*
 * The helpers of mtcp_util.h but the hashes and GetRSSCPUCore(), and EventToString() of
 * mtcp_epoll.h.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "mtcp_epoll.h"
#include "mtcp_util.h"
#include "secondary/util/toeplitz.h"

#define RSS_KEY_BYTE  0x05
#define RSS_HASH_MASK 0x7f /* the low 7 bits of the hash index a table of 128 queues */

static uint8_t xor_bytes(uint32_t v)
{
	return (uint8_t)(v ^ v >> 8 ^ v >> 16 ^ v >> 24);
}

/*
 * Toeplitz: each set bit of the input contributes the 32 bits of the key that begin at its
 * position. This key repeats after 8 bits. So the place of a byte in the input does not matter:
 * the hash of a string is the hash of its bytes XORed, and the low byte of bit i's contribution
 * is the key's byte rotated left by i.
 */
int mos_toeplitz_queue(in_addr_t sip, in_addr_t dip, in_port_t sp, in_port_t dp, int nqueues)
{
	uint8_t folded = xor_bytes(sip) ^ xor_bytes(dip) ^ xor_bytes(sp) ^ xor_bytes(dp);
	uint32_t hash = 0;

	for (int bit = 0; bit < 8; bit++)
		if (folded & 0x80 >> bit)
			hash ^= RSS_KEY_BYTE << bit | RSS_KEY_BYTE >> (8 - bit);
	return (int)((hash & RSS_HASH_MASK) % (uint32_t)nqueues);
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * End the word that begins at *from with NUL and take its quotes out. Returns what follows it, or
 * NULL if a quote is not closed.
 */
static char *cut_word(char *from)
{
	char *to = from;
	char quote = '\0';

	for (; *from != '\0' && (quote != '\0' || !is_blank(*from)); from++) {
		if (quote != '\0' && *from == quote)
			quote = '\0';
		else if (quote == '\0' && (*from == '"' || *from == '\''))
			quote = *from;
		else
			*to++ = *from;
	}
	if (quote != '\0')
		return NULL;

	char *next = *from != '\0' ? from + 1 : from;

	*to = '\0';
	return next;
}

int StrToArgs(char *str, int *argc, char **argv, int max_argc)
{
	if (str == NULL || argc == NULL || argv == NULL || max_argc < 1) {
		errno = EINVAL;
		return -1;
	}

	argv[ *argc = 0] = NULL;
	for (;;) {
		while (is_blank(*str))
			str++;
		if (*str == '\0')
			return 0;
		if (*argc == max_argc - 1) {
			errno = E2BIG;
			return -1;
		}

		char *next = cut_word(str);

		if (next == NULL) {
			errno = EINVAL;
			return -1;
		}
		argv[*argc] = str;
		argv[++*argc] = NULL;
		str = next;
	}
}

int GetNumCPUs(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);

	return count < 1 ? 1 : count > INT_MAX ? INT_MAX : (int)count;
}

char *EventToString(uint32_t event)
{
	switch (event) {
	case MOS_EPOLLNONE: return "NONE";
	case MOS_EPOLLIN: return "IN";
	case MOS_EPOLLPRI: return "PRI";
	case MOS_EPOLLOUT: return "OUT";
	case MOS_EPOLLERR: return "ERR";
	case MOS_EPOLLHUP: return "HUP";
	case MOS_EPOLLRDHUP: return "RDHUP";
	}
	return NULL;
}
