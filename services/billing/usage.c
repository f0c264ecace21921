/* usage.c - an app counts, one thing or five hundred at a time (contract A.2 rows 50 and 51, K.5).
 *
 * All of a request are looked at in their order under the lock of the installation's bill, so that a cap is never
 * passed; then those that are taken are written in one statement.
 */
#include <string.h>

#include "billing_operations.h"
#include "charge.h"
#include "json_text.h"
#include "listing.h"
#include "money.h"
#include "statements.h"
#include "store_clock.h"
#include "usage_bill.h"

#define QUANTITY_UNIT 1000 /* its three decimals */

/* One thing that was used. */
struct item {
    struct in in;
    const char *key; /* NULL: none */
    int64_t quantity, unit_price, amount, platform;
    bool refused;
    enum fail code;
    const char *field, *why;
    const struct item *same; /* the one before it in the request with its key */
    const struct rows *rows; /* where it stands, once it is there */
    unsigned row;
    bool repeated;
};

struct batch {
    struct item *items;
    unsigned count;
    struct terms terms;
    struct usage_bill bill;
    int64_t now_us;
    struct rows known, made;
};

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void
refuse(struct item *item, enum fail code, const char *field, const char *why)
{
    item->refused = true;
    item->code = code;
    item->field = field;
    item->why = why;
}

/* quantity x unit_price, half up; the developer pays the commission and no payment provider takes part. */
static void
read_item(struct item *item, struct in in, const struct terms *terms)
{
    int64_t sent = in_money(in, "unit_price", 0), scale = amount_scale(terms);
    struct fees fees;
    __int128 product;

    item->in = in;
    item->key = in_text(in, "idempotency_key");
    item->quantity = in_money(in, "quantity", 0);
    item->unit_price = sent / scale;
    if (sent % scale != 0) {
        refuse(item, FAIL_INVALID_AMOUNT, "unit_price", "has more decimals than its currency");
        return;
    }
    if (item->quantity <= 0 || item->unit_price <= 0) {
        refuse(item, FAIL_INVALID_AMOUNT, item->quantity <= 0 ? "quantity" : "unit_price", "must be above 0");
        return;
    }
    product = ((__int128)item->quantity * item->unit_price * 2 + QUANTITY_UNIT) / (2 * QUANTITY_UNIT);
    if (product < 1 || product > terms->largest) {
        refuse(item, FAIL_INVALID_AMOUNT, "quantity", "makes an amount that is too small or too large");
        return;
    }
    item->amount = (int64_t)product;
    if (fees_split(&fees, item->amount, FEE_PAYER_DEVELOPER, terms->commission_rate, 0))
        refuse(item, FAIL_INVALID_AMOUNT, "unit_price", "leaves nothing after the commission");
    else
        item->platform = fees.platform;
}

/* ---- deciding ---------------------------------------------------------------------------------------------------- */

static void
write_item(struct out *out, const struct item *item, unsigned n, struct arena *arena)
{
    out_map(out, 8);
    out_key(out, "n");
    out_int(out, n);
    out_key_text(out, "key", item->key);
    out_key_text(out, "description", in_text(item->in, "description"));
    out_key(out, "quantity");
    out_int(out, item->quantity);
    out_key(out, "unit_price");
    out_int(out, item->unit_price);
    out_key(out, "amount");
    out_int(out, item->amount);
    out_key(out, "platform");
    out_int(out, item->platform);
    out_key(out, "metadata");
    out_json(out, json_text_of(in_at(item->in, "metadata"), arena));
}

static bool
is_fresh(const struct item *item)
{
    return !item->refused && !item->rows && !item->same;
}

/* Those that are neither refused nor known; with a key alone, if wanted. */
static struct str
items_json(const struct batch *self, bool keyed, unsigned *count, struct arena *arena)
{
    struct json_text text;

    *count = 0;
    for (unsigned i = 0; i < self->count; i++)
        *count += is_fresh(&self->items[i]) && (!keyed || self->items[i].key);
    json_text_begin(&text);
    out_list(&text.out, *count);
    for (unsigned i = 0; i < self->count; i++)
        if (is_fresh(&self->items[i]) && (!keyed || self->items[i].key))
            write_item(&text.out, &self->items[i], i, arena);
    return json_text_end(&text, arena);
}

/* What this installation has sent before is answered again, not written. */
static int
find_known(struct call *call, struct batch *self)
{
    unsigned count;
    struct str json = items_json(self, true, &count, call->arena);

    if (count == 0)
        return 0;
    if (db_run(call, USAGE_KNOWN, &self->known, "lj", self->bill.installation_id, json))
        return -1;
    for (unsigned row = 0; row < self->known.count; row++) {
        struct item *item = &self->items[rows_int(&self->known, row, "_n")];

        if (!rows_int(&self->known, row, "_same")) {
            refuse(item, FAIL_IDEMPOTENCY_CONFLICT, "idempotency_key", "was used for another usage charge");
            continue;
        }
        item->rows = &self->known;
        item->row = row;
        item->repeated = true;
    }
    return 0;
}

/* The one before it in the request that is taken under its key, or NULL. */
static const struct item *
find_before(const struct batch *self, unsigned index)
{
    for (unsigned i = 0; i < index && self->items[index].key; i++)
        if (is_fresh(&self->items[i]) && text_equal(self->items[i].key, self->items[index].key))
            return &self->items[i];
    return NULL;
}

static bool
is_same(const struct item *a, const struct item *b, struct arena *arena)
{
    return a->quantity == b->quantity && a->unit_price == b->unit_price &&
           text_equal(in_text(a->in, "description"), in_text(b->in, "description")) &&
           str_equal(json_text_of(in_at(a->in, "metadata"), arena), json_text_of(in_at(b->in, "metadata"), arena));
}

/* In their order, as far as the cap and the largest charge reach. */
static void
decide(struct batch *self, struct arena *arena)
{
    struct usage_bill *bill = &self->bill;

    for (unsigned i = 0; i < self->count; i++) {
        struct item *item = &self->items[i];
        const struct item *before = find_before(self, i);

        if (!is_fresh(item))
            continue;
        if (before && is_same(before, item, arena)) {
            item->same = before;
        } else if (before) {
            refuse(item, FAIL_IDEMPOTENCY_CONFLICT, "idempotency_key", "was used for another usage charge");
        } else if (bill->capped_amount && bill->used + item->amount > bill->capped_amount) {
            refuse(item, FAIL_INVALID_AMOUNT, "quantity", "passes this month's capped_amount");
        } else if (bill->amount + item->amount > self->terms.largest) {
            refuse(item, FAIL_INVALID_AMOUNT, "quantity", "makes the month's charge larger than a charge may be");
        } else {
            bill->used += item->amount;
            bill->amount += item->amount;
            bill->platform += item->platform;
        }
    }
}

/* body.capped_amount: of this month and those that follow. */
static int
set_cap(struct call *call, struct batch *self)
{
    int64_t cap;

    if (!in_has(call->in, "body.capped_amount"))
        return 0;
    if (amount_read(call, "body.capped_amount", &self->terms, true, &cap))
        return -1;
    if (cap < self->bill.used)
        return call_fail(call, FAIL_INVALID_AMOUNT, "capped_amount", "is less than what was used this month");
    self->bill.capped_amount = cap;
    return 0;
}

static int
insert(struct call *call, struct batch *self)
{
    unsigned count, row = 0;
    struct str json = items_json(self, false, &count, call->arena);

    if (count > 0 && db_run(call, USAGE_INSERT, &self->made, "ljlst", self->bill.installation_id, json, self->bill.id,
                            self->bill.currency, self->now_us))
        return -1;
    for (unsigned i = 0; i < self->count; i++) {
        struct item *item = &self->items[i];

        if (is_fresh(item)) {
            item->rows = &self->made;
            item->row = row++;
        } else if (item->same) {
            item->rows = item->same->rows;
            item->row = item->same->row;
            item->repeated = true;
        }
    }
    return 0;
}

/* Inside a transaction. */
static int
take(struct call *call, struct batch *self)
{
    if (installation_hold(call) || store_now(call, call->caller.store_id, &self->now_us) ||
        usage_bill_open(call, &self->bill, CURRENCY, self->now_us) || set_cap(call, self) || find_known(call, self))
        return -1;
    decide(self, call->arena);
    return insert(call, self) || usage_bill_write(call, &self->bill) ? -1 : 0;
}

/* ---- the operations ---------------------------------------------------------------------------------------------- */

int
usage_charges_create(struct call *call)
{
    struct item item = {0};
    struct batch batch = {.items = &item, .count = 1};

    if (terms_get(call, CURRENCY, &batch.terms))
        return -1;
    read_item(&item, in_at(call->in, "body"), &batch.terms);
    if (item.refused)
        return call_fail(call, item.code, item.field, item.why);
    if (db_begin(call) || take(call, &batch))
        return -1;
    if (item.refused)
        return call_fail(call, item.code, item.field, item.why);
    if (db_commit(call))
        return -1;
    if (item.repeated)
        call_header(call, "Idempotent-Replayed", "true");
    return call_reply_row(call, 201, item.rows, item.row);
}

static void
write_result(struct out *out, const struct item *item, unsigned index)
{
    bool taken = item->rows != NULL;

    out_map(out, taken ? 3 + item->repeated : 5);
    out_key(out, "index");
    out_int(out, index);
    out_key_text(out, "status", taken ? "succeeded" : "failed");
    if (!taken) {
        out_key_text(out, "code", fail_texts[item->code].code);
        out_key_text(out, "field", item->field);
        out_key_text(out, "message", item->why);
        return;
    }
    if (item->repeated) {
        out_key(out, "repeated");
        out_bool(out, true);
    }
    out_key(out, "usage_charge");
    out_row(out, item->rows, item->row);
}

int
usage_charges_create_batch(struct call *call)
{
    struct in list = in_at(call->in, "body.charges");
    struct batch batch = {.count = in_count(list, "")};

    batch.items = arena_alloc(call->arena, sizeof *batch.items * (batch.count + 1));
    if (terms_get(call, CURRENCY, &batch.terms))
        return -1;
    for (unsigned i = 0; i < batch.count; i++)
        read_item(&batch.items[i], in_item(list, i), &batch.terms);
    if (db_begin(call) || take(call, &batch) || db_commit(call))
        return -1;
    call_data(call);
    out_list(&call->out, batch.count);
    for (unsigned i = 0; i < batch.count; i++)
        write_result(&call->out, &batch.items[i], i);
    return call_reply(call, 200);
}

int
usage_charges_list(struct call *call)
{
    struct listing page = {.list = "usage charges",
                           .of = call->caller.installation_id,
                           .id_column = "usage_charge_id",
                           .descending = true};
    struct rows rows;

    if (listing_begin(&page, call) || db_run(call, USAGE_LIST, &rows, "llll", call->caller.installation_id,
                                             listing_id(&page), listing_wanted(&page), listing_offset(&page)))
        return -1;
    return listing_reply(&page, call, &rows, rows_int(&rows, 0, "_total"));
}
