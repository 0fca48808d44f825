/*
 * reader_app: a process that looks at flows, and misbehaves when it is told to.
 *
 *   reader_app PREFIX idle    looks at nothing, for ever
 *   reader_app PREFIX hold    looks at something, and never away again
 *   reader_app PREFIX lease   asks for a shard
 *   reader_app PREFIX hang    is let in, and does not attach
 *
 * It prints "reader: attached" when it has got so far.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "secondary/attach/attach.h"
#include "secondary/readers/reader.h"
#include "shared/control/control_msg.h"
#include "shared/names.h"

#define NOTICE_MS 10000

static struct mos_worker self = {
	.ctl_fd = -1,
	.ctl_lock = PTHREAD_MUTEX_INITIALIZER,
	.role = MOS_CTL_READER,
};

static void hang(const char *prefix)
{
	struct mos_ctl_msg m;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), MOS_CONTROL_SOCK_FMT, prefix);
	fd = mos_ctl_connect(path);
	mos_ctl_init(&m, MOS_CTL_HELLO);
	m.role = MOS_CTL_READER;
	if (fd < 0 || mos_ctl_send(fd, &m) != 0 || mos_ctl_recv(fd, &m, -1) != 0)
		exit(EXIT_FAILURE);
	puts("reader: attached");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	struct mos_reader reader;
	uint32_t shard, epoch;

	if (argc != 3 || strlen(argv[1]) >= sizeof(self.cfg.prefix))
		return EXIT_FAILURE;
	strcpy(self.cfg.prefix, argv[1]);
	if (strcmp(argv[2], "hang") == 0)
		hang(argv[1]);
	if (mos_attach(&self) != 0)
		return EXIT_FAILURE;
	if (strcmp(argv[2], "lease") == 0)
		return mos_attach_lease(&self, 0, -1, &shard, &epoch) == 0 ? 0 : EXIT_FAILURE;
	if (strcmp(argv[2], "hold") == 0 &&
	    !mos_reader_begin(&reader, self.root, self.attach_slot, NOTICE_MS))
		return EXIT_FAILURE;
	puts("reader: attached");
	fflush(stdout);
	for (;;)
		pause();
}
