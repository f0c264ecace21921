/* period.c - the calendar is the C library's: gmtime_r and timegm know nothing of time zones. */
#include "period.h"

#include <assert.h>
#include <time.h>

#define MONTHS_OF_YEAR 12

static int
days_in(int year, int month)
{
    static const int days[MONTHS_OF_YEAR] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month] + (month == 1 && leap);
}

/* Splits off what is less than a second, also before 1970. */
static time_t
whole_seconds(int64_t time_us, int64_t *rest_us)
{
    *rest_us = time_us % US_PER_SECOND;
    if (*rest_us < 0)
        *rest_us += US_PER_SECOND;
    return (time_t)((time_us - *rest_us) / US_PER_SECOND);
}

static void
add_months(struct tm *date, int64_t months)
{
    int64_t month = date->tm_mon + months;

    date->tm_year += (int)(month / MONTHS_OF_YEAR);
    date->tm_mon = (int)(month % MONTHS_OF_YEAR);
}

int64_t
period_begin(int64_t anchor_us, enum interval interval, int64_t number)
{
    int64_t rest_us;
    time_t seconds = whole_seconds(anchor_us, &rest_us);
    struct tm date;
    int last;

    assert(number >= 0 && number <= PERIODS_MAX);
    gmtime_r(&seconds, &date);
    add_months(&date, interval == INTERVAL_YEARLY ? number * MONTHS_OF_YEAR : number);
    last = days_in(date.tm_year + 1900, date.tm_mon);
    if (date.tm_mday > last)
        date.tm_mday = last;
    return (int64_t)timegm(&date) * US_PER_SECOND + rest_us;
}

int64_t
month_begin(int64_t time_us, int64_t later)
{
    int64_t rest_us;
    time_t seconds = whole_seconds(time_us, &rest_us);
    struct tm date;

    gmtime_r(&seconds, &date);
    add_months(&date, later);
    date.tm_mday = 1;
    date.tm_hour = date.tm_min = date.tm_sec = 0;
    return (int64_t)timegm(&date) * US_PER_SECOND;
}
