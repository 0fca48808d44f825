#include "secondary/mosctl/flow_line.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "shared/flow_table/flow_text.h"

struct line {
	char *text;
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *l, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(l->text + l->len, FLOW_LINE_MAX - l->len, format, args);
	va_end(args);
	assert(n >= 0 && (size_t)n < FLOW_LINE_MAX - l->len);
	l->len += (size_t)n;
}

static void add_hex(struct line *l, const uint8_t *bytes, uint32_t len)
{
	static const char digits[] = "0123456789abcdef";

	assert(l->len + 2 * (size_t)len < FLOW_LINE_MAX);
	for (uint32_t i = 0; i < len; i++) {
		l->text[l->len++] = digits[bytes[i] >> 4];
		l->text[l->len++] = digits[bytes[i] & 15];
	}
}

/* The record may be younger than the look at the clock. */
static uint32_t since_ms(uint32_t now, uint32_t then)
{
	return (int32_t)(now - then) > 0 ? now - then : 0;
}

static bool is_edited(const struct mos_flow *f, int side)
{
	return f->flags & MOS_FLOW_REMAP << side;
}

/* ---- text ---- */

const char flow_line_head[] =
	"shard    flow  client > server                               client      server      "
	" packets c  packets s      bytes c      bytes s     age s    idle s  flags\n";

/* What is not as usual, in words; "-" when there is nothing. */
static void add_flags(struct line *l, const struct mos_flow *f)
{
	size_t before = l->len;
	char key[MOS_FLOW_TEXT_LEN];

	if (f->flags & MOS_FLOW_SUSPECT)
		add(l, " suspect");
	if (f->flags & MOS_FLOW_TORN)
		add(l, " torn");
	if (f->strikes > 0)
		add(l, " strikes=%u", f->strikes);
	if (is_edited(f, MOS_CLI))
		add(l, " client-edited");
	if (is_edited(f, MOS_SVR))
		add(l, " server-edited");
	if (mos_flow_lost_out(f))
		add(l, " translated=lost");
	else if (mos_flow_has_out(f))
		add(l, " translated=(%s)", mos_flow_key_text(key, &f->out));
	if (l->len == before)
		add(l, " -");
}

size_t flow_line_text(char out[static FLOW_LINE_MAX], const struct flow_view *v)
{
	const struct mos_flow *f = &v->flow;
	uint32_t age_ms = since_ms(v->now_ms, f->start_ms);
	uint32_t idle_ms = since_ms(v->now_ms, f->last_seen_ms);
	struct line l = {.text = out};
	char key[MOS_FLOW_TEXT_LEN];

	add(&l, "%5u %7u  %-44s  %-11s %-11s", v->shard, v->slot, mos_flow_key_text(key, &f->key),
	    mos_flow_state_name(f->state[MOS_CLI]), mos_flow_state_name(f->state[MOS_SVR]));
	add(&l, " %10" PRIu64 " %10" PRIu64 " %12" PRIu64 " %12" PRIu64, f->packets[MOS_CLI],
	    f->packets[MOS_SVR], f->bytes[MOS_CLI], f->bytes[MOS_SVR]);
	add(&l, " %5u.%03u %5u.%03u ", age_ms / 1000, age_ms % 1000, idle_ms / 1000,
	    idle_ms % 1000);
	add_flags(&l, f);
	if (v->area) {
		add(&l, "  area v%u ", v->area_version);
		add_hex(&l, v->area_bytes, v->area_len);
	}
	add(&l, "\n");
	return l.len;
}

/* ---- JSON ---- */

static void add_ends(struct line *l, const struct mos_flow_key *key)
{
	char end[MOS_FLOW_END_LEN];

	add(l, "\"client\":\"%s\"", mos_flow_end_text(end, key, MOS_CLI));
	add(l, ",\"server\":\"%s\",\"vlan\":%u", mos_flow_end_text(end, key, MOS_SVR), key->vlan);
}

static const char *json_bool(bool v)
{
	return v ? "true" : "false";
}

size_t flow_line_json(char out[static FLOW_LINE_MAX], const struct flow_view *v)
{
	const struct mos_flow *f = &v->flow;
	struct line l = {.text = out};

	add(&l, "{\"shard\":%u,\"flow\":%u,\"id\":%" PRIu64 ",", v->shard, v->slot, f->id);
	add_ends(&l, &f->key);
	add(&l, ",\"state\":[\"%s\",\"%s\"]", mos_flow_state_name(f->state[MOS_CLI]),
	    mos_flow_state_name(f->state[MOS_SVR]));
	add(&l, ",\"packets\":[%" PRIu64 ",%" PRIu64 "],\"bytes\":[%" PRIu64 ",%" PRIu64 "]",
	    f->packets[MOS_CLI], f->packets[MOS_SVR], f->bytes[MOS_CLI], f->bytes[MOS_SVR]);
	add(&l, ",\"age_ms\":%u,\"idle_ms\":%u", since_ms(v->now_ms, f->start_ms),
	    since_ms(v->now_ms, f->last_seen_ms));
	add(&l, ",\"suspect\":%s,\"strikes\":%u,\"edited\":[%s,%s]",
	    json_bool(f->flags & MOS_FLOW_SUSPECT), f->strikes, json_bool(is_edited(f, MOS_CLI)),
	    json_bool(is_edited(f, MOS_SVR)));
	add(&l, ",\"translated\":%s", json_bool(f->flags & MOS_FLOW_TWO_KEYS));
	if (mos_flow_has_out(f)) {
		add(&l, ",\"out\":{");
		add_ends(&l, &f->out);
		add(&l, "}");
	}
	if (v->area) {
		add(&l, ",\"area\":{\"version\":%u,\"bytes\":\"", v->area_version);
		add_hex(&l, v->area_bytes, v->area_len);
		add(&l, "\"}");
	}
	add(&l, "}\n");
	return l.len;
}
