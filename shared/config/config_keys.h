/* The table of scalar keys: one row drives the parser, the default and the description. */
#ifndef MOS_SHARED_CONFIG_KEYS_H
#define MOS_SHARED_CONFIG_KEYS_H

#include "shared/config/config_parse.h"

enum mos_config_key_kind {
	KEY_BOOL,   /* bool */
	KEY_INT,    /* int32_t */
	KEY_MASK,   /* uint64_t, not 0 */
	KEY_CHOICE, /* an enum counted from 0 in the order of its words */
	KEY_PATH,   /* char[] */
	KEY_PREFIX, /* char[] */
	KEY_OTHER,  /* has its own function */
};

enum {
	KEY_POW2 = 1 << 0,
	KEY_ROUND8 = 1 << 1,      /* up */
	KEY_SPECIAL = 1 << 2,     /* one more value, outside of the range */
	KEY_NAMES_PORTS = 1 << 3, /* read once netdev is known */
};

struct mos_config_key {
	const char *name;
	enum mos_config_block_id block;
	size_t offset, size; /* of the field in struct mos_config_app or mos_config */
	enum mos_config_key_kind kind;
	unsigned int flags;
	int32_t min, max;
	int32_t special;
	const char *special_meaning;
	const char *range;    /* KEY_CHOICE: its words with | between; KEY_OTHER: any text */
	const char *def;      /* read like a value in the file; NULL: the field stays 0 */
	const char *def_text; /* described if def is NULL */
	const char *unit;
	const char *meaning;
	int (*set)(struct mos_config_parser *p, void *base); /* KEY_OTHER */
};

extern const struct mos_config_key mos_config_keys[];
extern const unsigned int mos_config_key_count;

/* Write the values that a number may take, as messages and the description show them. */
void mos_config_key_range(const struct mos_config_key *key, char *text, size_t len);

/* p->words to the field of one key: config_values.c */
int mos_config_set_type(struct mos_config_parser *p, void *base);
int mos_config_set_run(struct mos_config_parser *p, void *base);
int mos_config_set_stat_print(struct mos_config_parser *p, void *base);
int mos_config_set_ignored(struct mos_config_parser *p, void *base);
int mos_config_set_multiprocess(struct mos_config_parser *p, void *base);
int mos_config_set_fail_policy(struct mos_config_parser *p, void *base);

#endif
