/* load.c - drives HTTP load over keep-alive connections and says what came back, as one line of JSON.
 *
 * load PORT CONNECTIONS SECONDS REQUESTS_FILE [RATE]
 *
 * Each line of the file is PATH, a tab, and further header lines with \r\n written as |; behind another tab may stand a
 * form or a JSON object, which is sent by POST, or by the method that stands before PATH. Every connection walks the
 * lines from a place of its own and has one request under way; with SECONDS 0 each line is sent once, by whichever
 * connection is free; with RATE so many are sent a second, evenly, line after line, as long as a connection is free.
 * One thread, epoll, at most SECONDS_MAX seconds, 127.0.0.1 only. Unlike wrk it reports the rate of every one-second
 * window and exact percentiles.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 2048
#define SECONDS_MAX     300
#define REQUESTS_MAX    65536
#define BUCKETS         2000000 /* microseconds; slower ones count as the last */
#define ANSWER_MAX      (1 << 20)

struct connection {
    int fd;
    uint32_t next; /* request line to send */
    int64_t sent_us;
    size_t size;     /* bytes of the answer so far */
    size_t expected; /* of the whole answer, 0 while the head is incomplete */
    int status;
    char head[4096];
    size_t head_size;
};

static struct connection connections[CONNECTIONS_MAX];
static char *requests[REQUESTS_MAX];
static size_t request_sizes[REQUESTS_MAX];
static uint32_t request_count, request_next;
static bool once;
static int64_t rate, paced;                      /* a second; sent so far */
static struct connection *idle[CONNECTIONS_MAX]; /* while it is paced */
static int idle_count;
static uint32_t histogram[BUCKETS];
static uint64_t windows[SECONDS_MAX + 1], statuses[600], resets, answers, bytes;
static int epoll_fd;
static struct sockaddr_in target = {.sin_family = AF_INET};

static int64_t
now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static void
die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void
requests_read(const char *path)
{
    char line[4096], text[8192];
    FILE *file = fopen(path, "re");

    if (file == NULL)
        die(path);
    while (request_count < REQUESTS_MAX && fgets(line, sizeof line, file) != NULL) {
        char *headers = strchr(line, '\t'), *form;
        size_t size;

        line[strcspn(line, "\n")] = '\0';
        if (headers == NULL)
            continue;
        *headers++ = '\0';
        form = strchr(headers, '\t');
        if (form != NULL)
            *form++ = '\0';
        size = (size_t)snprintf(text, sizeof text, "%s%s HTTP/1.1\r\nHost: 127.0.0.1\r\n",
                                *line != '/' ? ""
                                : form       ? "POST "
                                             : "GET ",
                                line);
        if (form != NULL)
            size += (size_t)snprintf(text + size, sizeof text - size,
                                     "Content-Type: application/%s\r\nContent-Length: %zu\r\n",
                                     *form == '{' ? "json" : "x-www-form-urlencoded", strlen(form));
        for (; *headers != '\0'; headers++)
            size += (size_t)snprintf(text + size, sizeof text - size, *headers == '|' ? "\r\n" : "%c", *headers);
        size += (size_t)snprintf(text + size, sizeof text - size, "\r\n\r\n%s", form ? form : "");
        requests[request_count] = strdup(text);
        request_sizes[request_count++] = size;
    }
    fclose(file);
    if (request_count == 0)
        die("no requests in the file");
}

static void
connection_send(struct connection *self)
{
    if (once && request_next == request_count)
        return;
    if (once)
        self->next = request_next++;
    if (rate > 0)
        self->next = (uint32_t)(paced++ % request_count);
    self->sent_us = now_us();
    self->size = self->expected = self->head_size = 0;
    if (write(self->fd, requests[self->next], request_sizes[self->next]) != (ssize_t)request_sizes[self->next])
        resets++;
    self->next = (self->next + 1) % request_count;
}

static void
connection_go_on(struct connection *self)
{
    if (rate > 0)
        idle[idle_count++] = self;
    else
        connection_send(self);
}

static void
connection_open(struct connection *self)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = self};
    int on = 1;

    self->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (self->fd < 0 || connect(self->fd, (struct sockaddr *)&target, sizeof target) != 0)
        die("connect");
    setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(self->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, self->fd, &event);
    connection_go_on(self);
}

static void
send_those_due(int64_t started_us)
{
    int64_t due = (now_us() - started_us) * rate / 1000000;

    while (rate > 0 && paced < due && idle_count > 0)
        connection_send(idle[--idle_count]);
}

/* Finds the end of the head and the whole answer's size. */
static void
connection_read_head(struct connection *self, const char *data, size_t size)
{
    size_t room = sizeof self->head - 1 - self->head_size, take = size < room ? size : room;
    const char *end, *length;

    memcpy(self->head + self->head_size, data, take);
    self->head_size += take;
    self->head[self->head_size] = '\0';
    end = strstr(self->head, "\r\n\r\n");
    if (end == NULL)
        return;
    self->status = (int)strtol(self->head + 9, NULL, 10);
    length = strcasestr(self->head, "\r\nContent-Length:");
    self->expected =
        (size_t)(end + 4 - self->head) + (length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

static void
connection_readable(struct connection *self, int64_t started_us)
{
    static char data[ANSWER_MAX];
    ssize_t size = read(self->fd, data, sizeof data);
    int64_t now, took;

    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0) {
        resets++;
        close(self->fd);
        connection_open(self);
        return;
    }
    if (self->expected == 0)
        connection_read_head(self, data, (size_t)size);
    self->size += (size_t)size;
    if (self->expected == 0 || self->size < self->expected)
        return;
    now = now_us();
    took = now - self->sent_us;
    histogram[took < BUCKETS ? took : BUCKETS - 1]++;
    windows[(now - started_us) / 1000000]++;
    statuses[self->status >= 100 && self->status < 600 ? self->status : 0]++;
    answers++;
    bytes += self->size;
    connection_go_on(self);
}

static int64_t
percentile(double part)
{
    uint64_t seen = 0, wanted = (uint64_t)(part * (double)answers);

    for (int64_t us = 0; us < BUCKETS; us++)
        if ((seen += histogram[us]) > wanted)
            return us;
    return BUCKETS;
}

static void
report(int seconds, double took_s)
{
    printf(
        "{\"rate\": %.1f, \"p50_us\": %lld, \"p90_us\": %lld, \"p99_us\": %lld, \"p999_us\": %lld, \"answers\": %llu, "
        "\"bytes\": %llu, \"resets\": %llu, \"windows\": [",
        (double)answers / took_s, (long long)percentile(0.5), (long long)percentile(0.9), (long long)percentile(0.99),
        (long long)percentile(0.999), (unsigned long long)answers, (unsigned long long)bytes,
        (unsigned long long)resets);
    for (int i = 0; i < seconds; i++)
        printf("%s%llu", i > 0 ? ", " : "", (unsigned long long)windows[i]);
    printf("], \"statuses\": {");
    for (int i = 0, first = 1; i < 600; i++)
        if (statuses[i] > 0) {
            printf("%s\"%d\": %llu", first ? "" : ", ", i, (unsigned long long)statuses[i]);
            first = 0;
        }
    printf("}}\n");
}

int
main(int argc, char **argv)
{
    static struct epoll_event events[256];
    int count = argc >= 5 ? (int)strtol(argv[2], NULL, 10) : 0,
        seconds = argc >= 5 ? (int)strtol(argv[3], NULL, 10) : 0;
    int64_t started_us, until_us;

    once = seconds == 0;
    rate = argc == 6 ? strtol(argv[5], NULL, 10) : 0;
    if (count < 1 || count > CONNECTIONS_MAX || seconds < 0 || seconds > SECONDS_MAX) {
        fprintf(stderr, "usage: load PORT CONNECTIONS SECONDS REQUESTS_FILE [RATE]\n");
        return 2;
    }
    target.sin_port = htons((uint16_t)strtol(argv[1], NULL, 10));
    target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    requests_read(argv[4]);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < count; i++) {
        connections[i].next = (uint32_t)i * 7919u % request_count;
        connection_open(&connections[i]);
    }
    started_us = now_us();
    until_us = started_us + (once ? SECONDS_MAX : seconds) * INT64_C(1000000);
    while (now_us() < until_us && !(once && answers >= request_count)) {
        int ready = epoll_wait(epoll_fd, events, 256, rate > 0 ? 1 : 100);

        for (int i = 0; i < ready; i++)
            connection_readable(events[i].data.ptr, started_us);
        send_those_due(started_us);
    }
    report(seconds, (double)(now_us() - started_us) / 1e6);
    return 0;
}
