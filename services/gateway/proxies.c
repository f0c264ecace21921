/* proxies.c - the addresses are kept as IPv6, IPv4 in its mapped form, so that there is one way to compare. */
#include "proxies.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "text.h"

#define PROXIES_MAX  64
#define NAME_MAX     253 /* of a host */
#define ADDRESS_SIZE 16
#define MAPPED_BITS  96
#define LOOK_WAIT_S  1

struct network {
    uint8_t address[ADDRESS_SIZE];
    unsigned bits;
};

struct proxies {
    struct network networks[PROXIES_MAX];
    unsigned network_count;
    char names[PROXIES_MAX][NAME_MAX + 1];
    unsigned name_count;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t stop_set;
    bool stop;
    struct network found[PROXIES_MAX];
    unsigned found_count;
};

/* 0, or -1 when the text is no address. */
static int
read_address(const char *text, struct network *target)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    memcpy(target->address, mapped, sizeof mapped);
    target->bits = 8 * ADDRESS_SIZE;
    if (inet_pton(AF_INET, text, target->address + sizeof mapped) == 1)
        return 0;
    return inet_pton(AF_INET6, text, target->address) == 1 ? 0 : -1;
}

static bool
network_has(const struct network *self, const uint8_t address[ADDRESS_SIZE])
{
    unsigned whole = self->bits / 8, rest = self->bits % 8;

    return memcmp(self->address, address, whole) == 0 &&
           (rest == 0 || ((self->address[whole] ^ address[whole]) & (0xff00u >> rest)) == 0);
}

static bool
any_has(const struct network *networks, unsigned count, const uint8_t address[ADDRESS_SIZE])
{
    for (unsigned i = 0; i < count; i++)
        if (network_has(&networks[i], address))
            return true;
    return false;
}

/* One member of the list. */
static int
add(struct proxies *self, char *member)
{
    struct network *network = &self->networks[self->network_count];
    char *slash = strchr(member, '/');
    int64_t bits;

    if (slash)
        *slash = '\0';
    if (read_address(member, network) == 0) {
        bool v4 = strchr(member, ':') == NULL;

        if (slash && (text_to_int(slash + 1, strlen(slash + 1), &bits) != 0 || bits < 0 || bits > (v4 ? 32 : 128)))
            return -1;
        if (slash)
            network->bits = (unsigned)bits + (v4 ? MAPPED_BITS : 0);
        self->network_count++;
        return 0;
    }
    if (slash || strlen(member) > NAME_MAX || strspn(member, "0123456789.") == strlen(member) || strchr(member, ':'))
        return -1;
    snprintf(self->names[self->name_count++], NAME_MAX + 1, "%s", member);
    return 0;
}

/* False when DNS did not answer, which says nothing. */
static bool
look_up(const char *name, struct network *target, unsigned *count)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char text[NI_MAXHOST];
    int error = getaddrinfo(name, NULL, &hints, &found);

    if (error != 0)
        return error != EAI_AGAIN && error != EAI_SYSTEM;
    for (struct addrinfo *one = found; one && *count < PROXIES_MAX; one = one->ai_next)
        if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0 &&
            read_address(text, &target[*count]) == 0)
            (*count)++;
    freeaddrinfo(found);
    return true;
}

static void
proxies_free(struct proxies *self)
{
    pthread_cond_destroy(&self->stop_set);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static void *
look_again_and_again(void *argument)
{
    struct proxies *self = argument;
    struct network found[PROXIES_MAX];
    struct timespec until;

    pthread_mutex_lock(&self->lock);
    while (!self->stop) {
        unsigned count = 0;
        bool known = true;

        pthread_mutex_unlock(&self->lock);
        for (unsigned i = 0; i < self->name_count; i++)
            known &= look_up(self->names[i], found, &count);
        pthread_mutex_lock(&self->lock);
        if (known) {
            memcpy(self->found, found, count * sizeof found[0]);
            self->found_count = count;
        }
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += LOOK_WAIT_S;
        if (!self->stop)
            pthread_cond_timedwait(&self->stop_set, &self->lock, &until);
    }
    pthread_mutex_unlock(&self->lock);
    proxies_free(self);
    return NULL;
}

/* The thread belongs to nobody and frees what it looks at: it may be waiting for DNS when the gateway ends, which must
 * not wait for it. */
static void
start_looking(struct proxies *self)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, look_again_and_again, self) != 0)
        log_fatal("thread_failed", NULL);
    pthread_attr_destroy(&attributes);
}

struct proxies *
proxies_new(const char *list)
{
    struct proxies *self = xcalloc(1, sizeof *self);
    char *copy = xstrdup(list ? list : ""), *rest = copy, *member;
    int status = 0;

    while (status == 0 && (member = strsep(&rest, ", ")) != NULL) {
        if (*member == '\0')
            continue;
        if (self->network_count == PROXIES_MAX || self->name_count == PROXIES_MAX || add(self, member) != 0) {
            log_event(LOG_ERROR, "bad_trusted_proxies", "s:SX_TRUSTED_PROXIES", list, "s:why",
                      "give addresses, networks as 10.0.0.0/8, or host names; at most 64 of each", NULL);
            status = -1;
        }
    }
    free(copy);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->stop_set, NULL);
    if (status != 0) {
        proxies_free(self);
        return NULL;
    }
    if (self->name_count > 0)
        start_looking(self);
    return self;
}

void
proxies_destroy(struct proxies **self)
{
    struct proxies *proxies = *self;

    if (!proxies)
        return;
    if (proxies->name_count > 0) {
        pthread_mutex_lock(&proxies->lock);
        proxies->stop = true;
        pthread_cond_signal(&proxies->stop_set);
        pthread_mutex_unlock(&proxies->lock);
    } else
        proxies_free(proxies);
    *self = NULL;
}

bool
proxies_have(struct proxies *self, const char *address)
{
    struct network asked;
    bool have;

    if (self->network_count + self->name_count == 0 || read_address(address, &asked) != 0)
        return false;
    if (any_has(self->networks, self->network_count, asked.address))
        return true;
    if (self->name_count == 0)
        return false;
    pthread_mutex_lock(&self->lock);
    have = any_has(self->found, self->found_count, asked.address);
    pthread_mutex_unlock(&self->lock);
    return have;
}

/* Cuts the last member off the list; without the port that some proxies add. False when it is no address. */
static bool
take_last(struct str *list, char target[ADDRESS_TEXT_SIZE])
{
    struct network address;
    size_t start = list->len, end = list->len;

    while (start > 0 && list->base[start - 1] != ',')
        start--;
    list->len = start > 0 ? start - 1 : 0;
    while (start < end && list->base[start] == ' ')
        start++;
    while (end > start && list->base[end - 1] == ' ')
        end--;
    if (end - start >= ADDRESS_TEXT_SIZE)
        return false;
    memcpy(target, list->base + start, end - start);
    target[end - start] = '\0';
    if (strchr(target, '.') && strrchr(target, ':') == strchr(target, ':'))
        target[strcspn(target, ":")] = '\0';
    return read_address(target, &address) == 0;
}

bool
proxies_client(struct proxies *self, struct str forwarded, char target[ADDRESS_TEXT_SIZE])
{
    char address[ADDRESS_TEXT_SIZE];
    bool found = false;

    while (forwarded.len > 0 && take_last(&forwarded, address)) {
        memcpy(target, address, sizeof address);
        found = true;
        if (!proxies_have(self, address))
            break;
    }
    return found;
}
