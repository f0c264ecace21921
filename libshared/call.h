/* call.h - one request while a worker handles it.
 *
 * A call is made by the worker, lent to one handler, and ended by the worker. Nothing in it may be kept after the
 * handler returns. A handler returns what call_reply or call_fail gave it, so the compiler's unused-result warning
 * finds every path that forgets to answer.
 *
 * The request's arguments are in call->in: "path.order_id", "query.limit", "body.note", validated by the contract.
 */
#ifndef CALL_H
#define CALL_H

#include "arena.h"
#include "contract.h"
#include "db.h"
#include "in.h"
#include "out.h"

#define CREDENTIAL_NAME_SIZE 48 /* "signing_key:APP:NUMBER" */

/* Who asks. Ids are 0 where they do not apply. */
struct identity {
    enum audience audience; /* AUDIENCE_INTERNAL: another service or an operator */
    int64_t app_id;
    int64_t store_id;
    int64_t installation_id;
    int64_t generation; /* of the installation: which of its installs the credential is from (protocols 8) */
    int64_t account_id;
    int64_t session_id;  /* of a person who signed in */
    const char *scopes;  /* space between them, "" when none */
    const char *service; /* internal: its name; "operator" for sxctl */

    /* In a gateway: what an app has shown, as its last use is kept under (auth.usage.add); "" elsewhere. */
    char credential[CREDENTIAL_NAME_SIZE];
};

struct peers;

struct call {
    struct arena *arena;    /* emptied when the handler has returned */
    struct db *db;          /* this worker's only connection */
    struct peers *peers;    /* this worker's sockets to the gateways */
    struct in in;           /* {path, query, body} */
    struct out out;         /* becomes the body of the answer */
    struct identity caller; /* never null */
    const struct operation *operation;
    const char *request_id;
    const char *address;         /* the client's, as text; "" for internal calls */
    const char *idempotency_key; /* NULL when none */
    bool second_attempt;
    int64_t deadline_ms;          /* clock_monotonic_ms; never 0 in a worker */
    struct call_private *private; /* the worker's */
};

bool identity_has_scope(const struct identity *self, const char *scope); /* read_orders is read:orders (contract K.1) */

/* Answer with an error. `field` names the culprit in the request ("items[0].quantity"), or is NULL; `why` is a sentence
 * that tells the reader what to do, or NULL for the code's own. Both are copied. Always -1. */
int call_fail(struct call *self, enum fail code, const char *field, const char *why) must_check;
int call_failf(struct call *self, enum fail code, const char *field, const char *format, ...)
    printf_like(4, 5) must_check;
bool call_failed(const struct call *self); /* an error has been recorded */

/* Takes back the error that was recorded: for who does several things and goes on when one of them fails, as a bulk
 * import does. false when there is none. The texts are in the arena; field and why may be NULL, as with call_fail. */
struct call_failure {
    enum fail code;
    const char *field, *why;
};
bool call_take_failure(struct call *self, struct call_failure *failure);

/* An extra member of the error body, beside code, message and status: "allowed" of invalid_transition. At most
 * CALL_DETAILS_MAX (call_private.h); both are copied. Counts only if the call fails. */
void call_fail_detail(struct call *self, const char *name, const char *json);

/* Success. HTTP answers are envelopes; the handler writes only the value of "data" between call_data and call_reply:
 *
 *     call_data(call);  out_map(&call->out, 1); ...;  return call_reply(call, 200);
 *
 * call_data_with also opens further members ("pagination", "message"), which the handler writes after the data with
 * out_key. Internal operations answer the bare value: call_data writes nothing for them. */
void call_data(struct call *self);
void call_data_with(struct call *self, unsigned further_members);
int call_reply(struct call *self, int status) must_check; /* always 0 */
int call_reply_row(struct call *self, int status, const struct rows *rows, unsigned row) must_check;

/* What a POST, PUT or PATCH has made of a resource: the same, with the ETag that the resource's GET gives now. So the
 * rows must have the columns of the GET's own statement, and the GET must answer them with call_reply_row. */
int call_reply_resource(struct call *self, int status, const struct rows *rows) must_check;

/* What every DELETE answers: {data: {<id_name>: id}, message, status}; message is a sentence such as "Order deleted".
 */
int call_reply_deleted(struct call *self, const char *id_name, int64_t id, const char *message) must_check;

/* If-Match (RFC 9110, 13.1.1) on a PUT, PATCH or DELETE: the handler asks once it has locked the row, with the rows
 * that the resource's GET would answer now (run the GET's own statement), so that the tag is right by construction.
 * call_if_match_get does both, for a GET whose statement takes the caller's store and an id, and reads nothing without
 * the header:
 *
 *     if (db_begin(call) || order_lock(call, order_id, &before) || call_if_match_get(call, ORDER_GET, order_id))
 *         return -1;
 *
 * 0: the header names what is there, or there is none; -1: 412 precondition_failed, with the tag of what is there in
 * ETag. call_if_match_body is for a GET that answers more than {data, status}: body is the whole answer, as JSON. */
bool call_has_if_match(const struct call *self);
int call_if_match(struct call *self, const struct rows *rows) must_check;
int call_if_match_get(struct call *self, unsigned get_statement, int64_t id) must_check;
int call_if_match_body(struct call *self, struct str body) must_check;

/* One piece of a body that comes in pieces (x-upload; proto/README.md): checked for shape, whoever asked. The handler
 * of the first answers with the header X-Upload-Id. A piece may come twice: upload and seq make it unique. */
struct piece {
    const char *upload; /* in the arena; NULL with the first */
    int64_t seq;        /* 0, 1, 2, ... */
    struct str bytes;   /* whole lines, borrowed; only the last piece may end without a newline */
    bool last;
};
struct piece call_piece(const struct call *self);

/* On the answer, also when it is an error. At most CALL_HEADERS_MAX (call_private.h); both are copied. */
void call_header(struct call *self, const char *name, const char *value);

/* The developer family's envelope is {"data", "message", "status"}: the sentence to put there ("OK" otherwise). Copied;
 * may be called any time before call_reply. Without effect on the other families. */
void call_message(struct call *self, const char *text);

/* The answer holds a secret: where it is kept for replays under its Idempotency-Key, it is sealed. */
void call_seal(struct call *self);

/* A synchronous request to a service below this one (protocols 4; an actor's turn may ask any service that lists it
 * under x-actors, and a handler is refused there: forbidden), within this call's deadline; asserts that no transaction
 * is open. arguments is a msgpack map {path?, query?, body?}; internal operations answer the bare value. 0
 * with the reply's value in the arena, or -1 with the error recorded:
 *   the callee's own error                          passed on word for word
 *   no gateway took the request                     503 service_unavailable, nothing happened
 *   no time was left to ask, or none for an answer  504 gateway_timeout
 *   the gateway was lost while it worked on it      502 outcome_unknown
 *   no map, or an answer that cannot be read        500 internal_error
 * A handler may be run again after a failed transaction (db.h), and then asks again. */
int call_service(struct call *self, const char *operation, const struct buf *arguments, struct in *reply) must_check;

/* The same where the arguments are a body alone: call_question opens {body: {}} for so many members, which the caller
 * writes to what it answers; call_ask sends it as call_service does and releases it, and must follow.
 *
 *     struct out *body = call_question(&question, 1);
 *
 *     out_key_int(body, "app_id", app_id);
 *     if (call_ask(call, "auth.apps.get", &question, &reply))
 *         return -1;
 */
struct call_question {
    struct buf arguments;
    struct out out;
};
struct out *call_question(struct call_question *self, unsigned members);
int call_ask(struct call *self, const char *operation, struct call_question *question, struct in *reply) must_check;

/* Several such questions at once, to different services or to one: they take as long as the slowest, and one that comes
 * to nothing takes none of the others with it. The caller names each operation and writes its question (call_question);
 * the questions are released here. spare_ms before this call's deadline it is over: what the caller needs to answer
 * without those that have not. Each one then is answered, with its reply in the arena, or has its failure, with the
 * codes of call_service; the call itself has not failed. At most CALL_ASKED_MAX.
 *
 *     struct call_asked asked[] = {{.operation = "billing.apps.overview"}, {.operation = "webhooks.apps.overview"}};
 */
#define CALL_ASKED_MAX 8
struct call_asked {
    const char *operation;
    struct call_question question;
    bool answered;
    struct in reply;
    struct call_failure failure;
};
void call_ask_all(struct call *self, struct call_asked *asked, unsigned count, int64_t spare_ms);

/* The handler of SERVICE.metrics.read, of every service: the metrics of the process that took the call, as text. */
int metrics_read(struct call *call);

#endif
