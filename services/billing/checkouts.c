/* checkouts.c - a try to pay, from the approval to the provider's last word (contract K.5).
 *
 * Nothing of a provider is asked inside a transaction: what is to be asked is committed first, and what came of it is
 * kept by checkout_end, which takes each word as often and in whatever order it comes.
 */
#include "checkout.h"

#include <string.h>

#include "billing_operations.h"
#include "clock.h"
#include "config.h"
#include "log.h"
#include "pages.h"
#include "secret.h"
#include "statements.h"

#define PATH            "/api/apps/billing/payments/"
#define REFERENCE_BYTES 16
#define FIRST_ASK_S     60
#define BEGIN_S         20 /* beginning is over long before, unless its process was killed */
#define ASK_DAYS        7  /* after which nobody pays any more */
#define ASKED_A_TURN    4
#define ASK_WAIT_MS     6000 /* what one may take; a turn that has less left leaves the rest to the next */

const struct provider *
provider_named(const char *name)
{
    static const struct provider *const providers[] = {&provider_sandbox, &provider_eps};

    for (unsigned i = 0; i < ARRAY_COUNT(providers); i++)
        if (strcmp(providers[i]->name, name) == 0)
            return providers[i];
    return NULL;
}

/* ---- addresses --------------------------------------------------------------------------------------------------- */

const char *
payment_path(struct call *call, const char *reference, const char *behind)
{
    return arena_printf(call->arena, PATH "%s%s", reference, behind);
}

/* The dashboard's origin has our pages too (contract E.1: confirmation_url). */
const char *
payment_address(struct call *call, const char *reference, const char *behind)
{
    return arena_printf(call->arena, "%s%s", config.public_url ? config.public_url : config.dashboard_origin,
                        payment_path(call, reference, behind));
}

/* ---- beginning --------------------------------------------------------------------------------------------------- */

int
checkout_open(struct call *call, const struct charge *charge, int64_t account_id, const char **reference)
{
    int64_t now_us = clock_now_us();
    struct rows rows;

    if (!config.billing_provider)
        return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL,
                         "Nothing can be paid yet: the platform has no payment provider. Its operator sets "
                         "SX_BILLING_PROVIDER=eps and the SX_EPS_ settings");
    if (db_run(call, CHECKOUT_FRESH, &rows, "lst", charge->charge_id, config.billing_provider,
               now_us - CHECKOUT_FRESH_S * US_PER_SECOND))
        return -1;
    if (rows.count) {
        *reference = rows_text(&rows, 0, "reference");
        return 0;
    }
    *reference = secret_token(call->arena, "sx", REFERENCE_BYTES);
    if (db_post(call, CHECKOUT_INSERT, "llsstt", charge->charge_id, account_id, config.billing_provider, *reference,
                now_us + FIRST_ASK_S * US_PER_SECOND, now_us))
        return -1;
    return charge_audit(call, charge, "charge.approved", account_id);
}

int
payment_read(struct call *call, const char *reference, struct payment *payment)
{
    struct rows rows;

    *payment = (struct payment){.reference = reference, .provider = "", .status = "", .charge_status = ""};
    if (db_run(call, PAYMENT_READ, &rows, "s", reference))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, NULL, "There is no such payment; go back to the charge");
    *payment = (struct payment){
        .reference = reference,
        .provider = rows_text(&rows, 0, "provider"),
        .status = rows_text(&rows, 0, "status"),
        .location = rows_text(&rows, 0, "location"),
        .charge_id = rows_int(&rows, 0, "charge_id"),
        .store_id = rows_int(&rows, 0, "store_id"),
        .account_id = rows_int(&rows, 0, "account_id"),
        .amount = rows_int(&rows, 0, "amount"),
        .decimals = (unsigned)rows_int(&rows, 0, "decimals"),
        .currency = rows_text(&rows, 0, "currency"),
        .name = rows_text(&rows, 0, "name"),
        .charge_status = rows_text(&rows, 0, "charge_status"),
        .return_url = rows_text(&rows, 0, "return_url"),
    };
    return 0;
}

/* ---- signatures -------------------------------------------------------------------------------------------------- */

static void
sign(char hex[HEX_SIZE(SHA256_SIZE)], const uint8_t key[DERIVED_KEY_SIZE], const char *text)
{
    uint8_t mac[SHA256_SIZE];

    secret_hmac(mac, key, DERIVED_KEY_SIZE, text, strlen(text));
    secret_hex(hex, mac, sizeof mac);
}

static const char *
signed_text(struct call *call, const struct payment *payment, const char *said)
{
    return arena_printf(call->arena, "%s\n%s\n%lld\n%s", payment->provider, payment->reference,
                        (long long)payment->amount, said);
}

const char *
payment_signature(struct call *call, const struct payment *payment, const char *said)
{
    char *hex = arena_alloc(call->arena, HEX_SIZE(SHA256_SIZE));
    uint8_t key[DERIVED_KEY_SIZE];

    secret_derive(key, PAYMENT_KEY_LABEL);
    sign(hex, key, signed_text(call, payment, said));
    secret_wipe(key, sizeof key);
    return hex;
}

int
payment_check_signature(struct call *call, const struct payment *payment, const char *said, struct str given)
{
    uint8_t keys[DERIVED_KEYS_MAX][DERIVED_KEY_SIZE];
    unsigned count = secret_derive_all(keys, PAYMENT_KEY_LABEL, true);
    const char *text = signed_text(call, payment, said);
    char hex[HEX_SIZE(SHA256_SIZE)];
    bool good = false;

    for (unsigned i = 0; i < count; i++) {
        sign(hex, keys[i], text);
        good |= given.len == sizeof hex - 1 && secret_equal(given.base, hex, given.len);
    }
    secret_wipe(keys, sizeof keys);
    return good ? 0 : call_fail(call, FAIL_FORBIDDEN, NULL, "The signature is not the provider's");
}

/* ---- what became of it ------------------------------------------------------------------------------------------- */

/* Asks the provider and keeps what it says: payment->status and charge_status are then what they are. Nothing final
 * changes nothing. */
static int
settle(struct call *call, struct payment *payment)
{
    enum outcome outcome = OUTCOME_OPEN;

    if (checkout_has_money(payment->status))
        return 0;
    if (provider_named(payment->provider)->ask(call, payment, &outcome))
        return -1;
    if (outcome != OUTCOME_OPEN &&
        (db_begin(call) || checkout_end(call, payment->reference, outcome) || db_commit(call)))
        return -1;
    return payment_read(call, payment->reference, payment);
}

/* Sends the browser back to the app, or says how it is where the app named no address, and to whom money is owed: the
 * app knows nothing of that. */
static int
go_back(struct call *call, const struct payment *payment)
{
    bool paid = strcmp(payment->charge_status, "paid") == 0, failed = strcmp(payment->status, "failed") == 0;
    bool owed = strcmp(payment->status, "duplicate") == 0;
    const char *outcome = paid ? "success" : failed ? "failed" : "cancelled", *address;
    struct buf *page;

    address = payment->return_url ? page_return_address(call->arena, payment->return_url, outcome, payment->charge_id)
                                  : arena_printf(call->arena, "/%lld/settings/apps/billing/%lld",
                                                 (long long)payment->store_id, (long long)payment->charge_id);
    if (payment->return_url && !owed)
        return page_redirect(call, address);
    page = page_begin(call,
                      owed     ? "This payment goes back to you"
                      : paid   ? "Paid"
                      : failed ? "The payment failed"
                               : "Not paid",
                      NULL, NULL, NULL);
    if (owed)
        page_paragraph(page, paid ? "The charge had been paid before. You need not do anything."
                                  : "The charge was over before the payment came. You need not do anything.");
    page_link(page, address, payment->return_url ? "Back to the app" : "Back to the charge");
    return page_end(call, page);
}

static int
show_waiting(struct call *call, const struct payment *payment)
{
    struct buf *page = page_begin(call, "We are waiting for the payment provider", NULL, NULL, NULL);

    buf_append_text(page, "<meta http-equiv=\"refresh\" content=\"5\">\n");
    page_paragraph(page, "It has not told us yet whether the payment went through. You may close this page: we go on "
                         "asking, and you need not pay again.");
    if (payment->return_url)
        page_link(page, page_return_address(call->arena, payment->return_url, "cancelled", payment->charge_id),
                  "Back to the app");
    return page_end(call, page);
}

/* ---- what browsers and providers ask ----------------------------------------------------------------------------- */

/* One at a time asks the provider; what it says is kept, so that all others follow. */
static int
begin(struct call *call, const struct payment *payment)
{
    const struct provider *provider = provider_named(payment->provider);
    int64_t now_us = clock_now_us();
    struct call_failure failure;
    const char *location;
    struct rows rows;

    if (db_run(call, CHECKOUT_BEGIN, &rows, "stt", payment->reference, now_us, now_us + BEGIN_S * US_PER_SECOND))
        return -1;
    if (rows.count == 0)
        return show_waiting(call, payment);
    if (provider->begin(call, payment, &location) == 0) {
        if (db_run(call, CHECKOUT_BEGUN, &rows, "ss", payment->reference, location))
            return -1;
        return page_redirect(call, location);
    }
    (void)call_take_failure(call, &failure);
    if (db_begin(call) || checkout_end(call, payment->reference, OUTCOME_FAILED) || db_commit(call))
        return -1;
    return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL,
                     "The payment provider cannot be reached; nothing was paid. Go back to the charge and approve it "
                     "again");
}

int
payments_page(struct call *call)
{
    struct payment payment;

    if (payment_read(call, in_text(call->in, "path.reference"), &payment))
        return -1;
    if (strcmp(payment.status, "open") != 0 || strcmp(payment.charge_status, "pending") != 0)
        return go_back(call, &payment);
    return payment.location ? page_redirect(call, payment.location) : begin(call, &payment);
}

/* A provider that does not answer now is asked again by the actor. */
int
payments_return(struct call *call)
{
    struct call_failure failure;
    struct payment payment;

    if (payment_read(call, in_text(call->in, "path.reference"), &payment) ||
        provider_named(payment.provider)->check(call, &payment, in_at(call->in, "query")))
        return -1;
    if (settle(call, &payment) && (db_in_transaction(call->db) || !call_take_failure(call, &failure)))
        return -1;
    return strcmp(payment.status, "open") == 0 ? show_waiting(call, &payment) : go_back(call, &payment);
}

int
payments_callback(struct call *call)
{
    const char *reference = in_text(call->in, "body.reference");
    struct payment payment;

    if (!reference)
        reference = in_text(call->in, "body.merchantTransactionId");
    if (!reference)
        return call_fail(call, FAIL_VALIDATION_ERROR, "reference", "is required");
    if (payment_read(call, reference, &payment))
        return -1;
    if (strcmp(payment.provider, in_text(call->in, "path.provider")) != 0)
        return call_fail(call, FAIL_NOT_FOUND, NULL, "There is no such payment");
    if (provider_named(payment.provider)->check(call, &payment, in_at(call->in, "body")) || settle(call, &payment))
        return -1;
    call_data(call);
    out_map(&call->out, 2);
    out_key_text(&call->out, "reference", reference);
    out_key_text(&call->out, "status", payment.status);
    return call_reply(call, 200);
}

/* ---- what nobody tells ------------------------------------------------------------------------------------------- */

static int
ask_about(struct call *call, const char *reference, bool last)
{
    struct payment payment;

    if (payment_read(call, reference, &payment) || settle(call, &payment))
        return -1;
    if (!last || strcmp(payment.status, "open") != 0)
        return 0;
    return db_begin(call) || checkout_end(call, reference, OUTCOME_FAILED) || db_commit(call) ? -1 : 0;
}

static int
take_turn(struct call *call)
{
    int64_t now_us = clock_now_us();
    struct rows rows;

    if (db_run(call, CHECKOUTS_CLAIM, &rows, "tl", now_us, (int64_t)ASKED_A_TURN))
        return -1;
    for (unsigned row = 0; row < rows.count; row++) {
        const char *reference = rows_text(&rows, row, "reference");
        struct call_failure failure = {0};

        if (actor_is_stopping(call) || call->deadline_ms - clock_monotonic_ms() < ASK_WAIT_MS)
            break; /* the others are claimed again when they are due */
        if (ask_about(call, reference, rows_time(&rows, row, "created_at") < now_us - ASK_DAYS * DAY_US) == 0)
            continue;
        if (db_in_transaction(call->db))
            db_rollback(call->db);
        if (!call_take_failure(call, &failure))
            return -1;
        log_event(LOG_WARN, "payment_not_asked", "s:request_id", call->request_id, "s:reference", reference, "s:why",
                  failure.why, NULL);
    }
    return rows.count == ASKED_A_TURN ? ACTOR_AGAIN : ACTOR_DONE;
}

const struct actor_plan checkout_plan = {
    .name = "checkouts", .turn = take_turn, .everywhere = true, .look_ms = 1000, .turn_ms = 14000};
