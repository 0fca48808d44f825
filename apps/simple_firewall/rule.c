#include "apps/simple_firewall/rule.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WORD_LEN 64 /* longest word and its NUL; an IPv6 prefix has up to 49 characters */
#define PORT_MAX 65535

/* A line that is read word by word. */
struct words {
	const char *at;
	const char *end;
	char word[WORD_LEN]; /* "" behind the last one */
	char *err;
};

static const char *const end_name[] = {[RULE_SRC] = "src", [RULE_DST] = "dst"};

__attribute__((format(printf, 2, 3))) static int complain(struct words *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(w->err, RULE_ERROR_LEN, format, args);
	va_end(args);
	return -EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Move to the next word. Returns 0 or -EINVAL. */
static int next(struct words *w)
{
	size_t len = 0;

	while (w->at < w->end && is_blank(*w->at))
		w->at++;
	while (w->at < w->end && !is_blank(*w->at)) {
		if (!isascii(*w->at) || !isprint(*w->at))
			return complain(w, "a character that is not printable ASCII");
		if (len == WORD_LEN - 1)
			return complain(w, "'%.20s...': too long a word", w->word);
		w->word[len++] = *w->at++;
		w->word[len] = '\0';
	}
	w->word[len] = '\0';
	return 0;
}

static bool is(const struct words *w, const char *word)
{
	return strcmp(w->word, word) == 0;
}

/* len digits, no sign, no blanks; false also beyond max, which has at most 5 digits. */
static bool parse_number(const char *text, size_t len, unsigned max, unsigned *number)
{
	unsigned n = 0;

	if (len < 1 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = n * 10 + (unsigned)(text[i] - '0');
	}
	*number = n;
	return n <= max;
}

static void make_mask(union rule_addr *mask, unsigned bits)
{
	memset(mask, 0, sizeof(*mask));
	memset(mask->byte, 0xff, bits / 8);
	if (bits % 8 != 0)
		mask->byte[bits / 8] = (uint8_t)(0xff << (8 - bits % 8));
}

/* Bits behind the prefix are a slip of the pen more often than not: say what may be meant. */
static int check_host_bits(struct words *w, struct rule_end *e, int family, unsigned bits)
{
	char meant[INET6_ADDRSTRLEN];
	union rule_addr prefix;

	for (int i = 0; i < 2; i++)
		prefix.word[i] = e->addr.word[i] & e->mask.word[i];
	if (memcmp(&prefix, &e->addr, sizeof(prefix)) == 0)
		return 0;
	inet_ntop(family, prefix.byte, meant, sizeof(meant));
	return complain(w, "'%s': bits are set behind the prefix; is %s/%u meant?", w->word, meant,
	                bits);
}

static int parse_address(struct words *w, struct rule *r, struct rule_end *e)
{
	char *slash = strchr(w->word, '/');
	unsigned bits_max, bits;
	int family = AF_UNSPEC;

	if (slash != NULL)
		*slash = '\0';
	if (inet_pton(AF_INET, w->word, e->addr.byte) == 1)
		family = AF_INET;
	else if (inet_pton(AF_INET6, w->word, e->addr.byte) == 1)
		family = AF_INET6;
	if (slash != NULL)
		*slash = '/';
	if (family == AF_UNSPEC)
		return complain(w, "'%s': not an address; expected IPv4, IPv6, any or port",
		                w->word);

	bits = bits_max = family == AF_INET ? 32 : 128;
	if (slash != NULL && !parse_number(slash + 1, strlen(slash + 1), bits_max, &bits))
		return complain(w, "'%s': the prefix is not from 0 to %u", w->word, bits_max);
	make_mask(&e->mask, bits);
	if (r->family != AF_UNSPEC && r->family != family)
		return complain(w, "'%s': src and dst are of two families, no packet matches",
		                w->word);
	r->family = family;
	return check_host_bits(w, e, family, bits);
}

static int parse_ports(struct words *w, struct rule_end *e)
{
	const char *dash = strchr(w->word, '-');
	size_t len = dash != NULL ? (size_t)(dash - w->word) : strlen(w->word);
	unsigned first, last;

	if (w->word[0] == '\0')
		return complain(w, "port: a number or a range FIRST-LAST is missing");
	if (!parse_number(w->word, len, PORT_MAX, &first))
		return complain(w, "'%s': ports are numbers from 0 to %u", w->word, PORT_MAX);
	last = first;
	if (dash != NULL && !parse_number(dash + 1, strlen(dash + 1), PORT_MAX, &last))
		return complain(w, "'%s': ports are numbers from 0 to %u", w->word, PORT_MAX);
	if (first > last)
		return complain(w, "'%s': the range ends before it begins", w->word);
	e->port_first = (uint16_t)first;
	e->port_last = (uint16_t)last;
	return 0;
}

/* What stands behind src or dst, up to the word after it. */
static int parse_end(struct words *w, struct rule *r, int which)
{
	struct rule_end *e = &r->end[which];
	int error = 0;

	if (is(w, ""))
		return complain(w, "%s: an address, any or port is missing", end_name[which]);
	if (!is(w, "port")) {
		error = is(w, "any") ? 0 : parse_address(w, r, e);
		if (error == 0)
			error = next(w);
	}
	if (error == 0 && is(w, "port")) {
		error = next(w);
		if (error == 0)
			error = parse_ports(w, e);
		if (error == 0)
			error = next(w);
	}
	return error;
}

static int parse_ends(struct words *w, struct rule *r)
{
	bool given[2] = {false, false};
	int error = 0;

	if (is(w, ""))
		return complain(w, "what to %s? Expected any, src or dst",
		                r->drop ? "drop" : "pass");
	if (is(w, "any"))
		error = next(w);
	else
		while (error == 0 && (is(w, "src") || is(w, "dst"))) {
			int which = is(w, "src") ? RULE_SRC : RULE_DST;

			if (given[which])
				return complain(w, "%s comes twice", end_name[which]);
			given[which] = true;
			error = next(w);
			if (error == 0)
				error = parse_end(w, r, which);
		}
	if (error == 0 && !is(w, ""))
		return complain(w, "'%s' is not expected here", w->word);
	return error;
}

/* The rule as written, for who reads the report: from its first word to the end of its last. */
static void keep_text(struct rule *r, const char *first, const char *end)
{
	while (end > first && is_blank(end[-1]))
		end--;
	r->text = first;
	r->text_len = (unsigned)(end - first);
}

int rule_parse(struct rule *r, const char *line, size_t len, char err[static RULE_ERROR_LEN])
{
	const char *comment = memchr(line, '#', len);
	struct words w = {.at = line, .end = comment != NULL ? comment : line + len, .err = err};
	int error;

	*r = (struct rule){.family = AF_UNSPEC,
	                   .end = {{.port_last = PORT_MAX}, {.port_last = PORT_MAX}}};
	err[0] = '\0';
	if (w.end > w.at && w.end[-1] == '\r') /* a file that was written on Windows */
		w.end--;
	while (w.at < w.end && is_blank(*w.at))
		w.at++;
	keep_text(r, w.at, w.end);
	error = next(&w);
	if (error < 0 || is(&w, ""))
		return error;
	if (!is(&w, "drop") && !is(&w, "pass"))
		return complain(&w, "'%s': a rule begins with drop or pass", w.word);
	r->drop = is(&w, "drop");
	error = next(&w);
	if (error == 0)
		error = parse_ends(&w, r);
	return error < 0 ? error : 1;
}

static bool end_matches(const struct rule_end *e, const union rule_addr *addr, uint16_t port)
{
	return ((addr->word[0] & e->mask.word[0]) ^ e->addr.word[0]) == 0 &&
	       ((addr->word[1] & e->mask.word[1]) ^ e->addr.word[1]) == 0 &&
	       port >= e->port_first && port <= e->port_last;
}

bool rule_matches(const struct rule *r, const struct rule_key *key)
{
	return (r->family == AF_UNSPEC || r->family == key->family) &&
	       end_matches(&r->end[RULE_SRC], &key->addr[RULE_SRC], key->port[RULE_SRC]) &&
	       end_matches(&r->end[RULE_DST], &key->addr[RULE_DST], key->port[RULE_DST]);
}
