/* scheduling.h - how the kernel should share the processors out among our threads. */
#ifndef SCHEDULING_H
#define SCHEDULING_H

/* Before the first thread is made; all of them inherit it. A thread that is woken does not throw another one of ours
 * off its processor: what runs finishes what it has in hand, and what was woken finds more to do at once. An idle
 * processor takes it up as fast as ever. */
void scheduling_batch(void);

#endif
