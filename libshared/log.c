/* log.c - one JSON line per event, written with one write(2).
 *
 * The line is built in a fixed buffer on the stack: logging never allocates, never waits for a lock, and works while
 * everything else is failing. What does not fit is cut, and the line says so; it stays valid JSON in any case.
 */
#include "log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base.h"
#include "clock.h"
#include "text.h"

#define LINE_MAX_SIZE 4096
#define LINE_TAIL     16 /* room for a closing quote, `,"cut":true}` and the newline */

struct line {
    char data[LINE_MAX_SIZE];
    size_t size;
    bool cut;
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static char process_name[64] = "?";
static _Atomic int level_from = LOG_INFO;

void
log_start(const char *process, enum log_level from)
{
    snprintf(process_name, sizeof process_name, "%s", process);
    atomic_store(&level_from, (int)from);
}

int
log_level_of(const char *name, enum log_level *level)
{
    for (unsigned i = 0; i < ARRAY_COUNT(level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    }
    return -1;
}

static bool
line_add(struct line *self, const char *data, size_t size)
{
    if (self->cut || self->size + size > LINE_MAX_SIZE - LINE_TAIL) {
        self->cut = true;
        return false;
    }
    memcpy(self->data + self->size, data, size);
    self->size += size;
    return true;
}

/* Bytes of the well-formed UTF-8 character at text, 0 when there is none. text is NUL-terminated. */
static size_t
character_size(const char *text)
{
    unsigned char first = (unsigned char)*text;
    size_t size = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;

    return text_is_utf8(text, strnlen(text, size)) ? size : 0;
}

static void
line_add_string(struct line *self, const char *text)
{
    if (!line_add(self, "\"", 1))
        return;
    while (*text) {
        size_t size = character_size(text);
        char escaped[8];

        if (size == 0)
            snprintf(escaped, sizeof escaped, "\xEF\xBF\xBD");
        else if (*text == '"' || *text == '\\')
            snprintf(escaped, sizeof escaped, "\\%c", *text);
        else if ((unsigned char)*text < 0x20 || *text == 0x7F)
            snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned char)*text);
        else
            snprintf(escaped, sizeof escaped, "%.*s", (int)size, text);
        if (!line_add(self, escaped, strlen(escaped)))
            break;
        text += size ? size : 1;
    }
    self->data[self->size++] = '"'; /* LINE_TAIL keeps the room, so that a cut string is closed as well */
}

static void
line_add_name(struct line *self, const char *name)
{
    char text[64];

    snprintf(text, sizeof text, "%s\"%s\":", self->size > 1 ? "," : "", name);
    line_add(self, text, strlen(text));
}

/* One pair, of which text counts or number, by the type that stands before its name. */
static void
line_add_pair(struct line *self, const char *typed_name, const char *text, int64_t number)
{
    size_t before = self->size;
    char digits[24];

    line_add_name(self, typed_name + 2);
    if (typed_name[0] == 's' && text && !self->cut && self->size < LINE_MAX_SIZE - LINE_TAIL) {
        line_add_string(self, text);
        return; /* a string that was cut stays, as far as it goes */
    }
    if (typed_name[0] == 'l')
        snprintf(digits, sizeof digits, "%lld", (long long)number);
    else if (typed_name[0] == 'b')
        snprintf(digits, sizeof digits, "%s", number ? "true" : "false");
    else
        snprintf(digits, sizeof digits, "null");
    if (!line_add(self, digits, strlen(digits)))
        self->size = before;
}

static void
write_line(enum log_level level, const char *event, va_list values)
{
    struct line line = {.size = 0};
    char time[TIME_TEXT_SIZE];
    const char *name;

    text_from_time(time, clock_now_us());
    line_add(&line, "{", 1);
    line_add_name(&line, "time");
    line_add_string(&line, time);
    line_add_name(&line, "level");
    line_add_string(&line, level_names[level]);
    line_add_name(&line, "process");
    line_add_string(&line, process_name);
    line_add_name(&line, "event");
    line_add_string(&line, event);
    while (!line.cut && (name = va_arg(values, const char *))) { /* NOLINT(clang-analyzer-valist.Uninitialized) */
        assert(name[0] != '\0' && strchr("slb", name[0]) && name[1] == ':');
        if (name[0] == 's')
            line_add_pair(&line, name, va_arg(values, const char *), 0);
        else
            line_add_pair(&line, name, NULL, name[0] == 'l' ? va_arg(values, int64_t) : va_arg(values, int));
    }
    if (line.cut) {
        memcpy(line.data + line.size, ",\"cut\":true", 11);
        line.size += 11;
    }
    memcpy(line.data + line.size, "}\n", 2);
    line.size += 2;
    if (write(STDERR_FILENO, line.data, line.size) < 0)
        return; /* nobody is left to tell */
}

void
log_event(enum log_level level, const char *event, ...)
{
    va_list values;

    if ((int)level < atomic_load_explicit(&level_from, memory_order_relaxed))
        return;
    va_start(values, event);
    write_line(level, event, values);
    va_end(values);
}

void
log_fatal(const char *event, ...)
{
    va_list values;

    va_start(values, event);
    write_line(LOG_ERROR, event, values);
    va_end(values);
    _exit(1); /* exit would run destructors of libraries whose threads and sockets are still in use */
}
