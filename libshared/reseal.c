/* reseal.c - one batch at a time, in one transaction: rows are found behind the place where the last batch ended,
 * opened with whichever key they name, and written back under the present one. */
#include "reseal.h"

#include <string.h>

#include "log.h"
#include "master_key.h"
#include "secret.h"
#include "shared_statements.h"

#define BATCH_ROWS 20

static const struct sealed_column everywhere = {"idempotency", IDEMPOTENCY_TO_RESEAL, IDEMPOTENCY_RESEAL};
static const struct sealed_column *own;
static unsigned own_count;

void
reseal_columns(const struct sealed_column *columns, unsigned count)
{
    own = columns;
    own_count = count;
}

static void
present_key_id(uint8_t id[MASTER_KEY_ID_SIZE])
{
    struct master_keys keys;

    master_take(&keys);
    memcpy(id, keys.current.id, MASTER_KEY_ID_SIZE);
    secret_wipe(&keys, sizeof keys);
}

/* 1 when the row is sealed anew, 0 when no key opens it, -1 after an error. */
static int
reseal_row(struct call *call, const struct sealed_column *column, const struct rows *rows, unsigned row)
{
    size_t size = rows_bytes(rows, row, "sealed", NULL, 0);
    uint8_t *sealed = arena_alloc(call->arena, size + 1), *inner = arena_alloc(call->arena, size + 1);
    struct str about = str_of(rows_text(rows, row, "about"));
    int64_t place = rows_int(rows, row, "place");

    rows_bytes(rows, row, "sealed", sealed, size);
    if (secret_open(inner, column->label, about, sealed, size)) {
        log_event(LOG_ERROR, "sealed_value_unreadable", "s:request_id", call->request_id, "s:label", column->label,
                  "l:place", place, NULL);
        return 0;
    }
    secret_seal(sealed, column->label, about, inner, size - SEAL_OVERHEAD);
    secret_wipe(inner, size);
    return db_post(call, column->replace, "lx", place, sealed, size) ? -1 : 1;
}

static int
reply(struct call *call, int64_t column, int64_t after, int64_t resealed, int64_t unreadable)
{
    char key[HEX_SIZE(MASTER_KEY_ID_SIZE)];
    uint8_t id[MASTER_KEY_ID_SIZE];
    const struct {
        const char *name;
        int64_t value;
    } members[] = {{"column", column}, {"after", after}, {"resealed", resealed}, {"unreadable", unreadable}};

    call_data(call);
    out_map(&call->out, ARRAY_COUNT(members) + 2);
    for (unsigned i = 0; i < ARRAY_COUNT(members); i++) {
        out_key(&call->out, members[i].name);
        out_int(&call->out, members[i].value);
    }
    out_key(&call->out, "done");
    out_bool(&call->out, column > own_count);
    present_key_id(id);
    secret_hex(key, id, sizeof id);
    out_key(&call->out, "key");
    out_text(&call->out, key);
    return call_reply(call, 200);
}

int
secrets_reseal(struct call *call)
{
    int64_t number = in_int(call->in, "body.column", 0), after = in_int(call->in, "body.after", 0);
    const struct sealed_column *column = number < own_count ? &own[number] : &everywhere;
    int64_t resealed = 0, unreadable = 0;
    uint8_t id[MASTER_KEY_ID_SIZE];
    struct rows rows;

    if (number > own_count)
        return reply(call, number, 0, 0, 0);
    present_key_id(id);
    if (db_begin(call) || db_run(call, column->find, &rows, "xll", id, sizeof id, after, (int64_t)BATCH_ROWS))
        return -1;
    for (unsigned i = 0; i < rows.count; i++) {
        int done = reseal_row(call, column, &rows, i);

        if (done < 0)
            return -1;
        resealed += done;
        unreadable += !done;
    }
    if (db_commit(call))
        return -1;
    if (rows.count == BATCH_ROWS)
        return reply(call, number, rows_int(&rows, rows.count - 1, "place"), resealed, unreadable);
    return reply(call, number + 1, 0, resealed, unreadable);
}
