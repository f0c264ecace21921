/* verify.h - what is kept of a store against a recount, for a store of any size: how NAME.verify works.
 *
 * A recount goes in spans of keys (queries_verify.h), as many of them as there is time for in a call, and the answer
 * says where the next call is to go on. Nothing is changed.
 */
#ifndef VERIFY_H
#define VERIFY_H

#include "call.h"

#define VERIFY_DIFFERENCES_MAX 1000 /* from there on the next call goes on */
#define VERIFY_SETS_MAX        (VERIFY_DIFFERENCES_MAX + 2)

struct verify {
    struct call *call;
    int64_t store_id;
    int64_t next_after; /* 0: the last span is done */
    unsigned differences;
    unsigned others; /* that the caller writes itself */
    unsigned set_count;
    struct {
        struct rows rows;
        unsigned first; /* the rows before are none */
    } sets[VERIFY_SETS_MAX];
};

/* From body.after on: statement `next` answers where the span behind a key ends, `span` the rows that differ in it.
 * Begins the transaction that the rest of the caller's statements belong to; the caller commits. */
int verify_spans(struct verify *self, struct call *call, unsigned next, unsigned span) must_check;

/* Rows of a statement of the caller's: from `first` on they are differences. At most two of these. */
void verify_add(struct verify *self, const struct rows *rows, unsigned first);

/* Begins the answer, a map of `members` and these: store_id, ok, differences, next_after. */
#define VERIFY_MEMBERS 4
void verify_write(const struct verify *self, unsigned members);

#endif
