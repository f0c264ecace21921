/* Whatever bytes another process sends: they are refused, or every look-up in them stays within them, and the memory
 * taken is in proportion to the message. */
#include <assert.h>

#include "in.h"
#include "out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned
visit(struct in in)
{
    unsigned count = in_count(in, ""), seen = 1;

    seen += (unsigned)in_int(in, "", 1) + in_bool(in, "", false) + (unsigned)in_time(in, "", 1);
    seen += (unsigned)in_money(in, "", 1) + (unsigned)in_str(in, "").len + in_has(in, "a.b") + in_is_null(in, "a");
    if (in_text(in, "") != NULL)
        seen++;
    for (unsigned i = 0; i <= count; i++) {
        struct in item = in_item(in, i), value = in_value(in, i);

        assert(i < count || (item.object == NULL && value.object == NULL && in_key(in, i).base == NULL));
        if (item.object != NULL)
            seen += visit(item);
        if (value.object != NULL)
            seen += visit(value) + (unsigned)in_key(in, i).len;
    }
    return seen;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(4096);
    struct buf buf;
    struct out out;
    struct in in;

    if (in_decode(&in, arena, data, size) == 0) {
        assert(arena_used(arena) <= 64 + 40 * size);
        visit(in);
        buf_init(&buf, 1 << 20);
        out_init(&out, &buf, OUT_JSON);
        out_msgpack(&out, (struct str){(const char *)data, size});
        assert(out.depth == 0);
        buf_free(&buf);
    } else {
        assert(in.object == NULL && arena_used(arena) <= 64 + 40 * size);
    }
    arena_destroy(&arena);
    return 0;
}
