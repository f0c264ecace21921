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
    CLIENT_SECRET_WRONG, /* or the app is switched off: the caller refuses in the words of its endpoint */
    CLIENT_SECRET_RIGHT,
    CLIENT_SECRET_BROKEN, /* what is stored is no hash: logged, and auth_error recorded (contract K.1) */
};

struct client_secret_match {
    int64_t number;     /* which of the app's secrets it is, from 1 */
    int64_t expires_us; /* of a secret that is on its way out; 0: stays good */
    int64_t used_us;    /* its last use, as far as that is kept; 0: never */
};

/* Whether given is a secret of the app in the first row, which has app_id and app_active beside CLIENT_SECRET_COLUMNS,
 * and whether the app is switched on. In constant time, and the same work when the columns are null (a client id that
 * nobody has): then, and when given is absent, it is wrong. match is set with CLIENT_SECRET_RIGHT. */
enum client_secret client_secret_check(struct call *call, const struct rows *rows, struct str given,
                                       struct client_secret_match *match) must_check;

/* Keeps the time of this use, for those who take a secret without a gateway's having done so (in a body, or as HTTP
 * Basic): the gateway reports uses of its own (usage.c). Writes at most once a minute for each secret, so that an app's
 * requests do not wait for one another; in the open transaction, if there is one. */
int client_secret_note_use(struct call *call, int64_t app_id, const struct client_secret_match *match) must_check;

#endif
