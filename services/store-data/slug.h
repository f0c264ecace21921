/* slug.h - the part of an address that names a product or a category, made of its name.
 *
 * Letters, marks and digits of any script stay (a Bengali name gives a Bengali slug), those of Latin, Greek and
 * Cyrillic become lower case; everything between words becomes one hyphen; emoji and what cannot be seen goes. At most
 * SLUG_CHARACTERS_MAX characters.
 */
#ifndef SLUG_H
#define SLUG_H

#include "arena.h"

#define SLUG_CHARACTERS_MAX 100

/* In the arena; otherwise when nothing of the name is left. The name is well-formed UTF-8. */
const char *slug_of(struct arena *arena, const char *name, const char *otherwise);

/* Whether somebody's own slug is one: slug_of would leave it as it is. */
bool slug_is_good(struct arena *arena, const char *slug);

#endif
