/* inventory.h - setting the stock of many variants, for bulk imports. */
#ifndef INVENTORY_H
#define INVENTORY_H

#include "lines.h"

/* Sets the stock of each line, {sku_id, quantity} (validated), inside the caller's transaction; at most LINES_MAX,
 * locked in the order of their ids. Of lines on the same variant the last one counts; its event and its movement are
 * one. A line fails by itself (not_found) and the others go on. -1: the call has failed. line.id is the sku_id. */
int inventory_set_lines(struct call *call, struct line *lines, unsigned count) must_check;

#endif
