#include "apps/mos_run/control.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PARENT_DIR "/run/mos-mp" /* also the primaries'; whoever is the last removes it */
#define OPEN_TURNS 10

static int socket_of(const char *path, struct sockaddr_un *addr)
{
	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(addr->sun_path, sizeof(addr->sun_path), "%s", path);
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* ---- the directory ---- */

int control_connect(pid_t pid)
{
	struct sockaddr_un addr;
	char path[64];
	int fd, error;

	snprintf(path, sizeof(path), CONTROL_DIR "/%d", (int)pid);
	fd = socket_of(path, &addr);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	error = errno;
	close(fd);
	if (error == ECONNREFUSED)
		unlink(path);
	return -error;
}

unsigned control_list(pid_t *pids, unsigned max)
{
	DIR *dir = opendir(CONTROL_DIR);
	struct dirent *entry;
	unsigned count = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char *rest;
		long pid = strtol(entry->d_name, &rest, 10);
		int fd;

		if (*rest != '\0' || pid <= 0)
			continue;
		fd = control_connect((pid_t)pid);
		if (fd >= 0)
			close(fd);
		/* One with all hands full is there as well. */
		if ((fd >= 0 || fd == -EAGAIN) && count++ < max)
			pids[count - 1] = (pid_t)pid;
	}
	if (dir != NULL)
		closedir(dir);
	return count;
}

/* ---- opening and closing ---- */

/* 0, -ENOENT: the last one who ended has removed a directory, or -errno. */
static int listen_at(int fd, const struct sockaddr_un *addr, const char *path)
{
	mode_t mask;
	int error = 0;

	if ((mkdir(PARENT_DIR, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(CONTROL_DIR, 0755) < 0 && errno != EEXIST))
		return -errno;
	unlink(addr->sun_path);
	mask = umask(0177);
	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		error = -errno;
	umask(mask);
	if (error == 0 && (listen(fd, CONTROL_CLIENT_MAX) < 0 || rename(addr->sun_path, path) < 0))
		error = -errno;
	return error;
}

int control_open(struct control *c)
{
	char unready[sizeof(c->path)];
	struct sockaddr_un addr;
	int error = -ENOENT;

	*c = (struct control){.listen_fd = -1};
	for (unsigned i = 0; i < CONTROL_CLIENT_MAX; i++)
		c->client_fd[i] = -1;
	control_list(NULL, 0); /* removes what the dead have left */
	snprintf(c->path, sizeof(c->path), CONTROL_DIR "/%d", (int)getpid());
	snprintf(unready, sizeof(unready), CONTROL_DIR "/.%d", (int)getpid());
	for (int i = 0; i < OPEN_TURNS && error == -ENOENT; i++) {
		int fd = socket_of(unready, &addr);

		if (fd < 0)
			return -errno;
		error = listen_at(fd, &addr, c->path);
		if (error == 0)
			c->listen_fd = fd;
		else
			close(fd);
	}
	return error;
}

void control_close(struct control *c)
{
	if (c->listen_fd < 0)
		return;
	unlink(c->path);
	rmdir(CONTROL_DIR); /* these two fail while others are in use */
	rmdir(PARENT_DIR);
	close(c->listen_fd);
	c->listen_fd = -1;
	for (unsigned i = 0; i < CONTROL_CLIENT_MAX; i++)
		if (c->client_fd[i] >= 0)
			close(c->client_fd[i]);
}

/* ---- serving ---- */

static void drop(struct control *c, unsigned client)
{
	close(c->client_fd[client]);
	c->client_fd[client] = -1;
}

static void send_text(struct control *c, unsigned client, char kind, const char *text)
{
	char message[CONTROL_TEXT];
	int len = snprintf(message, sizeof(message), "%c%s", kind, text);

	if (c->client_fd[client] < 0)
		return;
	if (len >= (int)sizeof(message))
		len = sizeof(message) - 1;
	if (send(c->client_fd[client], message, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		shutdown(c->client_fd[client], SHUT_RDWR); /* control_serve() sees its end */
}

void control_say(struct control *c, unsigned client, char kind, const char *line)
{
	send_text(c, client, kind, line);
}

void control_finish(struct control *c, unsigned client, int status)
{
	send_text(c, client, '.', status == 0 ? "0" : "1");
	if (c->client_fd[client] >= 0)
		drop(c, client);
}

unsigned control_poll(const struct control *c, struct pollfd *p)
{
	unsigned n = 0, clients = 0;

	for (unsigned i = 0; i < CONTROL_CLIENT_MAX; i++)
		if (c->client_fd[i] >= 0) {
			p[n++] = (struct pollfd){.fd = c->client_fd[i], .events = POLLIN};
			clients++;
		}
	if (c->listen_fd >= 0 && clients < CONTROL_CLIENT_MAX)
		p[n++] = (struct pollfd){.fd = c->listen_fd, .events = POLLIN};
	return n;
}

static void accept_all(struct control *c)
{
	for (unsigned i = 0; i < CONTROL_CLIENT_MAX; i++)
		if (c->client_fd[i] < 0)
			c->client_fd[i] =
				accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

void control_serve(struct control *c, control_request on_request, void *arg)
{
	char text[CONTROL_TEXT];

	if (c->listen_fd < 0)
		return;
	accept_all(c);
	for (unsigned i = 0; i < CONTROL_CLIENT_MAX; i++) {
		ssize_t len;

		if (c->client_fd[i] < 0)
			continue;
		len = recv(c->client_fd[i], text, sizeof(text) - 1, 0);
		if (len > 0) {
			text[len] = '\0';
			on_request(arg, i, text);
		} else if (len == 0 || (errno != EAGAIN && errno != EINTR)) {
			drop(c, i);
			on_request(arg, i, NULL);
		}
	}
}
