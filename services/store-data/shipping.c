/* shipping.c - where a store delivers, and how (contract K.3): zones with their places and methods, and what applies to
 * one address.
 *
 * A place has one zone and one zone may be the default for the rest, so an address has one answer. That is a matter of
 * all zones of a store together: whoever writes one waits for the others (SHIPPING_LOCK), which are written rarely.
 * There is no topic for zones (contract D.1), hence no events.
 */
#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "clock.h"
#include "json_text.h"
#include "list.h"
#include "statements.h"
#include "store_data_operations.h"

#define ZONES_MAX 100 /* of a store */

static const struct list_sort zone_sorts[LIST_SORTS] = {{"created_at", "created_at", "-infinity", "infinity"}};

static int
fail_no_zone(struct call *call)
{
    return call_fail(call, FAIL_NOT_FOUND, "zone_id", "No such shipping zone in this store");
}

static int
get_zone(struct call *call, int64_t zone_id, struct rows *rows)
{
    if (db_run(call, ZONE_GET, rows, "ll", call->caller.store_id, zone_id))
        return -1;
    return rows->count ? 0 : fail_no_zone(call);
}

int
shipping_zones_get(struct call *call)
{
    struct rows rows;

    if (get_zone(call, in_int(call->in, "path.zone_id", 0), &rows))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

int
shipping_zones_list(struct call *call)
{
    struct list list = {.sorts = zone_sorts, .id_column = "zone_id"};
    struct rows rows;

    if (list_read(&list, call, NULL, "") ||
        db_run(call, ZONES_CREATED_ASC + list_variant(&list), &rows, "lllsl", call->caller.store_id, list_wanted(&list),
               list_offset(&list), list_key(&list), list_id(&list)))
        return -1;
    list_write(&list, call, &rows, 0);
    return call_reply(call, 200);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* The lock in a statement of its own, so that those after it see what the last writer has left. */
static int
begin(struct call *call)
{
    struct rows rows;

    return db_begin(call) || db_run(call, SHIPPING_LOCK, &rows, "l", call->caller.store_id) ? -1 : 0;
}

/* `zone_id` wants to be the default; 0 is one that is not there yet, which also needs a free place. */
static int
check_state(struct call *call, int64_t zone_id, bool is_default)
{
    struct rows rows;
    int64_t other;

    if (db_run(call, ZONES_STATE, &rows, "l", call->caller.store_id))
        return -1;
    other = rows_int(&rows, 0, "default_id");
    if (zone_id == 0 && rows_int(&rows, 0, "zones") >= ZONES_MAX)
        return call_failf(call, FAIL_CONFLICT, NULL, "A store has at most %d shipping zones; delete one first",
                          ZONES_MAX);
    if (is_default && other && other != zone_id)
        return call_failf(call, FAIL_CONFLICT, "is_default",
                          "Zone %" PRId64 " is the default already; send is_default false to it first", other);
    return 0;
}

/* Sets what the zone covers; adds to `changed` how many rows that was. */
static int
set_places(struct call *call, int64_t zone_id, struct in cities, int64_t *changed)
{
    struct str names = json_text_of(cities, call->arena);
    int64_t store_id = call->caller.store_id;
    struct rows rows;
    const char *field;

    if (!names.base)
        return 0;
    if (db_run(call, PLACES_CHECK, &rows, "llj", store_id, zone_id, names))
        return -1;
    if (rows.count) {
        field = arena_printf(call->arena, "cities[%" PRId64 "]", rows_int(&rows, 0, "line"));
        if (rows_is_null(&rows, 0, "zone_id"))
            return call_fail(call, FAIL_VALIDATION_ERROR, field, "must not be empty");
        return call_failf(call, FAIL_CONFLICT, field,
                          "\"%s\" is in zone %" PRId64 " already; a place has one zone, take it out there first",
                          rows_text(&rows, 0, "name"), rows_int(&rows, 0, "zone_id"));
    }
    if (db_run(call, PLACES_SET, &rows, "llj", store_id, zone_id, names))
        return -1;
    *changed += rows_int(&rows, 0, "changed");
    return 0;
}

static int
check_ids(struct call *call, struct in methods)
{
    for (unsigned i = 0; i < in_count(methods, ""); i++)
        for (unsigned k = 0; k < i; k++) {
            int64_t method_id = in_int(in_item(methods, i), "method_id", 0);

            if (method_id && method_id == in_int(in_item(methods, k), "method_id", 0))
                return call_fail(call, FAIL_VALIDATION_ERROR, arena_printf(call->arena, "methods[%u].method_id", i),
                                 "stands twice; send each method once");
        }
    return 0;
}

static struct str
methods_json(struct call *call, struct in methods)
{
    static const char *const names[] = {"method_id", "name", "price", "min_order", "estimated_days"};
    unsigned count = in_count(methods, "");
    struct json_text text;

    json_text_begin(&text);
    out_list(&text.out, count);
    for (unsigned i = 0; i < count; i++) {
        struct in method = in_item(methods, i);

        out_map(&text.out, 1 + ARRAY_COUNT(names));
        out_key(&text.out, "position");
        out_int(&text.out, i);
        for (unsigned k = 0; k < ARRAY_COUNT(names); k++) {
            out_key(&text.out, names[k]);
            out_json(&text.out, json_text_of(in_at(method, names[k]), call->arena));
        }
    }
    return json_text_end(&text, call->arena);
}

static int
set_methods(struct call *call, int64_t zone_id, struct in methods, int64_t *changed)
{
    int64_t store_id = call->caller.store_id;
    struct rows rows;
    struct str json;

    if (!in_has(methods, ""))
        return 0;
    json = methods_json(call, methods);
    if (check_ids(call, methods) || db_run(call, METHODS_CHECK, &rows, "llj", store_id, zone_id, json))
        return -1;
    if (rows.count)
        return call_fail(call, FAIL_NOT_FOUND,
                         arena_printf(call->arena, "methods[%" PRId64 "].method_id", rows_int(&rows, 0, "position")),
                         "No such method in this zone; leave method_id out to make a new one");
    if (db_run(call, METHODS_SET, &rows, "llj", store_id, zone_id, json))
        return -1;
    *changed += rows_int(&rows, 0, "changed");
    return 0;
}

int
shipping_zones_create(struct call *call)
{
    bool is_default = in_bool(call->in, "body.is_default", false);
    int64_t zone_id, changed = 0;
    struct rows rows;

    if (begin(call) || check_state(call, 0, is_default) ||
        db_run(call, ZONE_INSERT, &rows, "lsbt", call->caller.store_id, in_text(call->in, "body.name"), (int)is_default,
               clock_now_us()))
        return -1;
    zone_id = rows_int(&rows, 0, "zone_id");
    if (set_places(call, zone_id, in_at(call->in, "body.cities"), &changed) ||
        set_methods(call, zone_id, in_at(call->in, "body.methods"), &changed) || get_zone(call, zone_id, &rows) ||
        db_commit(call))
        return -1;
    return call_reply_resource(call, 201, &rows);
}

/* Name and is_default with the time, when anything has changed; a request that changes nothing writes nothing. */
static int
update_zone(struct call *call, int64_t zone_id, const struct rows *before, int64_t changed)
{
    const char *name = in_text(call->in, "body.name"), *old_name = rows_text(before, 0, "name");
    bool was_default = rows_int(before, 0, "is_default") != 0;
    bool is_default = in_bool(call->in, "body.is_default", was_default);
    struct rows rows;

    if (is_default && !was_default && check_state(call, zone_id, true))
        return -1;
    if (!name)
        name = old_name;
    if (changed == 0 && is_default == was_default && strcmp(name, old_name) == 0)
        return 0;
    return db_run(call, ZONE_UPDATE, &rows, "llsbt", call->caller.store_id, zone_id, name, (int)is_default,
                  clock_now_us());
}

int
shipping_zones_update(struct call *call)
{
    int64_t zone_id = in_int(call->in, "path.zone_id", 0), changed = 0;
    struct rows before, rows;

    if (begin(call) || get_zone(call, zone_id, &before) || call_if_match(call, &before) ||
        set_places(call, zone_id, in_at(call->in, "body.cities"), &changed) ||
        set_methods(call, zone_id, in_at(call->in, "body.methods"), &changed) ||
        update_zone(call, zone_id, &before, changed) || get_zone(call, zone_id, &rows) || db_commit(call))
        return -1;
    return call_reply_resource(call, 200, &rows);
}

int
shipping_zones_delete(struct call *call)
{
    int64_t zone_id = in_int(call->in, "path.zone_id", 0);
    struct rows rows;

    if (begin(call) || get_zone(call, zone_id, &rows) || call_if_match(call, &rows) ||
        db_run(call, ZONE_DELETE, &rows, "ll", call->caller.store_id, zone_id) || db_commit(call))
        return -1;
    return call_reply_deleted(call, "zone_id", zone_id, "Shipping zone deleted");
}

/* ---- rates ------------------------------------------------------------------------------------------------------- */

int
shipping_rates(struct call *call)
{
    struct rows rows;
    bool covered;

    if (db_run(call, SHIPPING_RATES, &rows, "lssm", call->caller.store_id, in_text(call->in, "query.area"),
               in_text(call->in, "query.city"), in_money(call->in, "query.subtotal", 0)))
        return -1;
    covered = rows.count > 0;
    call_data(call);
    out_map(&call->out, 2);
    out_key(&call->out, "zone");
    if (covered) {
        out_map(&call->out, 2);
        out_key(&call->out, "zone_id");
        out_int(&call->out, rows_int(&rows, 0, "_zone_id"));
        out_key(&call->out, "name");
        out_text(&call->out, rows_text(&rows, 0, "_zone_name"));
    } else {
        out_null(&call->out);
    }
    if (covered && rows_is_null(&rows, 0, "method_id"))
        rows.count = 0; /* the zone alone */
    out_key(&call->out, "rates");
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}
