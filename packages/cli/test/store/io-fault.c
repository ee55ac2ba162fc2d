/*
 * A library for LD_PRELOAD: lets one of the calls that write below the directory FAULT_BELOW fail.
 * FAULT_COUNTER is a file of 8 bytes, in which all processes count these calls; that with the
 * number FAULT_AT fails with the error FAULT_ERRNO.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *below;
static uint64_t *calls, at;
static int code;

__attribute__((constructor)) static void start(void) {
	const char *counter = getenv("FAULT_COUNTER");
	const char *number = getenv("FAULT_AT"), *error = getenv("FAULT_ERRNO");
	below = getenv("FAULT_BELOW");
	if (!counter || !number || !error || !below) return;
	int fd = open(counter, O_RDWR | O_CLOEXEC);
	if (fd < 0) return;
	void *map = mmap(0, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED) return;
	at = strtoull(number, 0, 10);
	code = atoi(error);
	calls = map;
}

static int fails(const char *path) {
	size_t length = calls ? strlen(below) : 0;
	if (!calls || strncmp(path, below, length) || (path[length] && path[length] != '/')) return 0;
	if (__atomic_add_fetch(calls, 1, __ATOMIC_SEQ_CST) != at) return 0;
	errno = code;
	return 1;
}

static int fails_at(int fd) {
	char link[32], path[4096];
	if (!calls) return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, path, sizeof path - 1);
	if (length < 0) return 0;
	path[length] = 0;
	return fails(path);
}

#define WRAP(type, name, parameters, arguments, failed) \
	type name parameters { \
		return failed ? -1 : ((__typeof__(&name))dlsym(RTLD_NEXT, #name)) arguments; \
	}
#define ON_FILE(type, name, parameters, arguments) \
	WRAP(type, name, parameters, arguments, fails_at(fd))
#define ON_PATH(name, parameters, arguments) WRAP(int, name, parameters, arguments, fails(path))

ON_FILE(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n))
ON_FILE(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o))
ON_FILE(ssize_t, pwrite64, (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o))
ON_FILE(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
ON_FILE(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t o), (fd, v, n, o))
ON_FILE(ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off64_t o), (fd, v, n, o))
ON_FILE(ssize_t, sendfile, (int fd, int s, off_t *o, size_t n), (fd, s, o, n))
ON_FILE(ssize_t, sendfile64, (int fd, int s, off64_t *o, size_t n), (fd, s, o, n))
ON_FILE(ssize_t, copy_file_range, (int s, off64_t *p, int fd, off64_t *o, size_t n, unsigned f),
	(s, p, fd, o, n, f))
ON_FILE(int, fsync, (int fd), (fd))
ON_FILE(int, fdatasync, (int fd), (fd))
ON_FILE(int, syncfs, (int fd), (fd))
ON_FILE(int, ftruncate, (int fd, off_t n), (fd, n))
ON_FILE(int, ftruncate64, (int fd, off64_t n), (fd, n))
ON_PATH(rename, (const char *from, const char *path), (from, path))
ON_PATH(link, (const char *from, const char *path), (from, path))
ON_PATH(symlink, (const char *to, const char *path), (to, path))
ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode))
