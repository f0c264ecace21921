/* serve_private.h - what serve.c and serve_batch.c share. */
#ifndef SERVE_PRIVATE_H
#define SERVE_PRIVATE_H

#include "serve.h"

struct server {
    const struct service *service;
    struct db *db;
    struct peers *peers;
    struct arena *arena;
    struct buf body; /* its memory goes from reply to reply */
};

/* A call as it is before anything is known about it. The private part has the server's body, which server_end takes
 * back; a batch's members have bodies of their own. */
void server_begin(struct server *self, struct call *call, struct call_private *private);
void server_end(struct server *self, struct call *call);

int serve_fail_internally(struct call *call, const char *why) must_check;
int serve_ensure_database(struct call *call) must_check;       /* -1: 503 */
int serve_check_answer(struct call *call) must_check;          /* what no handler may do is found here */
bool serve_runs_again(const struct call *call, unsigned runs); /* after so many failures; counts */
void serve_account(const struct call *call, struct str name, int64_t started_us);

/* Writes the frames of the REPLY to one call; its body may be moved out of. */
void serve_write_reply(struct call *call, uint64_t id, struct served *reply);

/* What serve_request is for an operation with x-batch. */
void serve_batch(struct server *self, const struct handler *handler, const char *from,
                 const struct peer_message *request, int64_t received_ms, struct served *reply);

#endif
