/* developer.h - what an app's developer earns and is paid (contract A.5 rows 95-97, K.5). */
#ifndef DEVELOPER_H
#define DEVELOPER_H

#include "charge.h"

/* Inside a transaction, with the transfer into the developer's account that a payment made, or out of it that a refund
 * made; transfer_id 0: there was none, because nothing of it was theirs. paid and earned: of the merchant and of the
 * developer, below zero when they go back. type: the transfer's reason. */
int revenue_add(struct call *call, const struct charge *charge, const char *type, int64_t paid, int64_t earned,
                int64_t transfer_id) must_check;

/* 404 app_not_found unless path.app_id is an app of the developer who asks; then it is the caller's app_id. */
int developer_allow(struct call *call) must_check;

#endif
