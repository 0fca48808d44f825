#include "test/bench/kill/histogram.h"

#include <inttypes.h>
#include <stdlib.h>

enum { BARS = 32, BAR_MAX = 60 };

void histogram_add(struct histogram *h, double us)
{
	if (h->count == h->room) {
		h->room = h->room > 0 ? 2 * h->room : 1024;
		h->us = realloc(h->us, h->room * sizeof(h->us[0]));
	}
	if (h->us == NULL)
		abort(); /* nothing to measure without memory */
	h->us[h->count++] = us;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

double histogram_percentile(struct histogram *h, double percent)
{
	uint64_t rank = (uint64_t)(percent / 100 * (double)h->count);

	if (h->count == 0)
		return 0;
	qsort(h->us, h->count, sizeof(h->us[0]), by_size);
	return h->us[rank < h->count ? rank : h->count - 1];
}

static unsigned bar_of(double us)
{
	unsigned bar = 0;

	while (bar < BARS - 1 && us >= (double)(UINT64_C(2) << bar))
		bar++;
	return bar;
}

static void print_bars(FILE *out, const struct histogram *h)
{
	uint64_t n[BARS] = {0}, most = 0;

	for (uint64_t i = 0; i < h->count; i++)
		n[bar_of(h->us[i])]++;
	for (unsigned bar = 0; bar < BARS; bar++)
		most = n[bar] > most ? n[bar] : most;
	for (unsigned bar = 0; bar < BARS; bar++) {
		if (n[bar] == 0)
			continue;
		fprintf(out, "  < %10" PRIu64 " us %8" PRIu64 " ", UINT64_C(2) << bar, n[bar]);
		for (uint64_t k = 0; k < n[bar] * BAR_MAX / most; k++)
			fputc('#', out);
		fputc('\n', out);
	}
}

void histogram_print(FILE *out, struct histogram *h)
{
	fprintf(out, "%s: %" PRIu64 " times, p50 %.0f us, p90 %.0f us, p99 %.0f us, max %.0f us\n",
	        h->text, h->count, histogram_percentile(h, 50), histogram_percentile(h, 90),
	        histogram_percentile(h, 99), histogram_percentile(h, 100));
	print_bars(out, h);
}

void histogram_write_json(FILE *out, struct histogram *h)
{
	fprintf(out,
	        ", \"%s\": {\"count\": %" PRIu64
	        ", \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}",
	        h->name, h->count, histogram_percentile(h, 50), histogram_percentile(h, 90),
	        histogram_percentile(h, 99), histogram_percentile(h, 100));
}
