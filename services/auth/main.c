/* main.c - auth: accounts, sessions, stores, apps as clients, installations, tokens, and who is behind a credential.
 *
 * Reading order: identity.c (what each request of the platform asks), invalidation.c (how something is taken back so
 * that no gateway accepts it any more), then the rows themselves: tokens.c, installations.c, apps.c, developer_apps.c
 * with app_access.c and app_members.c, stores.c with store_access.c and members.c, accounts.c, sessions.c with
 * session_refresh.c, login.c and otp.c. OAuth:
 * oauth_authorize.c (the merchant consents) with oauth_browser.c and oauth_pages.c, oauth_token.c (codes and refresh
 * tokens become tokens) with oauth_client.c, oauth_tokens.c (revocation, introspection, metadata); browser_sign_in.c
 * (the platform's other pages).
 */
#include "app_ending.h"
#include "app_push.h"
#include "app_tell.h"
#include "apps.h"
#include "audit_trim.h"
#include "auth_operations.h"
#include "outbox_publish.h"
#include "privacy_work.h"
#include "session_keys.h"
#include "statements.h"
#include "stores.h"
#include "token_trim.h"
#include "uninstall.h"

static const char *const statements[] = {
#define QUERY(name, sql) [name] = NAMED_SQL(name, sql),
#include "queries.h"
#undef QUERY
};

/* Every column that holds what secret_seal wrote. */
static const struct sealed_column sealed[] = {
    {SIGNING_KEY_LABEL, SIGNING_KEYS_TO_RESEAL, SIGNING_KEY_RESEAL},
    {SESSION_KEY_LABEL, SESSION_KEYS_TO_RESEAL, SESSION_KEY_RESEAL},
};

int
main(int argc, char **argv)
{
    const struct actor_plan actors[] = {store_setup_plan, uninstall_plan,  app_push_plan,
                                        token_trim_plan,  audit_trim_plan, privacy_plan,
                                        outbox_plan,      app_ending_plan, app_tell_plan};
    const struct service self = {
        .name = "auth",
        .handlers = auth_handlers,
        .handler_count = auth_handler_count,
        .statements = statements,
        .statement_count = STATEMENT_COUNT,
        .migrations = auth_migrations,
        .migration_count = auth_migration_count,
        .aside = "auth-aside",
        .sealed = sealed,
        .sealed_count = ARRAY_COUNT(sealed),
        .actors = actors,
        .actor_count = ARRAY_COUNT(actors),
    };

    return service_main(argc, argv, &self);
}
