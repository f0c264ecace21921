/* token_trim.h - forgets tokens that ran out a day ago, whoever made them, and when they were last used. An expired
 * token is refused by its time alone; the day is for whoever looks into what happened.
 */
#ifndef TOKEN_TRIM_H
#define TOKEN_TRIM_H

#include "actor.h"

extern const struct actor_plan token_trim_plan;

#endif
