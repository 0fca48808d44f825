/*
 * Fuzz target: any bytes as the two directions of a connection, through the parser of heads, the
 * pairing and the line that is printed.
 *
 * Input: pieces, each of a byte of flags, a length byte, and as many bytes.
 *   flag bit 0     from the server, else from the client
 *   flag bit 1     the length counts 16 bytes each
 *   flag bits 2-4  where the piece lies: 0 to 5 = behind the one before, 5 also says that it was
 *                  dealt with; 6 = the one before again, 7 = far ahead
 *
 * Each piece lies in a heap copy of exact size. What the headers promise is asserted without using
 * their code.
 */
#include <stdlib.h>
#include <string.h>

#include "apps/httpwatch/http_conn.h"
#include "apps/httpwatch/transaction.h"
#include "test/fuzz/fuzz.h"

enum { FLAG_SERVER = 1, FLAG_LONG = 2, BUDGET = 100000 };

static void check_span(const struct http_span *s, const char *bytes, size_t len)
{
	if (s->at == NULL) {
		CHECK(s->len == 0);
		return;
	}
	CHECK(s->at >= bytes && s->at <= bytes + len);
	CHECK(s->len <= (size_t)(bytes + len - s->at));
	CHECK(s->len == 0 || memchr(s->at, '\n', s->len) == NULL);
}

static void check_head(enum http_kind kind, const char *bytes, size_t len)
{
	struct http_head head;
	enum http_result result = http_head_parse(&head, kind, bytes, len);
	bool begins = result == HTTP_CUT || result == HTTP_WHOLE;

	CHECK(http_head_starts(kind, bytes, len) == begins);
	if (!begins)
		return;
	check_span(&head.method, bytes, len);
	check_span(&head.target, bytes, len);
	check_span(&head.host, bytes, len);
	CHECK(kind == HTTP_REQUEST ? head.method.len > 0 && head.target.len > 0
	                           : head.status >= 100 && head.status <= 999);
	CHECK(head.framing == HTTP_LENGTH || head.body_bytes == 0);
	if (result == HTTP_WHOLE)
		CHECK(head.len >= 14 && head.len <= len && bytes[head.len - 1] == '\n');
}

/* One line of printable ASCII whose strings end where they should. */
static void on_transaction(void *arg, const struct http_request *r, unsigned status,
                           uint64_t time_ns)
{
	static const struct ends ends = {"10.0.0.1:1", "10.0.0.2:80"};
	char line[TRANSACTION_LINE_LEN];
	size_t len = transaction_write(line, &ends, r, status, time_ns);
	bool quoted = false;

	CHECK(len < sizeof(line) && line[len] == '\0' && line[len - 1] == '\n');
	CHECK(status == 0 || (status >= 100 && status <= 999));
	for (size_t i = 0; i < len - 1; i++) {
		CHECK(line[i] >= ' ' && line[i] < 0x7f);
		if (line[i] == '\\')
			i++;
		else if (line[i] == '"')
			quoted = !quoted;
		else if (!quoted)
			CHECK(strchr("{}:,.0123456789nultre", line[i]) != NULL);
	}
	CHECK(!quoted && line[0] == '{' && line[len - 2] == '}');
}

/* Returns how much of the input was used. */
static size_t feed(struct http_conn *c, uint32_t *pos, const uint8_t *input, size_t size)
{
	int from = input[0] & FLAG_SERVER ? HTTP_FROM_SERVER : HTTP_FROM_CLIENT;
	unsigned place = input[0] >> 2 & 7;
	size_t len = (size_t)input[1] * (input[0] & FLAG_LONG ? 16 : 1);
	uint32_t at = pos[from];
	char *piece;

	if (len > size - 2)
		len = size - 2;
	piece = malloc(len > 0 ? len : 1);
	CHECK(piece != NULL);
	memcpy(piece, input + 2, len);
	if (place == 6)
		at -= (uint32_t)len;
	else if (place == 7)
		at = pos[from] += 1u << 29;
	if (place == 5)
		http_conn_skip(c, from, at, len);
	check_head(HTTP_REQUEST, piece, len);
	check_head(HTTP_RESPONSE, piece, len);
	CHECK(http_conn_head_at(c, from, at, len) <= len);
	http_conn_feed(c, from, at, piece, len, size, on_transaction, NULL);
	if (place < 6)
		pos[from] += (uint32_t)len;
	free(piece);
	return 2 + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	uint32_t pos[2] = {0xffffffc0u, 0};
	size_t budget = BUDGET;
	struct http_conn c;

	http_conn_init(&c, &budget);
	while (size >= 2 && !c.over) {
		size_t used = feed(&c, pos, input, size);

		input += used;
		size -= used;
		CHECK(c.waiting_count <= HTTP_WAITING_MAX && budget <= BUDGET);
	}
	http_conn_fini(&c, 0, on_transaction, NULL);
	CHECK(budget == BUDGET);
	return 0;
}
