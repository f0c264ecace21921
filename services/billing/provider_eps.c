/* provider_eps.c - EPS (Easy Payment System), a payment gateway of Bangladesh, by its public merchant API.
 *
 * Three requests: GetToken gives a bearer token, InitializeEPS the address where the payer goes, and
 * CheckMerchantTransactionStatus what became of a payment. Each carries in x-hash the Base64 of an HMAC-SHA512, under
 * the hash key EPS gave, of the account's name or of our reference. EPS signs nothing that it sends the browser back
 * with, so the address that it sends it to carries our own signature, and counts for no more than a reason to ask.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "bounds.h"
#include "checkout.h"
#include "clock.h"
#include "config.h"
#include "json.h"
#include "log.h"
#include "money.h"
#include "outbound.h"
#include "secret.h"
#include "text.h"

#define ANSWER_MS      4500
#define ANSWER_SIZE    16384
#define BODY_SIZE_MAX  16384
#define TOKEN_SIZE_MAX 4096
#define SECRET_MAX     512
#define SAID           "" /* what our signature says of a payment: that it is ours, and nothing more */

/* ---- asking ------------------------------------------------------------------------------------------------------ */

struct question {
    struct outbound *outbound; /* the connection of one question after the other */
    const char *token;
};

static int
unreachable(struct call *call, const char *path, const char *why)
{
    log_event(LOG_WARN, "eps_failed", "s:request_id", call->request_id, "s:path", path, "s:why", why, NULL);
    return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, "The payment provider does not answer; try again later");
}

/* Read each time: an operator may put a new one there. */
static int
read_secret(char target[SECRET_MAX], const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, target, SECRET_MAX - 1);

    if (fd >= 0)
        close(fd);
    target[size > 0 ? size : 0] = '\0';
    target[strcspn(target, "\r\n")] = '\0';
    return *target ? 0 : -1;
}

static int
make_hash(struct call *call, const char *about, const char **header)
{
    char key[SECRET_MAX], base64[BASE64_SIZE(SHA512_SIZE)];
    uint8_t mac[SHA512_SIZE];

    if (read_secret(key, config.eps_hash_key_file))
        return unreachable(call, config.eps_hash_key_file, "the hash key cannot be read");
    secret_hmac_sha512(mac, key, strlen(key), about, strlen(about));
    secret_wipe(key, sizeof key);
    text_to_base64(base64, mac, sizeof mac);
    *header = arena_printf(call->arena, "x-hash: %s", base64);
    return 0;
}

static int
decode(struct call *call, const struct outbound_request *request, struct in *answer)
{
    char why[JSON_WHY_SIZE];
    struct buf value;
    int rc;

    buf_init(&value, 4 * ANSWER_SIZE);
    rc = json_to_msgpack(request->answer, request->answer_len, &value, why);
    if (rc == 0)
        rc = in_decode(answer, call->arena, arena_strndup(call->arena, value.data, value.size), value.size);
    buf_free(&value);
    return rc;
}

/* body absent: a GET. about: what x-hash is made of. */
static int
ask_eps(struct call *call, struct question *self, const char *path, struct str body, const char *about,
        struct in *answer)
{
    int64_t left_ms = call->deadline_ms - clock_monotonic_ms() - NESTED_BUDGET_MARGIN_MS;
    struct outbound_request request = {.url = arena_printf(call->arena, "%s%s", config.eps_url, path),
                                       .body = body,
                                       .answer = arena_alloc(call->arena, ANSWER_SIZE),
                                       .answer_size = ANSWER_SIZE};

    if (make_hash(call, about, &request.headers[0]))
        return -1;
    request.headers[1] = "User-Agent: SeloraX/1.0";
    if (self->token)
        request.headers[2] = arena_printf(call->arena, "Authorization: Bearer %s", self->token);
    if (left_ms <= 0)
        return unreachable(call, path, "no time is left");
    if (outbound_begin(self->outbound, &request, left_ms < ANSWER_MS ? left_ms : ANSWER_MS) == 0)
        while (outbound_take(self->outbound, call->deadline_ms) == NULL && clock_monotonic_ms() < call->deadline_ms)
            continue;
    if (request.status != 200)
        return unreachable(call, path,
                           request.status ? arena_printf(call->arena, "status %d", request.status) : request.error);
    if (decode(call, &request, answer))
        return unreachable(call, path, "the answer is no JSON");
    return 0;
}

static bool
has_no_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == 0x7f)
            return false;
    return true;
}

static int
get_token(struct call *call, struct question *self)
{
    char password[SECRET_MAX];
    const char *token;
    struct in answer = {NULL, NULL};
    struct buf body;
    struct out out;
    int rc;

    if (read_secret(password, config.eps_password_file))
        return unreachable(call, config.eps_password_file, "the password cannot be read");
    buf_init(&body, BODY_SIZE_MAX);
    out_init(&out, &body, OUT_JSON);
    out_map(&out, 2);
    out_key_text(&out, "userName", config.eps_username);
    out_key_text(&out, "password", password);
    secret_wipe(password, sizeof password);
    rc = ask_eps(call, self, "/v1/Auth/GetToken", (struct str){body.data, body.size}, config.eps_username, &answer);
    secret_wipe(body.data, body.size);
    buf_free(&body);
    if (rc)
        return -1;
    token = in_text(answer, "token");
    if (!token || !*token || strlen(token) > TOKEN_SIZE_MAX || !has_no_control(token))
        return unreachable(call, "/v1/Auth/GetToken", "no token was given");
    self->token = token;
    return 0;
}

/* Payments made here may still be open when the platform has gone on to another provider. */
static bool
is_set_up(void)
{
    return config.eps_username && config.eps_password_file && config.eps_hash_key_file && config.eps_merchant_id &&
           config.eps_store_id;
}

/* A token first, then the question itself, over one connection. */
static int
ask_with_token(struct call *call, const char *path, struct str body, const char *reference, struct in *answer)
{
    struct question question = {NULL, NULL};
    int rc;

    if (!is_set_up())
        return unreachable(call, path, "EPS is not set up any more");
    question.outbound = outbound_new();
    rc = get_token(call, &question) || ask_eps(call, &question, path, body, reference, answer);
    outbound_destroy(&question.outbound);
    return rc ? -1 : 0;
}

/* ---- beginning --------------------------------------------------------------------------------------------------- */

/* Who pays, as auth knows the account that approved. */
static int
read_payer(struct call *call, int64_t account_id, struct in *payer)
{
    struct call_question question;
    struct out *body = call_question(&question, 1);

    out_key_int(body, "account_id", account_id);
    return call_ask(call, "auth.accounts.contact", &question, payer);
}

/* Nothing is shipped: what EPS wants to know of an address is the country's. */
static void
write_payment(struct call *call, struct out *out, const struct payment *payment, struct in payer)
{
    const char *back =
        payment_address(call, payment->reference,
                        arena_printf(call->arena, "/return?signature=%s", payment_signature(call, payment, SAID)));
    const char *phone = in_text(payer, "phone");
    const struct {
        const char *name, *value;
    } texts[] = {
        {"merchantId", config.eps_merchant_id},
        {"storeId", config.eps_store_id},
        {"CustomerOrderId", arena_printf(call->arena, "charge-%lld", (long long)payment->charge_id)},
        {"merchantTransactionId", payment->reference},
        {"version", "1"},
        {"successUrl", back},
        {"failUrl", back},
        {"cancelUrl", back},
        {"customerName", in_text(payer, "name")},
        {"customerEmail", in_text(payer, "email")},
        {"CustomerPhone", phone ? phone : ""},
        {"CustomerAddress", "Bangladesh"},
        {"CustomerCity", "Dhaka"},
        {"CustomerState", "Dhaka"},
        {"CustomerPostcode", "1000"},
        {"CustomerCountry", "BD"},
        {"ProductName", payment->name},
        {"ipAddress", call->address},
    };

    out_map(out, ARRAY_COUNT(texts) + 4);
    for (unsigned i = 0; i < ARRAY_COUNT(texts); i++)
        out_key_text(out, texts[i].name, texts[i].value);
    out_key(out, "transactionTypeId");
    out_int(out, 1); /* by a browser */
    out_key(out, "financialEntityId");
    out_int(out, 0); /* the payer chooses */
    out_key(out, "transitionStatusId");
    out_int(out, 0);
    out_key(out, "totalAmount");
    out_money(out, payment->amount, payment->decimals);
}

static int
begin(struct call *call, const struct payment *payment, const char **location)
{
    static const char path[] = "/v1/EPSEngine/InitializeEPS";
    struct in payer, answer = {NULL, NULL};
    struct buf body;
    struct out out;
    int rc;

    if (read_payer(call, payment->account_id, &payer))
        return -1;
    buf_init(&body, BODY_SIZE_MAX);
    out_init(&out, &body, OUT_JSON);
    write_payment(call, &out, payment, payer);
    rc = out_complete(&out)
             ? ask_with_token(call, path, (struct str){body.data, body.size}, payment->reference, &answer)
             : call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
    buf_free(&body);
    if (rc)
        return -1;
    *location = in_text(answer, "RedirectURL");
    if (!*location || outbound_url_error(*location))
        return unreachable(call, path, *location ? "RedirectURL is no address" : in_text(answer, "ErrorMessage"));
    return 0;
}

static int
check(struct call *call, const struct payment *payment, struct in message)
{
    struct str given = in_str(message, "signature");

    /* EPS adds a query of its own, whether or not there is one already. */
    if (given.len > HEX_SIZE(SHA256_SIZE) - 1 && given.base[HEX_SIZE(SHA256_SIZE) - 1] == '?')
        given.len = HEX_SIZE(SHA256_SIZE) - 1;
    return payment_check_signature(call, payment, SAID, given);
}

/* ---- what became of it ------------------------------------------------------------------------------------------- */

/* By any of the spellings EPS and its clients use, at the top or in `data`. */
static struct in
field(struct in answer, const char *name)
{
    for (unsigned i = 0; i < in_count(answer, ""); i++) {
        struct str key = in_key(answer, i);

        if (key.len == strlen(name) && strncasecmp(key.base, name, key.len) == 0 && in_has(in_value(answer, i), ""))
            return in_value(answer, i);
    }
    return in_has(answer, "data") ? field(in_at(answer, "data"), name) : (struct in){NULL, answer.arena};
}

/* A number or its text; zeros behind what the currency has are nothing. */
static int
read_amount(struct in value, unsigned decimals, int64_t *amount)
{
    struct str text = in_str(value, "");
    const char *point;
    char number[24];

    if (value.object && value.object->type == MSGPACK_OBJECT_EXT)
        text = (struct str){value.object->via.ext.ptr, value.object->via.ext.size};
    if (value.object && value.object->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
        text_from_int(number, in_int(value, "", 0));
        text = str_of(number);
    }
    point = text.base ? memchr(text.base, '.', text.len) : NULL;
    while (point && text.len > (size_t)(point - text.base) + 1 + decimals && text.base[text.len - 1] == '0')
        text.len--;
    return text.base ? money_parse(text.base, text.len, decimals, amount) : -1;
}

static enum outcome
outcome_of(struct str status)
{
    static const struct {
        const char *begin;
        enum outcome outcome;
    } words[] = {{"success", OUTCOME_PAID}, {"fail", OUTCOME_FAILED}, {"cancel", OUTCOME_CANCELLED}};

    for (unsigned i = 0; i < ARRAY_COUNT(words); i++)
        if (status.len >= strlen(words[i].begin) &&
            strncasecmp(status.base, words[i].begin, strlen(words[i].begin)) == 0)
            return words[i].outcome;
    return OUTCOME_OPEN;
}

/* Whether an answer is about the payment; one that is paid has to say so, and of which amount. */
static bool
is_about(const struct payment *payment, struct in answer, bool paid)
{
    struct in reference = field(answer, "MerchantTransactionId");
    int64_t amount;

    if ((paid || in_has(reference, "")) && !str_is(in_str(reference, ""), payment->reference))
        return false;
    return !paid ||
           (read_amount(field(answer, "TotalAmount"), payment->decimals, &amount) == 0 && amount == payment->amount);
}

/* Of another payment, or of another amount, is no answer to what was asked: somebody has to look. */
static int
ask(struct call *call, const struct payment *payment, enum outcome *outcome)
{
    const char *path = arena_printf(
        call->arena, "/v1/EPSEngine/CheckMerchantTransactionStatus?merchantTransactionId=%s", payment->reference);
    struct in answer = {NULL, NULL};

    *outcome = OUTCOME_OPEN;
    if (!payment->location)
        return 0; /* EPS has not heard of it */
    if (ask_with_token(call, path, (struct str){NULL, 0}, payment->reference, &answer))
        return -1;
    *outcome = outcome_of(in_str(field(answer, "Status"), ""));
    if (*outcome != OUTCOME_OPEN && !is_about(payment, answer, *outcome == OUTCOME_PAID)) {
        log_event(LOG_ERROR, "eps_answer_differs", "s:request_id", call->request_id, "s:reference", payment->reference,
                  "l:charge_id", payment->charge_id, NULL);
        *outcome = OUTCOME_OPEN;
    }
    return 0;
}

const struct provider provider_eps = {
    .name = "eps", .begin = begin, .check = check, .ask = ask, .form_sources = "https:"};
