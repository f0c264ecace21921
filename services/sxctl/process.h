/* process.h - one process of this host as the supervisor sees it.
 *
 * Its pid stands in $SX_HOME/run/NAME.pid, so that a supervisor finds the processes of the one before it. A pidfd tells
 * of the end of any process, child or not.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <sys/types.h>

#include "base.h"

enum layer { LAYER_POSTGRES, LAYER_SERVICE, LAYER_GATEWAY }; /* started upwards, stopped downwards */

struct process {
    char name[40]; /* "gateway-1", "store-data", "postgres" */
    enum layer layer;
    char program[512];
    char index[8]; /* of a gateway, as text; else "" */
    pid_t pid;     /* 0: not running */
    int pidfd;
    int64_t started_ms;
    int64_t start_at_ms; /* when to start it (again) */
    int64_t wait_ms;     /* what the next early death costs */
    unsigned stopped_looks;
};

/* Whether what processes print goes to $SX_HOME/log/NAME.log (so at first) or to the supervisor's own output. */
void process_write_logs(bool on);

/* Takes over a process of this name that an earlier supervisor started and that still runs; false when there is none.
 */
bool process_adopt(struct process *self);

/* Starts it; when that fails, start_at_ms is put off. */
void process_start(struct process *self);

/* After it ended: reaps it and says when it is due again. */
void process_ended(struct process *self);

/* Runs a program in a session of its own, with no signal blocked; arguments end in NULL, the first is the path. name is
 * that of its log; index becomes SX_GATEWAY_INDEX, unless it is "". The pid, or -1. */
pid_t process_spawn(const char *name, const char *index, char *const arguments[]);

/* The state letter and start time of any process, from /proc; false when there is none. */
bool process_look(pid_t pid, char *state, unsigned long long *start_time);

#endif
