/* clock.c - wall time with a settable offset, and the two clocks that nothing can set.
 *
 * The offset is looked at again by whichever thread asks first after 50 ms, so nobody needs a timer or a signal and a
 * test that moves the clock sees it move in all processes at once.
 */
#include "clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FOLLOW_INTERVAL_MS 50
#define OFFSET_MAX_S       INT64_C(3155760000) /* a hundred years are enough for any test */

static const char *_Atomic followed;
static _Atomic int64_t offset_us;
static _Atomic int64_t look_again_ms;
static pthread_mutex_t looking = PTHREAD_MUTEX_INITIALIZER;

static int64_t
read_clock(clockid_t clock, int64_t per_second)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * per_second + now.tv_nsec / (1000000000 / per_second);
}

int64_t
clock_monotonic_ms(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000);
}

int64_t
clock_monotonic_us(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000000);
}

int64_t
clock_boot_ms(void)
{
    return read_clock(CLOCK_BOOTTIME, 1000);
}

/* A file that is missing means no offset; one that is being written, or makes no sense, changes nothing. */
static void
read_offset(const char *path)
{
    char text[32];
    char *end;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        atomic_store(&offset_us, 0);
        return;
    }
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    if (size <= 0)
        return;
    text[size] = '\0';
    long long seconds = strtoll(text, &end, 10);
    if (end == text || (*end != '\0' && *end != '\n') || seconds > OFFSET_MAX_S || seconds < -OFFSET_MAX_S)
        return;
    atomic_store(&offset_us, (int64_t)seconds * 1000000);
}

/* Who comes while another looks waits for what it sees: otherwise they would go on by the old time, for as long as the
 * other one gets no processor. */
static void
look_again(const char *path)
{
    int64_t now_ms = clock_monotonic_ms();

    if (now_ms < atomic_load(&look_again_ms))
        return;
    pthread_mutex_lock(&looking);
    if (now_ms >= atomic_load(&look_again_ms)) {
        read_offset(path);
        atomic_store(&look_again_ms, now_ms + FOLLOW_INTERVAL_MS);
    }
    pthread_mutex_unlock(&looking);
}

int64_t
clock_now_us(void)
{
    const char *path = atomic_load_explicit(&followed, memory_order_acquire);

    if (path)
        look_again(path);
    return read_clock(CLOCK_REALTIME, 1000000) + atomic_load_explicit(&offset_us, memory_order_relaxed);
}

void
clock_follow(const char *path)
{
    atomic_store(&offset_us, 0);
    atomic_store(&look_again_ms, 0);
    atomic_store_explicit(&followed, path && *path ? path : NULL, memory_order_release);
}

int64_t
clock_day_begin(int64_t time_us)
{
    int64_t rest = time_us % DAY_US;

    return time_us - (rest < 0 ? rest + DAY_US : rest);
}
