#include "primary/eal/test_eal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_eal.h>

#include "primary/eal/eal_primary.h"

#define ARGS_MAX 24

static char file_prefix[32];

/* EAL leaves its runtime directory behind. */
static void end_eal(void)
{
	rte_eal_cleanup();
	mos_eal_primary_wipe_stale(file_prefix);
}

int test_eal_init(const char *name, char *const *args, size_t arg_count)
{
	char prefix[64];
	char *argv[ARGS_MAX] = {"test",        "--no-pci", "--no-telemetry",
	                        "--log-level", "error",    prefix};
	size_t argc = 6;

	assert(argc + arg_count < RTE_DIM(argv));
	memcpy(argv + argc, args, arg_count * sizeof(args[0]));
	argc += arg_count;
	snprintf(file_prefix, sizeof(file_prefix), "%s%d", name, getpid());
	snprintf(prefix, sizeof(prefix), "--file-prefix=%s", file_prefix);
	if (rte_eal_init((int)argc, argv) < 0)
		return -1;
	atexit(end_eal);
	return 0;
}

void test_eal_start(const char *name, char *mbytes)
{
	char *const args[] = {"--no-huge", "--no-shconf", "-m", mbytes, "-l", "0"};

	if (test_eal_init(name, args, RTE_DIM(args)) < 0) {
		fprintf(stderr, "no EAL: skipped\n");
		exit(77);
	}
}
