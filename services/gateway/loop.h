/* loop.h - the one place where the gateway waits. */
#ifndef LOOP_H
#define LOOP_H

#include "gateway.h"

/* Runs until SIGTERM or SIGINT has been followed by a drain. */
void loop_run(struct gateway *gateway);

#endif
