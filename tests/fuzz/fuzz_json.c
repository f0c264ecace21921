/* Whatever text arrives: it is refused, or what was understood means the same when it is written and read again. */
#include <assert.h>
#include <string.h>

#include "in.h"
#include "json.h"
#include "out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf first, second, json;
    char why[JSON_WHY_SIZE];

    buf_init(&first, 1 << 20);
    buf_init(&second, 1 << 20);
    buf_init(&json, 1 << 22);
    if (json_to_msgpack((const char *)data, size, &first, why) == 0) {
        struct arena *arena = arena_new(4096);
        struct out out;
        struct in in;
        int result = in_decode(&in, arena, first.data, first.size);

        assert(result == 0);
        out_init(&out, &json, OUT_JSON);
        out_msgpack(&out, (struct str){first.data, first.size});
        assert(out_complete(&out));
        result = json_to_msgpack(json.data, json.size, &second, why);
        assert(result == 0 && first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
        arena_destroy(&arena);
    } else {
        assert(why[0] != '\0' && strlen(why) < JSON_WHY_SIZE && first.size == 0);
    }
    buf_free(&first);
    buf_free(&second);
    buf_free(&json);
    return 0;
}
