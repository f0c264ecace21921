/* period.h - when the months and years of a subscription begin (contract K.5), and a calendar month.
 *
 * Pure: times are in microseconds since 1970 and days are those of UTC. Periods are counted from the first one, never
 * from the one before: 31 January is followed by 28 (or 29) February and then by 31 March.
 */
#ifndef PERIOD_H
#define PERIOD_H

#include "base.h"

enum interval { INTERVAL_MONTHLY, INTERVAL_YEARLY };

/* When period `number` (0 is the first, which begins at the anchor) begins and the one before it ends: so many months
 * or years later, on the anchor's day of the month, or on the last one where that month is shorter, at the same time
 * of day. number from 0 to PERIODS_MAX. */
#define PERIODS_MAX 12000
int64_t period_begin(int64_t anchor_us, enum interval interval, int64_t number);

/* The first moment of the calendar month that a time is in, and of the month `later` months after it. */
int64_t month_begin(int64_t time_us, int64_t later);

#endif
