/* docs.h - the gateway's own pages: the contract document, /livez, /readyz, /metrics. */
#ifndef DOCS_H
#define DOCS_H

#include "request.h"

struct page;

const struct page *docs_find(struct str path); /* NULL: not a page of ours */
void docs_start(void);                         /* once: the document's validators */
void docs_answer(const struct page *page, struct request *request);

#endif
