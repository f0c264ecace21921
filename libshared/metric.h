/* metric.h - counters, gauges and histograms of one process, in Prometheus text form.
 *
 * Metrics are few and static: each is defined once at file level and registers itself on first use. Updates are
 * atomic and take a few nanoseconds.
 *
 *     static struct metric lost = METRIC_COUNTER("sx_worker_lost_total", "Workers that vanished while working.");
 *     metric_add(&lost, 1);
 */
#ifndef METRIC_H
#define METRIC_H

#include <stdatomic.h>

#include "buf.h"

enum metric_kind { METRIC_KIND_COUNTER, METRIC_KIND_GAUGE, METRIC_KIND_HISTOGRAM };

/* A histogram is fed microseconds and written in seconds, as Prometheus wants it: its name ends in _seconds. Buckets
 * are powers of two from 64 us; the last is +Inf. */
#define METRIC_BUCKETS 16

struct metric {
    enum metric_kind kind;
    const char *name;
    const char *help;
    const char *labels;    /* "service=\"auth\"" or NULL; metrics of one name stand together */
    _Atomic int64_t value; /* histogram: the sum */
    _Atomic int64_t buckets[METRIC_BUCKETS];
    struct metric *next;
    atomic_flag registered;
};

#define METRIC_COUNTER(name_, help_)                                                                                   \
    {                                                                                                                  \
        .kind = METRIC_KIND_COUNTER, .name = (name_), .help = (help_), .registered = ATOMIC_FLAG_INIT                  \
    }
#define METRIC_GAUGE(name_, help_)                                                                                     \
    {                                                                                                                  \
        .kind = METRIC_KIND_GAUGE, .name = (name_), .help = (help_), .registered = ATOMIC_FLAG_INIT                    \
    }
#define METRIC_HISTOGRAM(name_, help_)                                                                                 \
    {                                                                                                                  \
        .kind = METRIC_KIND_HISTOGRAM, .name = (name_), .help = (help_), .registered = ATOMIC_FLAG_INIT                \
    }

void metric_add(struct metric *self, int64_t amount);
void metric_set(struct metric *self, int64_t value);
void metric_observe_us(struct metric *self, int64_t us);
int64_t metric_value(const struct metric *self);

/* The text exposition of everything registered in this process, plus process_cpu_seconds_total and resident memory. */
void metric_write(struct buf *target);

#endif
