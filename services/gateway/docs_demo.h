/* docs_demo.h - the demo's credentials for the explorer, where the platform runs for development. */
#ifndef DOCS_DEMO_H
#define DOCS_DEMO_H

#include "request.h"

/* `data` is null wherever they are not to be seen. */
void docs_demo_answer(struct request *request);

#endif
