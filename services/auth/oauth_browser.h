/* oauth_browser.h - a merchant's browser at the consent page: its session, and proof that a form is ours.
 *
 * The session is a merchant session whose access token is good for these pages alone, and lies in a cookie of the host
 * alone (SameSite=Lax, HttpOnly, and under https Secure with the __Host- prefix): logging out or disabling the account
 * ends it at once. It is made new at each sign-in, and no value that a browser brings is ever made into one. A form
 * carries a MAC over the cookie and over all that the form is about, so it counts only in the browser it was made for,
 * and for what it showed.
 */
#ifndef OAUTH_BROWSER_H
#define OAUTH_BROWSER_H

#include "call.h"

/* Who has signed in, in call->caller; false when nobody has. -1 is an error of the database. */
int browser_identify(struct call *call, bool *signed_in) must_check;

/* The cookie's value: a session's token, or what browser_remember gave a browser without one; "" for neither. */
const char *browser_cookie(struct call *call);

/* A browser that has not signed in gets a value to bind its form to; one that has such a value keeps it. In the arena.
 */
const char *browser_remember(struct call *call);

/* Sets the cookie: the token of a session, or "" to take it away. */
void browser_set_cookie(struct call *call, const char *value);

/* Lower-case hex, in the arena. purpose tells the forms apart; about is what the form would do. */
const char *browser_form_token(struct call *call, const char *cookie, const char *purpose, const char *about);

/* 0 when body.form_token is the one for this browser; else -1 with forbidden recorded. */
int browser_check_form(struct call *call, const char *purpose, const char *about) must_check;

#endif
