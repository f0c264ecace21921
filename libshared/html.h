/* html.h - HTML pages that work without a script: sign-in, consent, and the errors of both (contract K.1).
 *
 * One look for all of them, written where the page is made: by a service for its forms, by the gateway for errors. The
 * only style is the one here, named in the policy by its hash, so that nothing that slipped into a page could load,
 * run or frame anything (RFC 9700, 4.16: no framing). Text goes in through html_text, which escapes it.
 */
#ifndef HTML_H
#define HTML_H

#include "arena.h"
#include "buf.h"

/* Everything up to the page's content, and everything after it. title is text, not HTML. */
void html_begin(struct buf *target, const char *title);

/* The same with somebody's name, or NULL, between two parts of the title: see html_name. */
void html_begin_about(struct buf *target, const char *before, const char *name, const char *after);
void html_end(struct buf *target);

/* Text inside an element or a quoted attribute: & < > " ' are written as entities. Must be UTF-8; absent is nothing. */
void html_text(struct buf *target, struct str text);

/* A name that somebody chose, in an element of its own: its direction of writing must not rearrange what is around. */
void html_name(struct buf *target, const char *name);

/* <input type="hidden" name="..." value="..."> */
void html_hidden(struct buf *target, const char *name, const char *value);

/* The value of Content-Security-Policy. form_action is the sources a form may go to, and be redirected to, beside this
 * host; NULL when the page has no form. In the arena. */
char *html_policy(struct arena *arena, const char *form_action);

#endif
