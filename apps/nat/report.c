#include "apps/nat/report.h"

#include "mos_api.h"
#include "apps/common/json_line.h"

static const char *const drop_name[DROP_COUNT] = {
	[DROP_NO_PORT] = "no_port",    [DROP_EARLY] = "early",   [DROP_ORPHAN] = "orphans",
	[DROP_FRAGMENT] = "fragments", [DROP_FAILED] = "failed",
};

static void add_number(struct line *l, const char *name, uint64_t number)
{
	line_add(l, "\"%s\":%llu", name, (unsigned long long)number);
}

size_t report_totals(char line[static REPORT_LINE_LEN], const struct totals *t, int pid,
                     uint64_t time_ns)
{
	const struct {
		const char *name;
		uint64_t number;
	} row[] = {
		{"connections", t->connections},
		{"adopted", t->adopted},
		{"open", t->connections + t->adopted - t->ended},
		{"to_server", t->packets[MOS_SIDE_CLI]},
		{"to_client", t->packets[MOS_SIDE_SVR]},
	};
	struct line l = {.text = line, .room = REPORT_LINE_LEN};

	line_add(&l, "{");
	line_add_time(&l, "time", time_ns);
	line_add(&l, ",\"pid\":%d", pid);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		line_add(&l, ",");
		add_number(&l, row[i].name, row[i].number);
	}
	line_add(&l, ",\"dropped\":{");
	for (int i = 0; i < DROP_COUNT; i++) {
		line_add(&l, i > 0 ? "," : "");
		add_number(&l, drop_name[i], t->dropped[i]);
	}
	line_add(&l, "}}\n");
	return l.len;
}
