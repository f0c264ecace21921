/* developer_keys.c - is this token signed with the key in use, or with the one that is about to be: of two processes
 * one sees the key file first. */
#include "developer_keys.h"

#include "audit.h"
#include "auth_operations.h"
#include "invalidation.h"
#include "sessions.h"

bool
developer_keys_match(const struct jwt *jwt)
{
    uint8_t keys[DERIVED_KEYS_MAX][DERIVED_KEY_SIZE];
    unsigned count = secret_derive_all(keys, DEVELOPER_KEY_LABEL, false);
    bool match = false;

    for (unsigned i = 0; i < count && !match; i++)
        match = jwt_verify(jwt, keys[i], DERIVED_KEY_SIZE);
    secret_wipe(keys, sizeof keys);
    return match;
}

int
developer_keys_forget(struct call *call)
{
    if (db_begin(call) ||
        audit_put(call, "developer_keys.exchanged", DEVELOPER_KEYS_TAG, DEVELOPER_KEYS_TAG_ID, 0, 0) ||
        invalidation_commit(call, DEVELOPER_KEYS_TAG, DEVELOPER_KEYS_TAG_ID))
        return -1;
    call_data(call);
    out_map(&call->out, 1);
    out_key(&call->out, "revoked");
    out_int(&call->out, 1);
    return call_reply(call, 200);
}
