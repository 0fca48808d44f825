#include "apps/mos_run/notify.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define SKIP_MAX 16 /* messages of nonsense before the others get their turn */

/* The number that is all of the text, without sign and leading zeros; -1 if it is none of ours. */
static int number_in(const char *text, size_t len)
{
	int number = 0;

	if (len == 0 || len > 2 || (len > 1 && text[0] == '0'))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		number = 10 * number + (text[i] - '0');
	}
	return number <= NOTIFY_NUMBER_MAX ? number : -1;
}

bool notify_parse(struct notify *n, const char *message, size_t len)
{
	static const struct {
		const char *text;
		enum notify_what what;
		bool numbered;
	} rows[] = {
		{"no primary", NOTIFY_NO_PRIMARY, false},
		{"ready ", NOTIFY_READY, true},
		{"serving ", NOTIFY_SERVING, true},
		{"yielded ", NOTIFY_YIELDED, true},
	};

	if (len == 0 || message[len - 1] != '\n')
		return false;
	len--;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t head = strlen(rows[i].text);
		int number = 0;

		if (len < head || memcmp(message, rows[i].text, head) != 0)
			continue;
		if (rows[i].numbered)
			number = number_in(message + head, len - head);
		else if (len > head)
			return false;
		*n = (struct notify){rows[i].what, (unsigned)number};
		return number >= 0;
	}
	return false;
}

int notify_read(int fd, struct notify *n)
{
	char message[64];

	for (int i = 0; i < SKIP_MAX; i++) {
		ssize_t len = recv(fd, message, sizeof(message), MSG_DONTWAIT);

		if (len == 0)
			return -EPIPE;
		if (len < 0)
			return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
		if (notify_parse(n, message, (size_t)len))
			return 0;
	}
	return -EAGAIN;
}
