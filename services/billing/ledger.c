/* ledger.c - a list of transfers becomes rows, in one statement. */
#include "ledger.h"

#include <assert.h>

#include "clock.h"
#include "statements.h"

#define LIST_MAX (TRANSFERS_AT_ONCE * 256)

static const char *const kinds[] = {"provider", "platform", "gateway", "developer", "payout",
                                    "paid",     "owed",     "issue",   "wallet",    "spent"};

static void
write_account(struct out *out, const char *kind, const char *app, const char *store, struct account_name name)
{
    out_key_text(out, kind, kinds[name.kind]);
    out_key(out, app);
    out_int(out, name.app_id);
    out_key(out, store);
    out_int(out, name.store_id);
}

static void
write_transfer(struct out *out, const struct transfer *self, unsigned n)
{
    bool forth = self->amount > 0;

    out_map(out, 8);
    out_key(out, "n");
    out_int(out, n);
    write_account(out, "fk", "fa", "fs", forth ? self->from : self->to);
    write_account(out, "tk", "ta", "ts", forth ? self->to : self->from);
    out_key(out, "amount");
    out_int(out, forth ? self->amount : -self->amount);
}

static struct str
transfers_json(struct arena *arena, const struct transfer *transfers, unsigned count, unsigned *wanted)
{
    struct str json;
    struct buf buf;
    struct out out;

    *wanted = 0;
    for (unsigned i = 0; i < count; i++)
        *wanted += transfers[i].amount != 0;
    buf_init(&buf, LIST_MAX);
    out_init(&out, &buf, OUT_JSON);
    out_list(&out, *wanted);
    for (unsigned i = 0; i < count; i++)
        if (transfers[i].amount != 0)
            write_transfer(&out, &transfers[i], i);
    json = (struct str){arena_strndup(arena, buf.data, buf.size), buf.size};
    buf_free(&buf);
    return json;
}

/* The first time that a payment goes to somebody their account is not there yet: then it is made, and asked again. */
int
ledger_post(struct call *call, const char *currency, const char *reason, int64_t charge_id,
            const struct transfer *transfers, unsigned count, int64_t *ids)
{
    int64_t now_us = clock_now_us(), charge = charge_id;
    struct rows rows, made;
    unsigned wanted;
    struct str json;

    assert(count <= TRANSFERS_AT_ONCE && db_in_transaction(call->db));
    json = transfers_json(call->arena, transfers, count, &wanted);
    for (unsigned i = 0; ids && i < count; i++)
        ids[i] = 0;
    if (wanted == 0)
        return 0;
    if (db_run(call, TRANSFERS_INSERT, &rows, "jsLst", json, reason, charge_id ? &charge : NULL, currency, now_us))
        return -1;
    if (rows.count == 0 &&
        (db_run(call, ACCOUNTS_MAKE, &made, "js", json, currency) ||
         db_run(call, TRANSFERS_INSERT, &rows, "jsLst", json, reason, charge_id ? &charge : NULL, currency, now_us)))
        return -1;
    if (rows.count != wanted)
        return call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
    for (unsigned i = 0, row = 0; ids && i < count; i++)
        if (transfers[i].amount != 0)
            ids[i] = rows_int(&rows, row++, "transfer_id");
    return 0;
}

int
ledger_account(struct call *call, struct account_name name, const char *currency, int64_t *account_id)
{
    struct rows rows;

    if (db_run(call, ACCOUNT_MAKE, &rows, "slls", kinds[name.kind], name.app_id, name.store_id, currency) ||
        db_run(call, ACCOUNT_GET, &rows, "slls", kinds[name.kind], name.app_id, name.store_id, currency))
        return -1;
    *account_id = rows_int(&rows, 0, "account_id");
    return 0;
}
