/* load.c - drives HTTP load over keep-alive connections and says what came back, as one line of JSON.
 *
 * load PORT CONNECTIONS SECONDS REQUESTS_FILE [once | RATE]
 *
 * The file has whole requests, byte for byte, each behind its length (4 bytes, little-endian). Every connection walks
 * them from a place of its own, again and again, and has one request under way. With `once`, or SECONDS 0, each is sent
 * once at most, by whichever connection is free: for writes. With a RATE so many are sent a second, evenly, one request
 * after the other, as long as a connection is free. After the last second what is under way is waited for, so
 * that nothing of it falls into the next measurement. One thread, epoll, at most SECONDS_MAX seconds, 127.0.0.1 only.
 * Unlike wrk it reports the rate of every one-second window and exact percentiles; the first answer that is an error is
 * told on standard error.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
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
#define DRAIN_SECONDS   10
#define REQUESTS_MAX    262144
#define BUCKETS         2000000 /* microseconds; slower ones count as the last */
#define ANSWER_MAX      (1 << 20)

struct connection {
    int fd;
    uint32_t asked, next; /* the request under way, and the one behind it */
    int64_t sent_us;
    size_t size;     /* bytes of the answer so far */
    size_t expected; /* of the whole answer, 0 while that is unknown */
    bool busy, chunked;
    int status;
    char head[4096];
    size_t head_size;
    char tail[7]; /* the last bytes that came */
};

static struct connection connections[CONNECTIONS_MAX];
static char *requests[REQUESTS_MAX];
static size_t request_sizes[REQUESTS_MAX];
static uint32_t request_count, request_next, busy_count;
static bool once, over;
static int64_t rate, paced;                      /* a second; sent so far */
static struct connection *idle[CONNECTIONS_MAX]; /* while it is paced */
static int idle_count;
static uint32_t histogram[BUCKETS];
static uint64_t windows[SECONDS_MAX + 1], statuses[600], resets, answers, bytes;
static bool error_told;
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
    FILE *file = fopen(path, "re");
    unsigned char size[4];

    if (file == NULL)
        die(path);
    while (request_count < REQUESTS_MAX && fread(size, sizeof size, 1, file) == 1) {
        size_t wanted = (size_t)size[0] | (size_t)size[1] << 8 | (size_t)size[2] << 16 | (size_t)size[3] << 24;
        char *text = malloc(wanted + 1);

        if (text == NULL || fread(text, 1, wanted, file) != wanted)
            die(path);
        text[wanted] = '\0';
        requests[request_count] = text;
        request_sizes[request_count++] = wanted;
    }
    fclose(file);
    if (request_count == 0)
        die("no requests in the file");
}

/* A body that is larger than what the kernel takes at once goes on when there is room again. */
static void
write_whole(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t wrote = write(fd, data, size);

        if (wrote < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 1000);
            continue;
        }
        if (wrote <= 0)
            return; /* the end of the connection is read next */
        data += wrote;
        size -= (size_t)wrote;
    }
}

static void
connection_send(struct connection *self)
{
    self->busy = false;
    if (over || (once && request_next == request_count))
        return;
    self->asked = once ? request_next++ : rate > 0 ? (uint32_t)(paced++ % request_count) : self->next;
    self->next = (self->asked + 1) % request_count;
    self->sent_us = now_us();
    self->size = self->expected = self->head_size = 0;
    self->chunked = false;
    self->busy = true;
    busy_count++;
    write_whole(self->fd, requests[self->asked], request_sizes[self->asked]);
}

static void
connection_go_on(struct connection *self)
{
    self->busy = false;
    if (rate > 0)
        idle[idle_count++] = self;
    else
        connection_send(self);
}

static void
send_those_due(int64_t started_us)
{
    int64_t due = (now_us() - started_us) * rate / 1000000;

    while (!over && paced < due && idle_count > 0)
        connection_send(idle[--idle_count]);
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

/* Finds the end of the head and with it the whole answer's size, or that it comes in chunks. */
static void
connection_read_head(struct connection *self, const char *data, size_t size)
{
    size_t room = sizeof self->head - 1 - self->head_size, take = size < room ? size : room;
    const char *length, *coding;
    char *end;

    memcpy(self->head + self->head_size, data, take);
    self->head_size += take;
    self->head[self->head_size] = '\0';
    end = strstr(self->head, "\r\n\r\n");
    if (end == NULL)
        return;
    *end = '\0'; /* what came of the body is not looked at */
    self->status = (int)strtol(self->head + 9, NULL, 10);
    length = strcasestr(self->head, "\r\nContent-Length:");
    coding = strcasestr(self->head, "\r\nTransfer-Encoding: chunked");
    self->chunked = coding != NULL;
    if (!self->chunked)
        self->expected = (size_t)(end + 4 - self->head) + (length != NULL ? strtoul(length + 17, NULL, 10) : 0);
}

/* What is chunked here is NDJSON, which has no carriage return in it: these bytes are its end alone. */
static bool
connection_is_complete(struct connection *self, const char *data, size_t size)
{
    size_t fresh = size < sizeof self->tail ? size : sizeof self->tail;

    memmove(self->tail, self->tail + fresh, sizeof self->tail - fresh);
    memcpy(self->tail + sizeof self->tail - fresh, data + size - fresh, fresh);
    if (self->chunked)
        return memcmp(self->tail, "\r\n0\r\n\r\n", sizeof self->tail) == 0;
    return self->expected != 0 && self->size >= self->expected;
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
        resets += self->busy; /* one that is closed while nothing is asked has lost nothing */
        busy_count -= self->busy;
        close(self->fd);
        for (int i = 0; i < idle_count; i++)
            if (idle[i] == self)
                idle[i] = idle[--idle_count];
        connection_open(self);
        return;
    }
    if (self->expected == 0 && !self->chunked)
        connection_read_head(self, data, (size_t)size);
    self->size += (size_t)size;
    if (!connection_is_complete(self, data, (size_t)size))
        return;
    now = now_us();
    took = now - self->sent_us;
    histogram[took < BUCKETS ? took : BUCKETS - 1]++;
    windows[(now - started_us) / 1000000 < SECONDS_MAX ? (now - started_us) / 1000000 : SECONDS_MAX]++;
    if (self->status >= 400 && !error_told) {
        error_told = true;
        fprintf(stderr, "%.*s\n%s\n", (int)strcspn(requests[self->asked], "\r"), requests[self->asked], self->head);
    }
    statuses[self->status >= 100 && self->status < 600 ? self->status : 0]++;
    answers++;
    bytes += self->size;
    busy_count--;
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
    int count = argc >= 5 ? (int)strtol(argv[2], NULL, 10) : 0;
    double seconds = argc >= 5 ? strtod(argv[3], NULL) : 0;
    int64_t started_us, until_us;

    rate = argc == 6 ? strtol(argv[5], NULL, 10) : 0;
    once = seconds == 0 || (argc == 6 && rate == 0);
    if (count < 1 || count > CONNECTIONS_MAX || seconds < 0 || seconds > SECONDS_MAX || argc > 6) {
        fprintf(stderr, "usage: load PORT CONNECTIONS SECONDS REQUESTS_FILE [once | RATE]\n");
        return 2;
    }
    target.sin_port = htons((uint16_t)strtol(argv[1], NULL, 10));
    target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    requests_read(argv[4]);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    started_us = now_us();
    for (int i = 0; i < count; i++) {
        connections[i].next = (uint32_t)i * 7919u % request_count;
        connection_open(&connections[i]);
    }
    until_us = started_us + (int64_t)((seconds == 0 ? SECONDS_MAX : seconds) * 1e6);
    while ((busy_count > 0 || (rate > 0 && !over)) && now_us() < until_us + DRAIN_SECONDS * INT64_C(1000000)) {
        int ready = epoll_wait(epoll_fd, events, 256, rate > 0 ? 1 : 100);

        for (int i = 0; i < ready; i++)
            connection_readable(events[i].data.ptr, started_us);
        over = now_us() >= until_us;
        if (rate > 0)
            send_those_due(started_us);
    }
    resets += busy_count; /* never answered */
    report((int)seconds, (double)(now_us() - started_us) / 1e6);
    return 0;
}
