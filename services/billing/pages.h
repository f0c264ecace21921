/* pages.h - what the HTML pages of this service share (libshared/html.h). */
#ifndef PAGES_H
#define PAGES_H

#include "call.h"
#include "html.h"

/* The answer's head: headers and everything up to the content; before and after stand around a name, which may be NULL.
 * form_sources: where a form may lead, or NULL when there is none (html_policy). */
struct buf *page_begin(struct call *call, const char *before, const char *name, const char *after,
                       const char *form_sources);

void page_paragraph(struct buf *page, const char *text);
void page_quiet(struct buf *page, const char *text); /* small print */
void page_link(struct buf *page, const char *address, const char *text);
void page_amount(struct buf *page, const char *what, const char *amount, const char *currency); /* in a list */

int page_end(struct call *call, struct buf *page) must_check;

/* Sends the browser on. */
int page_redirect(struct call *call, const char *address) must_check;

/* return_url with payment=OUTCOME and charge_id added to its query, before a fragment. In the arena. */
const char *page_return_address(struct arena *arena, const char *return_url, const char *outcome, int64_t charge_id);

/* Scheme and host of an address that was checked; NULL gives NULL. In the arena. */
const char *page_origin(struct arena *arena, const char *address);

#endif
