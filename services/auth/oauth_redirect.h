/* oauth_redirect.h - which addresses the answer to a merchant's consent may go to (RFC 9700, 2.1 and 4.1.3).
 *
 * Asked when an app is registered, where its maker sees the reason, and again before anything is sent there, because
 * an address may be older than the rule.
 */
#ifndef OAUTH_REDIRECT_H
#define OAUTH_REDIRECT_H

#include "base.h"

struct arena;

/* NULL, or what is wrong with it, as the end of a sentence that begins with the field's name. In production http is for
 * the app's own machine alone. */
const char *redirect_error(struct arena *arena, const char *uri) must_check;

#endif
