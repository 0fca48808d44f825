#include "secondary/mosctl/mosctl.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "secondary/attach/attach.h"
#include "shared/control/control_msg.h"
#include "shared/flow_table/flow_text.h"

#define STATES 11 /* enum tcpstate */

static const struct command {
	const char *name;
	int (*run)(const struct mosctl *m);
	const char *options; /* beside -f and -p */
} commands[] = {
	{"flows", mosctl_flows, "jNas"},
	{"workers", mosctl_workers, ""},
	{"counters", mosctl_counters, "j"},
	{"ports", mosctl_ports, ""},
};

static const struct option long_options[] = {
	{"json", no_argument, NULL, 'j'}, {"shard", required_argument, NULL, 'N'},
	{"area", no_argument, NULL, 'a'}, {"state", required_argument, NULL, 's'},
	{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0},
};

static struct mos_worker self = {
	.ctl_fd = -1,
	.ctl_lock = PTHREAD_MUTEX_INITIALIZER,
	.preferred_shard = -1,
	.role = MOS_CTL_READER,
};
static struct mosctl ctl = {.shard = -1};
static const char *config_file, *prefix;

static void usage(FILE *f)
{
	fprintf(f,
	        "usage: mosctl [-f FILE | -p PREFIX] COMMAND [OPTIONS]\n"
	        "  -f FILE      configuration, the same that mos-primary was started with\n"
	        "  -p PREFIX    or its `prefix` alone (default: mos)\n"
	        "\n"
	        "  flows        one line per flow: both ends, their states, packets and bytes of\n"
	        "               each, age, time without packets, what is not as usual\n"
	        "    --shard N  of shard N only\n"
	        "    -s STATE   where either end is in this state (ESTABLISHED, ...); may be\n"
	        "               given several times\n"
	        "    --area     with the user area: its version and its bytes in hex\n"
	        "    --json     one JSON object per line\n"
	        "  workers      per shard: who holds it, heartbeat, flows, what waits in its "
	        "rings,\n"
	        "               what the worker is at\n"
	        "  counters     that are not zero: the sum, and each process's own\n"
	        "    --json     all of them, as one JSON object\n"
	        "  ports        with link and MTU\n");
}

static int complain(const char *what, const char *which)
{
	fprintf(stderr, "mosctl: %s%s; mosctl --help tells more\n", what, which);
	return EXIT_FAILURE;
}

static bool set_state(const char *name)
{
	for (unsigned i = 0; i < STATES; i++) {
		if (strcasecmp(name, mos_flow_state_name(i)) == 0) {
			ctl.states |= 1u << i;
			return true;
		}
	}
	return false;
}

static bool set_shard(const char *text)
{
	char *end;
	long v = strtol(text, &end, 10);

	ctl.shard = (int)v;
	return end != text && *end == '\0' && v >= 0 && v < MOS_SHARD_MAX;
}

/* Returns -1 to go on with *command, else the exit status. */
static int parse_options(int argc, char **argv, const struct command **command)
{
	char used[8] = "";
	unsigned count = 0;
	int c;

	while ((c = getopt_long(argc, argv, "f:p:s:h", long_options, NULL)) != -1) {
		switch (c) {
		case 'f': config_file = optarg; continue;
		case 'p': prefix = optarg; continue;
		case 'h': usage(stdout); return EXIT_SUCCESS;
		case 'j': ctl.json = true; break;
		case 'a': ctl.area = true; break;
		case 'N':
			if (!set_shard(optarg))
				return complain("not a shard: ", optarg);
			break;
		case 's':
			if (!set_state(optarg))
				return complain("not a TCP state: ", optarg);
			break;
		default: usage(stderr); return EXIT_FAILURE;
		}
		if (strchr(used, c) == NULL)
			used[count++] = (char)c;
	}
	if (optind != argc - 1 || (config_file != NULL && prefix != NULL)) {
		usage(stderr);
		return EXIT_FAILURE;
	}
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[optind], commands[i].name) == 0)
			*command = &commands[i];
	if (*command == NULL)
		return complain("no such command: ", argv[optind]);
	if (strspn(used, (*command)->options) != count)
		return complain("an option that is not for: ", argv[optind]);
	return -1;
}

static int find_primary(void)
{
	char err[MOS_CONFIG_ERR_LEN];

	if (config_file != NULL) {
		if (mos_config_load(&self.cfg, config_file, err, sizeof(err)) == 0)
			return 0;
		fprintf(stderr, "mosctl: %s\n", err);
		return -1;
	}
	if (prefix == NULL)
		prefix = "mos";
	if (*prefix == '\0' || strlen(prefix) >= sizeof(self.cfg.prefix) ||
	    strchr(prefix, '/') != NULL) {
		fprintf(stderr, "mosctl: not a prefix: %s\n", prefix);
		return -1;
	}
	strcpy(self.cfg.prefix, prefix);
	return 0;
}

int main(int argc, char **argv)
{
	const struct command *command = NULL;
	int status = parse_options(argc, argv, &command);

	if (status >= 0)
		return status;
	if (find_primary() != 0 || mos_attach(&self) != 0) /* the latter has printed why */
		return EXIT_FAILURE;
	signal(SIGPIPE, SIG_IGN); /* who stops reading has had enough: no failure */
	ctl.root = self.root;
	ctl.attach_slot = self.attach_slot;
	ctl.ctl_fd = self.ctl_fd;
	if (ctl.shard >= (int)ctl.root->shard_count) {
		fprintf(stderr, "mosctl: there is no shard %d; there are %u, from 0 on\n",
		        ctl.shard, ctl.root->shard_count);
		status = EXIT_FAILURE;
	} else {
		status = command->run(&ctl);
	}
	mos_detach(&self);
	return status;
}
