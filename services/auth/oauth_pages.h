/* oauth_pages.h - the two pages of the OAuth install, as HTML that needs no script (contract C.1). */
#ifndef OAUTH_PAGES_H
#define OAUTH_PAGES_H

#include "call.h"

struct authorization;

/* Each is the whole answer. form_token binds the form to the browser (oauth_browser.h). */
int page_login(struct call *call, const struct authorization *about, const char *form_token) must_check;

/* A sign-in that is about no app: the form goes to action, and the browser afterwards to the page `to`. */
int page_sign_in(struct call *call, const char *action, const char *to, const char *form_token) must_check;

int page_consent(struct call *call, const struct authorization *about, const char *form_token) must_check;

/* Sends the browser on, with a word for those who do not follow. status is 302 or 303. */
int page_redirect(struct call *call, int status, const char *location) must_check;

#endif
