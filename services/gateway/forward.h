/* forward.h - an admitted, complete request goes to its service; its reply becomes the answer. */
#ifndef FORWARD_H
#define FORWARD_H

#include "request.h"

/* Leaves the request in REQUEST_CALLING, to be woken with the answer, or in REQUEST_ANSWERED. */
void forward_begin(struct request *self);

/* Prepares request->call for one more call with the present frame; done and owner are the caller's to set. */
void forward_prepare(struct request *self, struct hub_call *call);

#endif
