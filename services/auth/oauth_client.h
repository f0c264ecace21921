/* oauth_client.h - which app calls an OAuth endpoint (RFC 6749, 2.3; contract A.1 rows 2 to 4).
 *
 * client_secret_basic or client_secret_post, never both in one request. Errors are the contract's: invalid_client 401,
 * with WWW-Authenticate where the Authorization header was used.
 */
#ifndef OAUTH_CLIENT_H
#define OAUTH_CLIENT_H

#include "call.h"
#include "client_secret.h"

struct oauth_client {
    const char *client_id; /* as shown; not to be believed before oauth_client_check */
    struct str secret;
    bool basic;
    struct client_secret_match match; /* of oauth_client_check */
};

/* What the request shows; -1 after call_fail when that is nothing, or contradicts itself. */
int oauth_client_read(struct call *call, struct oauth_client *self) must_check;

/* Whether it is right: rows is of CLIENT_FIND or OAUTH_INTROSPECT. From here on the call's caller is the app. */
int oauth_client_check(struct call *call, struct oauth_client *self, const struct rows *rows) must_check;

/* Notes that the secret was used. In a transaction it comes last before the commit: all of an app's requests write the
 * same row, and must not wait for each other longer than they have to. */
int oauth_client_note_use(struct call *call, const struct oauth_client *self) must_check;

/* All of it, with statements of its own; outside a transaction. */
int oauth_client_identify(struct call *call) must_check;

#endif
