/*
 * Between the files of this folder only.
 *
 *	config.c           blocks and statements, what holds across blocks
 *	config_lex.c       characters to words, messages
 *	config_keys.c      the table of scalar keys
 *	config_values.c    words to values, ranges
 *	config_tables.c    the lines of netdev, arp_table, route_table, nic_forward_table
 *	config_describe.c  the table of keys for people
 *
 * Functions return 0, or -EINVAL after they wrote the message. A caller passes that on.
 */
#ifndef MOS_SHARED_CONFIG_PARSE_H
#define MOS_SHARED_CONFIG_PARSE_H

#include "shared/config/config.h"

#define MOS_CONFIG_KEY_MAX 48

/* Lines that name ports wait until netdev is read: routes, pairs, stat_print. */
#define MOS_CONFIG_LATER_MAX (MOS_CONFIG_ROUTE_MAX + MOS_CONFIG_PAIR_MAX + 1)

enum mos_config_block_id {
	MOS_BLOCK_FILE, /* the file itself: what stands outside of all blocks */
	MOS_BLOCK_APPLICATION,
	MOS_BLOCK_MOS,
	MOS_BLOCK_NETDEV,
	MOS_BLOCK_ARP,
	MOS_BLOCK_ROUTE,
	MOS_BLOCK_FORWARD,
	MOS_BLOCK_COUNT,
};

struct mos_config_parser;

/* The rest of one line, quotes removed. A line's length bounds buf: no word is ever cut. */
struct mos_config_words {
	unsigned int count;
	const char *word[MOS_CONFIG_ARG_MAX];
	char buf[MOS_CONFIG_LINE_MAX + 1];
};

struct mos_config_block {
	const char *name;
	enum mos_config_block_id parent;
	unsigned int block_max; /* how many of them */
	unsigned int entry_max; /* lines of a table, 0: the block holds keys */
	const char *usage;      /* a table's line */
	const char *meaning;
	bool names_ports;
	int (*entry)(struct mos_config_parser *p); /* p->words to p->cfg */
};

struct mos_config_key;

/* A line to read again once all ports are known. */
struct mos_config_later {
	const char *at;
	unsigned int line;
	const struct mos_config_key *key; /* NULL: an entry of block */
	enum mos_config_block_id block;
};

struct mos_config_parser {
	struct mos_config *cfg;
	const char *name; /* of the file */
	const char *at, *end;
	unsigned int line; /* of *at */
	char *err;
	size_t err_len;
	unsigned int block_line[MOS_BLOCK_COUNT]; /* where it opened, 0: not yet */
	unsigned int entry_count[MOS_BLOCK_COUNT];
	unsigned int key_line[MOS_CONFIG_KEY_MAX]; /* where it was set, 0: not yet */
	unsigned int later_count;
	struct mos_config_later later[MOS_CONFIG_LATER_MAX];
	struct mos_config_words words;
};

/* Best match to a misspelt word so far. */
struct mos_config_near {
	const char *word;
	const char *best; /* NULL: nothing is near */
	unsigned int distance;
};

extern const struct mos_config_block mos_config_blocks[MOS_BLOCK_COUNT];

/* config_lex.c */
int mos_config_fail(struct mos_config_parser *p, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void mos_config_clean(char *err);
int mos_config_check_bytes(struct mos_config_parser *p);
int mos_config_peek(const struct mos_config_parser *p); /* next byte, -1 at the end */
void mos_config_skip_space(struct mos_config_parser *p);
void mos_config_skip_blank(struct mos_config_parser *p);
size_t mos_config_scan_name(struct mos_config_parser *p, const char **name);
int mos_config_scan_words(struct mos_config_parser *p);
bool mos_config_is_alnum(char c);
int mos_config_number(const char *text, bool *negative, uint64_t *magnitude);
void mos_config_near_try(struct mos_config_near *near, const char *candidate);

/* config_keys.c */
const struct mos_config_key *mos_config_key_find(enum mos_config_block_id block, const char *name);
void mos_config_key_near(enum mos_config_block_id block, struct mos_config_near *near);
/* Set the key from the words that follow; base is the struct its block fills. */
int mos_config_key_read(struct mos_config_parser *p, const struct mos_config_key *key, void *base);
int mos_config_key_set(struct mos_config_parser *p, const struct mos_config_key *key, void *base);
/* Set all defaults of a block and forget which of its keys were set. */
void mos_config_key_defaults(struct mos_config_parser *p, enum mos_config_block_id block,
                             void *base);
unsigned int mos_config_key_line(const struct mos_config_parser *p, enum mos_config_block_id block,
                                 const char *name);

/* config.c */
int mos_config_later(struct mos_config_parser *p, const char *at, const struct mos_config_key *key,
                     enum mos_config_block_id block);

/* config_values.c */
int mos_config_mask(struct mos_config_parser *p, const char *text, uint64_t *mask);

/* config_tables.c */
int mos_config_port_ref(struct mos_config_parser *p, const char *name);
int mos_config_netdev_entry(struct mos_config_parser *p);
int mos_config_arp_entry(struct mos_config_parser *p);
int mos_config_route_entry(struct mos_config_parser *p);
int mos_config_forward_entry(struct mos_config_parser *p);

#endif
