/* oauth_client.c - reads a client's credentials from where RFC 6749 allows them, and checks them.
 *
 * The Authorization header holds id and secret form-encoded, then in Base64 (2.3.1). All of it comes from outside and
 * none of it is logged.
 */
#include "oauth_client.h"

#include <string.h>
#include <strings.h>

#include "statements.h"
#include "text.h"

#define BASIC_MAX 1024

static int
refuse_client(struct call *call, bool basic)
{
    if (basic)
        call_header(call, "WWW-Authenticate", "Basic realm=\"oauth\", charset=\"UTF-8\"");
    return call_fail(call, FAIL_INVALID_CLIENT, NULL, NULL);
}

/* The common alphabet with padding, which is what headers use; text.h reads the URL one without. */
static int
decode_base64(struct call *call, struct str text, char **decoded, size_t *size)
{
    char *copy;

    while (text.len > 0 && text.base[text.len - 1] == '=')
        text.len--;
    copy = arena_strndup(call->arena, text.base, text.len);
    for (size_t i = 0; i < text.len; i++) {
        if (copy[i] == '-' || copy[i] == '_')
            return -1;
        copy[i] = (char)(copy[i] == '+' ? '-' : copy[i] == '/' ? '_' : copy[i]);
    }
    *decoded = arena_alloc(call->arena, text.len + 1);
    if (text_from_base64url(*decoded, size, copy, text.len))
        return -1;
    (*decoded)[*size] = '\0';
    return 0;
}

/* Cuts "id:secret" in two and takes the form encoding off each. */
static int
read_basic(struct call *call, struct str header, struct oauth_client *self)
{
    char *text, *colon;
    size_t size, id_len;

    header.base += strlen("Basic ");
    header.len -= strlen("Basic ");
    while (header.len > 0 && header.base[0] == ' ') {
        header.base++;
        header.len--;
    }
    if (header.len > BASIC_MAX || decode_base64(call, header, &text, &size) || memchr(text, 0, size))
        return -1;
    colon = memchr(text, ':', size);
    if (!colon)
        return -1;
    *colon = '\0';
    id_len = (size_t)(colon - text);
    self->secret = (struct str){colon + 1, size - id_len - 1};
    if (text_percent_decode(text, &id_len, true) || text_percent_decode(colon + 1, &self->secret.len, true) ||
        !text_is_utf8(text, id_len))
        return -1;
    text[id_len] = '\0';
    self->client_id = text;
    self->basic = true;
    return 0;
}

int
oauth_client_read(struct call *call, struct oauth_client *self)
{
    struct str header = in_str(call->in, "web.authorization");
    const char *client_id = in_text(call->in, "body.client_id");

    *self = (struct oauth_client){.client_id = client_id, .secret = in_str(call->in, "body.client_secret")};
    if (!header.base && (!client_id || !self->secret.base))
        return call_fail(call, FAIL_INVALID_CLIENT, NULL,
                         "Send client_id and client_secret, in the body or as HTTP Basic");
    if (!header.base)
        return 0;
    if (self->secret.base)
        return call_fail(call, FAIL_INVALID_REQUEST, NULL,
                         "Send the client's credentials in one place only: the Authorization header or the body");
    if (header.len < strlen("Basic ") || strncasecmp(header.base, "Basic ", strlen("Basic ")) != 0 ||
        read_basic(call, header, self))
        return refuse_client(call, true);
    if (client_id && strcmp(client_id, self->client_id) != 0)
        return call_fail(call, FAIL_INVALID_REQUEST, "client_id", "is another one than in the Authorization header");
    return 0;
}

int
oauth_client_check(struct call *call, struct oauth_client *self, const struct rows *rows)
{
    switch (client_secret_check(call, rows, self->secret, &self->match)) {
    case CLIENT_SECRET_RIGHT: break;
    case CLIENT_SECRET_WRONG: return refuse_client(call, self->basic);
    case CLIENT_SECRET_BROKEN: return -1;
    }
    call->caller =
        (struct identity){.audience = AUDIENCE_APP, .app_id = rows_int(rows, 0, "app_id"), .scopes = "", .service = ""};
    return 0;
}

int
oauth_client_note_use(struct call *call, const struct oauth_client *self)
{
    return client_secret_note_use(call, call->caller.app_id, &self->match);
}

int
oauth_client_identify(struct call *call)
{
    struct oauth_client client;
    struct rows rows;

    if (oauth_client_read(call, &client) || db_run(call, CLIENT_FIND, &rows, "s", client.client_id))
        return -1;
    if (oauth_client_check(call, &client, &rows))
        return -1;
    return oauth_client_note_use(call, &client);
}
