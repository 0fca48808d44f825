/*
 * Named places at which a test kills the process: between any two steps whose order makes a death
 * harmless.
 *
 *   mos_kill_point("ring.taken");
 *
 * Nothing is compiled unless the build option kill_points is set. Then a process that finds
 * MOS_KILL_AT=NAME[:N] in its environment kills itself with SIGKILL as it comes to that place for
 * the Nth time (1, the first, unless told). Names are MODULE.STEP, each in one place of the
 * source; they are gathered in a section of their own, so that tests can list them (kill_point.c).
 */
#ifndef MOS_SHARED_KILL_POINT_H
#define MOS_SHARED_KILL_POINT_H

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
