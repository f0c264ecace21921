/* metafields.h - what the files about metafields share.
 *
 * A metafield's name is "namespace.key", unique in an app (contract A.2, J 28); a namespace has no dot, so the name can
 * be taken apart again. Values of an app that was uninstalled stay for its next installation, which finds them again;
 * store-data.metafields.forget removes them.
 */
#ifndef METAFIELDS_H
#define METAFIELDS_H

#include "actor.h"
#include "call.h"

#define METAFIELD_NAME_MAX        64    /* of a namespace, and of a key */
#define METAFIELD_VALUE_MAX       65536 /* bytes (contract K.3) */
#define METAFIELD_DEFINITIONS_MAX 250   /* of an app: all of them fit on one page */
#define METAFIELD_REMOVED_MAX     2000  /* values that one statement removes: each may be 64 KiB, in pieces of 2 KiB */

/* The letter that the tables have for a resource type ("o" for order); NULL for a word that is none. */
const char *metafield_letter(const char *resource_type);

/* Why a text is no namespace, no key: a sentence, or NULL. */
const char *metafield_namespace_error(const char *text);
const char *metafield_key_error(const char *text);

/* Why a text is no value of that type: a sentence, or NULL. */
const char *metafield_value_error(const char *value_type, struct str value);

/* Removes deleted definitions and their values. */
extern const struct actor_plan metafield_removal_plan;

#endif
