/* limiter.h - fixed windows, exact over all gateway processes of a host (protocols 9).
 *
 * One 64-bit word per key and window in a mapped file, changed by compare-and-swap only, on CLOCK_BOOTTIME, so that no
 * stopped or killed process holds anything up. Costs a hash and one or two cache lines.
 */
#ifndef LIMITER_H
#define LIMITER_H

#include "config.h"
#include "contract.h"

struct limiter;

struct limit_answer {
    bool allowed;
    uint32_t limit;
    uint32_t remaining;
    uint32_t reset_s; /* seconds until the window ends, at least 1 */
};

/* One file per distinct window length, PATH.SECONDS.BOOT (the clock starts anew with the machine, so the counters do as
 * well). A file is made when it is not there (temporary name, then link) and checked when it is. A class whose count or
 * seconds is 0 is never limited, as RATE_EXEMPT. NULL after logging why. */
struct limiter *limiter_new(const char *path, const struct config_rate rates[RATE_CLASSES]);
void limiter_destroy(struct limiter **self); /* the files stay: other processes count in them */

/* The clock windows are cut from; clock_boot_ms unless a test gives its own. */
void limiter_set_clock(struct limiter *self, int64_t (*boot_ms)(void));

enum limit_subject { LIMIT_ADDRESS, LIMIT_CREDENTIAL }; /* what to do when the probes are used up: 429, or pass */

/* Counts one request of the key in the class. At the limit nothing is written. A count ends at 1,048,575: a limit above
 * that is not enforced, which limiter_new logs. */
struct limit_answer limiter_take(struct limiter *self, enum rate_class class, enum limit_subject subject,
                                 const void *key, size_t key_size);

/* The same look without counting. */
struct limit_answer limiter_peek(struct limiter *self, enum rate_class class, enum limit_subject subject,
                                 const void *key, size_t key_size);

/* Canonical key of a client address: IPv4 whole, IPv6 by /64 (protocols 9). Returns its size, at most 24. */
size_t limiter_address_key(uint8_t target[24], const char *address);

#endif
