/* rotate.c - `sxctl rotate-master-key`: a new master key for the old one, while everything runs.
 *
 * The key file itself says how far it has come (libshared/master_key.h), so that this may be killed at any moment and
 * run again:
 *
 *   OLD             1. a new key is made and written down; a second for every process to see that it will be used
 *   OLD, next NEW   2. from here on the new one seals; the old one opens
 *   NEW, old OLD    3. every stored value is sealed anew, until a whole round finds none of the old key; requests that
 *                      began under the old key are waited for, a last round follows, and no gateway trusts a
 * developer's token any more that it has found good before NEW             4. the old key is forgotten
 *
 * Where services have copies of the file (containers), all copies are named as arguments and each step is done to all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bounds.h"
#include "config.h"
#include "contract.h"
#include "master_key.h"
#include "rpc.h"
#include "secret.h"
#include "sxctl.h"
#include "text.h"

#define FILES_MAX     32
#define SEEN_MS       1000                           /* processes look four times a second (service.c) */
#define WAIT_S        (REQUEST_BUDGET_MAX_MS / 1000) /* no request lives longer */
#define WAIT_S_MAX    86400
#define RESEAL_SUFFIX ".secrets.reseal"

struct rotation {
    const char *paths[FILES_MAX];
    struct master_keys files[FILES_MAX];
    unsigned count;
    char *own_path; /* when no file is named */
    struct master_key old_key, new_key;
    int64_t wait_s;
    struct rpc *rpc;
};

static void
fail(const char *path, const char *why)
{
    fprintf(stderr, "sxctl: %s: %s\n", path, why);
    exit(EXIT_FAILURE);
}

static bool
same(const struct master_key *a, const struct master_key *b)
{
    return secret_equal(a->key, b->key, MASTER_KEY_SIZE);
}

static void
put(struct rotation *self, unsigned index, const struct master_key *current, enum master_other other,
    const struct master_key *second)
{
    struct master_keys *file = &self->files[index];

    file->current = *current;
    file->other = other;
    if (second)
        file->second = *second;
    if (master_keys_write(file, self->paths[index]))
        fail(self->paths[index], strerror(errno));
}

/* ---- where it stands --------------------------------------------------------------------------------------------- */

struct lock {
    const char *path;
    int fd;
    dev_t device;
    ino_t inode;
};

static struct lock
lock_open(const char *path)
{
    struct lock self = {.path = path, .fd = -1};
    struct stat status;
    char *name = NULL;

    if (asprintf(&name, "%s.lock", path) >= 0)
        self.fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self.fd < 0)
        fail(path, "its lock file cannot be made beside it");
    if (stat(path, &status) == 0 && fchown(self.fd, status.st_uid, status.st_gid))
        fail(path, "its lock file cannot be given to the owner of the file");
    if (fstat(self.fd, &status))
        fail(path, strerror(errno));
    self.device = status.st_dev;
    self.inode = status.st_ino;
    free(name);
    return self;
}

static int
lock_compare(const void *a, const void *b)
{
    const struct lock *left = a, *right = b;

    if (left->device != right->device)
        return left->device < right->device ? -1 : 1;
    return left->inode == right->inode ? 0 : left->inode < right->inode ? -1 : 1;
}

/* One rotation at a time: two would each make a key. All copies are locked, always in the same order, so that of two
 * that name them differently one goes on. The locks are held until we end. */
static void
lock_all(const struct rotation *self)
{
    struct lock locks[FILES_MAX] = {0};

    for (unsigned i = 0; i < self->count; i++)
        locks[i] = lock_open(self->paths[i]);
    qsort(locks, self->count, sizeof locks[0], lock_compare);
    for (unsigned i = 0; i < self->count; i++) {
        if (i > 0 && lock_compare(&locks[i - 1], &locks[i]) == 0)
            continue; /* a file that was named twice */
        if (flock(locks[i].fd, LOCK_EX | LOCK_NB))
            fail(locks[i].path, "another rotate-master-key is at work");
    }
}

/* Finds the two keys in the files, or makes the new one. Every file must be at some step of one and the same rotation.
 */
static void
find_keys(struct rotation *self)
{
    bool found = false;
    uint8_t fresh[MASTER_KEY_SIZE];

    for (unsigned i = 0; i < self->count && !found; i++) {
        const struct master_keys *file = &self->files[i];

        found = file->other != MASTER_NONE;
        self->old_key = file->other == MASTER_OLD ? file->second : file->current;
        self->new_key = file->other == MASTER_OLD ? file->current : file->second;
    }
    if (!found) {
        secret_random(fresh, sizeof fresh);
        master_key_set(&self->new_key, fresh);
        secret_wipe(fresh, sizeof fresh);
    }
    for (unsigned i = 0; i < self->count; i++) {
        const struct master_keys *file = &self->files[i];
        bool is_old = same(&file->current, &self->old_key), is_new = same(&file->current, &self->new_key);

        if ((!is_old && !is_new) ||
            (file->other != MASTER_NONE && !same(&file->second, is_old ? &self->new_key : &self->old_key)))
            fail(self->paths[i], "holds another key than the files before it: these are not copies of one file");
    }
    printf(found ? "going on with the exchange that was begun\n" : "exchanging the master key\n");
}

/* ---- the steps --------------------------------------------------------------------------------------------------- */

static void
announce(struct rotation *self)
{
    const struct timespec pause = {SEEN_MS / 1000, SEEN_MS % 1000 * 1000000};
    bool written = false;

    for (unsigned i = 0; i < self->count; i++)
        if (same(&self->files[i].current, &self->old_key)) {
            if (self->files[i].other == MASTER_NONE)
                put(self, i, &self->old_key, MASTER_NEXT, &self->new_key);
            written = true;
        }
    if (written)
        nanosleep(&pause, NULL);
}

static void
switch_over(struct rotation *self)
{
    for (unsigned i = 0; i < self->count; i++)
        if (self->files[i].other == MASTER_NEXT)
            put(self, i, &self->new_key, MASTER_OLD, &self->old_key);
}

/* A service that has not seen the new key would go on sealing with the old one. */
static void
check_key(const struct rotation *self, const char *operation, struct str answered)
{
    char expected[HEX_SIZE(MASTER_KEY_ID_SIZE)];

    secret_hex(expected, self->new_key.id, MASTER_KEY_ID_SIZE);
    if (!str_is(answered, expected))
        fail(operation, "this service reads another key file; name its copy as well and run this again");
}

/* All values of one service once; how many were sealed anew. */
static int64_t
reseal_service(struct rotation *self, const char *operation, int64_t *unreadable)
{
    int64_t column = 0, after = 0, resealed = 0;
    struct in reply;
    bool done;

    do {
        rpc_call(self->rpc, &reply, operation, "{\"column\": %lld, \"after\": %lld}", (long long)column,
                 (long long)after);
        column = in_int(reply, "column", 0);
        after = in_int(reply, "after", 0);
        resealed += in_int(reply, "resealed", 0);
        *unreadable += in_int(reply, "unreadable", 0);
        done = in_bool(reply, "done", true);
        check_key(self, operation, in_str(reply, "key"));
        arena_reset(self->rpc->arena);
    } while (!done);
    return resealed;
}

static bool
is_reseal(const struct operation *operation)
{
    const size_t len = strlen(operation->name), suffix = strlen(RESEAL_SUFFIX);

    return len > suffix && strcmp(operation->name + len - suffix, RESEAL_SUFFIX) == 0;
}

/* One that was forgotten in the contract would lose what it has sealed. Operations are sorted by name, so by service.
 */
static void
check_services(void)
{
    bool found = false;

    for (unsigned i = 0; i < operation_count; i++) {
        found = found || is_reseal(&operations[i]);
        if (i + 1 < operation_count && strcmp(operations[i].service, operations[i + 1].service) == 0)
            continue;
        if (!found)
            fail(operations[i].service,
                 "this service has no secrets.reseal in proto/internal.json: what it has sealed would be lost");
        found = false;
    }
}

static int64_t
reseal_all(struct rotation *self, int64_t *unreadable)
{
    int64_t resealed = 0;

    *unreadable = 0;
    for (unsigned i = 0; i < operation_count; i++)
        if (is_reseal(&operations[i]))
            resealed += reseal_service(self, operations[i].name, unreadable);
    return resealed;
}

static void
reseal_until_done(struct rotation *self)
{
    const struct timespec pause = {(time_t)self->wait_s, 0};
    int64_t total = 0, round, unreadable;
    bool waited = false;
    struct in reply;

    for (;;) {
        round = reseal_all(self, &unreadable);
        total += round;
        if (round > 0)
            continue;
        if (waited)
            break;
        printf("%lld values sealed anew; waiting %lld s for requests that began before\n", (long long)total,
               (long long)self->wait_s);
        fflush(stdout);
        nanosleep(&pause, NULL);
        waited = true;
    }
    rpc_call(self->rpc, &reply, "auth.developer_keys.forget", "{}");
    if (unreadable > 0)
        fprintf(stderr, "sxctl: %lld values were opened by no key, neither old nor new; the services' logs name them\n",
                (long long)unreadable);
}

static void
forget(struct rotation *self)
{
    for (unsigned i = 0; i < self->count; i++)
        if (self->files[i].other == MASTER_OLD)
            put(self, i, &self->new_key, MASTER_NONE, NULL);
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static void
read_arguments(struct rotation *self, int argc, char **argv)
{
    self->wait_s = WAIT_S;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--wait") == 0) {
            if (++i == argc || text_to_int(argv[i], strlen(argv[i]), &self->wait_s) || self->wait_s < 0 ||
                self->wait_s > WAIT_S_MAX)
                fail("--wait", "must be followed by seconds, 0 to 86400");
        } else if (argv[i][0] == '-' || self->count == FILES_MAX) {
            fail(argv[i], "usage: sxctl rotate-master-key [--wait SECONDS] [FILE...]");
        } else {
            self->paths[self->count++] = argv[i];
        }
    }
    if (self->count == 0) {
        self->own_path = config.master_key_file ? xstrdup(config.master_key_file) : config_path("secrets/master.key");
        self->paths[self->count++] = self->own_path;
    }
}

int
sxctl_rotate_master_key(int argc, char **argv)
{
    struct rotation self = {0};
    const char *why;

    read_arguments(&self, argc, argv);
    check_services();
    lock_all(&self);
    for (unsigned i = 0; i < self.count; i++)
        if (master_keys_read(&self.files[i], self.paths[i], &why))
            fail(self.paths[i], why);
    self.rpc = rpc_new(); /* nothing is begun while the platform is down */
    find_keys(&self);
    announce(&self);
    switch_over(&self);
    reseal_until_done(&self);
    forget(&self);
    printf("done; the old key opens nothing any more and can be destroyed\n");
    rpc_destroy(&self.rpc);
    free(self.own_path);
    secret_wipe(&self, sizeof self);
    return EXIT_SUCCESS;
}
