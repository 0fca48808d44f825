/*
 * reader_app: a process that looks at flows, and misbehaves when it is told to.
 *
 *   reader_app PREFIX idle    looks at nothing, for ever
 *   reader_app PREFIX hold    looks at something, and never away again
 *   reader_app PREFIX lease   asks for a shard
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

#define NOTICE_MS 10000

static struct mos_worker self = {
	.ctl_fd = -1,
	.ctl_lock = PTHREAD_MUTEX_INITIALIZER,
	.role = MOS_CTL_READER,
};

int main(int argc, char **argv)
{
	struct mos_reader reader;
	uint32_t shard, epoch;

	if (argc != 3 || strlen(argv[1]) >= sizeof(self.cfg.prefix))
		return EXIT_FAILURE;
	strcpy(self.cfg.prefix, argv[1]);
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
