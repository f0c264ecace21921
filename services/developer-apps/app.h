/* app.h - an app is in two places: auth has what makes it a client, this service what is said of it. auth decides whose
 * it is, with each request; of another developer's it says app_not_found.
 */
#ifndef APP_H
#define APP_H

#include "call.h"

/* What auth has of an app; both in the call's arena. */
struct app {
    struct str of_auth; /* as JSON, for the statements */
    const char *creation_id;
    int64_t updated_us; /* of auth's part, and never the same twice */
    bool is_suspended;
};

/* The app at path.app_id, for who has the role that the route takes. -1 with the error recorded. */
int app_read(struct call *call, struct app *self) must_check;

/* The fields of the body are checked as far as their schemas do not: values that stand twice in a list, topics that
 * there are not, metadata that is too large. */
int app_check(struct call *call) must_check;

/* What was sent of path.app_id is checked and changed, in auth and here. Whoever is killed in between has changed a
 * part; the same request again changes the rest. */
int app_change(struct call *call, struct app *self) must_check;

/* The same in two steps: all that can be refused is checked, with auth's part answered as it would be, and nothing is
 * changed; then it is changed, unless auth's part is not any more what it was at since_us: precondition_failed. */
int app_plan(struct call *call, struct app *self) must_check;
int app_change_since(struct call *call, int64_t since_us, struct app *self) must_check;

/* Whether they may change what is sent; -1 with the error recorded. */
int app_may_change(struct call *call) must_check;

/* Those of the body's fields that this service keeps, but metadata, as JSON. */
struct str app_own_json(struct call *call);

/* For who makes one: those of the body's fields that auth keeps, and how many they are; and this service's part, for
 * which rows has creation_id, fee_payer and payer_version. app_id NULL: it is still to be made. due_us NULL: nothing is
 * left to do behind it. */
unsigned app_count_fields(struct call *call);
void app_write_fields(struct call *call, struct out *out);
int listing_put(struct call *call, const char *creation_id, const int64_t *app_id, const int64_t *due_us,
                struct rows *rows) must_check;

/* auth has refused: says so in the words of this API, -1 always. Where an app was to be made nobody will come back for
 * the row at creation_id when it was refused for good; of any other failure completion.c finds out what came. */
int app_refuse(struct call *call, const char *creation_id) must_check;

/* billing hears who bears an app's fees, now; when it cannot, completion.c tells it later. */
void app_tell_billing(struct call *call, int64_t app_id, const char *fee_payer, int64_t version);

/* Answers the JSON that a statement made, the column `shown` of its row. */
int app_reply_shown(struct call *call, const char *message, const struct rows *rows) must_check;

#endif
