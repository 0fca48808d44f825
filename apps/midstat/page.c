#include "apps/midstat/page.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "mos_api.h"
#include "apps/midstat/conn_text.h"

#define ROWS_DEFAULT 1000 /* where no terminal bounds them */
#define MARGIN       6    /* lines of a terminal that are no rows */

/* Letters: I immutable once the printer runs, L under lock. */
static struct {
	int part_count;           /* I */
	int rows_max;             /* I 0 = what fits */
	const char *shard;        /* I or NULL */
	bool redraw;              /* I */
	void (*on_failure)(void); /* I */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool fresh;  /* L something was published */
	bool closed; /* L the printer is to end */
	bool failed; /* L a page could not be printed */
	struct {
		char *rows;                /* L or NULL */
		uint64_t live;             /* L */
		struct page_totals totals; /* L */
	} part[PAGE_PARTS_MAX];
} page = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* Rows that each part may have. */
static size_t rows_per_part(void)
{
	int rows = page.rows_max;
	struct winsize w;

	if (rows == 0 && page.redraw && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 0)
		rows = w.ws_row > MARGIN ? w.ws_row - MARGIN : 1;
	if (rows == 0)
		rows = ROWS_DEFAULT;
	return (size_t)(rows / page.part_count);
}

/* The clock may have been set back since it began. */
static double age_s(const struct conn *c, uint64_t now_us)
{
	return now_us > c->started_us ? (double)(now_us - c->started_us) / 1e6 : 0;
}

/* Most ends fit their columns; a long IPv6 address pushes the rest of its row to the right. */
static void render_row(FILE *f, const struct conn *c, uint64_t now_us)
{
	char client[CONN_END_LEN], server[CONN_END_LEN];

	conn_write_end(client, &c->end[MOS_SIDE_CLI]);
	conn_write_end(server, &c->end[MOS_SIDE_SVR]);
	fprintf(f, "%-21s %-21s %-11s %-11s %9llu %12llu %8.1f%s\n", client, server,
	        conn_state_name(c->state[MOS_SIDE_CLI]), conn_state_name(c->state[MOS_SIDE_SVR]),
	        (unsigned long long)c->packets, (unsigned long long)c->bytes, age_s(c, now_us),
	        c->restored ? " restored" : "");
}

/* Oldest connection first. Returns a malloc'ed text, or NULL when out of memory. */
static char *render_rows(const struct conn_table *t, uint64_t now_us)
{
	size_t len, row = 0, rows_max = rows_per_part();
	const struct conn *c;
	char *text = NULL;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	TAILQ_FOREACH (c, &t->list, by_age) {
		if (row++ == rows_max) {
			fprintf(f, "... and %zu more\n", t->count - rows_max);
			break;
		}
		render_row(f, c, now_us);
	}
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void render_totals(FILE *f)
{
	struct page_totals sum = {0};
	uint64_t live = 0;

	for (int i = 0; i < page.part_count; i++) {
		live += page.part[i].live;
		sum.seen += page.part[i].totals.seen;
		sum.packets += page.part[i].totals.packets;
		sum.bytes += page.part[i].totals.bytes;
	}
	fprintf(f, "total: %llu live, %llu seen, %llu packets, %llu bytes\n",
	        (unsigned long long)live, (unsigned long long)sum.seen,
	        (unsigned long long)sum.packets, (unsigned long long)sum.bytes);
}

/* Under lock. */
static void render_page(FILE *f)
{
	char clock[16];
	time_t now = time(NULL);
	struct tm tm;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	if (page.redraw)
		fprintf(f, "\033[H\033[J");
	fprintf(f, "midstat %s  pid %d%s%s\n", clock, (int)getpid(),
	        page.shard != NULL ? "  shard " : "", page.shard != NULL ? page.shard : "");
	fprintf(f, "%-21s %-21s %-11s %-11s %9s %12s %8s\n", "CLIENT", "SERVER", "CLIENT IS",
	        "SERVER IS", "PACKETS", "BYTES", "AGE/s");
	for (int i = 0; i < page.part_count; i++)
		if (page.part[i].rows != NULL)
			fputs(page.part[i].rows, f);
	render_totals(f);
	if (!page.redraw)
		fputc('\n', f);
}

/*
 * Past stdio: a printer that hangs in a stopped terminal must not hold a lock that exit() wants.
 * Returns 0 or -errno.
 */
static int write_all(const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Returns whether this and all earlier pages could be printed. */
static bool print_page(void)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int error = -ENOMEM;

	if (f != NULL) {
		pthread_mutex_lock(&page.lock);
		render_page(f);
		pthread_mutex_unlock(&page.lock);
		if (fclose(f) == 0)
			error = write_all(text, len);
		free(text);
	}
	if (error < 0) {
		fprintf(stderr, "midstat: cannot print: %s\n", strerror(-error));
		pthread_mutex_lock(&page.lock);
		page.failed = true;
		pthread_mutex_unlock(&page.lock);
	}
	return error == 0;
}

/* Returns false when there will be no more. */
static bool wait_for_page(void)
{
	bool closed;

	pthread_mutex_lock(&page.lock);
	while (!page.fresh && !page.closed)
		pthread_cond_wait(&page.changed, &page.lock);
	page.fresh = false;
	closed = page.closed;
	pthread_mutex_unlock(&page.lock);
	return !closed;
}

static void *printer(void *arg)
{
	while (wait_for_page()) {
		if (!print_page()) {
			page.on_failure();
			break;
		}
	}
	return NULL;
}

void page_init(int part_count, int rows_max, const char *shard)
{
	page.part_count = part_count;
	page.rows_max = rows_max;
	page.shard = shard;
	page.redraw = shard == NULL && isatty(STDOUT_FILENO);
}

int page_start(void (*on_failure)(void))
{
	pthread_t thread;
	int error;

	page.on_failure = on_failure;
	error = pthread_create(&thread, NULL, printer, NULL);
	if (error == 0)
		pthread_detach(thread); /* it may hang in a terminal for ever */
	return -error;
}

void page_publish(int part, const struct conn_table *t, const struct page_totals *totals,
                  uint64_t now_us)
{
	char *rows = render_rows(t, now_us), *old;

	pthread_mutex_lock(&page.lock);
	old = page.part[part].rows;
	page.part[part].rows = rows;
	page.part[part].live = t->count;
	page.part[part].totals = *totals;
	page.fresh = part == 0 || page.fresh; /* one page per interval, whatever the parts */
	pthread_cond_signal(&page.changed);
	pthread_mutex_unlock(&page.lock);
	free(old);
}

void page_stop(void)
{
	pthread_mutex_lock(&page.lock);
	page.closed = true;
	pthread_cond_signal(&page.changed);
	pthread_mutex_unlock(&page.lock);
}

bool page_print_last(void)
{
	bool failed;

	pthread_mutex_lock(&page.lock);
	failed = page.failed;
	pthread_mutex_unlock(&page.lock);
	return !failed && print_page();
}
