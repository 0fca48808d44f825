/*
 * Fuzz target: any bytes as the two directions of a connection, with gaps, through the parser of
 * messages, the pairing and the line that is printed.
 *
 * Input: a byte of which bit 0 says that the connection is joined in its middle; then pieces, each
 * of a byte of flags, a length byte, and as many bytes.
 *   flag bit 0     from the server, else from the client
 *   flag bit 1     the length counts 16 bytes each
 *   flag bits 2-4  7 = so many bytes were not seen, and none follow; 6 = the same times 2^24;
 *                  else the piece is fed
 *   flag bit 5     it is fed byte by byte
 *
 * Each piece lies in a heap copy of exact size. What the headers promise is asserted without using
 * their code.
 */
#include <stdlib.h>
#include <string.h>

#include "apps/common/http_conn.h"
#include "apps/httpwatch/transaction.h"
#include "test/fuzz/fuzz.h"

enum { FLAG_SERVER = 1, FLAG_LONG = 2, FLAG_BYTES = 1 << 5, BUDGET = 100000 };

/* What was sent, seen or not; no body can be larger. */
static uint64_t sent[2];

static void check_line_parsers(const char *bytes, size_t len)
{
	struct http_span line = {bytes, len};
	struct http_fields fields = {0};
	struct http_start start;
	uint64_t size;

	for (int kind = HTTP_REQUEST; kind <= HTTP_RESPONSE; kind++)
		if (http_start_line(&start, kind, line)) {
			CHECK(http_may_start(kind, bytes, len));
			CHECK(kind == HTTP_REQUEST ? start.method.len > 0 && start.target.len > 0
			                           : start.status >= 100 && start.status <= 999);
		}
	http_field_line(&fields, line);
	CHECK(fields.framing == HTTP_LENGTH || fields.body_bytes == 0);
	CHECK(fields.host.len <= len);
	CHECK(!http_chunk_line(&size, line) || size >> 60 == 0);
}

/* One line of printable ASCII whose strings end where they should. */
static void check_line(const struct http_transaction *t)
{
	static const struct ends ends = {"10.0.0.1:1", "10.0.0.2:80"};
	char line[TRANSACTION_LINE_LEN];
	size_t len = transaction_write(line, &ends, t);
	bool quoted = false;

	CHECK(len < sizeof(line) && line[len] == '\0' && line[len - 1] == '\n');
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

static void on_transaction(void *arg, const struct http_transaction *t)
{
	const struct http_conn *c = arg;

	check_line(t);
	CHECK(t->status == 0 || (t->status >= 100 && t->status <= 999));
	CHECK(t->request != NULL || t->status != 0 || t->given_up != NULL);
	CHECK(t->body_missed <= t->body_bytes && t->body_bytes <= sent[HTTP_FROM_SERVER]);
	CHECK((t->given_up != NULL) == (c->given_up != NULL));
	if (t->request == NULL)
		return;
	CHECK(t->request->body_missed <= t->request->body_bytes);
	CHECK(t->request->body_bytes <= sent[HTTP_FROM_CLIENT]);
}

static void feed(struct http_conn *c, int from, const uint8_t *bytes, size_t len, bool byte_by_byte)
{
	size_t step = byte_by_byte ? 1 : len;

	for (size_t at = 0; at < len && !c->over; at += step) {
		char *piece = malloc(step);

		CHECK(piece != NULL);
		memcpy(piece, bytes + at, step);
		check_line_parsers(piece, step);
		sent[from] += step;
		http_conn_feed(c, from, piece, step, at);
		free(piece);
	}
}

/* Returns how much of the input was used. */
static size_t one_piece(struct http_conn *c, const uint8_t *input, size_t size)
{
	int from = input[0] & FLAG_SERVER ? HTTP_FROM_SERVER : HTTP_FROM_CLIENT;
	size_t len = (size_t)input[1] * (input[0] & FLAG_LONG ? 16 : 1);
	unsigned what = input[0] >> 2 & 7;

	if (what >= 6) {
		uint64_t n = (uint64_t)len << (what == 6 ? 24 : 0);

		sent[from] += n;
		http_conn_gap(c, from, n, size);
		return 2;
	}
	if (len > size - 2)
		len = size - 2;
	feed(c, from, input + 2, len, input[0] & FLAG_BYTES);
	return 2 + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	size_t budget = BUDGET;
	struct http_conn c;

	if (size == 0)
		return 0;
	sent[0] = sent[1] = 0;
	http_conn_init(&c, input[0] & 1, &budget, on_transaction, &c);
	input++;
	size--;
	while (size >= 2 && !c.over) {
		size_t used = one_piece(&c, input, size);

		input += used;
		size -= used;
		CHECK(c.waiting_count <= HTTP_WAITING_MAX && budget <= BUDGET);
	}
	http_conn_fini(&c, 0);
	CHECK(budget == BUDGET);
	return 0;
}
