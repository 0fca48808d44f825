#include "apps/killer/pattern.h"

#include <string.h>

/* ---- Set-up ---- */

static const char *add(struct patterns *p, const struct pattern *new)
{
	if (p->count == PATTERN_COUNT_MAX)
		return "there are too many patterns";
	p->pattern[p->count++] = *new;
	if (new->len > p->len_max)
		p->len_max = new->len;
	return NULL;
}

const char *patterns_add_word(struct patterns *p, const char *text)
{
	struct pattern new = {.len = strlen(text)};

	if (new.len == 0)
		return "a pattern has at least one byte";
	if (new.len > PATTERN_LEN_MAX)
		return "the pattern is too long";
	memcpy(new.bytes, text, new.len);
	return add(p, &new);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

const char *patterns_add_hex(struct patterns *p, const char *text)
{
	struct pattern new = {0};

	for (; text[0] != '\0'; text += 2) {
		int high = hex_value(text[0]), low = high < 0 ? -1 : hex_value(text[1]);

		if (low < 0)
			return "two hexadecimal digits make a byte";
		if (new.len == PATTERN_LEN_MAX)
			return "the pattern is too long";
		new.bytes[new.len++] = (uint8_t)(high << 4 | low);
	}
	if (new.len == 0)
		return "a pattern has at least one byte";
	return add(p, &new);
}

/* ---- Search ---- */

/* The pattern that ends first within the bytes, but behind the first `skip` of them. */
static const struct pattern *search(const struct patterns *p, const uint8_t *bytes, size_t len,
                                    size_t skip, size_t *end)
{
	const struct pattern *first = NULL;

	for (unsigned i = 0; i < p->count; i++) {
		const struct pattern *x = &p->pattern[i];
		size_t from = x->len <= skip ? skip + 1 - x->len : 0;
		const uint8_t *at =
			from < len ? memmem(bytes + from, len - from, x->bytes, x->len) : NULL;

		if (at == NULL)
			continue;
		first = x;
		*end = (size_t)(at - bytes) + x->len;
		len = *end - 1; /* another one counts if it ends before */
	}
	return first;
}

/* Keep the last bytes of the tail and of those behind it. */
static void keep(struct tail *tail, size_t room, const uint8_t *bytes, size_t len)
{
	size_t from_tail;

	if (len >= room) {
		memcpy(tail->bytes, bytes + len - room, room);
		tail->len = (uint8_t)room;
		return;
	}
	from_tail = room - len < tail->len ? room - len : tail->len;
	memmove(tail->bytes, tail->bytes + tail->len - from_tail, from_tail);
	memcpy(tail->bytes + from_tail, bytes, len);
	tail->len = (uint8_t)(from_tail + len);
}

const struct pattern *patterns_search(const struct patterns *p, struct tail *tail,
                                      const uint8_t *bytes, size_t len, size_t *end)
{
	uint8_t joint[2 * (PATTERN_LEN_MAX - 1)];
	size_t reach = p->len_max - 1; /* from the tail into the new bytes, and the other way */
	size_t head = len < reach ? len : reach;
	const struct pattern *found = NULL;

	if (len == 0)
		return NULL;
	if (tail->len > 0) {
		memcpy(joint, tail->bytes, tail->len);
		memcpy(joint + tail->len, bytes, head);
		found = search(p, joint, tail->len + head, tail->len, end);
		if (found != NULL)
			*end -= tail->len;
	}
	if (found == NULL)
		found = search(p, bytes, len, 0, end);
	keep(tail, reach, bytes, len);
	return found;
}
