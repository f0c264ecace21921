/* master_key.c - reads, follows and replaces the key file. */
#include "master_key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "secret.h"

#define HEX_DIGITS    (2 * MASTER_KEY_SIZE)
#define FILE_SIZE_MAX (2 * (HEX_DIGITS + 6))
#define ID_LABEL      "master-key-id"

/* Which version of the file the process knows: rename gives a new inode, and each write a new time. */
struct version {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static struct master_keys known;
static struct version known_version;
static char *known_path;

void
master_derive(const struct master_key *self, const char *label, uint8_t target[32])
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)self->key, sizeof self->key),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (char *)(uintptr_t)label, strlen(label)),
        OSSL_PARAM_construct_end(),
    };

    if (!context || EVP_KDF_derive(context, target, 32, parameters) != 1) {
        log_event(LOG_ERROR, "secret_failed", "s:what", "hkdf", NULL);
        abort();
    }
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

void
master_key_set(struct master_key *self, const uint8_t key[MASTER_KEY_SIZE])
{
    uint8_t derived[32];

    memcpy(self->key, key, sizeof self->key);
    master_derive(self, ID_LABEL, derived);
    memcpy(self->id, derived, sizeof self->id);
    self->id[0] |= 0x80; /* never the zeros of a value sealed before there were ids */
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* A key and the end of its line; the last line may lack it. */
static int
read_key(struct master_key *target, const char **at, const char *end)
{
    uint8_t key[MASTER_KEY_SIZE];
    int rc = -1;

    if (end - *at >= HEX_DIGITS && secret_unhex(key, sizeof key, *at, HEX_DIGITS) == 0) {
        *at += HEX_DIGITS;
        master_key_set(target, key);
        rc = *at == end ? 0 : *(*at)++ == '\n' ? 0 : -1;
    }
    secret_wipe(key, sizeof key);
    return rc;
}

static int
parse(struct master_keys *self, const char *text, size_t size)
{
    const char *at = text, *end = text + size;

    memset(self, 0, sizeof *self);
    if (read_key(&self->current, &at, end))
        return -1;
    if (at == end)
        return 0;
    if (end - at > 5 && memcmp(at, "next ", 5) == 0) {
        self->other = MASTER_NEXT;
        at += 5;
    } else if (end - at > 4 && memcmp(at, "old ", 4) == 0) {
        self->other = MASTER_OLD;
        at += 4;
    } else {
        return -1;
    }
    if (read_key(&self->second, &at, end) || at != end)
        return -1;
    return memcmp(self->current.id, self->second.id, MASTER_KEY_ID_SIZE) == 0 ? -1 : 0;
}

static void
version_of(struct version *self, const struct stat *status)
{
    memset(self, 0, sizeof *self);
    self->device = status->st_dev;
    self->inode = status->st_ino;
    self->size = status->st_size;
    self->changed = status->st_mtim;
}

static int
read_file(struct master_keys *self, const char *path, struct version *version, const char **why)
{
    char text[FILE_SIZE_MAX + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = -1;
    struct stat status;
    ssize_t size = -1;

    *why = "the file cannot be read; make up writes it, or set SX_MASTER_KEY_FILE";
    if (fd >= 0 && fstat(fd, &status) == 0) {
        size = read(fd, text, sizeof text);
        version_of(version, &status);
    }
    if (fd >= 0)
        close(fd);
    if (size >= 0) {
        *why = "the file must hold exactly 64 hex digits, and during a rotation a line \"next KEY\" or \"old KEY\"";
        rc = size > FILE_SIZE_MAX ? -1 : parse(self, text, (size_t)size);
    }
    secret_wipe(text, sizeof text);
    return rc;
}

int
master_keys_read(struct master_keys *self, const char *path, const char **why)
{
    struct version version;

    return read_file(self, path, &version, why);
}

static size_t
format_keys(const struct master_keys *self, char text[FILE_SIZE_MAX + 1])
{
    size_t size = HEX_DIGITS;

    secret_hex(text, self->current.key, MASTER_KEY_SIZE);
    text[size++] = '\n';
    if (self->other != MASTER_NONE) {
        struct str word = self->other == MASTER_NEXT ? STR("next ") : STR("old ");

        memcpy(text + size, word.base, word.len);
        size += word.len;
        secret_hex(text + size, self->second.key, MASTER_KEY_SIZE);
        size += HEX_DIGITS;
        text[size++] = '\n';
    }
    return size;
}

/* Renamed, and the rename itself is on the disk. */
static int
move_into_place(const char *from, const char *path)
{
    char *folder = xstrdup(path), *slash = strrchr(folder, '/');
    int fd, rc;

    if (slash)
        slash[slash == folder ? 1 : 0] = '\0';
    fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = fd >= 0 && rename(from, path) == 0 && fsync(fd) == 0 ? 0 : -1;
    if (fd >= 0)
        close(fd);
    free(folder);
    return rc;
}

int
master_keys_write(const struct master_keys *self, const char *path)
{
    char text[FILE_SIZE_MAX + 1], *fresh = NULL;
    size_t size = format_keys(self, text);
    struct stat status;
    int fd = -1, rc = -1;

    if (stat(path, &status) == 0 && asprintf(&fresh, "%s.new", path) > 0) {
        (void)unlink(fresh); /* of a run that was killed */
        fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (fd >= 0) {
        rc = write(fd, text, size) == (ssize_t)size && fchown(fd, status.st_uid, status.st_gid) == 0 &&
                     fchmod(fd, status.st_mode & 0777) == 0 && fsync(fd) == 0
                 ? 0
                 : -1;
        if (close(fd) || rc || move_into_place(fresh, path))
            rc = -1;
        if (rc) /* half a key, or a whole one, in a place where nobody looks after it */
            (void)unlink(fresh);
    }
    secret_wipe(text, sizeof text);
    free(fresh);
    return rc;
}

/* ---- this process's keys ----------------------------------------------------------------------------------------- */

void
master_load(const char *path)
{
    const char *why;

    pthread_mutex_lock(&guard);
    if (read_file(&known, path, &known_version, &why))
        log_fatal("master_key_unusable", "s:path", path, "s:why", why, NULL);
    free(known_path);
    known_path = xstrdup(path);
    pthread_mutex_unlock(&guard);
}

/* Holds the guard. A file that is gone is no news: what is known stays. */
static void
follow(void)
{
    struct version version;
    struct master_keys read;
    struct stat status;
    const char *why;

    if (stat(known_path, &status))
        return;
    version_of(&version, &status);
    if (memcmp(&version, &known_version, sizeof version) == 0)
        return;
    known_version = version; /* said once for each version of the file */
    if (read_file(&read, known_path, &known_version, &why)) {
        log_event(LOG_ERROR, "master_key_unusable", "s:path", known_path, "s:why", why, NULL);
        return;
    }
    known = read;
    secret_wipe(&read, sizeof read);
    log_event(LOG_INFO, "master_key_read", "s:path", known_path, "b:rotating", known.other != MASTER_NONE, NULL);
}

void
master_take(struct master_keys *copy)
{
    pthread_mutex_lock(&guard);
    if (!known_path)
        log_fatal("master_key_missing", "s:why", "a key was asked for before the key file was loaded", NULL);
    follow();
    *copy = known;
    pthread_mutex_unlock(&guard);
}
