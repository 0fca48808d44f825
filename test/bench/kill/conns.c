#include "test/bench/kill/conns.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mos_api.h"
#include "test/bench/kill/content.h"
#include "test/bench/kill/network.h"
#include "test/bench/kill/sha256.h"

enum {
	PORT_FIRST = 10000,
	PORTS = 50000, /* then comes the next address of the server */
	SERVERS = CONNS_MAX / PORTS,
};

struct conn *conns;
struct conns_sum conns_sum;

static uint64_t base; /* of all contents */

bool conns_init(uint64_t seed)
{
	base = random_at(seed, 0);
	conns = calloc(CONNS_MAX, sizeof(*conns)); /* pages come with use */
	return conns != NULL;
}

struct conn_name conn_name(uint32_t number)
{
	return (struct conn_name){(uint16_t)(PORT_FIRST + number % PORTS),
	                          (uint16_t)((SERVER_IP & 0xffff) + number / PORTS)};
}

uint32_t conn_number(unsigned client_port, unsigned server_low)
{
	unsigned port = client_port - PORT_FIRST, server = server_low - (SERVER_IP & 0xffff);

	return port < PORTS && server < SERVERS ? server * PORTS + port : CONNS_MAX;
}

uint64_t conn_stream(uint32_t number, int receiver)
{
	return random_at(base, 2 * (uint64_t)number + (uint64_t)receiver);
}

/* ---- lines ---- */

__attribute__((format(printf, 1, 2))) static const char *wrong(const char *format, ...)
{
	static char texts[2][512]; /* what is wrong may stand in what is wrong around it */
	static unsigned turn;
	char *text = texts[turn++ % 2];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(texts[0]), format, args);
	va_end(args);
	return text;
}

static void hash_content(uint32_t number, int receiver, uint64_t from, uint64_t len,
                         char hex[static 2 * SHA256_BYTES + 1])
{
	uint64_t stream = conn_stream(number, receiver);
	uint8_t bytes[4096], digest[SHA256_BYTES];
	struct sha256 s;

	sha256_begin(&s);
	while (len > 0) {
		size_t n = len < sizeof(bytes) ? (size_t)len : sizeof(bytes);

		content_fill(stream, from, bytes, n);
		sha256_add(&s, bytes, n);
		from += n;
		len -= n;
	}
	sha256_digest(&s, digest);
	for (unsigned i = 0; i < SHA256_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static const char *take_piece(uint32_t number, int side, uint64_t from, uint64_t len,
                              const char *hash)
{
	struct conn *c = &conns[number];
	char truth[2 * SHA256_BYTES + 1];

	hash_content(number, side, from, len, truth);
	if (strcmp(truth, hash) != 0)
		return wrong("bytes %" PRIu64 " to %" PRIu64 " are wrong", from, from + len);
	if (from == c->from[side] && from + len == c->next[side] && len > 0) {
		conns_sum.again++;
		return NULL;
	}
	if (from < c->next[side])
		return wrong("the piece at %" PRIu64 " begins in front of %" PRIu64, from,
		             c->next[side]);
	c->holes[side] += from - c->next[side];
	conns_sum.holes += from > c->next[side];
	c->from[side] = from;
	c->next[side] = from + len;
	conns_sum.pieces++;
	conns_sum.bytes += len;
	return NULL;
}

static const char *take_end(uint32_t number, const unsigned long long packets[static 2],
                            unsigned long long adopted, uint32_t *ended)
{
	struct conn *c = &conns[number];

	if (c->ended) {
		conns_sum.again++;
		return NULL;
	}
	c->ended = true;
	*ended = number;
	c->told[MOS_SIDE_CLI] = packets[MOS_SIDE_CLI];
	c->told[MOS_SIDE_SVR] = packets[MOS_SIDE_SVR];
	conns_sum.ended++;
	conns_sum.adopted += adopted;
	return NULL;
}

const char *conns_take_line(const char *line, uint32_t *ended)
{
	unsigned client, server;
	unsigned long long from, len, packets[2], adopted;
	char hash[2 * SHA256_BYTES + 1];
	const char *what = "cannot be read";
	uint32_t number = CONNS_MAX;
	int side;

	if (sscanf(line, "piece %u %u %d %llu %llu %64s", &client, &server, &side, &from, &len,
	           hash) == 6) {
		number = conn_number(client, server);
		if (number < CONNS_MAX && (unsigned)side < 2)
			what = take_piece(number, side, from, len, hash);
	} else if (sscanf(line, "end %u %u %llu %llu %llu", &client, &server, &packets[0],
	                  &packets[1], &adopted) == 5) {
		number = conn_number(client, server);
		if (number < CONNS_MAX)
			what = take_end(number, packets, adopted, ended);
	}
	return what == NULL ? NULL : wrong("\"%s\": %s", line, what);
}

/* ---- the sum of a connection ---- */

/* Of one stream: all that was sent is in a piece, or in a hole. */
static const char *compare_stream(uint32_t number, int receiver)
{
	struct conn *c = &conns[number];
	uint64_t sent = c->sent[!receiver], missing;

	if (c->next[receiver] > sent)
		return wrong("connection %u, side %d: %" PRIu64 " bytes read of %" PRIu64 " sent",
		             number, receiver, c->next[receiver], sent);
	missing = sent - c->next[receiver];
	conns_sum.holes += missing > 0;
	c->holes[receiver] += missing;
	conns_sum.hole_bytes += c->holes[receiver];
	if (c->holes[receiver] > 0 && c->strikes == 0)
		return wrong("connection %u, side %d: %" PRIu64 " bytes of %" PRIu64
		             " were not read, and no worker died on it",
		             number, receiver, c->holes[receiver], sent);
	return NULL;
}

static const char *compare_packets(uint32_t number, int sender)
{
	struct conn *c = &conns[number];
	uint64_t sent = c->data_packets[sender], told = c->told[sender];

	if (c->strikes > 0) {
		conns_sum.packets_suspect += told < sent ? sent - told : told - sent;
		return NULL;
	}
	if (told > sent)
		return wrong("connection %u, side %d: %" PRIu64 " packets counted, %" PRIu64
		             " sent",
		             number, sender, told, sent);
	conns_sum.packets_short += sent - told;
	return NULL;
}

const char *conns_compare(uint32_t number)
{
	const char *what = NULL;

	conns_sum.suspects += conns[number].strikes > 0;
	for (int side = 0; side < 2 && what == NULL; side++)
		if ((what = compare_stream(number, side)) == NULL)
			what = compare_packets(number, side);
	return what;
}
