/* log.h - one JSON line per event on standard error.
 *
 * Every line has time, level, process, event; the rest are pairs given by the caller. Lines are written with one
 * write(2), so lines of several processes on one file do not mix. Never log a body, a token, a secret or a key.
 *
 *     log_event(LOG_WARN, "worker_lost", "s:service", name, "s:request_id", id, "l:waited_ms", (int64_t)waited, NULL);
 *
 * Each pair is "TYPE:NAME" and a value: s (const char *, NULL is null), l (int64_t), b (int as boolean).
 */
#ifndef LOG_H
#define LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_start(const char *process, enum log_level from);

/* "debug", "info", "warn", "error"; -1 when it is none of them. */
int log_level_of(const char *name, enum log_level *level) __attribute__((warn_unused_result));

/* A line is at most 4 KiB; what does not fit is left out and the line ends with "cut":true. */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

/* For failures that leave no way on: logs and exits with status 1. */
void log_fatal(const char *event, ...) __attribute__((sentinel, noreturn));

#endif
