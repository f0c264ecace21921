/* test_access.c - the access log when nobody reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "access.h"
#include "metric.h"

#define REQUESTS 2000

static bool
lost_some(void)
{
    struct buf text;
    const char *line;
    bool lost;

    buf_init(&text, 1048576);
    metric_write(&text);
    buf_append_byte(&text, '\0');
    line = strstr(text.data, "\nsx_access_lines_lost_total ");
    assert_non_null(line);
    lost = strtol(strchr(line, ' '), NULL, 10) > 0;
    buf_free(&text);
    return lost;
}

/* Takes what stands in the pipe; behind what was taken before. */
static void
drain(int fd, struct buf *text)
{
    char part[65536];
    ssize_t size;

    while ((size = read(fd, part, sizeof part)) > 0)
        buf_append(text, part, (size_t)size);
}

/* How many lines there are; each must be a whole one. */
static unsigned
lines_of(const struct buf *text)
{
    const char *line = text->data, *end = text->data + text->size;
    unsigned count = 0;

    for (; line < end; count++) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));

        assert_non_null(newline);
        assert_memory_equal(line, "{\"time\":\"", 9);
        assert_int_equal(newline[-1], '}');
        line = newline + 1;
    }
    return count;
}

/* Nothing here would ever end if a write waited. What was kept comes, in order, once somebody reads. */
static void
test_a_full_pipe_costs_lines_and_no_time(void **state)
{
    struct request request = {.method_name = "GET", .path = STR("/api/apps/v1/orders"), .answer = {.status = 200}};
    struct access *access = access_new("gateway-1", true);
    int ends[2], terminal = dup(STDERR_FILENO);
    struct buf text;

    (void)state;
    buf_init(&text, 1048576);
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    for (unsigned i = 0; i < REQUESTS; i++) {
        access_note(access, &request);
        access_flush(access);
    }
    drain(ends[0], &text);
    access_flush(access);
    drain(ends[0], &text);
    dup2(terminal, STDERR_FILENO);
    assert_in_range(lines_of(&text), 1, REQUESTS - 1);
    assert_in_range(text.size, 65536, 4 * 65536); /* what the pipe held and what was kept */
    assert_true(lost_some());
    buf_free(&text);
    close(ends[0]);
    close(ends[1]);
    close(terminal);
    access_destroy(&access);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_full_pipe_costs_lines_and_no_time)};

    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
