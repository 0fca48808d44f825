/*
 * mos-primary: the process that owns ports and memory. See topology.h for what it is made of.
 *
 * Everything is taken in the order of `begin` and given back in reverse by `finish`, whatever the
 * step that failed. Only main exits.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "primary/crash/audit.h"
#include "primary/dispatch/dispatch.h"
#include "primary/eal/eal_primary.h"
#include "primary/memory/memory.h"
#include "primary/ports/ports.h"
#include "primary/report/report.h"
#include "primary/run_dir/run_dir.h"
#include "primary/shard_map/shard_map.h"
#include "primary/supervisor/supervisor.h"
#include "primary/topology.h"

enum {
	GRACE_STOP_MS = 2000, /* for workers to give their shards back */
	GRACE_END_MS = 10000, /* the same when the input has ended: they finish in their own time */
	GRACE_PROCESS_MS = 1000, /* for worker processes to go away */
};

struct system {
	struct mos_primary primary;
	struct mos_memory_plan memory;
	struct mos_ports ports;
	struct mos_run_dir run_dir;
	struct mos_dispatch *dispatch;
	struct mos_supervisor *supervisor;
	bool has_run_dir, has_eal, has_memory, has_ports, has_map;
	char err[MOS_CONFIG_ERR_LEN];
};

/* ---- signals: they leave a mark, the I/O loop looks ---- */

static struct mos_primary *signalled; /* the one system of this process */

static void wake_supervisor(void)
{
	static const uint64_t one = 1;
	int saved = errno;

	if (signalled->wake_fd >= 0 && write(signalled->wake_fd, &one, sizeof(one)) < 0)
		errno = 0; /* it is awake already */
	errno = saved;
}

static void on_stop(int sig)
{
	if (__atomic_add_fetch(&signalled->stop, 1, __ATOMIC_RELAXED) > 2)
		__atomic_store_n(&signalled->stop, 2, __ATOMIC_RELAXED);
	wake_supervisor();
}

static void on_report(int sig)
{
	__atomic_store_n(&signalled->report, 1, __ATOMIC_RELAXED);
}

static void catch_signals(struct mos_primary *p)
{
	struct sigaction sa = {.sa_flags = SA_RESTART};

	signalled = p;
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = on_stop;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sa.sa_handler = on_report;
	sigaction(SIGUSR1, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

/* ---- reports ---- */

static void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void complain(const char *fmt, ...)
{
	va_list args;

	fputs("mos-primary: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

static void print_counters(const struct system *s)
{
	const struct mos_root *root = s->primary.root;
	struct mos_counters sum = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return;
	mos_counters_add_to(&sum, &root->io);
	mos_counters_add_to(&sum, &root->supervisor);
	for (uint32_t i = 0; i < root->shard_count; i++)
		mos_counters_add_to(&sum, &root->shard[i]->counters);
	mos_counters_print(out, &sum, "  ");
	mos_ports_print(out, &s->ports);
	fclose(out);
	mos_report("counters:");
	mos_report_text(text, len);
	free(text);
}

static void say_audit(const struct mos_primary *p, uint32_t lost)
{
	mos_report("mbuf audit: %u of %u found", p->pool_size - lost, p->pool_size);
}

/* ---- begin ---- */

static int start_eal(struct system *s)
{
	const struct mos_config *cfg = &s->primary.cfg;
	const char *vdev[MOS_CONFIG_PORT_MAX], *pci[MOS_CONFIG_PORT_MAX];
	struct mos_eal_primary_opt opt = {
		.file_prefix = cfg->prefix,
		.vdevs = vdev,
		.pci = pci,
		.cpu = cfg->io_cpu,
		.mem_mb = s->memory.huge_mb,
		.quiet = true,
	};
	int rc;

	for (uint32_t i = 0; i < s->ports.count; i++) {
		const struct mos_port *port = &s->ports.port[i];

		if (port->pci)
			pci[opt.pci_count++] = port->devargs;
		else
			vdev[opt.vdev_count++] = port->devargs;
	}
	mos_eal_primary_wipe_stale(cfg->prefix);
	rc = mos_eal_primary_init(&opt, s->err, sizeof(s->err));
	if (rc < 0)
		return rc;
	s->has_eal = true;
	rc = mos_eal_locks_learn();
	if (rc < 0)
		snprintf(s->err, sizeof(s->err), "EAL's locks are not where expected: %s",
		         strerror(-rc));
	return rc < 0 ? rc : 0;
}

static int start_io(struct system *s)
{
	struct mos_primary *p = &s->primary;
	int rc;

	rc = mos_memory_new(p, &s->memory, s->err, sizeof(s->err));
	if (rc < 0)
		return rc;
	s->has_memory = true;
	rc = mos_ports_start(&s->ports, p, s->err, sizeof(s->err));
	if (rc < 0)
		return rc;
	s->has_ports = true;

	rc = mos_memory_fill_blanks(p);
	if (rc == 0)
		rc = mos_shard_map_init(p->root);
	if (rc == 0) {
		s->has_map = true;
		rc = mos_dispatch_create(&s->dispatch, p);
	}
	if (rc < 0)
		snprintf(s->err, sizeof(s->err), "out of memory");
	return rc;
}

static void warn_of_links(const struct system *s)
{
	for (uint32_t i = 0; i < s->ports.count; i++) {
		const struct mos_port *port = &s->ports.port[i];

		if (s->primary.root->port[i].link_up)
			continue;
		if (port->kernel_if[0] != '\0')
			complain("port %s has no link yet; `ip link set %s up`, and its peer",
			         port->name, port->kernel_if);
		else
			complain("port %s has no link yet", port->name);
	}
}

/* The configuration is in place. 0 or -errno with a line in s->err. */
static int begin(struct system *s)
{
	struct mos_primary *p = &s->primary;
	int rc;

	rc = mos_run_dir_open(&s->run_dir, p->cfg.prefix, s->err, sizeof(s->err));
	if (rc < 0)
		return rc;
	s->has_run_dir = true;
	rc = mos_ports_plan(&s->ports, &p->cfg, s->err, sizeof(s->err));
	if (rc == 0)
		rc = mos_memory_plan(&s->memory, &p->cfg, s->err, sizeof(s->err));
	if (rc == 0)
		rc = start_eal(s);
	if (rc == 0)
		rc = start_io(s);
	if (rc < 0)
		return rc;
	p->root->run = MOS_RUN_RUNNING;
	mos_root_publish(p->root);
	rc = mos_supervisor_start(&s->supervisor, p, s->err, sizeof(s->err));
	if (rc < 0)
		return rc;
	warn_of_links(s);
	mos_report("ready (prefix %s, %u shards, %u ports)", p->cfg.prefix, p->root->shard_count,
	           p->root->port_count);
	return 0;
}

/* ---- run ---- */

static void set_run(struct mos_primary *p, enum mos_run_state run)
{
	__atomic_store_n(&p->root->run, run, __ATOMIC_RELEASE); /* pairs with mos_root_run */
}

static void run(struct system *s)
{
	struct mos_primary *p = &s->primary;
	unsigned grace_ms = GRACE_STOP_MS;
	enum mos_dispatch_event event;
	bool ending = false;

	while (!ending && (event = mos_dispatch_run(s->dispatch)) != MOS_DISPATCH_STOP) {
		if (event == MOS_DISPATCH_REPORT) {
			print_counters(s);
			say_audit(p, mos_mbuf_audit(p));
		} else if (event == MOS_DISPATCH_END_OF_FILE) {
			mos_report("end of file: all packets processed");
			ending = p->cfg.end_of_file == MOS_CONFIG_EOF_STOP;
		}
	}
	if (ending)
		grace_ms = GRACE_END_MS;
	set_run(p, ending ? MOS_RUN_ENDING : MOS_RUN_STOPPED);
	mos_dispatch_leave(s->dispatch, grace_ms);
	set_run(p, MOS_RUN_STOPPED);
}

/* ---- finish ---- */

/* Everything that can hold a packet has been emptied: the pool must be whole. */
static bool audit_at_end(const struct system *s)
{
	const struct mos_primary *p = &s->primary;
	uint32_t lost = p->pool_size - rte_mempool_avail_count(p->pool);

	say_audit(p, lost);
	if (lost > 0 && lost <= s->ports.kept)
		mos_report("the others were kept by drivers of ports");
	return lost <= s->ports.kept;
}

/* Undo what begin has done. False when packets were lost on the way. */
static bool finish(struct system *s)
{
	struct mos_primary *p = &s->primary;
	bool whole = true;

	if (s->supervisor != NULL)
		mos_supervisor_stop(s->supervisor, p->stop >= 2 ? 0 : GRACE_PROCESS_MS);
	if (s->dispatch != NULL)
		mos_dispatch_destroy(s->dispatch);
	if (s->has_memory)
		mos_memory_drain(p);
	if (s->supervisor != NULL)
		print_counters(s);
	if (s->has_ports)
		mos_ports_stop(&s->ports);
	if (s->has_memory) {
		whole = s->supervisor == NULL || audit_at_end(s);
		mos_memory_delete(p);
	}
	if (s->has_map)
		mos_shard_map_fini();
	if (s->has_eal)
		mos_eal_primary_fini();
	if (s->has_run_dir)
		mos_run_dir_close(&s->run_dir);
	return whole;
}

/* ---- command line ---- */

static void usage(FILE *out)
{
	fputs("usage: mos-primary -f FILE [-c]\n"
	      "  -f, --file FILE    configuration (mos.conf)\n"
	      "  -c, --check        read the configuration, say what it needs, and end\n"
	      "      --help-config  describe every key of the configuration\n"
	      "      --version      print the version\n"
	      "      --help         print this\n",
	      out);
}

/* Say what a configuration asks for, as far as can be told without starting. */
static int check(struct system *s)
{
	const struct mos_config *cfg = &s->primary.cfg;

	if (mos_memory_plan(&s->memory, cfg, s->err, sizeof(s->err)) < 0) {
		complain("%s", s->err);
		return EXIT_FAILURE;
	}
	mos_report("configuration is good (prefix %s, %d shards, %u ports, %u packets, %u MB of "
	           "hugepages)",
	           cfg->prefix, cfg->workers, cfg->port_count, s->memory.mbufs, s->memory.huge_mb);
	return EXIT_SUCCESS;
}

static int serve(struct system *s)
{
	int status = EXIT_SUCCESS;

	if (geteuid() != 0) {
		complain("needs root for hugepages and ports; run it with sudo");
		return EXIT_FAILURE;
	}
	s->primary.wake_fd = -1;
	s->run_dir.lock_fd = -1;
	catch_signals(&s->primary);
	if (begin(s) < 0) {
		complain("%s", s->err);
		status = EXIT_FAILURE;
	} else {
		run(s);
	}
	if (!finish(s))
		status = EXIT_FAILURE;
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"file", required_argument, NULL, 'f'},  {"check", no_argument, NULL, 'c'},
		{"help-config", no_argument, NULL, 'k'}, {"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
	};
	static struct system s;
	const char *file = NULL;
	bool only_check = false;
	int opt;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((opt = getopt_long(argc, argv, "f:ch", options, NULL)) != -1) {
		switch (opt) {
		case 'f': file = optarg; break;
		case 'c': only_check = true; break;
		case 'k': mos_config_describe(stdout); return EXIT_SUCCESS;
		case 'v': puts("mos-primary " MOS_VERSION); return EXIT_SUCCESS;
		case 'h': usage(stdout); return EXIT_SUCCESS;
		default: usage(stderr); return EXIT_FAILURE;
		}
	}
	if (file == NULL || optind != argc) {
		usage(stderr);
		return EXIT_FAILURE;
	}
	if (mos_config_load(&s.primary.cfg, file, s.err, sizeof(s.err)) < 0) {
		complain("%s", s.err);
		return EXIT_FAILURE;
	}
	return only_check ? check(&s) : serve(&s);
}
