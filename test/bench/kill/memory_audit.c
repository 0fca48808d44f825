#include "test/bench/kill/memory_audit.h"

#include <signal.h>
#include <stdio.h>

#include "test/bench/kill/run.h"
#include "test/mp/harness.h"

struct memory_sum memory_sum;

static struct proc *auditor;

bool memory_audit_start(void)
{
	char path[300];
	const char *const argv[] = {path, harness.conf, NULL};
	size_t mark = 0;

	snprintf(path, sizeof(path), "%s/test/mp/kill_audit", harness.build);
	auditor = proc_start(argv, NULL);
	return proc_wait_line(auditor, &mark, "audit: ready", NULL, READY_MS);
}

/* One shard. */
static bool add(size_t *mark)
{
	struct memory_sum s;
	char line[LINE_LEN];

	if (!proc_wait_line(auditor, mark, "audit: flows", line, SOON_MS) ||
	    sscanf(line, "audit: flows %u chunks used %u of %u stray %u index astray %u torn %u",
	           &s.flows, &s.used, &s.chunks, &s.stray, &s.astray, &s.torn) != 6)
		return false;
	memory_sum.flows += s.flows;
	memory_sum.used += s.used;
	memory_sum.chunks += s.chunks;
	memory_sum.stray += s.stray;
	memory_sum.astray += s.astray;
	memory_sum.torn += s.torn;
	return true;
}

bool memory_audit_is_clean(void)
{
	size_t mark = proc_mark(auditor);

	memory_sum = (struct memory_sum){0};
	proc_signal(auditor, SIGUSR1);
	for (unsigned i = 0; i < opt.workers; i++)
		if (!add(&mark))
			return false;
	return memory_sum.stray == 0 && memory_sum.astray == 0 && memory_sum.torn == 0;
}

bool memory_audit_stop(void)
{
	int status;

	proc_signal(auditor, SIGINT);
	status = proc_wait_end(auditor, SOON_MS);
	proc_free(auditor);
	return status == 0;
}
