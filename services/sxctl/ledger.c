/* ledger.c - `sxctl ledger export` and `verify`: billing's ledger as a text that anybody can keep, and the check of it.
 *
 * verify believes nothing but the text: it works out each block's hash anew (libshared/ledger_hash.h), looks for a
 * transfer that is there twice, adds up every account, and holds what billing keeps beside the ledger against that. The
 * text is an export's, or is asked for block by block.
 */
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_hash.h"
#include "rpc.h"
#include "sxctl.h"
#include "text.h"

#define BLOCK_TEXT_MAX (4 * 1024 * 1024)
#define WHY_SIZE       256
#define ID_MAX         (INT64_C(1) << 33) /* a bit of memory for each */
#define PROGRESS_EACH  100                /* blocks */

struct balance {
    struct str account;
    int64_t amount;
};

struct check {
    uint8_t before[SHA256_SIZE];
    int64_t blocks, transfers, balances;
    struct buf text; /* of the block that is open */
    bool open, ended;
    uint8_t *seen; /* a bit for each transfer's id */
    size_t seen_size;
    void *accounts;
    char why[WHY_SIZE]; /* "" while nothing is wrong */
};

static int wrong(struct check *self, const char *format, ...) printf_like(2, 3);

/* What it tells of a text that may have been changed is for a terminal. */
static int
wrong(struct check *self, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(self->why, sizeof self->why, format, arguments);
    va_end(arguments);
    for (char *at = self->why; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    return -1;
}

/* ---- what the transfers add up to -------------------------------------------------------------------------------- */

/* In any order that stays the same: the shorter ones first. */
static int
by_account(const void *a, const void *b)
{
    struct str x = ((const struct balance *)a)->account, y = ((const struct balance *)b)->account;

    return x.len != y.len ? (x.len < y.len ? -1 : 1) : memcmp(x.base, y.base, x.len);
}

static struct balance *
balance_of(struct check *self, struct str account)
{
    struct balance wanted = {account, 0}, **found = tfind(&wanted, &self->accounts, by_account), *made;

    if (found)
        return *found;
    made = xmalloc(sizeof *made + account.len);
    *made = (struct balance){{memcpy(made + 1, account.base, account.len), account.len}, 0};
    (void)tsearch(made, &self->accounts, by_account);
    return made;
}

static struct str
currency_of(struct str account)
{
    const char *colon = memrchr(account.base, ':', account.len);

    return colon ? (struct str){colon, (size_t)(account.base + account.len - colon)} : account;
}

static bool
is_first(struct check *self, int64_t id)
{
    size_t byte = (size_t)(id / 8);
    uint8_t bit = (uint8_t)(1u << (id % 8));

    if (byte >= self->seen_size) {
        size_t size = 2 * byte + 4096;

        self->seen = xrealloc(self->seen, size);
        memset(self->seen + self->seen_size, 0, size - self->seen_size);
        self->seen_size = size;
    }
    if (self->seen[byte] & bit)
        return false;
    self->seen[byte] |= bit;
    return true;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static int
take_transfer(struct check *self, struct str text)
{
    struct balance *giver, *taker;
    struct ledger_line line;
    struct str from, to;

    if (!self->open)
        return wrong(self, "a transfer stands in no block");
    if (ledger_line_read(&line, text))
        return wrong(self, "block %" PRId64 " has a line that is no transfer", self->blocks);
    from = currency_of(line.from);
    to = currency_of(line.to);
    if (from.len != to.len || memcmp(from.base, to.base, from.len) != 0)
        return wrong(self, "transfer %" PRId64 " goes from one currency to another", line.transfer_id);
    if (line.transfer_id <= 0 || line.transfer_id > ID_MAX)
        return wrong(self, "transfer %" PRId64 " has no number that a transfer can have", line.transfer_id);
    if (!is_first(self, line.transfer_id))
        return wrong(self, "transfer %" PRId64 " is there twice", line.transfer_id);
    giver = balance_of(self, line.from);
    taker = balance_of(self, line.to);
    if (__builtin_sub_overflow(giver->amount, line.amount, &giver->amount) ||
        __builtin_add_overflow(taker->amount, line.amount, &taker->amount))
        return wrong(self, "an account's balance is beyond every amount at transfer %" PRId64, line.transfer_id);
    self->transfers++;
    buf_append(&self->text, text.base, text.len);
    buf_append_byte(&self->text, '\n');
    return 0;
}

static int
take_number(struct str text, int64_t *number)
{
    return text_to_int(text.base, text.len, number);
}

static int
take_block(struct check *self, struct str text)
{
    int64_t block_id;

    if (self->open || take_number(text, &block_id) || block_id != self->blocks + 1)
        return wrong(self, "block %" PRId64 " does not come next", self->blocks + 1);
    self->blocks = block_id;
    self->open = true;
    ledger_text_begin(&self->text, block_id);
    return 0;
}

static int
take_hash(struct check *self, struct str text)
{
    uint8_t hash[SHA256_SIZE];
    char hex[HEX_SIZE(SHA256_SIZE)];

    if (!self->open || buf_failed(&self->text))
        return wrong(self, "a hash stands behind no block");
    ledger_hash(hash, self->before, (struct str){(const char *)self->text.data, self->text.size});
    secret_hex(hex, hash, sizeof hash);
    if (text.len != strlen(hex) || memcmp(text.base, hex, text.len) != 0)
        return wrong(self, "block %" PRId64 " is not what was sealed", self->blocks);
    memcpy(self->before, hash, sizeof hash);
    self->open = false;
    return 0;
}

static int
take_balance(struct check *self, struct str text)
{
    const char *bar = memchr(text.base, '|', text.len);
    struct str account;
    int64_t kept, summed;

    if (!bar)
        return wrong(self, "a line W| is no balance");
    account = (struct str){text.base, (size_t)(bar - text.base)};
    if (take_number((struct str){bar + 1, (size_t)(text.base + text.len - bar - 1)}, &kept))
        return wrong(self, "a line W| is no balance");
    summed = balance_of(self, account)->amount;
    self->balances++;
    if (kept != summed)
        return wrong(self, "%.*s is kept as %" PRId64 ", but its transfers make %" PRId64, (int)account.len,
                     account.base, kept, summed);
    return 0;
}

/* One line without its newline. */
static int
take_line(struct check *self, struct str line)
{
    struct str rest = {line.base + 2, line.len - 2};

    if (line.len < 3)
        return wrong(self, "behind block %" PRId64 " stands a line that is nothing", self->blocks);
    if (memcmp(line.base, "B|", 2) == 0)
        return take_block(self, rest);
    if (memcmp(line.base, "H|", 2) == 0)
        return take_hash(self, rest);
    if (memcmp(line.base, "W|", 2) == 0)
        return take_balance(self, rest);
    return take_transfer(self, line);
}

static int
take_text(struct check *self, struct str text)
{
    const char *at = text.base, *end = text.base + text.len;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));

        if (!newline)
            return wrong(self, "the text ends within a line");
        if (take_line(self, (struct str){at, (size_t)(newline - at)}))
            return -1;
        at = newline + 1;
    }
    return 0;
}

/* ---- from the platform ------------------------------------------------------------------------------------------- */

/* The balances that an operation tells, as of a block. */
static int
read_balances(struct rpc *rpc, const char *operation, int64_t block, int (*take)(void *taker, struct str text),
              void *taker)
{
    int64_t after = 0, count;
    struct in reply;
    int rc;

    do {
        arena_reset(rpc->arena); /* the answers are large */
        rpc_call(rpc, &reply, operation, "{\"block\": %" PRId64 ", \"after\": %" PRId64 "}", block, after);
        count = in_int(reply, "balances", 0);
        after = in_int(reply, "last", after);
        rc = take(taker, in_str(reply, "text"));
    } while (rc == 0 && count > 0);
    return rc;
}

/* Reads everything, as much at a time as one answer holds, but for the transfers that are in no block yet: unsealed is
 * how many of these there are. -1: take said no. */
static int
read_all(int (*take)(void *taker, struct str text), void *taker, int64_t *unsealed)
{
    struct rpc *rpc = rpc_new();
    int64_t last = 0, count;
    struct in reply;
    int rc;

    do {
        arena_reset(rpc->arena);
        rpc_call(rpc, &reply, "billing.ledger.read", "{\"after\": %" PRId64 "}", last);
        count = in_int(reply, "blocks", 0);
        last = in_int(reply, "last", last);
        *unsealed = in_int(reply, "unsealed", 0);
        rc = take(taker, in_str(reply, "text"));
        if (count && last / PROGRESS_EACH != (last - count) / PROGRESS_EACH)
            fprintf(stderr, "%" PRId64 " blocks\n", last);
    } while (rc == 0 && count > 0);
    rc = rc || read_balances(rpc, "billing.ledger.wallets", last, take, taker) ||
         read_balances(rpc, "billing.ledger.developers", last, take, taker);
    rpc_destroy(&rpc);
    return rc ? -1 : 0;
}

static int
check_part(void *self, struct str text)
{
    return take_text(self, text);
}

/* ---- exports ----------------------------------------------------------------------------------------------------- */

#define END_LINE "END|"

/* An export's last line says that nothing is missing, and holds the hash of all lines before it, each with the hash
 * before: what is not in the chain of blocks cannot be changed unnoticed either. */
struct export
{
    uint8_t hash[SHA256_SIZE];
};

static void
export_hash(struct export *self, struct str line)
{
    uint8_t before[SHA256_SIZE];

    memcpy(before, self->hash, sizeof before);
    ledger_hash(self->hash, before, line);
}

static int
write_part(void *self, struct str text)
{
    const char *at = text.base, *end = text.base + text.len;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = newline ? (size_t)(newline - at) + 1 : (size_t)(end - at);

        export_hash(self, (struct str){at, len});
        at += len;
    }
    return text.len == 0 || fwrite(text.base, 1, text.len, stdout) == text.len ? 0 : -1;
}

static int
export_ledger(void)
{
    char hex[HEX_SIZE(SHA256_SIZE)];
    struct export export = {{0}};
    int64_t unsealed;
    bool failed = read_all(write_part, &export, &unsealed) != 0;

    secret_hex(hex, export.hash, sizeof export.hash);
    if (failed || printf(END_LINE "%s\n", hex) < 0 || fflush(stdout)) {
        fprintf(stderr, "sxctl: cannot write the export: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int
check_end(struct check *self, const struct export *export, struct str line)
{
    char wanted[sizeof END_LINE + HEX_SIZE(SHA256_SIZE)];
    char hex[HEX_SIZE(SHA256_SIZE)];

    secret_hex(hex, export->hash, sizeof export->hash);
    snprintf(wanted, sizeof wanted, END_LINE "%s\n", hex);
    self->ended = true;
    return str_is(line, wanted) ? 0 : wrong(self, "the export is not what was written");
}

static int
check_file(struct check *self, FILE *file)
{
    struct export export = {{0}};
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    int rc = 0;

    while (rc == 0 && (len = getline(&line, &size, file)) > 0) {
        struct str text = {line, (size_t)len};

        if (self->ended)
            rc = wrong(self, "something stands behind the end");
        else if (text.len >= sizeof END_LINE && memcmp(line, END_LINE, sizeof END_LINE - 1) == 0)
            rc = check_end(self, &export, text);
        else {
            export_hash(&export, text);
            rc = take_text(self, text);
        }
    }
    free(line);
    if (rc == 0 && ferror(file))
        rc = wrong(self, "the file cannot be read");
    if (rc == 0 && !self->ended)
        rc = wrong(self, "the export ends too early");
    return rc;
}

static int
verify(const char *path)
{
    struct check check = {0};
    int64_t unsealed = 0;
    FILE *file = NULL;
    int rc;

    buf_init(&check.text, BLOCK_TEXT_MAX);
    if (path && !(file = fopen(path, "re"))) {
        fprintf(stderr, "sxctl: %s: %s\n", path, strerror(errno));
        return EXIT_FAILURE;
    }
    rc = file ? check_file(&check, file) : read_all(check_part, &check, &unsealed);
    if (rc == 0 && check.open)
        rc = wrong(&check, "block %" PRId64 " has no hash", check.blocks);
    if (file)
        fclose(file);
    buf_free(&check.text);
    free(check.seen);
    tdestroy(check.accounts, free);
    if (rc) {
        fprintf(stderr, "sxctl: the ledger is not what it was: %s\n", check.why);
        return EXIT_FAILURE;
    }
    printf("{\"ok\":true,\"blocks\":%" PRId64 ",\"transfers\":%" PRId64 ",\"balances\":%" PRId64
           ",\"unsealed\":%" PRId64 "}\n",
           check.blocks, check.transfers, check.balances, unsealed);
    return EXIT_SUCCESS;
}

int
sxctl_ledger(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "export") == 0)
        return export_ledger();
    if ((argc == 2 || argc == 3) && strcmp(argv[1], "verify") == 0)
        return verify(argc == 3 ? argv[2] : NULL);
    fprintf(stderr, "usage: sxctl %s export > FILE\n       sxctl %s verify [FILE]\n", argv[0], argv[0]);
    return EXIT_FAILURE;
}
