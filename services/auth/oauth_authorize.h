/* oauth_authorize.h - what an app asks a merchant for, as oauth_authorize.c has read it. */
#ifndef OAUTH_AUTHORIZE_H
#define OAUTH_AUTHORIZE_H

#include "call.h"

#define AUTHORIZATION_FIELDS 8

struct authorization {
    const char *fields[AUTHORIZATION_FIELDS]; /* as they came, NULL when absent; in the order of the names */
    const char *client_id, *redirect_uri, *scope, *state, *challenge;
    struct rows app; /* of OAUTH_APP */
    int64_t store_id;
    uint32_t scopes;
    const char *store_name, *account_name, *email; /* for the consent page */
};

extern const char *const authorization_names[AUTHORIZATION_FIELDS];

#endif
