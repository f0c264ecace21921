/* docs.h - the gateway's own pages: what stands under /api/docs, /livez, /readyz, /metrics. */
#ifndef DOCS_H
#define DOCS_H

#include "request.h"

bool docs_have(struct str path);
bool docs_have_page(struct str path);      /* HTML: no script of another origin may read it */
void docs_answer(struct request *request); /* whose path they have */

#endif
