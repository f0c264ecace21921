/* money.h - exact amounts: an integer of the smallest unit and the number of decimals of its currency.
 *
 * No amount passes through binary floating point (contract K.1). 1460.00 BDT is 146000 with 2 decimals.
 */
#ifndef MONEY_H
#define MONEY_H

#include "base.h"

#define MONEY_DECIMALS_MAX 3
#define MONEY_MAX          INT64_C(999999999999999) /* fits numeric(18,3) and leaves room for sums */
#define MONEY_TEXT_SIZE    32

/* From a JSON number's or a PostgreSQL numeric's text. Refuses exponents, more decimals than given, and amounts beyond
 * MONEY_MAX. Trailing zeros beyond the decimals are refused as well: what was written is what is meant. */
int money_parse(const char *text, size_t len, unsigned decimals, int64_t *amount) must_check;

/* Always prints all decimals; returns the length. target holds MONEY_TEXT_SIZE bytes. */
size_t money_print(char *target, int64_t amount, unsigned decimals);

/* amount x quantity, and sums, that refuse to pass MONEY_MAX. */
int money_multiply(int64_t amount, int64_t quantity, int64_t *product) must_check;
int money_add(int64_t a, int64_t b, int64_t *sum) must_check;

#endif
