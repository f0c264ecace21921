/* contract.h - what the contract says, as the tables that proto/generate.py writes (build/gen).
 *
 * The same struct serves HTTP operations and internal ones. Everything is read-only and lives in the program text.
 */
#ifndef CONTRACT_H
#define CONTRACT_H

#include "base.h"
#include "errors.h" /* generated: enum fail, FAIL_... from proto/common.json */

enum schema_type {
    SCHEMA_ANY, /* JSON of any shape, bounded by bounds.h only */
    SCHEMA_BOOLEAN,
    SCHEMA_INTEGER,
    SCHEMA_MONEY, /* number with multipleOf 1, 0.01 or 0.001; never a double */
    SCHEMA_STRING,
    SCHEMA_ARRAY,
    SCHEMA_OBJECT,
};

enum schema_format {
    FORMAT_NONE,
    FORMAT_DATE_TIME, /* becomes a msgpack timestamp; a plain date is midnight UTC */
    FORMAT_EMAIL,
    FORMAT_URI,
    FORMAT_UUID,
    FORMAT_DATE,
    FORMAT_SLUG,   /* ^[a-z0-9-]+$ */
    FORMAT_PHONE,  /* ^\+?[0-9]{8,20}$ */
    FORMAT_NAME,   /* shown to people: no control characters, nothing that hides or turns text around */
    FORMAT_TEXT,   /* says something: not of blanks and invisible characters alone; empty is minLength's to refuse */
    FORMAT_HOST,   /* a host name: labels of letters, digits and hyphens with dots between them */
    FORMAT_IMAGE,  /* an http or https URL, or a key: words of a-z A-Z 0-9 . _ ~ - with slashes between them */
    FORMAT_IMAGES, /* any number of those, commas between them */
    FORMAT_BINARY, /* msgpack binary; internal operations only */
};

struct schema {
    enum schema_type type;
    enum schema_format format;
    bool nullable;              /* type: [x, "null"] */
    bool additional;            /* object: unknown fields are kept, not dropped or refused */
    bool strict;                /* object: unknown fields are an error (developer family) */
    uint8_t decimals;           /* money */
    int64_t min, max;           /* integer and money: value; string: characters; array: items; object: fields */
    const char *const *choices; /* string enum; NULL-terminated */
    const struct schema *items; /* array: of each item; object with additional: of each further value, or NULL */
    const struct field *fields; /* object */
    unsigned field_count;
};

struct field {
    const char *name;
    const struct schema *schema;
    bool required;
};

enum parameter_place { PLACE_PATH, PLACE_QUERY };

struct parameter {
    const char *name;
    const struct schema *schema;
    const char *otherwise; /* the default as text, or NULL */
    enum parameter_place place;
    bool required;
    bool clamp; /* a bad value becomes the nearest allowed one, or the default (contract K.1) */
};

enum audience { AUDIENCE_NONE, AUDIENCE_APP, AUDIENCE_MERCHANT, AUDIENCE_DEVELOPER, AUDIENCE_ADMIN, AUDIENCE_INTERNAL };
enum rate_class {
    RATE_GLOBAL,
    RATE_TOKEN,
    RATE_VERIFY,
    RATE_CREDENTIALS,
    RATE_LOGIN,
    RATE_METAFIELDS,
    RATE_EXEMPT,
    RATE_CLASSES
};

/* x-answer: how errors look, and whether the service is told what only browsers and RFC clients send (web). */
enum answer_form { ANSWER_JSON, ANSWER_PAGE, ANSWER_OAUTH };

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_METHODS };

struct operation {
    const char *name;    /* SERVICE.OPERATION, "store-data.orders.list": what travels on the wire */
    const char *service; /* the first part of the name */
    const char *pool;    /* the service name its workers are ready under: the service, or x-pool */
    enum audience audience;
    enum http_method method;    /* HTTP only */
    const char *path;           /* "/api/apps/v1/orders/{order_id}", or NULL for an internal operation */
    const char *const *scopes;  /* all needed; NULL-terminated; NULL when none */
    const char *const *callers; /* internal: services that may call it; NULL-terminated */
    const char *const *actors;  /* internal: services whose actors may call it, and no handler; NULL-terminated */
    const char *role;           /* developers: the least role in the app at path.app_id that may (x-role); else NULL */
    enum rate_class rate;
    uint32_t timeout_ms;
    uint32_t body_size_max;
    bool idempotent; /* takes Idempotency-Key (x-idempotent) */
    bool retry;      /* may be sent to a second worker after a loss (safe, or keyed) (x-retry) */
    bool stream;     /* answered chunk by chunk (x-stream) */
    bool upload;     /* its body is sent on in pieces while it arrives (x-upload) */
    bool batch;      /* of one app in one store several may come at once (x-batch) */
    bool upper_case; /* error codes of the developer family */
    enum answer_form answer;
    bool form;      /* takes application/x-www-form-urlencoded */
    bool form_only; /* and no JSON */
    bool multipart; /* takes multipart/form-data alone: its body has one field, a list of binary items */
    bool body_required;
    const struct schema *body; /* NULL: takes no body */
    const struct parameter *parameters;
    unsigned parameter_count;
};

/* gateway: all operations of all services, routes and internal ones (build/gen/operations.c). */
extern const struct operation operations[];
extern const unsigned operation_count;

/* The sha256 (hex) of the merged document; a worker tells it in READY, a mismatch shows in /readyz. */
extern const char contract_digest[];

/* Errors: from proto/common.json x-errors. */
struct fail_text {
    int status;
    const char *code;    /* "not_found" */
    const char *upper;   /* "NOT_FOUND" */
    const char *message; /* the default sentence */
};
extern const struct fail_text fail_texts[];
extern const unsigned fail_count;

#endif
