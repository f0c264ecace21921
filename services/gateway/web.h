/* web.h - what browsers and RFC clients need beside JSON (x-answer page and oauth, proto/README.md).
 *
 * The service is told by which address it was reached and what Authorization and Cookie said; answers may be pages,
 * redirect and set a cookie; errors are pages, or carry the members of RFC 6749.
 */
#ifndef WEB_H
#define WEB_H

#include "out.h"
#include "reply_private.h"

/* "https://api.example.com", as the client reached us: SX_PUBLIC_URL, else by Host, and by X-Forwarded-Proto where a
 * trusted proxy sent it. Never with a path, and never with bytes a host name cannot have. In the arena, or the
 * setting's. */
const char *web_base_url(struct request *self);

/* Writes the member "web" of a REQUEST into an open map. */
void web_pack(struct request *self, struct out *out);

/* Writes error and error_description (RFC 6749, 5.2) into an open map. */
void web_write_oauth_error(struct request *self, struct out *out, const struct error *error);

/* The whole answer, as a page. */
void web_reply_error(struct request *self, const struct error *error);

/* The headers every page carries, where the service has not set them (RFC 9700, 4.2 and 4.16). */
void web_page_headers(struct request *self);

#endif
