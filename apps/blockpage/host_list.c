#include "apps/blockpage/host_list.h"

#include <string.h>
#include <strings.h>

static bool is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("-._:", c) != NULL);
}

const char *host_list_add(struct host_list *list, const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || strcmp(name, ".") == 0 || len > HTTP_HOST_MAX || name[len - 1] == '.')
		return "expected HOST or .DOMAIN";
	for (size_t i = 0; i < len; i++)
		if (!is_host_char(name[i]))
			return "a character that no host has";
	if (list->count == HOST_COUNT_MAX)
		return "there are too many hosts";
	list->name[list->count++] = name;
	return NULL;
}

/* Without port: "host:80" is host, "[::1]:80" is ::1. */
static struct http_span strip(struct http_span s)
{
	const char *end;

	if (s.len > 0 && s.at[0] == '[') {
		end = memchr(s.at, ']', s.len);
		s.at++;
		s.len = end != NULL ? (size_t)(end - s.at) : s.len - 1;
		return s;
	}
	end = s.len > 0 ? memchr(s.at, ':', s.len) : NULL;
	if (end != NULL)
		s.len = (size_t)(end - s.at);
	while (s.len > 0 && s.at[s.len - 1] == '.')
		s.len--;
	return s;
}

static bool ends_with(struct http_span s, const char *end)
{
	size_t len = strlen(end);

	return s.len >= len && strncasecmp(s.at + s.len - len, end, len) == 0;
}

static bool matches(const char *name, struct http_span host)
{
	if (name[0] != '.')
		return host.len == strlen(name) && strncasecmp(host.at, name, host.len) == 0;
	return ends_with(host, name) ||
	       (host.len == strlen(name + 1) && strncasecmp(host.at, name + 1, host.len) == 0);
}

const char *host_list_match(const struct host_list *list, struct http_span host)
{
	host = strip(host);
	for (unsigned i = 0; host.len > 0 && i < list->count; i++)
		if (matches(list->name[i], host))
			return list->name[i];
	return NULL;
}

/* Where s has one of the characters; s.len: nowhere. */
static size_t find_any(struct http_span s, const char *chars)
{
	size_t n = 0;

	while (n < s.len && strchr(chars, s.at[n]) == NULL)
		n++;
	return n;
}

/* The authority of a target, or nothing: RFC 9112 section 3.2. */
static struct http_span authority(const struct http_request *r)
{
	struct http_span s = r->target;
	size_t scheme = find_any(s, ":/?#"), user;

	if (r->method.len == 7 && memcmp(r->method.at, "CONNECT", 7) == 0)
		return s;
	if (s.len < scheme + 3 || memcmp(s.at + scheme, "://", 3) != 0)
		return (struct http_span){0};
	s.at += scheme + 3;
	s.len -= scheme + 3;
	s.len = find_any(s, "/?#");
	user = find_any(s, "@");
	if (user < s.len) {
		s.at += user + 1;
		s.len -= user + 1;
	}
	return s;
}

const char *host_list_match_request(const struct host_list *list, const struct http_request *r)
{
	const char *entry = host_list_match(list, authority(r));

	return entry != NULL ? entry : host_list_match(list, r->host);
}
