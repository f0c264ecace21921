/* access.h - what happened: a line of the access log and the counters for each request.
 *
 * Lines are gathered over one turn of the loop and written at once. When whoever reads them is behind, some 60 KiB are
 * kept and further lines are dropped and counted. A line names the path without its query, and no
 * credential; SX_ACCESS_LOG=0 turns the lines off, the counters stay.
 */
#ifndef ACCESS_H
#define ACCESS_H

#include "request.h"

struct access *access_new(const char *process, bool log);
void access_destroy(struct access **self);

/* The request has ended: answered, or its client is gone. */
void access_note(struct access *self, const struct request *request);

void access_flush(struct access *self); /* never waits, once stderr does not (main.c) */

/* Requests by operation and class of status, and their durations, in Prometheus text. */
void access_write_metrics(const struct access *self, struct buf *target);

int64_t access_now_us(void); /* CLOCK_MONOTONIC, for durations */

#endif
