/* in.c - a tree over a received message, and look-ups in it.
 *
 * The tree is built in the request's arena from our own walk (token.c) instead of by msgpack_unpack: the walk over
 * hostile bytes is needed before it anyway, and a msgpack_zone would have to be freed singly, which an arena cannot do.
 * Text is not copied; it points into the message.
 */
#include "in.h"

#include <string.h>

#include "token.h"

struct level {
    msgpack_object *next; /* the member that comes next */
    uint64_t left;
    bool map;
};

/* Room for the members of a container that has just been read; a map's pairs are keys and values in turn. */
static void
open_container(struct level *level, struct arena *arena, msgpack_object *container)
{
    level->map = container->type == MSGPACK_OBJECT_MAP;
    level->left = token_members(container);
    if (level->map) {
        container->via.map.ptr = arena_alloc(arena, level->left * sizeof(msgpack_object));
        level->next = &container->via.map.ptr[0].key;
    } else {
        container->via.array.ptr = arena_alloc(arena, level->left * sizeof(msgpack_object));
        level->next = container->via.array.ptr;
    }
}

static int
build_tree(struct arena *arena, const uint8_t *at, const uint8_t *end, msgpack_object *root)
{
    struct level levels[TOKEN_DEPTH_MAX + 1];
    unsigned depth = 0;
    uint64_t pending = 1; /* values announced and not yet read: each takes a byte at least */

    levels[0] = (struct level){root, 1, false};
    for (;;) {
        struct level *level = &levels[depth];
        msgpack_object *slot = level->next;
        uint64_t members;

        if (level->left == 0) {
            if (depth-- == 0)
                return at == end ? 0 : -1;
            continue;
        }
        if (token_read(&at, end, slot) != 0)
            return -1;
        if (level->map && level->left % 2 == 0 && slot->type != MSGPACK_OBJECT_STR)
            return -1; /* names only, as in JSON */
        level->next++;
        level->left--;
        members = token_members(slot);
        pending += members - 1;
        if (pending > (uint64_t)(end - at))
            return -1;
        if (slot->type == MSGPACK_OBJECT_ARRAY || slot->type == MSGPACK_OBJECT_MAP) {
            if (depth == TOKEN_DEPTH_MAX)
                return -1;
            if (members > 0)
                open_container(&levels[++depth], arena, slot);
        }
    }
}

int
in_decode(struct in *self, struct arena *arena, const void *data, size_t size)
{
    msgpack_object *root = arena_alloc(arena, sizeof(*root));

    *self = (struct in){NULL, arena};
    if (size == 0 || build_tree(arena, data, (const uint8_t *)data + size, root) != 0)
        return -1;
    self->object = root;
    return 0;
}

static const msgpack_object *
map_get(const msgpack_object *map, const char *name, size_t len)
{
    if (map->type != MSGPACK_OBJECT_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object *key = &map->via.map.ptr[i].key;

        if (key->via.str.size == len && memcmp(key->via.str.ptr, name, len) == 0)
            return &map->via.map.ptr[i].val;
    }
    return NULL;
}

struct in
in_at(struct in self, const char *path)
{
    while (self.object != NULL && *path != '\0') {
        size_t len = strcspn(path, ".");

        self.object = map_get(self.object, path, len);
        path += len;
        if (*path == '.')
            path++;
    }
    return self;
}

bool
in_has(struct in self, const char *path)
{
    const msgpack_object *object = in_at(self, path).object;

    return object != NULL && object->type != MSGPACK_OBJECT_NIL;
}

bool
in_is_null(struct in self, const char *path)
{
    const msgpack_object *object = in_at(self, path).object;

    return object != NULL && object->type == MSGPACK_OBJECT_NIL;
}

bool
in_is_sent(struct in self, const char *path)
{
    return in_at(self, path).object != NULL;
}

int64_t
in_int(struct in self, const char *path, int64_t otherwise)
{
    const msgpack_object *object = in_at(self, path).object;

    if (object == NULL)
        return otherwise;
    if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ||
        (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 <= INT64_MAX))
        return object->via.i64;
    return otherwise;
}

bool
in_bool(struct in self, const char *path, bool otherwise)
{
    const msgpack_object *object = in_at(self, path).object;

    return object != NULL && object->type == MSGPACK_OBJECT_BOOLEAN ? object->via.boolean : otherwise;
}

const char *
in_text(struct in self, const char *path)
{
    const msgpack_object *object = in_at(self, path).object;

    if (object == NULL || object->type != MSGPACK_OBJECT_STR)
        return NULL;
    return arena_strndup(self.arena, object->via.str.ptr, object->via.str.size);
}

const char *
in_text_after(struct in self, const char *path, const char *before)
{
    return in_is_sent(self, path) ? in_text(self, path) : before;
}

struct str
in_str(struct in self, const char *path)
{
    const msgpack_object *object = in_at(self, path).object;

    if (object == NULL || (object->type != MSGPACK_OBJECT_STR && object->type != MSGPACK_OBJECT_BIN))
        return (struct str){NULL, 0};
    return (struct str){object->via.str.ptr, object->via.str.size};
}

int64_t
in_time(struct in self, const char *path, int64_t otherwise_us)
{
    const msgpack_object *object = in_at(self, path).object;
    int64_t time_us;

    return object != NULL && token_time(object, &time_us) == 0 ? time_us : otherwise_us;
}

int64_t
in_money(struct in self, const char *path, int64_t otherwise)
{
    const msgpack_object *object = in_at(self, path).object;
    int64_t amount;
    unsigned decimals;

    return object != NULL && token_money(object, &amount, &decimals) == 0 ? amount : otherwise;
}

unsigned
in_count(struct in self, const char *path)
{
    const msgpack_object *object = in_at(self, path).object;

    if (object == NULL)
        return 0;
    return object->type == MSGPACK_OBJECT_ARRAY ? object->via.array.size
           : object->type == MSGPACK_OBJECT_MAP ? object->via.map.size
                                                : 0;
}

struct in
in_item(struct in self, unsigned index)
{
    const msgpack_object *object = self.object;

    if (object == NULL || object->type != MSGPACK_OBJECT_ARRAY || index >= object->via.array.size)
        return (struct in){NULL, self.arena};
    return (struct in){&object->via.array.ptr[index], self.arena};
}

struct str
in_key(struct in self, unsigned index)
{
    const msgpack_object *object = self.object;

    if (object == NULL || object->type != MSGPACK_OBJECT_MAP || index >= object->via.map.size)
        return (struct str){NULL, 0};
    return (struct str){object->via.map.ptr[index].key.via.str.ptr, object->via.map.ptr[index].key.via.str.size};
}

struct in
in_value(struct in self, unsigned index)
{
    const msgpack_object *object = self.object;

    if (object == NULL || object->type != MSGPACK_OBJECT_MAP || index >= object->via.map.size)
        return (struct in){NULL, self.arena};
    return (struct in){&object->via.map.ptr[index].val, self.arena};
}
