/* images.c - images of products: taken as files, kept by assets.h, served back.
 *
 * What a file is, its first bytes tell, never its name or the type a client claims; what a browser would run (HTML,
 * SVG) is no image here. The key ends in a hash of the bytes, so an answer never changes, and the same file is kept
 * once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "assets.h"
#include "clock.h"
#include "products.h"
#include "secret.h"
#include "statements.h"
#include "store_data_operations.h"

#define PRODUCT_IMAGES_MAX 250

struct kind {
    const char *extension, *type;
    const char *start;
    size_t start_size;
};

static const struct kind kinds[] = {
    {"png", "image/png", "\x89PNG\r\n\x1a\n", 8},
    {"jpg", "image/jpeg", "\xff\xd8\xff", 3},
    {"gif", "image/gif", "GIF87a", 6},
    {"gif", "image/gif", "GIF89a", 6},
    {"webp", "image/webp", "RIFF", 4},
};

static const struct kind *
kind_of(struct str bytes)
{
    for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
        const struct kind *kind = &kinds[i];

        if (bytes.len < 16 || memcmp(bytes.base, kind->start, kind->start_size) != 0)
            continue;
        if (strcmp(kind->extension, "webp") != 0 || memcmp(bytes.base + 8, "WEBP", 4) == 0)
            return kind;
    }
    return NULL;
}

static const char *
key_of(struct call *call, int64_t product_id, struct str bytes, const struct kind *kind)
{
    uint8_t digest[SHA256_SIZE];
    char hash[HEX_SIZE(SHA256_SIZE)];

    secret_sha256(digest, bytes.base, bytes.len);
    secret_hex(hash, digest, sizeof digest);
    return arena_printf(call->arena, "stores/%" PRId64 "/products/%" PRId64 "/%s.%s", call->caller.store_id, product_id,
                        hash, kind->extension);
}

static int
check_kinds(struct call *call, struct in files)
{
    for (unsigned i = 0; i < in_count(files, ""); i++)
        if (!kind_of(in_str(in_item(files, i), "")))
            return call_fail(call, FAIL_VALIDATION_ERROR, arena_printf(call->arena, "files[%u]", i),
                             "is no PNG, JPEG, GIF or WebP image");
    return 0;
}

static int
check_product(struct call *call, int64_t product_id, unsigned files)
{
    struct rows product, images;

    if (db_run(call, PRODUCT_HOLD, &product, "ll", call->caller.store_id, product_id))
        return -1;
    if (product.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "product_id", "No such product in this store");
    if (db_run(call, PRODUCT_IMAGES_COUNT, &images, "ll", call->caller.store_id, product_id))
        return -1;
    if (rows_int(&images, 0, "n") + files > PRODUCT_IMAGES_MAX)
        return call_failf(call, FAIL_CONFLICT, "files", "A product has at most %d images", PRODUCT_IMAGES_MAX);
    return 0;
}

/* The bytes are safe before the row says that they are there. */
static int
keep(struct call *call, int64_t product_id, const char *key, struct str bytes)
{
    if (assets_put(key, bytes) != 0)
        return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, NULL);
    return db_post(call, PRODUCT_IMAGE_INSERT, "llslt", call->caller.store_id, product_id, key, (int64_t)bytes.len,
                   clock_now_us());
}

static void
write_image(struct out *out, const char *key, const struct kind *kind, size_t size)
{
    out_map(out, 3);
    out_key(out, "stored_key");
    out_text(out, key);
    out_key(out, "content_type");
    out_text(out, kind->type);
    out_key(out, "size");
    out_int(out, (int64_t)size);
}

int
images_create(struct call *call)
{
    int64_t product_id = in_int(call->in, "path.product_id", 0);
    struct in files = in_at(call->in, "body.files");
    unsigned count = in_count(files, "");

    if (check_kinds(call, files) || db_begin(call) || check_product(call, product_id, count))
        return -1;
    call_data(call);
    out_list(&call->out, count);
    for (unsigned i = 0; i < count; i++) {
        struct str bytes = in_str(in_item(files, i), "");
        const struct kind *kind = kind_of(bytes);
        const char *key = key_of(call, product_id, bytes, kind);

        if (keep(call, product_id, key, bytes))
            return -1;
        write_image(&call->out, key, kind, bytes.len);
    }
    return db_commit(call) ? -1 : call_reply(call, 201);
}

/* ---- serving ----------------------------------------------------------------------------------------------------- */

/* HASH.EXTENSION and nothing else, so that no name leads anywhere. */
static const struct kind *
kind_of_name(const char *name)
{
    size_t len = strspn(name, "0123456789abcdef");

    for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++)
        if (len == 2 * SHA256_SIZE && name[len] == '.' && strcmp(name + len + 1, kinds[i].extension) == 0)
            return &kinds[i];
    return NULL;
}

int
assets_product_image(struct call *call)
{
    const char *name = in_text(call->in, "path.file");
    const struct kind *kind = kind_of_name(name);
    char key[ASSET_KEY_MAX + 1];
    int found = 1;

    if (kind) {
        snprintf(key, sizeof key, "stores/%" PRId64 "/products/%" PRId64 "/%s", in_int(call->in, "path.store_id", 0),
                 in_int(call->in, "path.product_id", 0), name);
        found = assets_get(key, call->out.buf);
    }
    if (found > 0)
        return call_fail(call, FAIL_NOT_FOUND, NULL, "No such image");
    if (found < 0)
        return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, NULL);
    call_header(call, "Content-Type", kind->type);
    call_header(call, "Cache-Control", "public, max-age=31536000, immutable");
    call_header(call, "X-Content-Type-Options", "nosniff");
    call_header(call, "Content-Security-Policy", "default-src 'none'; sandbox");
    return call_reply(call, 200);
}
