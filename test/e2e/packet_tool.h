/* What the parts of packet_tool share. What it does is told in packet_tool.c. */
#ifndef MOS_TEST_PACKET_TOOL_H
#define MOS_TEST_PACKET_TOOL_H

#include "mos_ext.h"

#define RULES_MAX  1024
#define WORDS_MAX  16
#define PART_BYTES (1 << 16)

enum where { SETUP, RAW, ORPHAN, START, SND, RCV, DATA, END, TIMER, WHERES };

extern const char *const where_names[WHERES];

/* Where a verb is carried out. */
struct place {
	mctx_t mctx;
	int sock, side;
};

struct rule;

struct verb {
	const char *name;
	void (*run)(const struct rule *r, const struct place *at);
};

struct rule {
	unsigned line, nth, seen;
	enum where where;
	int port, from; /* -1: any */
	const struct verb *verb;
	char *word[WORDS_MAX]; /* KEY=VALUE, NULL behind the last */
};

extern struct rule rules[RULES_MAX];
extern unsigned rule_count;

/* ---- packet_rule.c: what a rule says, and what is said of it ---- */

/* Read the script into rules[], or end with a message. */
void read_script(const char *path);

/* The value of a word, or NULL. */
const char *word(const struct rule *r, const char *key);
long number(const struct rule *r, const char *key, long otherwise);
bool says(const struct rule *r, const char *key, const char *value);

/* BYTES, which are not "-". Returns how many. */
uint16_t read_bytes(const char *text, uint8_t bytes[static PART_BYTES]);

/* What a call has returned: as a line of its own, or as the begin of one. */
void say(const struct rule *r, ssize_t result);
void say_result(const struct rule *r, ssize_t result);
void say_bytes(const char *name, const void *bytes, size_t len);

/* End with errno's message. */
void fail(const char *what) __attribute__((noreturn));

/* ---- packet_verbs.c ---- */

/* NULL: there is none of that name. */
const struct verb *find_verb(const char *name);

/* Of the flow, or who has sent the packet at hand; 0: neither is there. */
int client_port(const struct place *at);

/* ---- packet_tool.c ---- */

/* The callback of timers that rules set. */
void on_timer(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);

#endif
