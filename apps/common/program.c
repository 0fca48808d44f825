#include "apps/common/program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mos_ext.h"
#include "apps/common/contexts.h"
#include "apps/common/lines.h"
#include "apps/common/number.h"

#define LETTERS_MAX 64

static const char *config_file;
static const char *out_file; /* NULL = stdout */
static int context_count;    /* 0 = as configured */

static bool take_option(const struct program *p, int letter, const char *text)
{
	switch (letter) {
	case 'f': config_file = text; return true;
	case 'o': out_file = text; return true;
	case 'n': return number_option(p->name, 'n', text, 1, CONTEXTS_MAX, &context_count);
	case '?': fputs(p->usage, stderr); return false;
	default: return p->take_option(letter, text);
	}
}

int program_take_options(const struct program *p, int argc, char **argv)
{
	char letters[LETTERS_MAX];
	bool has_config;
	int c;

	snprintf(letters, sizeof(letters), "f:n:h%s%s", p->prints_lines ? "o:" : "",
	         p->letters != NULL ? p->letters : "");
	while ((c = getopt(argc, argv, letters)) != -1) {
		if (c == 'h') {
			fputs(p->usage, stdout);
			return EXIT_SUCCESS;
		}
		if (!take_option(p, c, optarg))
			return EXIT_FAILURE;
	}
	has_config = config_file != NULL;
	if (optind == argc && (p->is_complete != NULL ? p->is_complete(has_config) : has_config))
		return -1;
	fputs(p->usage, stderr);
	return EXIT_FAILURE;
}

static bool open_output(const struct program *p)
{
	int error = p->prints_lines ? lines_open(out_file, contexts_ask_to_stop) : 0;

	if (error < 0)
		fprintf(stderr, "%s: %s: %s\n", p->name, out_file != NULL ? out_file : "stdout",
		        strerror(-error));
	return error == 0;
}

static bool run_contexts(const struct program *p)
{
	int count = contexts_configure(p->name, context_count);

	return count > 0 && (p->set_up == NULL || p->set_up(count)) &&
	       contexts_run(p->start, p->started);
}

int program_run(const struct program *p)
{
	bool ok;

	contexts_block_signals();
	signal(SIGPIPE, SIG_IGN); /* output that cannot be written ends us in order */
	if ((p->prepare != NULL && !p->prepare()) || !open_output(p))
		return EXIT_FAILURE;
	if (mtcp_init(config_file) < 0)
		return EXIT_FAILURE; /* the library has printed why */
	contexts_take_signals();
	ok = run_contexts(p);
	contexts_stop();
	mtcp_destroy();
	ok = p->finish(ok) && ok && mos_last_error()[0] == '\0'; /* else the primary has ended */
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

int program_main(const struct program *p, int argc, char **argv)
{
	int status = program_take_options(p, argc, argv);

	return status >= 0 ? status : program_run(p);
}
