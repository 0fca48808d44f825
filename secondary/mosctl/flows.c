/*
 * The walk over the flow records of all shards, a million of them if there are so many: nothing is
 * kept of a flow but its line, and standard output is waited for only while nothing is looked at.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "secondary/attach/attach.h"
#include "secondary/mosctl/flow_line.h"
#include "secondary/mosctl/mosctl.h"
#include "secondary/readers/reader.h"
#include "shared/flow_table/flow_table.h"
#include "shared/root/shard.h"
#include "shared/root/user_area.h"

/* Records between two words that we are quiescent, and between two looks at the primary. */
#define BATCH       256
#define ALIVE_BATCH 16384

#define OUT_BYTES 65536
static_assert(OUT_BYTES >= 2 * FLOW_LINE_MAX, "room for a line in a buffer that is half full");

/* How long workers may take to notice us: one that works takes a round. */
#define NOTICE_MS 1000

enum outcome { GO_ON, DONE, FAILED };

struct walk {
	const struct mosctl *m;
	struct mos_reader reader;
	enum outcome outcome;
	uint64_t unstable; /* flows that changed at each try */
	struct flow_view view;
	size_t out_len;
	char out[OUT_BYTES];
};

/* ---- output ---- */

static bool write_all(const char *at, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* Whoever reads the output may take his time, or leave. */
static void flush(struct walk *w)
{
	mos_reader_pause(&w->reader);
	if (!write_all(w->out, w->out_len)) {
		w->outcome = errno == EPIPE ? DONE : FAILED;
		if (w->outcome == FAILED)
			fprintf(stderr, "mosctl: standard output: %s\n", strerror(errno));
	}
	w->out_len = 0;
	mos_reader_resume(&w->reader);
}

static void put_line(struct walk *w)
{
	char *at = w->out + w->out_len;

	w->out_len += w->m->json ? flow_line_json(at, &w->view) : flow_line_text(at, &w->view);
}

/* ---- one flow ---- */

static uint32_t clock_ms(const struct mos_root *root)
{
	struct timespec ts;
	uint64_t ns;

	if (root->settings.clock_packet) {
		ns = __atomic_load_n(&root->clock_ns, __ATOMIC_RELAXED);
	} else {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec +
		     (uint64_t)root->wall_offset_ns;
	}
	return (uint32_t)(ns / 1000000);
}

static bool is_in_use(const struct mos_flow *f)
{
	return __atomic_load_n(&f->flags, __ATOMIC_ACQUIRE) & MOS_FLOW_IN_USE;
}

/*
 * Copy the area, word by word: its flow's application may be writing to it. False when the record
 * is not that flow's any more.
 */
static bool copy_area(struct walk *w, const struct mos_shard *s, const struct mos_flow *f)
{
	const struct mos_area *area = mos_shard_user_area(s, w->view.slot);
	uint64_t *to = (void *)w->view.area_bytes;

	if (!w->view.area)
		return true;
	w->view.area_version = __atomic_load_n(&area->version, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < w->view.area_len / sizeof(*to); i++)
		to[i] = __atomic_load_n(&area->bytes[i], __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return is_in_use(f) && __atomic_load_n(&f->id, __ATOMIC_RELAXED) == w->view.flow.id;
}

static bool is_wanted(const struct mosctl *m, const struct mos_flow *f)
{
	unsigned has = 1u << (f->state[MOS_CLI] & 15) | 1u << (f->state[MOS_SVR] & 15);

	return m->states == 0 || (m->states & has);
}

static void look(struct walk *w, const struct mos_shard *s, const struct mos_flow *f)
{
	if (!mos_flow_snapshot(&w->view.flow, f)) {
		w->unstable += is_in_use(f);
		return;
	}
	if (!is_wanted(w->m, &w->view.flow) || !copy_area(w, s, f))
		return;
	put_line(w);
	if (OUT_BYTES - w->out_len < FLOW_LINE_MAX)
		flush(w);
}

/* ---- all flows ---- */

/* Between two batches. */
static void rest(struct walk *w, uint32_t slot)
{
	mos_reader_quiescent(&w->reader);
	w->view.now_ms = clock_ms(w->m->root);
	if (slot % ALIVE_BATCH == 0 && !mos_attach_primary_lives(w->m->ctl_fd)) {
		fprintf(stderr, "mosctl: the primary is gone\n");
		w->outcome = FAILED;
	}
}

static void walk_shard(struct walk *w, uint32_t i)
{
	const struct mos_shard *s = w->m->root->shard[i];
	const struct mos_flow *flows = NULL;
	uint32_t capacity;

	if (mos_shard_join(s, i) == 0)
		flows = mos_flow_table_records(s->flow_table, s->flow_table_bytes, &capacity);
	if (flows == NULL) {
		fprintf(stderr, "mosctl: shard %u is not sound\n", i);
		w->outcome = FAILED;
		return;
	}
	w->view.shard = i;
	for (uint32_t slot = 0; slot < capacity && w->outcome == GO_ON; slot++) {
		if (slot % BATCH == 0)
			rest(w, slot);
		w->view.slot = slot;
		if (is_in_use(&flows[slot]))
			look(w, s, &flows[slot]);
	}
}

int mosctl_flows(const struct mosctl *m)
{
	const struct mos_root *root = m->root;
	static struct walk w;

	w.m = m;
	w.view.area_len = root->settings.flow_area;
	w.view.area = m->area;
	if (m->area && (w.view.area_len == 0 || w.view.area_len > FLOW_AREA_MAX)) {
		fprintf(stderr, "mosctl: flows have no user area (flow_area = %u)\n",
		        w.view.area_len);
		return 1;
	}
	mos_reader_begin(&w.reader, root, m->attach_slot, NOTICE_MS);
	if (!m->json)
		w.out_len = strlen(strcpy(w.out, flow_line_head));
	for (uint32_t i = 0; i < root->shard_count && w.outcome == GO_ON; i++)
		if (m->shard < 0 || (uint32_t)m->shard == i)
			walk_shard(&w, i);
	if (w.outcome == GO_ON)
		flush(&w);
	mos_reader_pause(&w.reader);
	if (w.unstable > 0)
		fprintf(stderr,
		        "mosctl: %llu flows are not shown: they changed at each look, or a worker "
		        "died on them\n",
		        (unsigned long long)w.unstable);
	return w.outcome == FAILED;
}
