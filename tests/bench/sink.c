/* sink.c - an endpoint for webhooks that costs next to nothing: answers 200 to every POST over kept connections, and
 * says on demand how many came, how many different events they were, and how long after their event's time they came.
 *
 * sink PORT
 *
 * Each line on its standard input is a question, answered by one line of JSON; the line "clear" forgets what was
 * counted first. It ends with its input. One thread, epoll, 127.0.0.1 only. Times are the wall clock's, the one that
 * events carry in the member "timestamp" of their body, in milliseconds, cut off: a delivery may look a millisecond
 * later than it was.
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

#define CONNECTIONS_MAX 4096
#define REQUEST_MAX     65536
#define BUCKETS         1000000 /* of BUCKET_US; later ones count as the last */
#define BUCKET_US       100
#define KNOWN_SIZE      (UINT32_C(1) << 22) /* at most half of it is used */
#define ID_HEADER       "X-SeloraX-Webhook-Event-Id: "
#define SIGNED_HEADER   "X-SeloraX-Signature: sha256="

struct connection {
    int fd;
    size_t size, expected; /* of the request; expected is 0 while its head is incomplete */
    char *data;
};

static struct connection connections[CONNECTIONS_MAX];
static uint32_t histogram[BUCKETS];
static uint64_t *known, received, distinct, unsigned_count, accepted;
static int64_t first_us, last_us;
static int epoll_fd, listen_fd;

static void
die(const char *what)
{
    fprintf(stderr, "sink: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t
now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

/* ---- what was received ------------------------------------------------------------------------------------------- */

static void
clear(void)
{
    memset(histogram, 0, sizeof histogram);
    memset(known, 0, KNOWN_SIZE * sizeof *known);
    received = distinct = unsigned_count = 0;
    first_us = last_us = 0;
}

/* "2026-01-15T08:30:00.123Z" */
static int64_t
time_of(const char *text)
{
    struct tm parts = {0};
    int ms = 0;

    if (sscanf(text, "%d-%d-%dT%d:%d:%d.%dZ", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &parts.tm_hour,
               &parts.tm_min, &parts.tm_sec, &ms) != 7)
        return 0;
    parts.tm_year -= 1900;
    parts.tm_mon--;
    return timegm(&parts) * INT64_C(1000000) + ms * INT64_C(1000);
}

/* By half of its random digits, which is enough for a few millions. */
static void
count_event(const char *id)
{
    char digits[17];
    uint64_t value;
    uint32_t place;

    memcpy(digits, id, 8);
    memcpy(digits + 8, id + 24, 8);
    digits[16] = '\0';
    value = strtoull(digits, NULL, 16) | 1;
    place = (uint32_t)(value >> 16) & (KNOWN_SIZE - 1);
    while (known[place] != 0 && known[place] != value)
        place = (place + 1) & (KNOWN_SIZE - 1);
    if (known[place] == 0 && distinct < KNOWN_SIZE / 2) {
        known[place] = value;
        distinct++;
    }
}

static void
take_request(const struct connection *self)
{
    const char *id = memmem(self->data, self->size, ID_HEADER, sizeof ID_HEADER - 1),
               *stamp = memmem(self->data, self->size, "\"timestamp\"", 11);
    int64_t now = now_us(), late = 0;

    if (stamp)
        late = (now - time_of(stamp + 11 + strcspn(stamp + 11, "0123456789"))) / BUCKET_US;
    histogram[late < 0 ? 0 : late < BUCKETS ? late : BUCKETS - 1]++;
    if (id)
        count_event(id + sizeof ID_HEADER - 1);
    unsigned_count += memmem(self->data, self->size, SIGNED_HEADER, sizeof SIGNED_HEADER - 1) == NULL;
    if (received++ == 0)
        first_us = now;
    last_us = now;
}

static double
percentile_ms(double part)
{
    uint64_t seen = 0, wanted = (uint64_t)(part * (double)received);

    for (int64_t n = 0; n < BUCKETS; n++)
        if ((seen += histogram[n]) > wanted)
            return (double)(n * BUCKET_US) / 1000;
    return BUCKETS * BUCKET_US / 1000.0;
}

static void
report(void)
{
    printf("{\"received\": %llu, \"distinct\": %llu, \"unsigned\": %llu, \"connections\": %llu, \"first_us\": %lld, "
           "\"last_us\": %lld, \"p50_ms\": %.1f, \"p99_ms\": %.1f, \"max_ms\": %.1f}\n",
           (unsigned long long)received, (unsigned long long)distinct, (unsigned long long)unsigned_count,
           (unsigned long long)accepted, (long long)first_us, (long long)last_us, percentile_ms(0.5),
           percentile_ms(0.99), percentile_ms(0.999999));
    fflush(stdout);
}

static void
answer_questions(void)
{
    char line[256];
    ssize_t size = read(STDIN_FILENO, line, sizeof line - 1);

    if (size <= 0)
        exit(0);
    line[size] = '\0';
    if (strncmp(line, "clear", 5) == 0)
        clear();
    report();
}

/* ---- connections ------------------------------------------------------------------------------------------------- */

static void
watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll_ctl");
}

static void
accept_all(void)
{
    int fd, on = 1;

    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= CONNECTIONS_MAX)
            die("too many connections");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections[fd].fd = fd;
        connections[fd].size = connections[fd].expected = 0;
        if (!connections[fd].data && !(connections[fd].data = malloc(REQUEST_MAX + 1)))
            die("memory");
        accepted++;
        watch(fd);
    }
}

static void
read_head(struct connection *self)
{
    const char *end = memmem(self->data, self->size, "\r\n\r\n", 4), *length;

    if (!end)
        return;
    self->data[self->size] = '\0';
    length = strcasestr(self->data, "\r\nContent-Length:");
    self->expected = (size_t)(end + 4 - self->data) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

static void
readable(struct connection *self)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    ssize_t size = read(self->fd, self->data + self->size, REQUEST_MAX - self->size);

    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        close(self->fd);
        return;
    }
    self->size += (size_t)size;
    if (self->expected == 0)
        read_head(self);
    if (self->expected == 0 || self->size < self->expected)
        return;
    take_request(self);
    self->size = self->expected = 0;
    if (write(self->fd, answer, sizeof answer - 1) != sizeof answer - 1)
        close(self->fd);
}

int
main(int argc, char **argv)
{
    static struct epoll_event events[256];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;

    if (argc != 2) {
        fprintf(stderr, "usage: sink PORT\n");
        return 2;
    }
    address.sin_port = htons((uint16_t)strtol(argv[1], NULL, 10));
    known = calloc(KNOWN_SIZE, sizeof *known);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!known || bind(listen_fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(listen_fd, 1024) != 0)
        die("listen");
    watch(listen_fd);
    watch(STDIN_FILENO);
    for (;;) {
        int ready = epoll_wait(epoll_fd, events, 256, -1);

        for (int i = 0; i < ready; i++)
            if (events[i].data.fd == listen_fd)
                accept_all();
            else if (events[i].data.fd == STDIN_FILENO)
                answer_questions();
            else
                readable(&connections[events[i].data.fd]);
    }
}
