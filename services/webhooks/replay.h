/* replay.h - the actor that sends ranges of events once more (contract K.4). It runs in every process of the service;
 * each turn takes one replay that is due, so the processes share them by their rows' locks. */
#ifndef REPLAY_H
#define REPLAY_H

#include "actor.h"

#define REPLAY_ACTOR "replay"

extern const struct actor_plan replay_plan;

#endif
