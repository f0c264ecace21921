/* Metrics: exact under threads, and in the text form that Prometheus reads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "metric.h"

#define THREADS 4
#define ROUNDS  20000

static struct metric counted = METRIC_COUNTER("test_counted_total", "Counted.");
static struct metric level = METRIC_GAUGE("test_level", "A level.");
static struct metric waits = METRIC_HISTOGRAM("test_wait_seconds", "Waits.");
static struct metric auth = METRIC_GAUGE("test_ready", "Ready.");
static struct metric store = METRIC_GAUGE("test_ready", "Ready.");
static struct metric unused = METRIC_COUNTER("test_unused_total", "Never used.");

static void *
count(void *nothing)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        metric_add(&counted, 1);
        metric_observe_us(&waits, 100);
    }
    return nothing;
}

static void
threads_lose_nothing(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(metric_value(&counted), THREADS * ROUNDS);
    assert_int_equal(metric_value(&waits), 100 * THREADS * ROUNDS);
}

static void
text_form_is_complete(void **state)
{
    struct buf buf;
    const char *text;

    (void)state;
    auth.labels = "service=\"auth\"";
    store.labels = "service=\"store-data\"";
    metric_set(&level, -5);
    metric_set(&auth, 3);
    metric_set(&store, 4);
    metric_observe_us(&waits, 0);
    metric_observe_us(&waits, 64);
    metric_observe_us(&waits, 65);
    metric_observe_us(&waits, INT64_MAX / 4);
    buf_init(&buf, 65536);
    metric_write(&buf);
    buf_append_byte(&buf, '\0');
    text = buf.data;
    assert_non_null(strstr(text, "# HELP test_counted_total Counted.\n# TYPE test_counted_total counter\n"
                                 "test_counted_total 80000\n"));
    assert_non_null(strstr(text, "# TYPE test_level gauge\ntest_level -5\n"));
    assert_non_null(strstr(text, "test_ready{service=\"store-data\"} 4\ntest_ready{service=\"auth\"} 3\n"));
    assert_ptr_equal(strstr(strstr(text, "# TYPE test_ready") + 1, "# TYPE test_ready"), NULL);
    assert_non_null(strstr(text, "test_wait_seconds_bucket{le=\"0.000064\"} 2\n"
                                 "test_wait_seconds_bucket{le=\"0.000128\"} 80003\n"));
    assert_non_null(strstr(text, "_bucket{le=\"1.048576\"} 80003\ntest_wait_seconds_bucket{le=\"+Inf\"} 80004\n"));
    assert_non_null(strstr(text, "test_wait_seconds_count 80004\n"));
    assert_non_null(strstr(text, "\nprocess_cpu_seconds_total "));
    assert_non_null(strstr(text, "\nprocess_resident_memory_bytes "));
    assert_null(strstr(text, unused.name));
    buf_free(&buf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_lose_nothing),
        cmocka_unit_test(text_form_is_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
