/* login.h - is this the right password; and how often may one try (contract K.2). */
#ifndef LOGIN_H
#define LOGIN_H

#include "call.h"
#include "secret.h"

/* 0 with the account's row of ACCOUNT_FOR_LOGIN when identifier (e-mail, phone or username) and password are right and
 * the account is active. Else -1: unauthorized, the same for an unknown account and a wrong password; rate_limited
 * after ten failures in 15 minutes with this identifier, whatever the password, and unauthorized after ten with other
 * identifiers of the account; forbidden for a disabled account; service_unavailable when
 * too many logins are being checked. No transaction may be open. */
int login_check(struct call *call, const char *identifier, struct str password, struct rows *account) must_check;

/* The same question of who does not sign in but shows that the account is theirs. 0; *right tells whether it is, and is
 * false as well while the lockout lasts. -1: forbidden and service_unavailable, as above. */
int login_prove(struct call *call, const char *identifier, struct str password, struct rows *account,
                bool *right) must_check;

/* A hash to store for a new password, made where few may hash at once: service_unavailable when too many wait. No
 * transaction may be open. */
int login_hash_password(struct call *call, struct str password, char hash[PASSWORD_HASH_SIZE]) must_check;

#endif
