#include "primary/run_dir/run_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/names.h"

static int make_dir(const char *path, char *err, size_t err_len)
{
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	if (errno == ENOENT) /* the last holder of another prefix removed the parent */
		return -EAGAIN;
	snprintf(err, err_len, "cannot make %s: %s", path, strerror(errno));
	return -errno;
}

/* Is the file we locked still the one of that name? Its last holder may have removed it. */
static bool still_there(const struct mos_run_dir *rd)
{
	struct stat ours, named;

	return fstat(rd->lock_fd, &ours) == 0 && stat(rd->lock_path, &named) == 0 &&
	       ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

static void name_holder(int fd, const char *prefix, char *err, size_t err_len)
{
	char pid[16] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	snprintf(
		err, err_len,
		"another mos-primary (pid %s) runs with prefix %s; stop it or set another `prefix`",
		pid[0] ? pid : "?", prefix);
}

/* 0, -EAGAIN: the file went away under us, or -errno with a line. */
static int try_lock(struct mos_run_dir *rd, const char *prefix, char *err, size_t err_len)
{
	int code;

	rd->lock_fd = open(rd->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (rd->lock_fd < 0) {
		code = errno;
		if (code == ENOENT) /* the holder removed the directory as well */
			return -EAGAIN;
		snprintf(err, err_len, "cannot open %s: %s", rd->lock_path, strerror(code));
		return -code;
	}
	if (flock(rd->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		code = errno == EWOULDBLOCK ? EBUSY : errno;
		if (code == EBUSY)
			name_holder(rd->lock_fd, prefix, err, err_len);
		else
			snprintf(err, err_len, "cannot lock %s: %s", rd->lock_path, strerror(code));
		close(rd->lock_fd);
		return -code;
	}
	if (!still_there(rd)) {
		close(rd->lock_fd);
		return -EAGAIN;
	}
	return 0;
}

int mos_run_dir_open(struct mos_run_dir *rd, const char *prefix, char *err, size_t err_len)
{
	int rc;

	snprintf(rd->path, sizeof(rd->path), MOS_RUN_PREFIX_FMT, prefix);
	snprintf(rd->lock_path, sizeof(rd->lock_path), MOS_RUN_LOCK_FMT, prefix);
	do {
		rc = make_dir(MOS_RUN_DIR, err, err_len);
		if (rc == 0)
			rc = make_dir(rd->path, err, err_len);
		if (rc == 0)
			rc = try_lock(rd, prefix, err, err_len);
	} while (rc == -EAGAIN);
	if (rc < 0) {
		rd->lock_fd = -1;
		return rc;
	}
	if (ftruncate(rd->lock_fd, 0) == 0)
		dprintf(rd->lock_fd, "%d\n", getpid());
	return 0;
}

void mos_run_dir_close(struct mos_run_dir *rd)
{
	if (rd->lock_fd < 0)
		return;
	unlink(rd->lock_path); /* before the lock goes: who takes it next looks for the file */
	rmdir(rd->path);
	rmdir(MOS_RUN_DIR); /* fails while other prefixes are in use */
	close(rd->lock_fd);
	rd->lock_fd = -1;
}
