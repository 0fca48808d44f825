/*
 * The answer to a blocked request: "HTTP/1.1 403 Forbidden" with a page. Made once, then only read.
 */
#ifndef BLOCKPAGE_PAGE_H
#define BLOCKPAGE_PAGE_H

#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES_MAX (1u << 20) /* of the file */

struct page {
	uint8_t *bytes;
	uint32_t head_len; /* all of the answer to a HEAD */
	uint32_t len;      /* with the body */
};

/* Make the page of a file (NULL: a short text of ours), of HTML. 0 or -errno; -EFBIG: too long. */
int page_load(struct page *page, const char *file);

#endif
