/* provider_sandbox.c - a payment provider without money, for trying apps out: its page takes any card.
 *
 * What happens is chosen by the card's number, or by the amount's last two digits; it is kept as a real provider would
 * keep it, and told by a signed word that the browser brings back. The page and its table are the provider's: the rest
 * of the service learns what they know by asking. Developers are owed what was paid, so without SX_DEV=1 nothing is
 * paid here, and what was said before is not to be had.
 */
#include <string.h>

#include "billing_operations.h"
#include "checkout.h"
#include "clock.h"
#include "config.h"
#include "money.h"
#include "pages.h"
#include "secret.h"
#include "statements.h"

#define DIGITS_MIN 12
#define DIGITS_MAX 19

/* What a card, or an amount that ends in these digits, leads to. silent: it is paid, and nobody is told. */
struct rule {
    const char *card;
    int64_t ending;
    const char *outcome;
    bool silent;
};

static const struct rule rules[] = {
    {"4000000000000002", 1, "failed", false},
    {"4000000000000259", 2, "stalled", true},
    {"4000000000003220", 3, "paid", true},
};
static const struct rule paid = {NULL, 0, "paid", false}, cancelled = {NULL, 0, "cancelled", false};

/* ---- the provider ------------------------------------------------------------------------------------------------ */

static int
begin(struct call *call, const struct payment *payment, const char **location)
{
    if (!config.dev)
        return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, NULL);
    *location = payment_path(call, payment->reference, "/sandbox");
    return 0;
}

static int
check(struct call *call, const struct payment *payment, struct in message)
{
    const char *said = in_text(message, "status");

    return payment_check_signature(call, payment, said ? said : "", in_str(message, "signature"));
}

static int
ask(struct call *call, const struct payment *payment, enum outcome *outcome)
{
    struct str said = {NULL, 0};
    struct rows rows;

    *outcome = OUTCOME_FAILED;
    if (!config.dev)
        return 0;
    if (db_run(call, SANDBOX_SAID, &rows, "s", payment->reference))
        return -1;
    if (rows.count)
        said = str_of(rows_text(&rows, 0, "outcome"));
    *outcome = str_is(said, "paid")        ? OUTCOME_PAID
               : str_is(said, "failed")    ? OUTCOME_FAILED
               : str_is(said, "cancelled") ? OUTCOME_CANCELLED
                                           : OUTCOME_OPEN;
    return 0;
}

const struct provider provider_sandbox = {.name = "sandbox", .begin = begin, .check = check, .ask = ask};

/* ---- its page ---------------------------------------------------------------------------------------------------- */

static int
payment_here(struct call *call, struct payment *payment)
{
    if (payment_read(call, in_text(call->in, "path.reference"), payment))
        return -1;
    if (!config.dev || strcmp(payment->provider, provider_sandbox.name) != 0)
        return call_fail(call, FAIL_NOT_FOUND, NULL, "There is no such payment; go back to the charge");
    return 0;
}

static int
show(struct call *call, const struct payment *payment, const char *alert)
{
    const char *origin = page_origin(call->arena, payment->return_url);
    struct buf *page = page_begin(call, "Pay with the sandbox", NULL, NULL,
                                  origin ? arena_printf(call->arena, "'self' %s", origin) : "'self'");
    char amount[MONEY_TEXT_SIZE];

    money_print(amount, payment->amount, payment->decimals);
    page_paragraph(page, payment->name);
    buf_append_text(page, "<ul>\n");
    page_amount(page, "To pay", amount, payment->currency);
    buf_append_text(page, "</ul>\n");
    if (alert) {
        buf_append_text(page, "<p class=\"alert\">");
        html_text(page, str_of(alert));
        buf_append_text(page, "</p>\n");
    }
    buf_append_text(page, "<form method=\"post\" action=\"");
    html_text(page, str_of(payment_path(call, payment->reference, "/sandbox")));
    buf_append_text(page, "\">\n<label>Card number<input name=\"card_number\" autocomplete=\"off\" "
                          "inputmode=\"numeric\" maxlength=\"32\" value=\"4242 4242 4242 4242\"></label>\n"
                          "<p><button class=\"main\" name=\"decision\" value=\"pay\">Pay</button>\n"
                          "<button name=\"decision\" value=\"cancel\">Cancel</button></p>\n</form>\n");
    page_quiet(page,
               "No money moves here. Any number of 12 to 19 digits pays; 4000 0000 0000 0002 is declined, "
               "4000 0000 0000 0259 leaves the payment open, 4000 0000 0000 3220 pays without telling anybody. So "
               "do amounts that end in .01, .02 and .03.");
    return page_end(call, page);
}

int
sandbox_page(struct call *call)
{
    struct payment payment;

    return payment_here(call, &payment) ? -1 : show(call, &payment, NULL);
}

/* The digits of what was typed; false when they are no card's number. */
static bool
read_card(const char *typed, char digits[DIGITS_MAX + 1])
{
    size_t len = 0;

    for (; *typed; typed++) {
        if (*typed == ' ' || *typed == '-')
            continue;
        if (*typed < '0' || *typed > '9' || len == DIGITS_MAX)
            return false;
        digits[len++] = *typed;
    }
    digits[len] = '\0';
    return len >= DIGITS_MIN;
}

static const struct rule *
rule_of(const char *card, int64_t amount)
{
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++)
        if (strcmp(rules[i].card, card) == 0 || amount % 100 == rules[i].ending)
            return &rules[i];
    return &paid;
}

int
sandbox_pay(struct call *call)
{
    const char *typed = in_text(call->in, "body.card_number");
    const struct rule *rule = &cancelled;
    char card[DIGITS_MAX + 1];
    struct payment payment;
    struct rows rows;

    if (payment_here(call, &payment))
        return -1;
    if (!str_is(in_str(call->in, "body.decision"), "cancel")) {
        if (!read_card(typed ? typed : "", card))
            return show(call, &payment, "A card's number has 12 to 19 digits.");
        rule = rule_of(card, payment.amount);
    }
    if (strcmp(payment.status, "open") == 0 &&
        db_run(call, SANDBOX_SAY, &rows, "sst", payment.reference, rule->outcome, clock_now_us()))
        return -1;
    if (rule->silent) {
        struct buf *page = page_begin(call, "The sandbox says nothing", NULL, NULL, NULL);

        page_paragraph(page, "The platform hears nothing of this payment and has to ask.");
        return page_end(call, page);
    }
    return page_redirect(call, payment_path(call, payment.reference,
                                            arena_printf(call->arena, "/return?status=%s&signature=%s", rule->outcome,
                                                         payment_signature(call, &payment, rule->outcome))));
}
