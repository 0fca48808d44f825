#include "apps/bytecount/report.h"

#include "apps/common/json_line.h"

static void add_volume(struct line *l, const char *name, const struct volume *v)
{
	line_add(l,
	         ",\"%s\":{\"packets\":%llu,\"ip_bytes\":%llu,\"payload\":%llu,\"unique\":%llu,"
	         "\"resent\":%llu,\"missed\":%llu}",
	         name, (unsigned long long)v->packets, (unsigned long long)v->ip_bytes,
	         (unsigned long long)v->payload, (unsigned long long)v->unique,
	         (unsigned long long)(v->payload - v->unique), (unsigned long long)v->missed);
}

size_t report_flow(char line[static REPORT_LINE_LEN], const struct ends *ends,
                   const struct flow_count *f, const char *reason)
{
	struct volume to_server = flow_count_volume(f, TO_SERVER);
	struct volume to_client = flow_count_volume(f, TO_CLIENT);
	struct line l = {.text = line, .room = REPORT_LINE_LEN};

	line_add(&l, "{");
	line_add_time(&l, "start", f->begin_ns);
	line_add(&l, ",");
	line_add_time(&l, "end", f->end_ns);
	line_add(&l, ",");
	line_add_ms(&l, f->begin_ns, f->end_ns);
	line_add(&l, ",\"client\":\"%s\",\"server\":\"%s\",\"reason\":\"%s\"", ends->client,
	         ends->server, reason);
	add_volume(&l, "to_server", &to_server);
	add_volume(&l, "to_client", &to_client);
	line_add(&l, "%s}\n", f->joined ? ",\"joined\":true" : "");
	return l.len;
}

size_t report_totals(char line[static REPORT_LINE_LEN], const struct totals *t, int pid,
                     uint64_t time_ns)
{
	struct line l = {.text = line, .room = REPORT_LINE_LEN};

	line_add(&l, "{");
	line_add_time(&l, "time", time_ns);
	line_add(&l, ",\"pid\":%d,\"connections\":%llu,\"open\":%llu", pid,
	         (unsigned long long)t->connections, (unsigned long long)t->open);
	add_volume(&l, "to_server", &t->volume[TO_SERVER]);
	add_volume(&l, "to_client", &t->volume[TO_CLIENT]);
	line_add(&l, "}\n");
	return l.len;
}
