/*
 * Named places at which a test kills the process: between any two steps whose order makes a death
 * harmless.
 *
 *   mos_kill_point("ring.taken");
 *
 * Nothing is compiled unless the build option kill_points is set. Then a process that finds
 *
 *   MOS_KILL_AT=NAME[:N]  kills itself with SIGKILL as it comes to that place for the Nth time (1,
 *                         the first, unless told)
 *   MOS_KILL_AT=@FILE     does so by the orders in that file (struct mos_kill_order): a test gives
 *                         them to a process that runs already, and sees whether they were obeyed
 *   MOS_KILL_AT=?         prints all names, one a line, and ends
 *
 * Names are MODULE.STEP, each in one place of the source; they are gathered in a section of their
 * own (kill_point.c). One in an inline function is there several times.
 */
#ifndef MOS_SHARED_KILL_POINT_H
#define MOS_SHARED_KILL_POINT_H

#include <stdint.h>

#define MOS_KILL_ENV "MOS_KILL_AT"

/* Mapped by the test and by the process: its file is as long. */
struct mos_kill_order {
	uint32_t left; /* times until it dies, 0 = nothing to do; the test stores it last */
	char name[60]; /* ends with a 0 */
};

#ifdef MOS_KILL_POINTS

void mos_kill_point_reached(const char *name);

#define mos_kill_point(name)                                                      \
	do {                                                                      \
		static const char kill_point_name[]                               \
			__attribute__((section("mos_kill_points"), used)) = name; \
		mos_kill_point_reached(kill_point_name);                          \
	} while (0)

#else

#define mos_kill_point(name) ((void)0)

#endif

#endif
