/* terms.c - by which rates an app's payments are split, and what an amount may be. */
#include <string.h>

#include "billing_operations.h"
#include "charge.h"
#include "clock.h"
#include "config.h"
#include "money.h"
#include "outbox.h"
#include "statements.h"

int
terms_get(struct call *call, const char *currency, struct terms *terms)
{
    return terms_of(call, call->caller.app_id, currency, terms);
}

int
terms_of(struct call *call, int64_t app_id, const char *currency, struct terms *terms)
{
    struct rows rows;

    if (db_run(call, TERMS_GET, &rows, "sl", currency, app_id))
        return -1;
    if (rows.count == 0)
        return call_failf(call, FAIL_VALIDATION_ERROR, "currency", "must be %s", CURRENCY);
    *terms = (struct terms){
        .smallest = rows_int(&rows, 0, "smallest"),
        .largest = rows_int(&rows, 0, "largest"),
        .decimals = (unsigned)rows_int(&rows, 0, "decimals"),
        .payer =
            str_is(str_of(rows_text(&rows, 0, "fee_payer")), "merchant") ? FEE_PAYER_MERCHANT : FEE_PAYER_DEVELOPER,
        .commission_rate =
            rows_is_null(&rows, 0, "commission_rate") ? config.commission_rate : rows_int(&rows, 0, "commission_rate"),
        .gateway_rate = config.gateway_fee_rate,
    };
    return 0;
}

int64_t
amount_scale(const struct terms *terms)
{
    static const int64_t scales[] = {1000, 100, 10, 1};

    return scales[terms->decimals];
}

int
amount_read(struct call *call, const char *path, const struct terms *terms, bool bounded, int64_t *amount)
{
    char low[MONEY_TEXT_SIZE], high[MONEY_TEXT_SIZE];
    int64_t sent = in_money(call->in, path, 0), scale = amount_scale(terms);
    const char *field = path + strlen("body.");

    *amount = sent / scale;
    if (sent % scale != 0)
        return call_failf(call, FAIL_INVALID_AMOUNT, field, "has at most %u decimals", terms->decimals);
    if (!bounded)
        return *amount > 0 ? 0 : call_fail(call, FAIL_INVALID_AMOUNT, field, "must be above 0");
    money_print(low, terms->smallest, terms->decimals);
    money_print(high, terms->largest, terms->decimals);
    if (*amount < terms->smallest || *amount > terms->largest)
        return call_failf(call, FAIL_INVALID_AMOUNT, field, "must be from %s to %s", low, high);
    return 0;
}

int
installation_hold(struct call *call)
{
    int64_t installation_id = call->caller.installation_id;
    struct rows rows;

    if (db_run(call, INSTALLATION_SHARE, &rows, "ll", installation_id, call->caller.generation))
        return -1;
    if (rows.count == 0 && (db_post(call, INSTALLATION_KNOW, "l", installation_id) ||
                            db_run(call, INSTALLATION_SHARE, &rows, "ll", installation_id, call->caller.generation)))
        return -1;
    if (rows_int(&rows, 0, "over"))
        return call_fail(call, FAIL_INVALID_INSTALLATION, NULL, "The app is no longer installed on this store");
    return 0;
}

/* Charges that are there keep what was copied onto them. */
int
terms_set(struct call *call)
{
    int64_t app_id = in_int(call->in, "body.app_id", 0), rate = in_int(call->in, "body.commission_rate", 0);
    const struct deed deed = {.action = "app.terms_set", .target = "app", .target_id = app_id, .app_id = app_id};
    struct rows rows;

    if (db_begin(call) ||
        db_run(call, TERMS_SET, &rows, "lLt", app_id, in_has(call->in, "body.commission_rate") ? &rate : NULL,
               clock_now_us()) ||
        outbox_audit(call, &deed) || db_commit(call))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

int
terms_set_fee_payer(struct call *call)
{
    int64_t app_id = in_int(call->in, "body.app_id", 0);
    struct rows rows;

    if (db_run(call, TERMS_SET_PAYER, &rows, "lslt", app_id, in_text(call->in, "body.fee_payer"),
               in_int(call->in, "body.version", 0), clock_now_us()))
        return -1;
    call_data(call);
    out_map(&call->out, 1);
    out_key_int(&call->out, "app_id", app_id);
    return call_reply(call, 200);
}
