/* access.c - one JSON line per request, and counters by operation.
 *
 * The loop is single-threaded, so counters are plain numbers in one array beside operations[]. The last place is for
 * what belongs to no operation: the gateway's own pages, unknown paths, malformed requests.
 */
#include "access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "mask.h"
#include "metric.h"
#include "text.h"

#define LINES_SIZE_MAX 65536
#define TEXT_MAX       1024  /* of one value; the rest is cut */
#define LINE_SIZE_MAX  16384 /* path and method with every byte escaped, and the rest */
#define CLASSES        6     /* status / 100; 0: the client was gone before there was an answer */
#define BUCKETS        16

struct counters {
    uint64_t by_class[CLASSES];
    uint64_t buckets[BUCKETS]; /* powers of two from 64 us; the last is everything above */
    uint64_t sum_us;
};

struct access {
    bool log;
    char process[64];
    size_t size;
    char lines[LINES_SIZE_MAX];
    struct counters counters[]; /* operation_count + 1 */
};

static struct metric lines_lost =
    METRIC_COUNTER("sx_access_lines_lost_total", "Lines of the access log that nobody took in time.");

int64_t
access_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct access *
access_new(const char *process, bool log)
{
    struct access *self = xcalloc(1, sizeof *self + (operation_count + 1) * sizeof self->counters[0]);

    self->log = log;
    snprintf(self->process, sizeof self->process, "%s", process);
    return self;
}

void
access_destroy(struct access **self)
{
    if (!*self)
        return;
    access_flush(*self);
    free(*self);
    *self = NULL;
}

/* What a full pipe does not take is kept, and tried again with the next turn. */
void
access_flush(struct access *self)
{
    ssize_t written;

    if (self->size == 0)
        return;
    written = write(STDERR_FILENO, self->lines, self->size);
    if (written <= 0)
        return;
    self->size -= (size_t)written;
    memmove(self->lines, self->lines + written, self->size);
}

static void
add(struct access *self, const char *text, size_t size)
{
    memcpy(self->lines + self->size, text, size);
    self->size += size;
}

static void
add_text(struct access *self, const char *name, struct str value)
{
    static const char hex[] = "0123456789abcdef";
    size_t most = value.len < TEXT_MAX ? value.len : TEXT_MAX;

    add(self, ",\"", 2);
    add(self, name, strlen(name));
    add(self, "\":\"", 3);
    for (size_t i = 0; i < most; i++) {
        unsigned char byte = (unsigned char)value.base[i];

        if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\')
            self->lines[self->size++] = (char)byte;
        else
            add(self, (char[]){'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]}, 6);
    }
    add(self, "\"", 1);
}

static void
add_number(struct access *self, const char *name, int64_t value)
{
    char digits[24];
    char *place = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 : (uint64_t)value;

    do {
        *--place = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    add(self, ",\"", 2);
    add(self, name, strlen(name));
    add(self, "\":", 2);
    add(self, place, (size_t)(digits + sizeof digits - place));
}

static void
write_line(struct access *self, const struct request *request)
{
    const struct hub_call *call = &request->call;
    char time[TIME_TEXT_SIZE];

    if (self->size + LINE_SIZE_MAX > LINES_SIZE_MAX)
        access_flush(self);
    if (self->size + LINE_SIZE_MAX > LINES_SIZE_MAX) {
        metric_add(&lines_lost, 1);
        return;
    }
    add(self, "{\"time\":\"", 9);
    add(self, time, text_from_time(time, clock_now_us()));
    add(self, "\",\"level\":\"info\"", 16);
    add_text(self, "process", str_of(self->process));
    add_text(self, "event", STR("request"));
    add_text(self, "request_id", str_of(request->request_id));
    add_text(self, "method", str_of(request->method_name ? request->method_name : "?"));
    add_text(self, "path", mask_secrets(request->arena, request->path));
    if (request->operation)
        add_text(self, "operation", str_of(request->operation->name));
    add_number(self, "status", request->answer.status);
    if (request->identity.app_id)
        add_number(self, "app_id", request->identity.app_id);
    if (request->identity.store_id)
        add_number(self, "store_id", request->identity.store_id);
    if (request->identity.account_id)
        add_number(self, "account_id", request->identity.account_id);
    if (request->address)
        add_text(self, "address", str_of(request->address));
    if (call->attempts > 0) {
        add_number(self, "attempts", call->attempts);
        add_number(self, "queue_ms", call->sent_ms - call->submitted_ms);
        add_number(self, "service_ms", request->service_ms);
    }
    add_number(self, "bytes", (int64_t)request->answer.body_size);
    add_number(self, "total_us", request->ended_us - request->started_us);
    add(self, "}\n", 2);
}

/* A probe that found all well says nothing, and there is one every few seconds. */
static bool
is_news(const struct request *request)
{
    return request->answer.status != 200 || !(str_is(request->path, "/livez") || str_is(request->path, "/readyz"));
}

void
access_note(struct access *self, const struct request *request)
{
    size_t index = request->operation ? (size_t)(request->operation - operations) : operation_count;
    struct counters *counters = &self->counters[index];
    int64_t us = request->ended_us - request->started_us;
    unsigned bucket = 0;

    while (bucket < BUCKETS - 1 && us > INT64_C(64) << bucket)
        bucket++;
    counters->buckets[bucket]++;
    counters->sum_us += us > 0 ? (uint64_t)us : 0;
    counters->by_class[request->answer.status / 100 % CLASSES]++;
    if (self->log && is_news(request))
        write_line(self, request);
}

static void
write_duration(const struct counters *counters, const char *name, struct buf *target)
{
    uint64_t count = 0;
    char line[256];

    for (unsigned i = 0; i < BUCKETS; i++) {
        char bound[24] = "+Inf";

        count += counters->buckets[i];
        if (i < BUCKETS - 1)
            snprintf(bound, sizeof bound, "%.6f", (double)(INT64_C(64) << i) / 1e6);
        snprintf(line, sizeof line, "sx_http_request_duration_seconds_bucket{operation=\"%s\",le=\"%s\"} %llu\n", name,
                 bound, (unsigned long long)count);
        buf_append_text(target, line);
    }
    snprintf(line, sizeof line,
             "sx_http_request_duration_seconds_sum{operation=\"%s\"} %.6f\n"
             "sx_http_request_duration_seconds_count{operation=\"%s\"} %llu\n",
             name, (double)counters->sum_us / 1e6, name, (unsigned long long)count);
    buf_append_text(target, line);
}

void
access_write_metrics(const struct access *self, struct buf *target)
{
    static const char *const classes[CLASSES] = {"gone", "1xx", "2xx", "3xx", "4xx", "5xx"};
    char line[256];

    buf_append_text(target, "# HELP sx_http_requests_total Requests answered, by operation and class of status.\n"
                            "# TYPE sx_http_requests_total counter\n");
    for (unsigned i = 0; i <= operation_count; i++) {
        const char *name = i < operation_count ? operations[i].name : "";

        for (unsigned k = 0; k < CLASSES; k++) {
            if (self->counters[i].by_class[k] == 0)
                continue;
            snprintf(line, sizeof line, "sx_http_requests_total{operation=\"%s\",status=\"%s\"} %llu\n", name,
                     classes[k], (unsigned long long)self->counters[i].by_class[k]);
            buf_append_text(target, line);
        }
    }
    buf_append_text(target,
                    "# HELP sx_http_request_duration_seconds From the URL's arrival until the answer was ready.\n"
                    "# TYPE sx_http_request_duration_seconds histogram\n");
    for (unsigned i = 0; i <= operation_count; i++) {
        const struct counters *counters = &self->counters[i];
        uint64_t count = 0;

        for (unsigned k = 0; k < BUCKETS; k++)
            count += counters->buckets[k];
        if (count > 0)
            write_duration(counters, i < operation_count ? operations[i].name : "", target);
    }
}
