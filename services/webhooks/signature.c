/* signature.c - HMAC-SHA256 in five shapes. Standard Webhooks decodes the secret from base64, the others take it as the
 * text that it is. */
#include "signature.h"

#include <openssl/evp.h>
#include <string.h>

#include "secret.h"
#include "text.h"

#define PREFIX     "whsec_"
#define KEY_MAX    128
#define BASE64_MAC BASE64_SIZE(SHA256_SIZE)

enum profile
profile_of(const char *name)
{
    static const char *const names[] = {"selorax", "standard-webhooks", "stripe", "github", "shopify"};

    for (unsigned i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(names[i], name) == 0)
            return (enum profile)i;
    return PROFILE_SELORAX;
}

/* Over the prefix and the body, which is not copied for those that sign it alone. */
static void
sign(uint8_t mac[SHA256_SIZE], struct arena *arena, struct str key, const char *prefix, struct str body)
{
    struct str head = str_of(prefix);
    char *text;

    if (head.len == 0) {
        secret_hmac(mac, key.base, key.len, body.base, body.len);
        return;
    }
    text = arena_alloc(arena, head.len + body.len);
    memcpy(text, head.base, head.len);
    memcpy(text + head.len, body.base, body.len);
    secret_hmac(mac, key.base, key.len, text, head.len + body.len);
}

static const char *
hex_signature(struct arena *arena, struct str key, const char *prefix, struct str body)
{
    char *hex = arena_alloc(arena, HEX_SIZE(SHA256_SIZE));
    uint8_t mac[SHA256_SIZE];

    sign(mac, arena, key, prefix, body);
    secret_hex(hex, mac, sizeof mac);
    return hex;
}

static const char *
base64_signature(struct arena *arena, struct str key, const char *prefix, struct str body)
{
    char *text = arena_alloc(arena, BASE64_MAC);
    uint8_t mac[SHA256_SIZE];

    sign(mac, arena, key, prefix, body);
    text_to_base64(text, mac, sizeof mac);
    return text;
}

static const char *
standard_signature(struct arena *arena, struct str secret, const char *prefix, struct str body)
{
    size_t skip = sizeof PREFIX - 1, len = secret.len - skip;
    unsigned char key[KEY_MAX];
    const char *text;
    int size = EVP_DecodeBlock(key, (const unsigned char *)secret.base + skip, (int)len);

    text = base64_signature(arena, (struct str){(const char *)key, size > 0 ? (size_t)size : 0}, prefix, body);
    secret_wipe(key, sizeof key);
    return text;
}

static unsigned
standard_headers(const struct signing *self, struct arena *arena, const char **headers)
{
    const char *prefix = arena_printf(arena, "%s.%lld.", self->event_id, (long long)self->timestamp_s);
    const char *first = standard_signature(arena, self->secret, prefix, self->body);

    headers[0] = arena_printf(arena, "webhook-id: %s", self->event_id);
    headers[1] = arena_printf(arena, "webhook-timestamp: %lld", (long long)self->timestamp_s);
    headers[2] = self->other.base ? arena_printf(arena, "webhook-signature: v1,%s v1,%s", first,
                                                 standard_signature(arena, self->other, prefix, self->body))
                                  : arena_printf(arena, "webhook-signature: v1,%s", first);
    return 3;
}

static unsigned
stripe_headers(const struct signing *self, struct arena *arena, const char **headers)
{
    const char *prefix = arena_printf(arena, "%lld.", (long long)self->timestamp_s);
    const char *first = hex_signature(arena, self->secret, prefix, self->body);
    const char *second = self->other.base ? hex_signature(arena, self->other, prefix, self->body) : NULL;

    headers[0] = arena_printf(arena, "Stripe-Signature: t=%lld,v1=%s%s%s", (long long)self->timestamp_s, first,
                              second ? ",v1=" : "", second ? second : "");
    return 1;
}

static unsigned
own_headers(const struct signing *self, struct arena *arena, const char **headers)
{
    const char *prefix = arena_printf(arena, "%lld.", (long long)self->timestamp_s);

    switch (self->profile) {
    case PROFILE_STANDARD: return standard_headers(self, arena, headers);
    case PROFILE_STRIPE: return stripe_headers(self, arena, headers);
    case PROFILE_GITHUB:
        headers[0] =
            arena_printf(arena, "X-Hub-Signature-256: sha256=%s", hex_signature(arena, self->secret, "", self->body));
        headers[1] = arena_printf(arena, "X-GitHub-Event: %s", self->topic);
        headers[2] = arena_printf(arena, "X-GitHub-Delivery: %s", self->event_id);
        return 3;
    case PROFILE_SHOPIFY:
        headers[0] =
            arena_printf(arena, "X-Shopify-Hmac-Sha256: %s", base64_signature(arena, self->secret, "", self->body));
        headers[1] = arena_printf(arena, "X-Shopify-Topic: %s", self->topic);
        headers[2] = arena_printf(arena, "X-Shopify-Webhook-Id: %s", self->event_id);
        headers[3] = arena_printf(arena, "X-Shopify-Shop-Domain: store-%lld.selorax.io", (long long)self->store_id);
        headers[4] = "X-Shopify-API-Version: v1";
        return 5;
    default:
        headers[0] = arena_printf(arena, "X-SeloraX-Signature: sha256=%s",
                                  hex_signature(arena, self->secret, prefix, self->body));
        return 1;
    }
}

void
signature_headers(const struct signing *self, struct arena *arena, const char *headers[OUTBOUND_HEADERS_MAX])
{
    unsigned count = 5;

    headers[0] = arena_printf(arena, "X-SeloraX-Timestamp: %lld", (long long)self->timestamp_s);
    headers[1] = arena_printf(arena, "X-SeloraX-Webhook-Event: %s", self->topic);
    headers[2] = arena_printf(arena, "X-SeloraX-Webhook-Event-Id: %s", self->event_id);
    headers[3] = arena_printf(arena, "X-SeloraX-Idempotency-Key: %s", self->event_id);
    headers[4] = arena_printf(arena, "X-SeloraX-Delivery-Id: %s", self->attempt_id);
    count += own_headers(self, arena, headers + count);
    headers[count] = NULL;
}
