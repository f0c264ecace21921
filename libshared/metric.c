/* metric.c - the counters of this process and their text form.
 *
 * Metrics are linked into one list by the first thread that uses them; nothing is ever taken out, so the list can be
 * walked without a lock.
 */
#include "metric.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUCKET_FIRST_US 64

static struct metric *_Atomic registered_metrics;

static void
metric_register(struct metric *self)
{
    if (atomic_flag_test_and_set_explicit(&self->registered, memory_order_relaxed))
        return;
    self->next = atomic_load(&registered_metrics);
    while (!atomic_compare_exchange_weak(&registered_metrics, &self->next, self))
        ;
}

void
metric_add(struct metric *self, int64_t amount)
{
    metric_register(self);
    atomic_fetch_add_explicit(&self->value, amount, memory_order_relaxed);
}

void
metric_set(struct metric *self, int64_t value)
{
    metric_register(self);
    atomic_store_explicit(&self->value, value, memory_order_relaxed);
}

void
metric_observe_us(struct metric *self, int64_t us)
{
    unsigned bucket = 0;

    while (bucket < METRIC_BUCKETS - 1 && us > (int64_t)BUCKET_FIRST_US << bucket)
        bucket++;
    metric_register(self);
    atomic_fetch_add_explicit(&self->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&self->value, us, memory_order_relaxed);
}

int64_t
metric_value(const struct metric *self)
{
    return atomic_load_explicit(&self->value, memory_order_relaxed);
}

/* One line: name, suffix, labels, value. `le` is the bucket's bound, or NULL. */
static void
write_sample(struct buf *target, const struct metric *metric, const char *suffix, const char *le, const char *value)
{
    char text[64];
    const char *labels = metric->labels ? metric->labels : "";

    buf_append_text(target, metric->name);
    buf_append_text(target, suffix);
    if (*labels || le) {
        buf_append_byte(target, '{');
        buf_append_text(target, labels);
        if (le) {
            snprintf(text, sizeof text, "%sle=\"%s\"", *labels ? "," : "", le);
            buf_append_text(target, text);
        }
        buf_append_byte(target, '}');
    }
    snprintf(text, sizeof text, " %s\n", value);
    buf_append_text(target, text);
}

static void
write_metric(struct buf *target, const struct metric *metric)
{
    char value[32], bound[32];
    int64_t count = 0;

    if (metric->kind != METRIC_KIND_HISTOGRAM) {
        snprintf(value, sizeof value, "%lld", (long long)metric_value(metric));
        write_sample(target, metric, "", NULL, value);
        return;
    }
    for (unsigned i = 0; i < METRIC_BUCKETS; i++) {
        count += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
        if (i == METRIC_BUCKETS - 1)
            snprintf(bound, sizeof bound, "+Inf");
        else
            snprintf(bound, sizeof bound, "%.6f", (double)((int64_t)BUCKET_FIRST_US << i) / 1e6);
        snprintf(value, sizeof value, "%lld", (long long)count);
        write_sample(target, metric, "_bucket", bound, value);
    }
    snprintf(bound, sizeof bound, "%.6f", (double)metric_value(metric) / 1e6);
    write_sample(target, metric, "_sum", NULL, bound);
    write_sample(target, metric, "_count", NULL, value);
}

static void
write_head(struct buf *target, const char *name, const char *help, const char *kind)
{
    const char *parts[] = {"# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"};

    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
        buf_append_text(target, parts[i]);
}

static void
write_process(struct buf *target)
{
    struct timespec cpu;
    long size, resident;
    char text[96];
    FILE *statm;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0) {
        write_head(target, "process_cpu_seconds_total", "User and system CPU time spent.", "counter");
        snprintf(text, sizeof text, "process_cpu_seconds_total %.6f\n", (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
        buf_append_text(target, text);
    }
    statm = fopen("/proc/self/statm", "re");
    if (!statm)
        return;
    if (fscanf(statm, "%ld %ld", &size, &resident) == 2) {
        write_head(target, "process_resident_memory_bytes", "Resident memory.", "gauge");
        snprintf(text, sizeof text, "process_resident_memory_bytes %ld\n", resident * sysconf(_SC_PAGESIZE));
        buf_append_text(target, text);
    }
    fclose(statm);
}

static bool
is_first_of_name(const struct metric *from, const struct metric *metric)
{
    while (from != metric && strcmp(from->name, metric->name) != 0)
        from = from->next;
    return from == metric;
}

void
metric_write(struct buf *target)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    const struct metric *first = atomic_load(&registered_metrics);

    for (const struct metric *metric = first; metric; metric = metric->next) {
        if (!is_first_of_name(first, metric))
            continue;
        write_head(target, metric->name, metric->help, kinds[metric->kind]);
        for (const struct metric *other = metric; other; other = other->next) {
            if (strcmp(other->name, metric->name) == 0)
                write_metric(target, other);
        }
    }
    write_process(target);
}
