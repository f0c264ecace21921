/* text.h - checks on text that came from outside, shared by JSON, query strings and headers. */
#ifndef TEXT_H
#define TEXT_H

#include "base.h"

/* Well-formed UTF-8 by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. NUL is well-formed. */
bool text_is_utf8(const char *text, size_t len);

/* Characters (code points) of well-formed UTF-8. */
size_t text_characters(const char *text, size_t len);

/* A decimal integer with optional minus, nothing else, within int64_t. */
int text_to_int(const char *text, size_t len, int64_t *value) must_check;

/* A number by JSON's grammar (RFC 8259). */
bool text_is_number(const char *text, size_t len);

/* Decimal digits, NUL-terminated; the length. target holds INT_TEXT_SIZE bytes. */
#define INT_TEXT_SIZE 24
size_t text_from_int(char *target, int64_t value);
size_t text_from_uint(char *target, uint64_t value);

/* What a hex digit of either case stands for; -1 when it is none. */
int text_hex_digit(char c);

/* %XX and, when plus is set, + as a space (application/x-www-form-urlencoded). Decodes in place; -1 on a bad escape or
 * NUL. */
int text_percent_decode(char *text, size_t *len, bool plus) must_check;

/* RFC 3339 date-time, or a plain date (midnight UTC), to microseconds since 1970. Years 1 to 9999. */
int text_to_time(const char *text, size_t len, int64_t *time_us) must_check;

/* "2026-01-15T08:30:00.000Z" (contract 0.3: milliseconds, cut not rounded). target holds TIME_TEXT_SIZE bytes. */
#define TIME_TEXT_SIZE 32
size_t text_from_time(char *target, int64_t time_us);

/* Base64 (RFC 4648): the common alphabet with padding, or the URL one without. target holds BASE64_SIZE(size) bytes;
 * the answer is the length, and a NUL follows. Reading takes only what writing gives (the URL alphabet; unused bits
 * zero), so each value has one text; target holds len bytes. */
#define BASE64_SIZE(size) (((size) + 2) / 3 * 4 + 1)
size_t text_to_base64(char *target, const void *data, size_t size);
size_t text_to_base64url(char *target, const void *data, size_t size);
int text_from_base64url(void *target, size_t *size, const char *text, size_t len) must_check;

#endif
