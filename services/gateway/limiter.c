/* limiter.c - rate limits that hold over all gateway processes of a host, in a mapped file (protocols 9).
 *
 * A word is fingerprint 28 | window 16 | count 20. Words change by compare-and-swap only, so nobody ever waits for
 * anybody. Within a window slots only fill: two processes that look for the same key meet at the same slot, which makes
 * the count exact. A slot of another window is free. It might belong to a later one, when this process was stopped
 * between looking at the clock and at the slot; therefore the clock is read again after the slot before it is taken.
 */
#include "limiter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "metric.h"
#include "secret.h"

#define MAGIC       UINT64_C(0x53584c494d495431) /* "SXLIMIT1" */
#define SLOTS       (UINT32_C(1) << 20)
#define PROBES      64
#define COUNT_BITS  20
#define WINDOW_BITS 16
#define COUNT_MAX   ((UINT32_C(1) << COUNT_BITS) - 1)
#define WINDOW_MASK ((UINT32_C(1) << WINDOW_BITS) - 1)
#define HEADER_SIZE 4096 /* a page, so that slots are aligned to cache lines */
#define SEED_SIZE   16

static struct metric full_total =
    METRIC_COUNTER("sx_limiter_full_total", "Keys for which no slot was found: credentials passed, addresses got 429.");

struct header {
    uint64_t magic;
    uint32_t slots;
    uint32_t window_s;
    uint8_t seed[SEED_SIZE];
};

struct table {
    uint32_t window_s;
    void *memory;
    _Atomic uint64_t *slots;
    EVP_MAC_CTX *hash; /* SipHash under the file's seed: nobody can choose keys that meet */
};

struct limiter {
    struct config_rate rates[RATE_CLASSES];
    struct table tables[RATE_CLASSES];
    struct table *table_of[RATE_CLASSES]; /* NULL: not limited */
    unsigned table_count;
    int64_t (*boot_ms)(void);
};

static size_t
file_size(void)
{
    return HEADER_SIZE + SLOTS * sizeof(uint64_t);
}

/* ---- the file ------------------------------------------------------------------------------------------------ */

/* Writes a new file under a name of its own and links it to its place, so that nobody ever sees half of one. That
 * somebody else was faster is fine. */
static int
make_file(const char *path, uint32_t window_s)
{
    struct header header = {.magic = MAGIC, .slots = SLOTS, .window_s = window_s};
    char temporary[4096];
    int fd, result = -1;

    /* No process id: in containers that share the folder they are the same. */
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.new.XXXXXX", path) >= sizeof temporary) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -1;
    secret_random(header.seed, sizeof header.seed);
    if (ftruncate(fd, (off_t)file_size()) == 0 && pwrite(fd, &header, sizeof header, 0) == (ssize_t)sizeof header &&
        (link(temporary, path) == 0 || errno == EEXIST))
        result = 0;
    close(fd);
    unlink(temporary);
    return result;
}

static int
map_file(const char *path, struct table *table)
{
    struct stat status;
    const struct header *header;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return -1;
    if (fstat(fd, &status) || (size_t)status.st_size != file_size()) {
        close(fd);
        errno = EILSEQ;
        return -1;
    }
    table->memory = mmap(NULL, file_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (table->memory == MAP_FAILED) {
        table->memory = NULL;
        return -1;
    }
    header = table->memory;
    if (header->magic != MAGIC || header->slots != SLOTS || header->window_s != table->window_s) {
        errno = EILSEQ;
        return -1;
    }
    table->slots = (_Atomic uint64_t *)((char *)table->memory + HEADER_SIZE);
    return 0;
}

/* The first eight hex digits of the kernel's boot id: the clock starts anew at boot, so must the counters. */
static int
read_boot(char target[9])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t size;

    if (fd < 0)
        return -1;
    size = read(fd, target, 8);
    close(fd);
    target[8] = '\0';
    return size == 8 ? 0 : -1;
}

/* Nobody counts in the files of an earlier boot any more. */
static void
remove_old_files(const char *path, uint32_t window_s, const char *keep)
{
    char pattern[4096];
    glob_t found;

    snprintf(pattern, sizeof pattern, "%s.%u.????????", path, window_s);
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            if (strcmp(found.gl_pathv[i], keep) != 0)
                unlink(found.gl_pathv[i]);
        globfree(&found);
    }
}

static EVP_MAC_CTX *
hash_new(const uint8_t seed[SEED_SIZE])
{
    size_t size = sizeof(uint64_t);
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *context = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);

    EVP_MAC_free(mac);
    if (context == NULL || EVP_MAC_init(context, seed, SEED_SIZE, parameters) != 1)
        log_fatal("siphash_missing", "s:needs", "OpenSSL's default provider", NULL);
    return context;
}

static int
table_open(struct table *self, const char *path, uint32_t window_s)
{
    char boot[9], name[4096];

    self->window_s = window_s;
    if (read_boot(boot) || (size_t)snprintf(name, sizeof name, "%s.%u.%s", path, window_s, boot) >= sizeof name) {
        log_event(LOG_ERROR, "limits_file_has_no_name", "s:path", path, NULL);
        return -1;
    }
    if ((access(name, F_OK) && make_file(name, window_s)) || map_file(name, self)) {
        log_event(LOG_ERROR, "limits_file_failed", "s:path", name, "s:why",
                  errno == EILSEQ ? "it is none of this version; stop the gateways and remove it" : strerror(errno),
                  NULL);
        return -1;
    }
    remove_old_files(path, window_s, name);
    self->hash = hash_new(((const struct header *)self->memory)->seed);
    return 0;
}

static struct table *
table_for(struct limiter *self, const char *path, uint32_t window_s)
{
    struct table *table;

    for (unsigned i = 0; i < self->table_count; i++)
        if (self->tables[i].window_s == window_s)
            return &self->tables[i];
    table = &self->tables[self->table_count++];
    return table_open(table, path, window_s) ? NULL : table;
}

struct limiter *
limiter_new(const char *path, const struct config_rate rates[RATE_CLASSES])
{
    struct limiter *self = xcalloc(1, sizeof *self);

    self->boot_ms = clock_boot_ms;
    for (unsigned class = 0; class < RATE_CLASSES; class ++) {
        self->rates[class] = rates[class];
        if (rates[class].count == 0 || rates[class].seconds == 0)
            continue;
        if (rates[class].count > COUNT_MAX)
            log_event(LOG_WARN, "limit_not_enforced", "l:limit", (int64_t)rates[class].count, "l:highest",
                      (int64_t)COUNT_MAX, NULL);
        self->table_of[class] = table_for(self, path, rates[class].seconds);
        if (self->table_of[class] == NULL) {
            limiter_destroy(&self);
            return NULL;
        }
    }
    return self;
}

void
limiter_destroy(struct limiter **self)
{
    if (*self == NULL)
        return;
    for (unsigned i = 0; i < (*self)->table_count; i++) {
        EVP_MAC_CTX_free((*self)->tables[i].hash);
        if ((*self)->tables[i].memory != NULL)
            munmap((*self)->tables[i].memory, file_size());
    }
    free(*self);
    *self = NULL;
}

void
limiter_set_clock(struct limiter *self, int64_t (*boot_ms)(void))
{
    self->boot_ms = boot_ms;
}

/* ---- counting ------------------------------------------------------------------------------------------------ */

static uint64_t
key_hash(const struct table *self, enum rate_class class, enum limit_subject subject, const void *key, size_t size)
{
    uint8_t domain[2] = {(uint8_t) class, (uint8_t)subject};
    uint64_t hash;
    size_t written;

    if (EVP_MAC_init(self->hash, NULL, 0, NULL) != 1 || EVP_MAC_update(self->hash, domain, sizeof domain) != 1 ||
        EVP_MAC_update(self->hash, key, size) != 1 ||
        EVP_MAC_final(self->hash, (unsigned char *)&hash, &written, sizeof hash) != 1)
        log_fatal("siphash_failed", NULL);
    return hash;
}

static uint64_t
word_of(uint64_t hash, uint32_t window, uint32_t count)
{
    return (hash >> 36) << (WINDOW_BITS + COUNT_BITS) | (uint64_t)window << COUNT_BITS | count;
}

enum slot_state { SLOT_OURS, SLOT_OTHER, SLOT_FREE };

/* What a word means to a key at a window. A slot of another window counts as free; whether that is so, the clock must
 * say. */
static enum slot_state
slot_state(uint64_t word, uint64_t hash, uint32_t window)
{
    if ((word >> COUNT_BITS & WINDOW_MASK) != window || (word & COUNT_MAX) == 0)
        return SLOT_FREE;
    return (word ^ word_of(hash, 0, 0)) >> (WINDOW_BITS + COUNT_BITS) == 0 ? SLOT_OURS : SLOT_OTHER;
}

struct look {
    struct limiter *limiter;
    struct table *table;
    uint64_t hash;
    int64_t now_ms;
    uint32_t limit;
    bool counts;
};

static uint32_t
window_at(const struct look *self, int64_t now_ms)
{
    return (uint32_t)(now_ms / (1000 * (int64_t)self->table->window_s)) & WINDOW_MASK;
}

enum outcome { OUTCOME_ALLOWED, OUTCOME_REFUSED, OUTCOME_NO_SLOT, OUTCOME_LATER };

/* One slot, until something is decided about it. -1: it is another key's, look at the next. */
static int
try_slot(struct look *self, _Atomic uint64_t *slot, uint32_t window, uint32_t *used)
{
    uint64_t word = atomic_load(slot);

    for (;;) {
        enum slot_state state = slot_state(word, self->hash, window);
        uint32_t count = state == SLOT_OURS ? (uint32_t)(word & COUNT_MAX) : 0;

        if (state == SLOT_OTHER)
            return -1;
        if (state == SLOT_FREE) {
            self->now_ms = self->limiter->boot_ms();
            if (window_at(self, self->now_ms) != window)
                return OUTCOME_LATER;
        }
        *used = count;
        if (count >= self->limit)
            return OUTCOME_REFUSED;
        if (!self->counts || count == COUNT_MAX)
            return OUTCOME_ALLOWED;
        if (atomic_compare_exchange_weak(slot, &word, word_of(self->hash, window, count + 1))) {
            *used = count + 1;
            return OUTCOME_ALLOWED;
        }
    }
}

static enum outcome
look_once(struct look *self, uint32_t *used)
{
    uint32_t window = window_at(self, self->now_ms);

    for (uint32_t i = 0; i < PROBES; i++) {
        int outcome = try_slot(self, &self->table->slots[(self->hash + i) & (SLOTS - 1)], window, used);

        if (outcome >= 0)
            return (enum outcome)outcome;
    }
    return OUTCOME_NO_SLOT;
}

static struct limit_answer
look(struct limiter *limiter, enum rate_class class, enum limit_subject subject, const void *key, size_t size,
     bool counts)
{
    struct table *table = limiter->table_of[class];
    struct look self = {.limiter = limiter, .table = table, .limit = limiter->rates[class].count, .counts = counts};
    struct limit_answer answer = {.limit = self.limit};
    int64_t window_ms;
    uint32_t used = 0;
    enum outcome outcome;

    if (table == NULL)
        return (struct limit_answer){.allowed = true, .reset_s = 1};
    self.hash = key_hash(table, class, subject, key, size);
    self.now_ms = limiter->boot_ms();
    do
        outcome = look_once(&self, &used);
    while (outcome == OUTCOME_LATER);
    if (outcome == OUTCOME_NO_SLOT) {
        metric_add(&full_total, 1);
        used = subject == LIMIT_ADDRESS ? self.limit : 0;
    }
    answer.allowed = outcome == OUTCOME_ALLOWED || (outcome == OUTCOME_NO_SLOT && subject == LIMIT_CREDENTIAL);
    answer.remaining = used < self.limit ? self.limit - used : 0;
    window_ms = 1000 * (int64_t)table->window_s;
    answer.reset_s = (uint32_t)((window_ms - self.now_ms % window_ms + 999) / 1000);
    return answer;
}

struct limit_answer
limiter_take(struct limiter *self, enum rate_class class, enum limit_subject subject, const void *key, size_t key_size)
{
    return look(self, class, subject, key, key_size, true);
}

struct limit_answer
limiter_peek(struct limiter *self, enum rate_class class, enum limit_subject subject, const void *key, size_t key_size)
{
    return look(self, class, subject, key, key_size, false);
}

size_t
limiter_address_key(uint8_t target[24], const char *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t bytes[16];
    char text[INET6_ADDRSTRLEN];
    size_t len = strcspn(address, "%"); /* without a zone */

    if (len < sizeof text) {
        memcpy(text, address, len);
        text[len] = '\0';
        target[0] = 4;
        if (inet_pton(AF_INET, text, target + 1) == 1)
            return 5;
        if (inet_pton(AF_INET6, text, bytes) == 1) {
            bool is_mapped = memcmp(bytes, mapped, sizeof mapped) == 0;

            target[0] = is_mapped ? 4 : 6;
            memcpy(target + 1, is_mapped ? bytes + 12 : bytes, is_mapped ? 4 : 8);
            return is_mapped ? 5 : 9;
        }
    }
    target[0] = 0;
    len = strlen(address);
    len = len < 23 ? len : 23;
    memcpy(target + 1, address, len);
    return len + 1;
}
