#include "apps/mos_run/client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/mos_run/control.h"

#define LIST_MAX 32

/* Its command line, with blanks between the words. */
static void print_command(pid_t pid)
{
	char path[32], text[200];
	ssize_t len = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, text, sizeof(text));
		close(fd);
	}
	for (ssize_t i = 0; i < len - 1; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	fprintf(stderr, "  %d  %.*s\n", (int)pid, len > 0 ? (int)len : 0, text);
}

/* The one that runs, or 0 and it is said why there is not one. */
static pid_t choose(const char *request)
{
	pid_t pids[LIST_MAX];
	unsigned count = control_list(pids, LIST_MAX);

	if (count == 1)
		return pids[0];
	if (count == 0) {
		fprintf(stderr, "mos-run: %s: no mos-run is running\n", request);
		return 0;
	}
	fprintf(stderr, "mos-run: %s: which one? mos-run %s PID, of\n", request, request);
	for (unsigned i = 0; i < count && i < LIST_MAX; i++)
		print_command(pids[i]);
	return 0;
}

static pid_t parse_pid(const char *request, const char *text)
{
	char *rest;
	long pid = strtol(text, &rest, 10);

	if (*rest == '\0' && rest != text && pid > 0 && pid <= INT_MAX)
		return (pid_t)pid;
	fprintf(stderr, "mos-run: %s %s: expected the PID of a mos-run\n", request, text);
	return 0;
}

/* Print what comes until the exit status does. */
static int print_answers(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char text[CONTROL_TEXT];

	for (;;) {
		ssize_t len;

		poll(&p, 1, -1);
		len = recv(fd, text, sizeof(text) - 1, 0);
		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (len <= 0) {
			fprintf(stderr, "mos-run: that mos-run has ended\n");
			return EXIT_FAILURE;
		}
		text[len] = '\0';
		switch (text[0]) {
		case '=':
			printf("%s\n", text + 1);
			fflush(stdout);
			break;
		case '!': fprintf(stderr, "mos-run: %s\n", text + 1); break;
		case '.': return strcmp(text, ".0") == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		}
	}
}

int client_run(const char *request, const char *pid_text)
{
	pid_t pid = pid_text != NULL ? parse_pid(request, pid_text) : choose(request);
	int fd, status;

	if (pid == 0)
		return EXIT_FAILURE;
	fd = control_connect(pid);
	if (fd < 0 || send(fd, request, strlen(request), MSG_NOSIGNAL) < 0) {
		fprintf(stderr, "mos-run: %s: cannot talk to a mos-run with pid %d: %s\n", request,
		        (int)pid, strerror(fd < 0 ? -fd : errno));
		status = EXIT_FAILURE;
	} else {
		status = print_answers(fd);
	}
	if (fd >= 0)
		close(fd);
	return status;
}
