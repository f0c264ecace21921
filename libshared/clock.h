/* clock.h - the one clock (decision 14).
 *
 * clock_now_us is wall time and can be set forward under SX_DEV=1 (SX_CLOCK_FILE: a file whose text is an offset in
 * seconds, read again when it changes), so that everything that expires or is scheduled runs in a test in seconds.
 * Deadlines and leases use the other two, which nothing can set.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include "base.h"

int64_t clock_now_us(void);               /* since 1970, UTC, with the settable offset */
int64_t clock_day_begin(int64_t time_us); /* the midnight, UTC, before a time or at it; also before 1970 */
int64_t clock_monotonic_ms(void);         /* deadlines within a process */
int64_t clock_monotonic_us(void);         /* the same clock, to measure with */
int64_t clock_boot_ms(void); /* CLOCK_BOOTTIME: leases and rate windows; the same for all processes of a host */

/* path stays borrowed for good; NULL or "" means never set. Read at most once per 50 ms. */
void clock_follow(const char *path);

#endif
