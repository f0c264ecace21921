/* client_secret.h - is this the app's client secret? The one place where that is decided (contract B, K.2 Rotation).
 *
 * An app has one secret, and for the hours its owner asked for at a rotation the one before it as well. Whoever reads
 * an app's row to check a secret selects CLIENT_SECRET_COLUMNS (sql_columns.h) and asks client_secret_check.
 */
#ifndef CLIENT_SECRET_H
#define CLIENT_SECRET_H

#include "call.h"
#include "secret.h"

#define CLIENT_SECRET_PREFIX "sx_secret_"

enum client_secret {
    CLIENT_SECRET_WRONG,
    CLIENT_SECRET_RIGHT,
    CLIENT_SECRET_BROKEN, /* what is stored is no hash: auth_error (contract K.1), and logged by the caller */
};

struct client_secret_match {
    enum client_secret verdict;
    int64_t number;     /* which of the app's secrets it is, from 1 */
    int64_t expires_us; /* of a secret that is on its way out; 0: stays good */
    int64_t used_us;    /* its last use, as far as that is kept; 0: never */
};

/* In constant time, and the same work when the row's columns are null (a client id that nobody has): then, and when
 * given is absent, it is wrong. Whether the app is switched on is not asked. */
struct client_secret_match client_secret_check(const struct rows *rows, unsigned row, struct str given) must_check;

/* Keeps the time of this use, for those who take a secret without a gateway's having done so (in a body, or as HTTP
 * Basic): the gateway reports uses of its own (usage.c). Writes at most once a minute for each secret, so that an app's
 * requests do not wait for one another; in the open transaction, if there is one. */
int client_secret_note_use(struct call *call, int64_t app_id, const struct client_secret_match *match) must_check;

#endif
