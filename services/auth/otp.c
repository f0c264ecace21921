/* otp.c - sign in to the developer portal with a code sent to a phone (contract A.6 rows 100 and 101, K.2).
 *
 * Four digits are few, so tries are what is scarce: six for a code, twenty wrong ones a day for a number, thirty for an
 * address, whatever the numbers, and five codes in a quarter of an hour. Only guesses at a code that could be right
 * count against its number: where none was sent, nobody can lock anybody out. A code goes to whatever number is asked
 * for; whether an account has it is told only to who holds the phone.
 */
#include <stdio.h>
#include <string.h>

#include "address.h"
#include "attempts.h"
#include "auth_operations.h"
#include "clock.h"
#include "otp_sender.h"
#include "sessions.h"
#include "statements.h"

#define OTP_S            300
#define OTP_KEPT_S       86400 /* so long an old code is told from a wrong one */
#define OTP_KEY_LABEL    "otp"
#define OTP_ATTEMPTS_MAX 6
#define CODES_PER_PHONE  5 /* in SEND_WINDOW_S */
#define CODES_PER_SENDER 30
#define SEND_WINDOW_S    900
#define WRONG_PER_PHONE  20 /* in WRONG_WINDOW_S */
#define WRONG_PER_SENDER 30
#define WRONG_WINDOW_S   86400

/* ---- send -------------------------------------------------------------------------------------------------------- */

static void
make_code(char code[5])
{
    uint32_t number;

    do
        secret_random(&number, sizeof number);
    while (number >= UINT32_MAX - UINT32_MAX % 10000); /* each code as likely as any other */
    snprintf(code, 5, "%04u", (unsigned)(number % 10000));
}

/* A hash of four digits would be read like the digits themselves. */
static void
mac_of(uint8_t target[SHA256_SIZE], struct call *call, const char *phone, const char *code)
{
    const char *text = arena_printf(call->arena, "%s %s", phone, code);
    uint8_t key[32];

    secret_derive(key, OTP_KEY_LABEL);
    secret_hmac(target, key, sizeof key, text, strlen(text));
    secret_wipe(key, sizeof key);
}

static int
count_sending(struct call *call, const char *phone)
{
    char owner[ADDRESS_OWNER_SIZE];
    const struct attempts of_phone = {
        .who = arena_printf(call->arena, "otp-send:%s", phone),
        .max = CODES_PER_PHONE,
        .window_s = SEND_WINDOW_S,
        .why = "Enough codes were sent to this number; wait for the seconds in Retry-After",
    };
    struct attempts of_sender = {
        .max = CODES_PER_SENDER,
        .window_s = SEND_WINDOW_S,
        .why = "Enough codes were asked for from your address; wait for the seconds in Retry-After",
    };

    address_owner(owner, call->address);
    of_sender.who = arena_printf(call->arena, "otp-from:%s", owner);
    return attempts_count(call, &of_phone) || attempts_count(call, &of_sender) ? -1 : 0;
}

static int
reply_sent(struct call *call)
{
    call_message(call, "Code sent");
    call_data(call);
    out_map(&call->out, 2);
    out_key(&call->out, "message");
    out_text(&call->out, "A code was sent to the number");
    out_key(&call->out, "expiresInMinutes");
    out_int(&call->out, OTP_S / 60);
    return call_reply(call, 200);
}

int
otp_send(struct call *call)
{
    const struct otp_sender *sender = otp_sender_find();
    const char *phone = in_text(call->in, "body.phone");
    int64_t now_us = clock_now_us(), expires_us = now_us + US_PER_SECOND * OTP_S;
    uint8_t mac[SHA256_SIZE];
    struct rows rows;
    char code[5];
    int rc;

    if (!sender) {
        call_header(call, "Retry-After", "3600");
        return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL,
                         "No provider of text messages is configured; sign in with your password");
    }
    if (count_sending(call, phone))
        return -1;
    make_code(code);
    mac_of(mac, call, phone, code);
    rc = db_run(call, OTP_PUT, &rows, "sxtt", phone, mac, sizeof mac, expires_us, now_us) ||
         db_run(call, OTP_TRIM, &rows, "t", now_us - US_PER_SECOND * OTP_KEPT_S) || attempts_trim(call) ||
         sender->send(call, phone, code, expires_us);
    secret_wipe(code, sizeof code);
    return rc ? -1 : reply_sent(call);
}

/* ---- verify ------------------------------------------------------------------------------------------------------ */

static struct attempts
wrong_codes(struct call *call, const char *phone)
{
    return (struct attempts){
        .who = arena_printf(call->arena, "otp-wrong:%s", phone),
        .max = WRONG_PER_PHONE,
        .window_s = WRONG_WINDOW_S,
        .why =
            "Too many wrong codes for this number; sign in with your password, or wait for the seconds in Retry-After",
    };
}

/* Also where no code was sent; a right one is given back, so that an office may sign in all day. */
static struct attempts
wrong_codes_from(struct call *call)
{
    char owner[ADDRESS_OWNER_SIZE];

    address_owner(owner, call->address);
    return (struct attempts){
        .who = arena_printf(call->arena, "otp-wrong-from:%s", owner),
        .max = WRONG_PER_SENDER,
        .window_s = WRONG_WINDOW_S,
        .why = "Too many wrong codes from your address; sign in with your password, or wait for the seconds in "
               "Retry-After",
    };
}

/* Uses the code up. 0 when it was the right one. wrong is whom a guess counts against, if it can be right. */
static int
take_code(struct call *call, const char *phone, const char *code, const struct attempts *wrong)
{
    uint8_t mac[SHA256_SIZE], stored[SHA256_SIZE];
    struct rows rows;
    bool dead;

    mac_of(mac, call, phone, code);
    if (db_run(call, OTP_ATTEMPT, &rows, "s", phone))
        return -1;
    dead = rows.count &&
           (rows_int(&rows, 0, "attempts") > OTP_ATTEMPTS_MAX || rows_time(&rows, 0, "expires_at") <= clock_now_us());
    if (rows.count && !dead ? attempts_count(call, wrong) : attempts_look(call, wrong))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_INVALID_OTP, "otp", NULL);
    if (dead)
        return call_fail(call, FAIL_OTP_EXPIRED, "otp", NULL);
    if (rows_bytes(&rows, 0, "code_mac", stored, sizeof stored) != sizeof stored ||
        !secret_equal(mac, stored, sizeof mac))
        return call_fail(call, FAIL_INVALID_OTP, "otp", NULL);
    if (db_run(call, OTP_TAKE, &rows, "sx", phone, mac, sizeof mac))
        return -1;
    if (rows.affected == 0)
        return call_fail(call, FAIL_INVALID_OTP, "otp", NULL);
    return 0;
}

static int
account_of_phone(struct call *call, const char *phone, int64_t *account_id)
{
    struct rows account;

    if (db_run(call, ACCOUNT_OF_PHONE, &account, "s", phone))
        return -1;
    if (account.count == 0)
        return call_fail(call, FAIL_USER_NOT_FOUND, "phone", NULL);
    if (strcmp(rows_text(&account, 0, "status"), "active") != 0)
        return call_fail(call, FAIL_FORBIDDEN, NULL, "This account is disabled; contact support");
    if (!rows_int(&account, 0, "is_developer"))
        return call_fail(call, FAIL_FORBIDDEN, NULL, "This account has no access to the developer portal");
    *account_id = rows_int(&account, 0, "account_id");
    return 0;
}

int
otp_verify(struct call *call)
{
    const char *phone = in_text(call->in, "body.phone"), *code = in_text(call->in, "body.otp");
    struct attempts wrong = wrong_codes(call, phone), wrong_here = wrong_codes_from(call);
    struct session session;
    int64_t account_id = 0;

    if (strspn(code, "0123456789") != 4)
        return call_fail(call, FAIL_VALIDATION_ERROR, "otp", "must be the four digits of the code");
    if (attempts_count(call, &wrong_here) || attempts_trim(call) || take_code(call, phone, code, &wrong) ||
        attempts_forget(call, &wrong) || attempts_give_back(call, &wrong_here) ||
        account_of_phone(call, phone, &account_id) || db_begin(call) ||
        session_open(call, account_id, AUDIENCE_DEVELOPER, &session) || db_commit(call))
        return -1;
    return session_reply_developer(call, 200, &session, "Signed in");
}
