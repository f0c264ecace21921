/* cors.h - which browsers' pages may read our answers (SX_CORS_ORIGINS).
 *
 * Credentials travel in headers, never in cookies, so "*" is a safe default. With a list, the origin is echoed when it
 * is in it and nothing is said otherwise.
 */
#ifndef CORS_H
#define CORS_H

#include "request.h"

struct cors *cors_new(const char *origins); /* "*" or origins with commas between; copied */
void cors_destroy(struct cors **self);

void cors_headers(const struct cors *self, struct request *request); /* on every answer to a request with an Origin */

/* The answer to OPTIONS: 200 with the methods in the body, for no answer is empty here, and in the headers. */
void cors_preflight(const struct cors *self, struct request *request, unsigned methods);

#endif
