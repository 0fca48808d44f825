#include <errno.h>
#include <semaphore.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_interrupts.h>

#include "primary/eal/eal_primary.h"

enum { HALT_PATIENCE_S = 10 };

static sem_t halted; /* posted once, by the interrupt thread */
static enum { RUNNING, ASKED, HALTED } state;

/* An interrupt handler that stays. EAL's threads take no signal: this one sleeps until the end. */
static void stay(void *arg)
{
	sem_post(&halted);
	for (;;)
		pause();
}

/* Register an interrupt that is there already. EAL copies the handle; its copy is not in hugepages. */
static int interrupt(void)
{
	struct rte_intr_handle *handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	int fd, rc;

	if (handle == NULL)
		return -ENOMEM;
	fd = eventfd(1, EFD_CLOEXEC);
	rc = fd < 0 ? -errno : 0;
	if (rc == 0) {
		rte_intr_fd_set(handle, fd);
		rte_intr_type_set(handle, RTE_INTR_HANDLE_EXT);
		/* Not closed when this fails: EAL panics if the descriptor of a source is bad. */
		rc = rte_intr_callback_register(handle, stay, NULL);
	}
	rte_intr_instance_free(handle);
	return rc;
}

int mos_eal_interrupts_halt(void)
{
	struct timespec until;
	int rc;

	if (state == RUNNING) {
		sem_init(&halted, 0, 0);
		rc = interrupt();
		if (rc < 0)
			return rc;
		state = ASKED;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += HALT_PATIENCE_S;
	while (state == ASKED) {
		if (sem_clockwait(&halted, CLOCK_MONOTONIC, &until) == 0)
			state = HALTED;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}
