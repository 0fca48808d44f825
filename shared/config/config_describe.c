#include <string.h>

#include "shared/config/config_keys.h"

#define RANGE_LEN 80
#define COLUMNS   4 /* the fifth, the meaning, is as long as it likes */

struct row {
	const char *cell[COLUMNS];
	char range[RANGE_LEN];
	const char *meaning;
};

static void key_row(const struct mos_config_key *key, struct row *row)
{
	mos_config_key_range(key, row->range, sizeof(row->range));
	row->cell[0] = key->name;
	row->cell[1] = key->unit != NULL ? key->unit : "-";
	row->cell[2] = row->range;
	row->cell[3] = key->def != NULL ? key->def : key->def_text;
	row->meaning = key->meaning;
}

static void print_row(FILE *out, const struct row *row, const int width[COLUMNS])
{
	int i;

	for (i = 0; i < COLUMNS; i++)
		fprintf(out, "%*s%-*s", 2, "", width[i], row->cell[i]);
	fprintf(out, "  %s\n", row->meaning);
}

static void widen(int width[COLUMNS], const struct row *row)
{
	int i;

	for (i = 0; i < COLUMNS; i++)
		if ((int)strlen(row->cell[i]) > width[i])
			width[i] = (int)strlen(row->cell[i]);
}

static void print_keys(FILE *out, enum mos_config_block_id id, const int width[COLUMNS])
{
	const struct mos_config_block *block = &mos_config_blocks[id];
	struct row row;
	unsigned int i;

	fprintf(out, "\n%s { }: %s\n", block->name, block->meaning);
	for (i = 0; i < mos_config_key_count; i++) {
		if (mos_config_keys[i].block != id)
			continue;
		key_row(&mos_config_keys[i], &row);
		print_row(out, &row, width);
	}
}

static void print_tables(FILE *out)
{
	enum mos_config_block_id id;

	fprintf(out, "\ntables inside mos { }: one entry per line\n");
	for (id = MOS_BLOCK_NETDEV; id < MOS_BLOCK_COUNT; id++) {
		const struct mos_config_block *block = &mos_config_blocks[id];

		fprintf(out, "  %-17s  %-23s  up to %3u  %s\n", block->name, block->usage,
		        block->entry_max, block->meaning);
	}
}

void mos_config_describe(FILE *out)
{
	struct row row = {.cell = {"key", "unit", "range", "default"}, .meaning = "meaning"};
	int width[COLUMNS] = {0};
	struct row key;
	unsigned int i;

	widen(width, &row);
	for (i = 0; i < mos_config_key_count; i++) {
		key_row(&mos_config_keys[i], &key);
		widen(width, &key);
	}
	print_row(out, &row, width);
	print_keys(out, MOS_BLOCK_APPLICATION, width);
	print_keys(out, MOS_BLOCK_MOS, width);
	print_tables(out);
}
