/* Log lines: one write, valid JSON whatever is put in, never longer than 4 KiB. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "json.h"
#include "log.h"

static int saved = -1, reader = -1;
static char text[8192];

/* Standard error is a pipe of packets while a test runs, so each write(2) is read by itself. */
static int
catch_stderr(void **state)
{
    int ends[2];

    (void)state;
    if (pipe2(ends, O_DIRECT | O_NONBLOCK) != 0)
        return -1;
    saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    reader = ends[0];
    return 0;
}

static int
release_stderr(void **state)
{
    (void)state;
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(reader);
    log_start("?", LOG_INFO);
    return 0;
}

static const char *
line(void)
{
    ssize_t size = read(reader, text, sizeof text - 1);

    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void
assert_one_json_line(const char *given)
{
    char why[JSON_WHY_SIZE] = "";
    struct buf value;
    size_t len = strlen(given);

    assert_true(len > 1 && len <= 4096);
    assert_ptr_equal(strchr(given, '\n'), given + len - 1);
    buf_init(&value, 65536);
    assert_int_equal(json_to_msgpack(given, len - 1, &value, why), 0);
    buf_free(&value);
}

static void
fields_stand_in_their_order(void **state)
{
    (void)state;
    log_start("gateway/1", LOG_INFO);
    log_event(LOG_WARN, "worker_lost", "s:service", "auth", "l:waited_ms", INT64_C(-12), "b:late", 1, "s:id", NULL,
              NULL);
    assert_one_json_line(line());
    assert_memory_equal(text, "{\"time\":\"20", 11);
    assert_string_equal(strstr(text, "\",\"level\""),
                        "\",\"level\":\"warn\",\"process\":\"gateway/1\",\"event\":\"worker_lost\","
                        "\"service\":\"auth\",\"waited_ms\":-12,\"late\":true,\"id\":null}\n");
}

static void
levels_below_are_silent(void **state)
{
    enum log_level level;

    (void)state;
    log_start("p", LOG_WARN);
    log_event(LOG_INFO, "quiet", NULL);
    assert_string_equal(line(), "");
    log_event(LOG_ERROR, "loud", NULL);
    assert_one_json_line(line());
    assert_int_equal(log_level_of("debug", &level), 0);
    assert_int_equal(level, LOG_DEBUG);
    assert_int_equal(log_level_of("DEBUG", &level), -1);
}

static void
anything_becomes_valid_json(void **state)
{
    static const char *const values[] = {
        "quote \" backslash \\ newline \n tab \t bell \a delete \x7f",
        "{\"injected\":1}\n{\"time\":\"x\"}",
        "bad utf-8 \xff\xfe, cut \xe2\x82",
        "surrogate \xed\xa0\x80 overlong \xc0\xaf",
        "\xe0\xa6\xa2\xe0\xa6\xbe\xe0\xa6\x95\xe0\xa6\xbe \xf0\x9f\x98\x80",
        "",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        log_event(LOG_ERROR, values[i], "s:value", values[i], NULL);
        assert_one_json_line(line());
    }
    log_event(LOG_ERROR, "e", "s:value",
              "a\xff"
              "b",
              NULL);
    assert_non_null(strstr(line(), "a\xEF\xBF\xBD"
                                   "b"));
}

static void
long_lines_are_cut_and_say_so(void **state)
{
    static const char *const fills[] = {"x", "\n", "\xff", "\xe0\xa6\xa2", "\""};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(fills); i++) {
        for (size_t size = 3900; size < 6000; size += 7) {
            char value[6144];
            size_t len = 0, step = strlen(fills[i]);

            for (; len + step < size; len += step)
                memcpy(value + len, fills[i], step);
            value[len] = '\0';
            log_event(LOG_ERROR, "long", "s:value", value, "l:after", INT64_C(1), NULL);
            assert_one_json_line(line());
            assert_true(strstr(text, "\"after\":1") != NULL || strstr(text, "\"cut\":true") != NULL);
        }
    }
}

static void
fatal_logs_and_ends_the_process(void **state)
{
    int status = 0;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        log_fatal("gone", "s:why", "test", NULL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_one_json_line(line());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fields_stand_in_their_order, catch_stderr, release_stderr),
        cmocka_unit_test_setup_teardown(levels_below_are_silent, catch_stderr, release_stderr),
        cmocka_unit_test_setup_teardown(anything_becomes_valid_json, catch_stderr, release_stderr),
        cmocka_unit_test_setup_teardown(long_lines_are_cut_and_say_so, catch_stderr, release_stderr),
        cmocka_unit_test_setup_teardown(fatal_logs_and_ends_the_process, catch_stderr, release_stderr),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
