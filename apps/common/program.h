/*
 * What the applications have in common from main() to its end: options, output, signals, the
 * library, its contexts.
 *
 *   options --> prepare --> mtcp_init --> set_up --> start, of each context --> started
 *     --> all contexts end --> mtcp_destroy --> finish --> exit status
 *
 * SIGINT and SIGTERM end the contexts. Options of every program: -f FILE, the configuration;
 * -n CONTEXTS; -h; and -o FILE of those that print lines.
 */
#ifndef APPS_COMMON_PROGRAM_H
#define APPS_COMMON_PROGRAM_H

#include <stdbool.h>

#include "mos_api.h"

/*
 * What a program is. Main thread. What returns false has told why on stderr; then the program ends
 * with EXIT_FAILURE. All but name, usage, start and finish may be NULL.
 */
struct program {
	const char *name;    /* in front of messages */
	const char *usage;   /* text */
	const char *letters; /* options of its own, as for getopt(3) */
	bool prints_lines;   /* lines.h: they are open from prepare to finish, which closes them */

	bool (*take_option)(int letter, const char *text); /* text is NULL where none is taken */
	bool (*is_complete)(bool has_config);              /* NULL: has_config */

	bool (*prepare)(void); /* files; SIGINT and SIGTERM are blocked from now on */
	bool (*set_up)(int context_count);
	bool (*start)(mctx_t mctx); /* a context */
	bool (*started)(void);      /* all of them are there */

	/* The contexts are gone. ran: they were all there. Returns whether all went well. */
	bool (*finish)(bool ran);
};

/* Returns -1 to go on, else the exit status. */
int program_take_options(const struct program *p, int argc, char **argv);

/* Returns the exit status. What was opened is closed by the end of the process. */
int program_run(const struct program *p);

/* Both: what main() returns. */
int program_main(const struct program *p, int argc, char **argv);

#endif
