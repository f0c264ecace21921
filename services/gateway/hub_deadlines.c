/* hub_deadlines.c - the calls of the hub in the order in which their time is up: a binary heap.
 *
 * Every call knows its place, so the usual case, a call that ends before its deadline, costs O(log n) as well.
 */
#include <assert.h>
#include <stdlib.h>

#include "hub_private.h"

static void
place(struct hub *self, size_t index, struct hub_deadline deadline)
{
    self->deadlines[index] = deadline;
    deadline.call->deadline_index = index;
}

static void
sift_up(struct hub *self, size_t index, struct hub_deadline deadline)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;

        if (self->deadlines[parent].at_ms <= deadline.at_ms)
            break;
        place(self, index, self->deadlines[parent]);
        index = parent;
    }
    place(self, index, deadline);
}

static void
sift_down(struct hub *self, size_t index, struct hub_deadline deadline)
{
    for (;;) {
        size_t child = 2 * index + 1;

        if (child >= self->deadline_count)
            break;
        if (child + 1 < self->deadline_count && self->deadlines[child + 1].at_ms < self->deadlines[child].at_ms)
            child++;
        if (self->deadlines[child].at_ms >= deadline.at_ms)
            break;
        place(self, index, self->deadlines[child]);
        index = child;
    }
    place(self, index, deadline);
}

void
hub_deadline_add(struct hub *self, struct hub_call *call)
{
    if (self->deadline_count == self->deadline_capacity) {
        self->deadline_capacity = self->deadline_capacity == 0 ? 256 : 2 * self->deadline_capacity;
        self->deadlines = xrealloc(self->deadlines, self->deadline_capacity * sizeof self->deadlines[0]);
    }
    sift_up(self, self->deadline_count++, (struct hub_deadline){call->deadline_ms, call});
}

void
hub_deadline_remove(struct hub *self, struct hub_call *call)
{
    size_t index = call->deadline_index;
    struct hub_deadline last;

    assert(index < self->deadline_count && self->deadlines[index].call == call);
    last = self->deadlines[--self->deadline_count];
    if (last.call == call)
        return;
    if (index > 0 && self->deadlines[(index - 1) / 2].at_ms > last.at_ms)
        sift_up(self, index, last);
    else
        sift_down(self, index, last);
}
