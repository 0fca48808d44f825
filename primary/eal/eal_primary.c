#include "primary/eal/eal_primary.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_string_fns.h>

#include "primary/eal/eal_files.h"
#include "primary/eal/eal_locks.h"
#include "shared/eal_host/eal_host.h"

/*
 * Where EAL maps. Below 2^39, which every IOMMU can address, and far from what programs of a worker
 * map, so that workers find the same addresses free. The second serves programs under a sanitizer,
 * whose shadow covers the first.
 */
#define BASE_ADDR           UINT64_C(0x2000000000)
#define BASE_ADDR_SANITIZED UINT64_C(0x400000000000)

/* How the vdev bus of a secondary asks the primary for its devices, and what it expects. */
#define VDEV_ACTION   "bus_vdev_mp"
#define VDEV_SCAN_REP 3
struct vdev_reply {
	int type;
	int num;
	char name[RTE_DEV_NAME_MAX_LEN];
};

/* The command line for EAL. */
struct args {
	char **argv;
	int argc;
	char lcores[MOS_EAL_CPUS_LEN + 16];
	char log_level[64];
	char mem[16];
	char base[32];
};

static char started_prefix[64]; /* empty = EAL does not run */

__attribute__((format(printf, 4, 5))) static int fail(int errnum, char *err, size_t err_len,
                                                      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, err_len, fmt, ap);
	va_end(ap);
	return -errnum;
}

static int check(const struct mos_eal_primary_opt *opt, char *err, size_t err_len)
{
	if (!mos_eal_prefix_ok(opt->file_prefix))
		return fail(EINVAL, err, err_len, "\"%s\" cannot be a file prefix",
		            opt->file_prefix ? opt->file_prefix : "");
	if (opt->mem_mb == 0)
		return fail(EINVAL, err, err_len, "the amount of memory must not be 0");
	if (getuid() != 0 || geteuid() != 0)
		return fail(EPERM, err, err_len,
		            "the primary must run as root; start it with: sudo mos-primary ...");
	return mos_eal_check_hugepages(opt->mem_mb, err, err_len);
}

/* Can this process map at addr? Anything can be there: nothing is mapped over. */
static bool is_free_addr(uint64_t addr)
{
	size_t len = (size_t)sysconf(_SC_PAGESIZE);
	void *want = (void *)(uintptr_t)addr;
	void *got = mmap(want, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (got == MAP_FAILED)
		return false;
	munmap(got, len);
	return got == want;
}

static void add_arg(struct args *a, const char *arg)
{
	/* EAL takes char *argv[] like main, but writes to none of them. */
	a->argv[a->argc++] = (char *)(uintptr_t)arg;
}

static int build_args(struct args *a, const struct mos_eal_primary_opt *opt)
{
	const char *level = getenv(MOS_ENV_EAL_LOG);
	char cpus[MOS_EAL_CPUS_LEN];
	int rc = 0;

	if (opt->cpu >= 0)
		snprintf(cpus, sizeof(cpus), "%d", opt->cpu);
	else
		rc = mos_eal_cpus(cpus, sizeof(cpus));
	if (rc)
		return rc;
	a->argv = calloc(24 + 2 * ((size_t)opt->vdev_count + opt->pci_count), sizeof(*a->argv));
	if (!a->argv)
		return -ENOMEM;
	snprintf(a->lcores, sizeof(a->lcores), "0@(%s)", cpus);
	snprintf(a->mem, sizeof(a->mem), "%u", opt->mem_mb);
	snprintf(a->base, sizeof(a->base), "0x%jx",
	         (uintmax_t)(is_free_addr(BASE_ADDR) ? BASE_ADDR : BASE_ADDR_SANITIZED));
	snprintf(a->log_level, sizeof(a->log_level), "*:%s",
	         level ? level : (opt->quiet ? "error" : "notice"));

	a->argc = 0;
	add_arg(a, "mos-primary");
	add_arg(a, "--proc-type=primary");
	add_arg(a, "--file-prefix");
	add_arg(a, opt->file_prefix);
	add_arg(a, "--lcores");
	add_arg(a, a->lcores);
	add_arg(a, "-m");
	add_arg(a, a->mem);
	add_arg(a, "--base-virtaddr");
	add_arg(a, a->base);
	/* One file per segment list instead of one per page: workers attach faster. */
	add_arg(a, "--single-file-segments");
	add_arg(a, "--log-level");
	add_arg(a, a->log_level);
	for (unsigned int i = 0; i < opt->vdev_count; i++) {
		add_arg(a, "--vdev");
		add_arg(a, opt->vdevs[i]);
	}
	for (unsigned int i = 0; i < opt->pci_count; i++) {
		add_arg(a, "-a");
		add_arg(a, opt->pci[i]);
	}
	if (opt->pci_count == 0)
		add_arg(a, "--no-pci");
	return 0;
}

/* EAL's threads inherit the signal mask: with everything blocked, ours get the signals. */
static int run_eal(struct args *a)
{
	char *run_dir = mos_eal_env_hide();
	sigset_t all, mask;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	rc = rte_eal_init(a->argc, a->argv) < 0 ? -(rte_errno ? rte_errno : EIO) : 0;
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	mos_eal_env_show(run_dir);
	return rc;
}

/* EAL starts without the devices that fail; we do not. */
static int check_ports(const char *const *devs, unsigned int count, char *err, size_t err_len)
{
	for (unsigned int i = 0; i < count; i++) {
		char name[RTE_ETH_NAME_MAX_LEN];
		uint16_t port;

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(devs[i], ","), devs[i]);
		if (rte_eth_dev_get_port_by_name(name, &port))
			return fail(ENODEV, err, err_len,
			            "port \"%s\" did not come up; see the lines of EAL above",
			            devs[i]);
	}
	return 0;
}

static int say_no_vdevs(const struct rte_mp_msg *msg, const void *peer)
{
	struct rte_mp_msg reply = {.len_param = sizeof(struct vdev_reply)};
	struct vdev_reply none = {.type = VDEV_SCAN_REP};

	rte_strscpy(reply.name, VDEV_ACTION, sizeof(reply.name));
	memcpy(reply.param, &none, sizeof(none));
	return rte_mp_reply(&reply, peer);
}

/* No reply at all would cost each worker the 5 s that it waits for one. */
static int hide_ports(char *err, size_t err_len)
{
	rte_mp_action_unregister(VDEV_ACTION);
	if (rte_mp_action_register(VDEV_ACTION, say_no_vdevs))
		return fail(rte_errno, err, err_len, "cannot hide the ports from workers: %s",
		            rte_strerror(rte_errno));
	return 0;
}

int mos_eal_primary_init(const struct mos_eal_primary_opt *opt, char *err, size_t err_len)
{
	struct args args;
	int rc;

	rc = check(opt, err, err_len);
	if (rc)
		return rc;
	rc = build_args(&args, opt);
	if (rc)
		return fail(-rc, err, err_len, "cannot prepare EAL: %s", strerror(-rc));
	rc = run_eal(&args);
	free(args.argv);
	if (rc) {
		mos_eal_primary_wipe_stale(opt->file_prefix);
		return fail(-rc, err, err_len, "EAL does not start: %s; see its lines above",
		            rte_strerror(-rc));
	}
	snprintf(started_prefix, sizeof(started_prefix), "%s", opt->file_prefix);

	rc = check_ports(opt->vdevs, opt->vdev_count, err, err_len);
	if (!rc)
		rc = check_ports(opt->pci, opt->pci_count, err, err_len);
	if (!rc)
		rc = hide_ports(err, err_len);
	if (rc)
		mos_eal_primary_fini();
	return rc;
}

void mos_eal_primary_fini(void)
{
	if (started_prefix[0] == '\0')
		return;
	mos_eal_locks_mend();
	if (mos_eal_interrupts_halt() == 0 && !mos_eal_heap_is_suspect())
		rte_eal_cleanup();
	mos_eal_primary_wipe_stale(started_prefix);
	started_prefix[0] = '\0';
}
