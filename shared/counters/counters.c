#include "shared/counters/counters.h"

#include <inttypes.h>

static const struct {
	const char *name;
	const char *text;
} rows[] = {
#define ROW(name, text) {#name, text},
	MOS_COUNTERS(ROW)
#undef ROW
};

/* Names are written in capitals in the table; people read them in lower case. */
static const char *lower_name(unsigned which)
{
	static char lower[MOS_CTR_COUNT][32];
	static int done;

	if (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		for (unsigned i = 0; i < MOS_CTR_COUNT; i++) {
			const char *s = rows[i].name;

			/* Threads that race here write the same bytes. */
			for (unsigned k = 0; s[k] != '\0' && k < sizeof(lower[0]) - 1; k++)
				lower[i][k] = (s[k] >= 'A' && s[k] <= 'Z') ? s[k] + 32 : s[k];
		}
		__atomic_store_n(&done, 1, __ATOMIC_RELEASE); /* pairs with the load above */
	}
	return lower[which];
}

const char *mos_counter_name(unsigned which)
{
	return which < MOS_CTR_COUNT ? lower_name(which) : NULL;
}

const char *mos_counter_text(unsigned which)
{
	return which < MOS_CTR_COUNT ? rows[which].text : NULL;
}

void mos_counters_add_to(struct mos_counters *sum, const struct mos_counters *c)
{
	for (unsigned i = 0; i < MOS_CTR_COUNT; i++)
		sum->v[i] += mos_counter_get(c, i);
}

void mos_counters_print(FILE *out, const struct mos_counters *c, const char *indent)
{
	for (unsigned i = 0; i < MOS_CTR_COUNT; i++) {
		uint64_t v = mos_counter_get(c, i);

		if (v != 0)
			fprintf(out, "%s%-22s %12" PRIu64 "  %s\n", indent, lower_name(i), v,
			        rows[i].text);
	}
}
