/* assets_files.c - assets as files below $SX_HOME/assets.
 *
 * Bytes are written beside their place, brought to the disk, and then moved into it in one step. A crash in between
 * leaves a file in `.new`, which a later process throws away; one after it leaves a file that nobody knows the key of,
 * and that the same upload will find.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "assets.h"
#include "config.h"
#include "log.h"
#include "secret.h"

#define PATH_SIZE     4096
#define LEFT_OVER_S   3600 /* no upload takes that long */
#define TEMPORARY_HEX HEX_SIZE(16)

static int
fail(const char *what, const char *key)
{
    log_event(LOG_ERROR, "asset_failed", "s:what", what, "s:key", key, "s:why", strerror(errno), NULL);
    return -1;
}

static int
path_of(char path[PATH_SIZE], const char *key)
{
    char *place = config_path("assets");
    int len = snprintf(path, PATH_SIZE, "%s/%s", place, key);

    free(place);
    errno = ENAMETOOLONG;
    return len < PATH_SIZE ? 0 : -1;
}

static int
sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status;

    if (fd < 0)
        return -1;
    status = fsync(fd);
    close(fd);
    return status;
}

/* Every directory above the path, each on the disk before anything is in it. */
static int
make_directories(const char *path)
{
    char part[PATH_SIZE];
    size_t parent = 0;

    snprintf(part, sizeof part, "%s", path);
    for (size_t i = 1; part[i] != '\0'; i++) {
        if (part[i] != '/')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0750) == 0) {
            char kept = part[parent];

            part[parent] = '\0';
            if (sync_directory(parent ? part : "/") != 0)
                return -1;
            part[parent] = kept;
        } else if (errno != EEXIST)
            return -1;
        part[i] = '/';
        parent = i;
    }
    return 0;
}

static void
remove_left_over(void)
{
    char place[PATH_SIZE];
    time_t now = time(NULL);
    struct dirent *entry;
    DIR *directory;

    if (path_of(place, ".new") != 0 || !(directory = opendir(place)))
        return;
    while ((entry = readdir(directory)) != NULL) {
        struct stat status;

        if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
            now - status.st_mtime > LEFT_OVER_S)
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
    }
    closedir(directory);
}

static int
write_all(int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t written = write(fd, bytes.base, bytes.len);

        if (written < 0 && errno != EINTR)
            return -1;
        if (written > 0) {
            bytes.base += written;
            bytes.len -= (size_t)written;
        }
    }
    return fsync(fd);
}

/* The bytes in a file of their own, on the disk. */
static int
write_beside(char path[PATH_SIZE], struct str bytes)
{
    char name[8 + TEMPORARY_HEX] = ".new/";
    uint8_t random[16];
    int fd, status;

    secret_random(random, sizeof random);
    secret_hex(name + strlen(name), random, sizeof random);
    if (path_of(path, name) != 0 || make_directories(path) != 0)
        return -1;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        return -1;
    status = write_all(fd, bytes);
    if (close(fd) != 0)
        status = -1;
    if (status != 0) {
        int why = errno;

        (void)unlink(path);
        errno = why;
    }
    return status;
}

int
assets_put(const char *key, struct str bytes)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char path[PATH_SIZE], beside[PATH_SIZE];
    struct stat status;

    pthread_once(&once, remove_left_over);
    if (path_of(path, key) != 0)
        return fail("path", key);
    if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && (size_t)status.st_size == bytes.len)
        return 0;
    if (make_directories(path) != 0)
        return fail("mkdir", key);
    if (write_beside(beside, bytes) != 0)
        return fail("write", key);
    if (rename(beside, path) != 0) {
        (void)fail("rename", key);
        (void)unlink(beside);
        return -1;
    }
    *strrchr(path, '/') = '\0';
    return sync_directory(path) == 0 ? 0 : fail("fsync", key);
}

int
assets_get(const char *key, struct buf *target)
{
    char path[PATH_SIZE];
    struct stat status;
    int fd = -1;

    if (path_of(path, key) == 0)
        fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 1 : fail("open", key);
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || !buf_reserve(target, (size_t)status.st_size)) {
        close(fd);
        return fail("size", key);
    }
    for (off_t left = status.st_size; left > 0;) {
        ssize_t count = read(fd, target->data + target->size, (size_t)left);

        if (count == 0 || (count < 0 && errno != EINTR)) {
            close(fd);
            return fail("read", key);
        }
        if (count > 0) {
            target->size += (size_t)count;
            left -= count;
        }
    }
    close(fd);
    return 0;
}

int
assets_remove(const char *key)
{
    char path[PATH_SIZE];

    if (path_of(path, key) != 0)
        return fail("path", key);
    return unlink(path) == 0 || errno == ENOENT ? 0 : fail("unlink", key);
}
