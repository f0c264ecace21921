/* installation.h - an app comes onto a store, and leaves it: the one way in and the one way out (contract C.1, C.3,
 * C.4; protocols 8).
 *
 * One row per store and app for ever. Each install raises its generation, and everything issued for an earlier one is
 * dead; each end is finished by a saga that acts on its own generation only.
 */
#ifndef INSTALLATION_H
#define INSTALLATION_H

#include "call.h"

enum installation_way {
    INSTALLATION_OAUTH,
    INSTALLATION_DIRECT, /* the app gets its token by a push to its webhook_url, if it has one */
    INSTALLATION_CUSTOM,
    INSTALLATION_OPERATOR
};

/* In the open transaction, in which the caller has locked the app's row (APP_FOR_INSTALL) and decided on the scopes:
 * makes the row or raises its generation, kills the tokens there were, and writes app.installed to audit and outbox.
 * consented_us: when the merchant agreed to it, NULL: just now. rows: installation_id, store_id, app_id, generation,
 * granted_scopes, status. -1 with the error recorded: not_found for a store that does not exist; invalid_grant for a
 * consent that a later one has replaced, or an uninstall ended. Tokens are the caller's to make (tokens.h). */
int installation_install(struct call *call, int64_t store_id, int64_t app_id, const char *scopes,
                         enum installation_way way, const int64_t *consented_us, struct rows *rows) must_check;

/* In the open transaction, after the installation was made or its scopes were changed: webhooks is to hear of it before
 * it hears of anything that happens to the installation later. */
int installation_announce(struct call *call, int64_t installation_id) must_check;

/* Commits what installation_install began; over an earlier install this waits until no gateway accepts its tokens. */
int installation_commit(struct call *call, const struct rows *rows) must_check;

/* Ends an installation, in a transaction of its own: tokens dead, app.uninstalled in audit and in the saga, which has
 * begun. When it has returned 0 no gateway accepts anything of it. One that has ended already stays as it is. rows:
 * installation_id, store_id, app_id, generation, status. -1 with the error recorded; not_found when there is none. */
int installation_end(struct call *call, int64_t installation_id, struct rows *rows) must_check;

/* The scopes at path ("body.scopes") within those registered; all of these when none are named. -1 after the refusal.
 */
int installation_scopes(struct call *call, const char *path, const char *registered, const char **granted) must_check;

#endif
