/*
 * Death at every instruction: a child is stopped after each single one, and each time somebody
 * looks at what it has left in shared memory.
 */
#ifndef MOS_SHARED_TEST_STEPPED_H
#define MOS_SHARED_TEST_STEPPED_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/test_rng.h"

/* What the child works on, and a place of the same length (bytes) to look at a copy. */
struct stepped_body {
	const void *mem;
	void *copy;
	size_t len;
};

/* In the child, before its first SIGSTOP: it wants to be stepped. */
static inline void stepped_begin(void)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(77);
}

/*
 * Step the child from its first SIGSTOP to its second, and end it. look() says what is there; that
 * must be order[0] at first, and may only go on to the next of the order, up to the last. False:
 * this machine has no ptrace.
 */
static inline bool stepped_through(pid_t pid, unsigned (*look)(const struct stepped_body *b),
                                   const struct stepped_body *body, const unsigned *order,
                                   unsigned count)
{
	unsigned stage = 0;
	uint32_t steps = 0;
	int status;

	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		printf("no ptrace here: not stepped\n");
		return false;
	}
	for (;; steps++) {
		unsigned is;

		must(WIFSTOPPED(status));
		if (steps > 0 && WSTOPSIG(status) == SIGSTOP)
			break;
		is = look(body);
		while (order[stage] != is)
			must(++stage < count);
		must(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0);
		must(waitpid(pid, &status, 0) == pid);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ck_assert_uint_eq(stage, count - 1);
	printf("%u instructions stepped\n", steps);
	return true;
}

#endif
