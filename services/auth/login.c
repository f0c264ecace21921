/* login.c - password checks that give nothing away and take nothing down.
 *
 * Whether an account exists shows neither in the answer, nor in the time (an unknown one is checked against a hash that
 * no password has), nor in the lockout (unknown names are counted like accounts). An attempt is counted as failed
 * before the password is checked and forgiven after, so that parallel guesses are counted one by one. Argon2id takes 19
 * MiB and a core for some 20 ms, so few run at once, and those that wait leave most workers to the rest of the
 * platform.
 */
#include "login.h"

#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "attempts.h"
#include "clock.h"
#include "config.h"
#include "metric.h"
#include "secret.h"
#include "statements.h"

#define FAILURES_MAX     10
#define FAILURE_WINDOW_S 900
#define LOGINS_CHECKED   2 /* Argon2id runs at once in this process */
#define LOGIN_WAIT_MS    2000

static struct metric accepted = METRIC_COUNTER("sx_login_accepted_total", "Logins with the right password.");
static struct metric refused =
    METRIC_COUNTER("sx_login_refused_total", "Logins with an unknown account or a wrong password.");

/* The one thing the workers of this process share: how many of them hash, or wait to hash. */
static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static sem_t checking;
static _Atomic int inside;
static char nobodys_hash[PASSWORD_HASH_SIZE];

static void
prepare(void)
{
    uint8_t password[32];

    secret_random(password, sizeof password);
    secret_password_hash(nobodys_hash, (const char *)password, sizeof password);
    secret_wipe(password, sizeof password);
    sem_init(&checking, 0, LOGINS_CHECKED);
}

static int
enter(struct call *call)
{
    int64_t until_ms = clock_monotonic_ms() + LOGIN_WAIT_MS;
    int most = (int)(config.workers / 2 > LOGINS_CHECKED ? config.workers / 2 : LOGINS_CHECKED);
    struct timespec until;

    if (call->deadline_ms < until_ms)
        until_ms = call->deadline_ms;
    until = (struct timespec){.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    if (atomic_fetch_add(&inside, 1) < most && sem_clockwait(&checking, CLOCK_MONOTONIC, &until) == 0)
        return 0;
    atomic_fetch_sub(&inside, 1);
    call_header(call, "Retry-After", "1");
    return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, "Too many sign-ins at once; try again in a second");
}

static void
leave(void)
{
    sem_post(&checking);
    atomic_fetch_sub(&inside, 1);
}

/* Counted twice: against the name that was typed, which is all that a refusal may depend on (else a full account would
 * show which names are one account's), and against the account, so that its three names are no three times ten guesses.
 */
struct failures {
    struct attempts of_name, of_account;
};

static struct failures
failures_of(struct call *call, const char *identifier, const struct rows *account)
{
    struct attempts self = {.max = FAILURES_MAX, .window_s = FAILURE_WINDOW_S};
    struct failures failures;

    self.why = "Too many failed logins; wait for the seconds in Retry-After";
    self.who = arena_printf(call->arena, "name:%s", identifier);
    failures.of_name = self;
    if (account->count)
        self.who = arena_printf(call->arena, "account:%lld", (long long)rows_int(account, 0, "account_id"));
    else
        self.who = arena_printf(call->arena, "nobody:%s", identifier); /* so that it takes as long */
    failures.of_account = self;
    return failures;
}

/* tell: whether the refused one is told of a lockout; else it is a wrong password like others. */
static int
check_inside(struct call *call, const char *identifier, struct str password, bool tell, struct rows *account,
             bool *proven)
{
    bool allowed = true, also_allowed, right;
    struct failures failures;

    *proven = false;

    if (db_run(call, ACCOUNT_FOR_LOGIN, account, "s", identifier))
        return -1;
    failures = failures_of(call, identifier, account);
    if ((tell ? attempts_count(call, &failures.of_name) : attempts_note(call, &failures.of_name, &allowed)) ||
        attempts_note(call, &failures.of_account, &also_allowed))
        return -1;
    right = secret_password_matches(account->count ? rows_text(account, 0, "_password") : nobodys_hash, password.base,
                                    password.len);
    if (!account->count || !right || !allowed || !also_allowed) {
        metric_add(&refused, 1);
        return attempts_trim(call);
    }
    metric_add(&accepted, 1);
    if (attempts_forget(call, &failures.of_name) || attempts_forget(call, &failures.of_account))
        return -1;
    if (strcmp(rows_text(account, 0, "_status"), "active") != 0)
        return call_fail(call, FAIL_FORBIDDEN, NULL, "This account is disabled; contact support");
    *proven = true;
    return 0;
}

static int
check(struct call *call, const char *identifier, struct str password, bool tell, struct rows *account, bool *proven)
{
    int rc;

    assert(!db_in_transaction(call->db));
    pthread_once(&prepared, prepare);
    if (enter(call))
        return -1;
    rc = check_inside(call, identifier, password, tell, account, proven);
    leave();
    return rc;
}

int
login_check(struct call *call, const char *identifier, struct str password, struct rows *account)
{
    bool proven;

    if (check(call, identifier, password, true, account, &proven))
        return -1;
    return proven ? 0 : call_fail(call, FAIL_UNAUTHORIZED, NULL, "Identifier or password is wrong");
}

int
login_prove(struct call *call, const char *identifier, struct str password, struct rows *account, bool *right)
{
    return check(call, identifier, password, false, account, right);
}

int
login_hash_password(struct call *call, struct str password, char hash[PASSWORD_HASH_SIZE])
{
    assert(!db_in_transaction(call->db));
    pthread_once(&prepared, prepare);
    if (enter(call))
        return -1;
    secret_password_hash(hash, password.base, password.len);
    leave();
    return 0;
}
