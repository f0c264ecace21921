/* curve.c - CURVE keys and the handler of RFC 27 (ZAP) that admits them. libzmq asks the handler once per connection,
 * in-process, and attaches the name it answers to every message of the connection. */
#include "curve.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "log.h"
#include "secret.h"

#define KEY_TEXT_SIZE      41 /* Z85 and NUL */
#define KEY_SIZE           32
#define KEY_PATH_MAX       4096
#define KNOWN_KEYS_MAX     64
#define GUARD_STOP_LOOK_MS 100
#define ZAP_ENDPOINT       "inproc://zeromq.zap.01"

struct known_key {
    char name[SERVICE_NAME_MAX + 1];
    uint8_t key[KEY_SIZE];
};

struct curve_guard {
    void *socket;
    pthread_t thread;
    atomic_bool stop;
    struct known_key known[KNOWN_KEYS_MAX];
    unsigned known_count;
};

static int
key_read(const char *directory, const char *name, const char *kind, char target[KEY_TEXT_SIZE])
{
    char path[KEY_PATH_MAX];
    uint8_t key[KEY_SIZE];
    ssize_t size;
    int file;

    snprintf(path, sizeof(path), "%s/%s.%s", directory, name, kind);
    file = open(path, O_RDONLY | O_CLOEXEC);
    size = file < 0 ? -1 : read(file, target, KEY_TEXT_SIZE - 1);
    if (file >= 0)
        close(file);
    target[KEY_TEXT_SIZE - 1] = '\0';
    if (size == KEY_TEXT_SIZE - 1 && zmq_z85_decode(key, target)) {
        secret_wipe(key, sizeof(key));
        return 0;
    }
    log_event(LOG_ERROR, "key_unreadable", "s:file", path, "s:why", "make the keys with: sxctl keys DIRECTORY", NULL);
    return -1;
}

static int
key_write(const char *directory, const char *name, const char *kind, const char *text, mode_t mode)
{
    char path[KEY_PATH_MAX];
    char line[KEY_TEXT_SIZE + 1];
    int file, written;

    snprintf(path, sizeof(path), "%s/%s.%s", directory, name, kind);
    snprintf(line, sizeof(line), "%s\n", text);
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    written = file >= 0 && write(file, line, KEY_TEXT_SIZE) == KEY_TEXT_SIZE && fsync(file) == 0;
    secret_wipe(line, sizeof(line));
    if (file < 0 || close(file) != 0 || !written) {
        log_event(LOG_ERROR, "key_not_written", "s:file", path, "s:why", strerror(errno), NULL);
        return -1;
    }
    return 0;
}

int
curve_make_keys(const char *directory, const char *const *names, unsigned count)
{
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        log_event(LOG_ERROR, "directory_not_made", "s:directory", directory, "s:why", strerror(errno), NULL);
        return -1;
    }
    for (unsigned i = 0; i < count; i++) {
        char path[KEY_PATH_MAX], public_key[KEY_TEXT_SIZE], secret_key[KEY_TEXT_SIZE];
        int rc;

        /* The public half is written last: where it is, the pair is complete. */
        snprintf(path, sizeof(path), "%s/%s.public", directory, names[i]);
        if (access(path, F_OK) == 0)
            continue;
        if (zmq_curve_keypair(public_key, secret_key) != 0)
            log_fatal("no_curve", "s:why", "libzmq was built without CURVE", NULL);
        rc = key_write(directory, names[i], "secret", secret_key, 0600);
        secret_wipe(secret_key, sizeof(secret_key));
        if (rc != 0 || key_write(directory, names[i], "public", public_key, 0644) != 0)
            return -1;
    }
    return 0;
}

int
curve_client(void *socket, const char *directory, const char *name)
{
    char server[KEY_TEXT_SIZE], public_key[KEY_TEXT_SIZE], secret_key[KEY_TEXT_SIZE];
    int rc = -1;

    if (key_read(directory, "gateway", "public", server) == 0 && key_read(directory, name, "public", public_key) == 0 &&
        key_read(directory, name, "secret", secret_key) == 0) {
        rc = zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server, sizeof(server));
        rc |= zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public_key, sizeof(public_key));
        rc |= zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret_key, sizeof(secret_key));
        secret_wipe(secret_key, sizeof(secret_key));
    }
    return rc;
}

int
curve_server(void *socket, const char *directory)
{
    char secret_key[KEY_TEXT_SIZE];
    const int on = 1;
    int rc;

    if (key_read(directory, "gateway", "secret", secret_key) != 0)
        return -1;
    rc = zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &on, sizeof(on));
    rc |= zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret_key, sizeof(secret_key));
    rc |= zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, "rpc", 3);
    secret_wipe(secret_key, sizeof(secret_key));
    return rc;
}

const char *
curve_peer(zmq_msg_t *message)
{
    const char *name = zmq_msg_gets(message, "User-Id");

    return name && *name ? name : NULL;
}

/* ---- the guard --------------------------------------------------------------------------------------------------- */

static int
load_known(struct curve_guard *self, const char *directory)
{
    DIR *open_directory = opendir(directory);
    struct dirent *entry;

    if (!open_directory) {
        log_event(LOG_ERROR, "keys_unreadable", "s:SX_KEYS", directory, "s:why", strerror(errno), NULL);
        return -1;
    }
    while ((entry = readdir(open_directory)) != NULL && self->known_count < KNOWN_KEYS_MAX) {
        struct known_key *known = &self->known[self->known_count];
        const char *dot = strrchr(entry->d_name, '.');
        char text[KEY_TEXT_SIZE];

        if (!dot || strcmp(dot, ".public") != 0 || dot - entry->d_name > SERVICE_NAME_MAX)
            continue;
        snprintf(known->name, sizeof(known->name), "%.*s", (int)(dot - entry->d_name), entry->d_name);
        if (key_read(directory, known->name, "public", text) == 0) {
            zmq_z85_decode(known->key, text);
            self->known_count++;
        }
    }
    closedir(open_directory);
    return 0;
}

static const char *
name_of_key(const struct curve_guard *self, const void *key, size_t size)
{
    for (unsigned i = 0; i < self->known_count; i++)
        if (size == KEY_SIZE && memcmp(self->known[i].key, key, KEY_SIZE) == 0)
            return self->known[i].name;
    return NULL;
}

/* A question has the frames version, request id, domain, address, identity, mechanism and, for CURVE, the peer's public
 * key; the answer has version, request id, status, text, user id, metadata. */
static void
answer_one(struct curve_guard *self)
{
    enum { REQUEST_ID = 1, ADDRESS = 3, MECHANISM = 5, KEY = 6, FRAMES = 7 };
    char request_id[256], address[256], mechanism[16] = "";
    uint8_t key[256];
    void *const target[FRAMES] = {[REQUEST_ID] = request_id, [ADDRESS] = address, [MECHANISM] = mechanism, [KEY] = key};
    const size_t room[FRAMES] = {[REQUEST_ID] = sizeof(request_id),
                                 [ADDRESS] = sizeof(address),
                                 [MECHANISM] = sizeof(mechanism),
                                 [KEY] = sizeof(key)};
    size_t size[FRAMES] = {0};
    const char *name = NULL;
    unsigned count = 0;
    bool more = true;

    while (more) {
        zmq_msg_t frame;

        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, self->socket, 0) < 0)
            return;
        more = zmq_msg_more(&frame);
        if (count < FRAMES && target[count] && zmq_msg_size(&frame) < room[count]) {
            size[count] = zmq_msg_size(&frame);
            memcpy(target[count], zmq_msg_data(&frame), size[count]);
        }
        count++;
        zmq_msg_close(&frame);
    }
    if (count == FRAMES && size[MECHANISM] == 5 && memcmp(mechanism, "CURVE", 5) == 0)
        name = name_of_key(self, key, size[KEY]);
    if (!name) {
        address[size[ADDRESS]] = '\0';
        log_event(LOG_WARN, "peer_refused", "s:address", address, "s:why", "its key is not in SX_KEYS", NULL);
    }
    zmq_send(self->socket, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(self->socket, request_id, size[REQUEST_ID], ZMQ_SNDMORE);
    zmq_send(self->socket, name ? "200" : "400", 3, ZMQ_SNDMORE);
    zmq_send(self->socket, name ? "OK" : "unknown key", name ? 2 : 11, ZMQ_SNDMORE);
    zmq_send(self->socket, name ? name : "", name ? strlen(name) : 0, ZMQ_SNDMORE);
    zmq_send(self->socket, "", 0, 0);
}

static void *
guard_run(void *argument)
{
    struct curve_guard *self = argument;
    zmq_pollitem_t item = {.socket = self->socket, .events = ZMQ_POLLIN};

    while (!atomic_load(&self->stop))
        if (zmq_poll(&item, 1, GUARD_STOP_LOOK_MS) > 0)
            answer_one(self);
    return NULL;
}

struct curve_guard *
curve_guard_new(void *zmq_context, const char *directory)
{
    struct curve_guard *self = xcalloc(1, sizeof(*self));
    const int linger = 0;

    self->socket = zmq_socket(zmq_context, ZMQ_REP);
    zmq_setsockopt(self->socket, ZMQ_LINGER, &linger, sizeof(linger));
    if (load_known(self, directory) != 0 || zmq_bind(self->socket, ZAP_ENDPOINT) != 0 ||
        pthread_create(&self->thread, NULL, guard_run, self) != 0) {
        log_event(LOG_ERROR, "guard_failed", "s:why", strerror(errno), NULL);
        zmq_close(self->socket);
        free(self);
        return NULL;
    }
    return self;
}

void
curve_guard_destroy(struct curve_guard **self)
{
    if (!*self)
        return;
    atomic_store(&(*self)->stop, true);
    pthread_join((*self)->thread, NULL);
    zmq_close((*self)->socket);
    free(*self);
    *self = NULL;
}
