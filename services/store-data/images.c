/* images.c - images of products: taken as files, kept by assets.h, served back, listed and deleted.
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
#include "log.h"
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
fail_absent(struct call *call)
{
    return call_fail(call, FAIL_NOT_FOUND, "product_id", "No such product in this store");
}

static int
check_product(struct call *call, int64_t product_id, unsigned files)
{
    struct rows product, images;

    if (db_run(call, IMAGES_LOCK, &product, "ll", call->caller.store_id, product_id))
        return -1;
    if (product.count == 0 || !rows_int(&product, 0, "live"))
        return fail_absent(call);
    if (db_run(call, IMAGES_COUNT, &images, "ll", call->caller.store_id, product_id))
        return -1;
    if (rows_int(&images, 0, "n") + files > PRODUCT_IMAGES_MAX)
        return call_failf(
            call, FAIL_CONFLICT, "files",
            "A product has at most %d images; delete some (DELETE /products/{product_id}/images/{image_id})",
            PRODUCT_IMAGES_MAX);
    return 0;
}

/* The bytes are safe before the row says that they are there. */
static int
keep(struct call *call, int64_t product_id, const char *key, struct str bytes, struct rows *image)
{
    if (assets_put(key, bytes) != 0)
        return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, NULL);
    return db_run(call, IMAGE_PUT, image, "llslt", call->caller.store_id, product_id, key, (int64_t)bytes.len,
                  clock_now_us());
}

int
images_create(struct call *call)
{
    int64_t product_id = in_int(call->in, "path.product_id", 0);
    struct in files = in_at(call->in, "body.files");
    unsigned count = in_count(files, "");
    struct rows image;

    if (check_kinds(call, files) || db_begin(call) || check_product(call, product_id, count))
        return -1;
    call_data(call);
    out_list(&call->out, count);
    for (unsigned i = 0; i < count; i++) {
        struct str bytes = in_str(in_item(files, i), "");

        if (keep(call, product_id, key_of(call, product_id, bytes, kind_of(bytes)), bytes, &image))
            return -1;
        out_row(&call->out, &image, 0);
    }
    return db_commit(call) ? -1 : call_reply(call, 201);
}

/* ---- telling and taking away ------------------------------------------------------------------------------------- */

int
images_list(struct call *call)
{
    struct rows rows;

    if (db_run(call, IMAGES_LIST, &rows, "ll", call->caller.store_id, in_int(call->in, "path.product_id", 0)))
        return -1;
    if (rows.count == 0)
        return fail_absent(call);
    if (rows_is_null(&rows, 0, "image_id"))
        rows.count = 0;
    call_data(call);
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}

static int
find_image(struct call *call, struct rows *image)
{
    if (db_run(call, IMAGE_GET, image, "lll", call->caller.store_id, in_int(call->in, "path.product_id", 0),
               in_int(call->in, "path.image_id", 0)))
        return -1;
    return image->count ? 0 : call_fail(call, FAIL_NOT_FOUND, "image_id", "This product has no such image");
}

int
images_get(struct call *call)
{
    struct rows image;

    return find_image(call, &image) ? -1 : call_reply_row(call, 200, &image, 0);
}

static const char *
list_json(struct call *call, const struct rows *rows)
{
    struct json_text text;

    json_text_begin(&text);
    out_rows(&text.out, rows);
    return json_text_end(&text, call->arena).base;
}

static int
take_out_of_variants(struct call *call, int64_t product_id, const char *key, int64_t now_us)
{
    int64_t store_id = call->caller.store_id;
    struct rows before, after;

    if (db_run(call, IMAGE_VARIANTS, &before, "lls", store_id, product_id, key))
        return -1;
    if (before.count == 0)
        return 0;
    if (db_run(call, IMAGE_TAKE_OUT, &after, "llst", store_id, product_id, key, now_us))
        return -1;
    return variants_changed(call, product_id, list_json(call, &before), list_json(call, &after), now_us);
}

/* In a transaction of its own, when nobody may show it any more; unless it has been uploaded again meanwhile. What a
 * crash leaves is not shown (IMAGE_IS_KEPT). */
static int
remove_file(struct call *call, int64_t product_id, const char *key)
{
    struct rows product, kept;

    if (db_begin(call) || db_run(call, IMAGES_LOCK, &product, "ll", call->caller.store_id, product_id) ||
        db_run(call, IMAGE_IS_KEPT, &kept, "lls", call->caller.store_id, product_id, key))
        return -1;
    if (kept.count == 0 && assets_remove(key) != 0)
        return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, NULL);
    return db_commit(call);
}

int
images_delete(struct call *call)
{
    int64_t product_id = in_int(call->in, "path.product_id", 0), image_id = in_int(call->in, "path.image_id", 0);
    struct call_failure failure;
    struct rows product, image;
    const char *key;

    if (db_begin(call) || db_run(call, IMAGES_LOCK, &product, "ll", call->caller.store_id, product_id) ||
        find_image(call, &image) || call_if_match(call, &image))
        return -1;
    key = rows_text(&image, 0, "stored_key");
    if (db_post(call, IMAGE_DELETE, "lll", call->caller.store_id, product_id, image_id) ||
        take_out_of_variants(call, product_id, key, clock_now_us()) || db_commit(call))
        return -1;
    if (remove_file(call, product_id, key)) { /* the image is deleted all the same */
        log_event(LOG_WARN, "asset_left", "s:request_id", call->request_id, "s:key", key, NULL);
        call_take_failure(call, &failure);
        db_rollback(call->db);
    }
    return call_reply_deleted(call, "image_id", image_id, "Image deleted");
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
    int64_t store_id = in_int(call->in, "path.store_id", 0), product_id = in_int(call->in, "path.product_id", 0);
    const struct kind *kind = kind_of_name(name);
    char key[ASSET_KEY_MAX + 1];
    struct rows kept;
    int found = 1;

    if (kind) {
        snprintf(key, sizeof key, "stores/%" PRId64 "/products/%" PRId64 "/%s", store_id, product_id, name);
        if (db_run(call, IMAGE_IS_KEPT, &kept, "lls", store_id, product_id, key))
            return -1;
        if (kept.count > 0)
            found = assets_get(key, call->out.buf);
    }
    if (found > 0)
        return call_fail(call, FAIL_NOT_FOUND, NULL, "No such image");
    if (found < 0)
        return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, NULL);
    call_header(call, "Content-Type", kind->type);
    call_header(call, "Cache-Control", "public, max-age=31536000, immutable");
    call_header(call, "Content-Security-Policy", "default-src 'none'; sandbox");
    return call_reply(call, 200);
}
