#include "apps/blockpage/page.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char our_body[] = "<!DOCTYPE html>\n"
			       "<html><head><title>Blocked</title></head>\n"
			       "<body><h1>Blocked</h1><p>Access to this host is not "
			       "allowed.</p></body></html>\n";

static int make(struct page *page, const char *body, size_t body_len)
{
	char *text = NULL;
	int head_len = asprintf(&text,
	                        "HTTP/1.1 403 Forbidden\r\n"
	                        "Content-Type: text/html\r\n"
	                        "Content-Length: %zu\r\n"
	                        "Cache-Control: no-store\r\n"
	                        "Connection: close\r\n"
	                        "\r\n",
	                        body_len);
	char *all = head_len < 0 ? NULL : realloc(text, (size_t)head_len + body_len);

	if (all == NULL) {
		if (head_len >= 0)
			free(text);
		return -ENOMEM;
	}
	memcpy(all + head_len, body, body_len);
	page->bytes = (uint8_t *)all;
	page->head_len = (uint32_t)head_len;
	page->len = (uint32_t)(head_len + (int)body_len);
	return 0;
}

int page_load(struct page *page, const char *file)
{
	char *body;
	size_t len;
	int error;
	FILE *f;

	if (file == NULL)
		return make(page, our_body, sizeof(our_body) - 1);
	f = fopen(file, "re");
	if (f == NULL)
		return -errno;
	body = malloc(PAGE_BYTES_MAX + 1);
	len = body != NULL ? fread(body, 1, PAGE_BYTES_MAX + 1, f) : 0;
	if (body == NULL)
		error = -ENOMEM;
	else if (ferror(f))
		error = -EIO;
	else
		error = len > PAGE_BYTES_MAX ? -EFBIG : make(page, body, len);
	free(body);
	fclose(f);
	return error;
}
