/* products.h - what the files about products share. */
#ifndef PRODUCTS_H
#define PRODUCTS_H

#include "changes.h"
#include "lines.h"

#define PRODUCT_VARIANTS_MAX 250

/* Makes the products of the lines (the body of POST /products), at most LINES_MAX, inside the caller's transaction and
 * with a few statements; their events and stock movements come with them. A line whose slug or code is taken, or whose
 * category is not there, fails alone. -1: the call has failed. */
int products_insert(struct call *call, struct line *lines, unsigned count) must_check;

/* Locks a product that is to change until the transaction ends, and compares If-Match. rows: PRODUCT_OWN. */
int product_lock(struct call *call, int64_t product_id, struct rows *rows) must_check;

/* Holds a category that a product is to have; 0 is none. -1: there is no such category. */
int product_category(struct call *call, int64_t category_id) must_check;

/* An event about a product. row: the first one is a PRODUCT_DETAIL; changed: absent, or what an update has changed. */
int product_event(struct call *call, const char *topic, const struct rows *row, struct str changed) must_check;

/* ---- variants (variants.c) ---- */

struct variant {
    const char *name, *code, *images, *weight; /* code NULL: to be made; NULL is null */
    int64_t price, compare_at_price;           /* compare_at_price -1: null */
    int64_t quantity, position;
    bool available, is_default, free_shipping;
};

/* A variant as a request says it, where it says nothing as `self` was before. */
void variant_read(struct variant *self, struct in body);
extern const struct variant variant_plain; /* what one without any word has */

/* Variants of a product have changed, and so has the product: its tag and updated_at, and its event, whose `changed`
 * has them as they were (old, a JSON list) and as they are now. */
int variants_changed(struct call *call, int64_t product_id, const char *old, const char *new,
                     int64_t now_us) must_check;

#endif
