/* accounts.c - the people behind stores and apps: made by an operator or by themselves, switched off and on. */
#include <string.h>

#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "invalidation.h"
#include "login.h"
#include "secret.h"
#include "sessions.h"
#include "statements.h"
#include "stores.h"

/* Like the check on the column, to say what is wrong instead of failing there. */
static bool
is_username(const char *text)
{
    size_t len = strlen(text);

    if (len < 3 || len > 32 || !(text[0] >= 'a' && text[0] <= 'z'))
        return false;
    return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

static const char *
field_of_constraint(const char *constraint)
{
    return strstr(constraint, "email") ? "email" : strstr(constraint, "phone") ? "phone" : "username";
}

int
accounts_create(struct call *call)
{
    const char *username = in_text(call->in, "body.username");
    struct str password = in_str(call->in, "body.password");
    char hash[PASSWORD_HASH_SIZE];
    struct rows rows;

    if (username && !is_username(username))
        return call_fail(call, FAIL_VALIDATION_ERROR, "username",
                         "must be 3 to 32 of a-z 0-9 _ . - and begin with a letter");
    secret_password_hash(hash, password.base, password.len);
    if (db_begin(call) ||
        db_try(call, ACCOUNT_INSERT, &rows, "sssssbbt", in_text(call->in, "body.name"), in_text(call->in, "body.email"),
               in_text(call->in, "body.phone"), username, hash, in_bool(call->in, "body.is_admin", false),
               in_bool(call->in, "body.is_developer", false), clock_now_us()))
        return -1;
    if (db_violated(&rows))
        return call_fail(call, FAIL_CONFLICT, field_of_constraint(db_violated(&rows)),
                         "Another account has it already");
    if (audit_put(call, "account.created", "account", rows_int(&rows, 0, "account_id"), 0, 0) || db_commit(call))
        return -1;
    return call_reply_row(call, 201, &rows, 0);
}

int
accounts_find(struct call *call)
{
    struct rows rows;

    if (db_run(call, ACCOUNT_FIND, &rows, "s", in_text(call->in, "body.email")))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "email", "No account has this e-mail");
    return call_reply_row(call, 200, &rows, 0);
}

int
accounts_set_status(struct call *call)
{
    int64_t account_id = in_int(call->in, "body.account_id", 0);
    const char *status = in_text(call->in, "body.status");
    int64_t now_us = clock_now_us();
    struct rows rows;

    if (db_begin(call) || db_run(call, ACCOUNT_SET_STATUS, &rows, "lst", account_id, status, now_us))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "account_id", "No such account");
    if ((strcmp(status, "disabled") == 0 && db_post(call, ACCOUNT_SESSIONS_SET_REVOKED, "lt", account_id, now_us)) ||
        audit_put(call, arena_printf(call->arena, "account.set_%s", status), "account", account_id, 0, 0) ||
        invalidation_commit(call, "account", account_id))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

/* ---- they come by themselves (contract K.2) ---------------------------------------------------------------------- */

static int
refuse_known(struct call *call, const char *field)
{
    return call_fail(call, FAIL_CONFLICT, field, "An account has it already; sign in instead");
}

/* A developer becomes a merchant with the first store: until then the account is one of the portal alone. */
static int
become_merchant(struct call *call, int64_t account_id)
{
    struct rows locked, rows;

    if (db_send(call, ACCOUNT_LOCK, "l", account_id) || db_send(call, ACCOUNT_OWNS_STORE, "l", account_id) ||
        db_collect(call, &locked) || db_collect(call, &rows))
        return -1;
    return rows.count && rows_int(&rows, 0, "developer_only") ? 0 : refuse_known(call, "email");
}

static int
become_developer(struct call *call, int64_t account_id)
{
    struct rows rows;

    if (db_run(call, ACCOUNT_MAKE_DEVELOPER, &rows, "lt", account_id, clock_now_us()))
        return -1;
    if (rows.affected == 0)
        return refuse_known(call, "email");
    return audit_put_by(call, account_id, "account.made_developer", "account", account_id, 0, 0);
}

/* One person, one account: who is known in the other family already, and shows the account's password, has both with
 * it. Everybody else is told what they were always told. Guesses count as guesses at a sign-in do. */
static int
extend_account(struct call *call, bool developer, int64_t *account_id)
{
    struct rows account;
    bool right;

    if (login_prove(call, in_text(call->in, "body.email"), in_str(call->in, "body.password"), &account, &right))
        return -1;
    if (!right)
        return refuse_known(call, "email");
    *account_id = rows_int(&account, 0, "account_id");
    if (db_begin(call))
        return -1;
    return developer ? become_developer(call, *account_id) : become_merchant(call, *account_id);
}

/* Opens the transaction, makes the account or finds it, and leaves it open. */
static int
register_account(struct call *call, bool developer, int64_t *account_id)
{
    char hash[PASSWORD_HASH_SIZE];
    struct rows rows;

    if (db_run(call, ACCOUNT_FIND, &rows, "s", in_text(call->in, "body.email")))
        return -1;
    if (rows.count)
        return extend_account(call, developer, account_id);
    if (login_hash_password(call, in_str(call->in, "body.password"), hash) || db_begin(call) ||
        db_try(call, ACCOUNT_INSERT, &rows, "sssssbbt", in_text(call->in, "body.name"), in_text(call->in, "body.email"),
               in_text(call->in, "body.phone"), (const char *)NULL, hash, 0, (int)developer, clock_now_us()))
        return -1;
    if (db_violated(&rows))
        return refuse_known(call, field_of_constraint(db_violated(&rows)));
    *account_id = rows_int(&rows, 0, "account_id");
    return audit_put_by(call, *account_id, "account.registered", "account", *account_id, 0, 0);
}

int
accounts_register(struct call *call)
{
    struct store_profile profile = {.name = in_text(call->in, "body.store_name")};
    struct rows account, store = {0};
    struct session session;
    int64_t account_id = 0;

    if (register_account(call, false, &account_id) || db_run(call, ACCOUNT_SHOW, &account, "l", account_id) ||
        (profile.name && store_make(call, account_id, &profile, &store)) ||
        session_open(call, account_id, AUDIENCE_MERCHANT, &session) || db_commit(call))
        return -1;
    store_setup_wake();
    return session_reply_merchant(call, 201, &session, &account, &store);
}

int
accounts_developer_register(struct call *call)
{
    struct session session;
    int64_t account_id = 0;

    if (register_account(call, true, &account_id) || session_open(call, account_id, AUDIENCE_DEVELOPER, &session) ||
        db_commit(call))
        return -1;
    return session_reply_developer(call, 201, &session, "Account created");
}
