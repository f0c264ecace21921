/* call.c - `sxctl call`: one operation of one service, with JSON in and JSON out.
 *
 * {"order_id": 7, "note": "x"} is the body of an internal operation. An operation with a route is given its parts:
 * {"path": {"order_id": 7}, "query": {…}, "body": {…}}, and --as says on whose behalf:
 * {"audience": 1, "app_id": 1, "store_id": 1, "scopes": "read:orders"} (proto/README.md, caller). With - for the JSON
 * it comes from standard input: other users of the machine can read a command line, and shells keep it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "client.h"
#include "clock.h"
#include "contract.h"
#include "json.h"
#include "out.h"
#include "rpc.h"
#include "secret.h"
#include "sxctl.h"
#include "token.h"

#define CALL_WAIT_MS    20000
#define REQUEST_ID_SIZE 8

struct arguments {
    const char *operation, *json, *as, *key;
};

static int
read_arguments(int argc, char **argv, struct arguments *target)
{
    *target = (struct arguments){0};
    for (int i = 1; i < argc; i++) {
        const char **option = strcmp(argv[i], "--as") == 0    ? &target->as
                              : strcmp(argv[i], "--key") == 0 ? &target->key
                                                              : NULL;

        if (option && i + 1 < argc)
            *option = argv[++i];
        else if (strncmp(argv[i], "--", 2) == 0 || target->json)
            return -1;
        else if (!target->operation)
            target->operation = argv[i];
        else
            target->json = argv[i];
    }
    return target->operation ? 0 : -1;
}

static bool
has_route(const char *name)
{
    for (unsigned i = 0; i < operation_count; i++)
        if (strcmp(operations[i].name, name) == 0)
            return operations[i].path != NULL;
    return false;
}

static int
append_json(struct buf *target, const char *what, const char *text)
{
    char why[JSON_WHY_SIZE];

    if (json_to_msgpack(text, strlen(text), target, why) == 0)
        return 0;
    fprintf(stderr, "sxctl: %s: %s\n", what, why);
    return -1;
}

static void
append_name(struct buf *target, const char *name)
{
    struct out out;

    out_init(&out, target, OUT_MSGPACK);
    out_text(&out, name);
}

/* The map {caller?, key?, ...}: the body alone, or all members of the JSON when the operation has a route. members is
 * how many those are. */
static int
write_arguments(struct buf *target, const struct arguments *arguments, struct str json, unsigned members)
{
    const uint8_t *at = (const uint8_t *)json.base, *end = at + json.len;
    bool in_parts = has_route(arguments->operation);
    msgpack_object head;
    struct out out;

    out_init(&out, target, OUT_MSGPACK);
    out_map(&out, (in_parts ? members : 1) + (arguments->as != NULL) + (arguments->key != NULL));
    if (arguments->as) {
        append_name(target, "caller");
        if (append_json(target, "--as", arguments->as) != 0)
            return -1;
    }
    if (arguments->key) {
        append_name(target, "key");
        append_name(target, arguments->key);
    }
    if (!in_parts)
        append_name(target, "body");
    else if (token_read(&at, end, &head) != 0) /* the members behind the map's head, as they are */
        return -1;
    return buf_append(target, at, (size_t)(end - at));
}

/* All of standard input, as text in the arena; NULL, said why, when it is too long or cannot be read. */
static const char *
read_input(struct arena *arena)
{
    struct buf text;
    char part[4096];
    const char *whole = NULL;
    size_t size;

    buf_init(&text, WIRE_MESSAGE_MAX);
    while ((size = fread(part, 1, sizeof part, stdin)) > 0)
        if (buf_append(&text, part, size) != 0)
            break;
    if (size > 0 || ferror(stdin))
        fprintf(stderr, "sxctl: cannot read standard input, or it is longer than a request may be\n");
    else if (text.size > 0 && memchr(text.data, 0, text.size))
        fprintf(stderr, "sxctl: standard input is no text\n");
    else
        whole = arena_strndup(arena, text.size > 0 ? text.data : "", text.size);
    buf_free(&text);
    return whole;
}

static int
read_json(struct buf *target, struct arena *arena, const struct arguments *arguments, unsigned *members)
{
    const char *json = arguments->json ? arguments->json : "{}";
    struct in in;

    if (strcmp(json, "-") == 0)
        json = read_input(arena);
    if (!json || append_json(target, "the arguments", json) != 0)
        return -1;
    if (in_decode(&in, arena, target->data, target->size) != 0 || in.object->type != MSGPACK_OBJECT_MAP) {
        fprintf(stderr, "sxctl: give the arguments as a JSON object\n");
        return -1;
    }
    *members = in_count(in, "");
    return 0;
}

static int
print_reply(struct client_reply *reply)
{
    struct buf text;
    struct out out;
    int status = reply->error ? EXIT_FAILURE : EXIT_SUCCESS;

    buf_init(&text, 2 * REPLY_SIZE_MAX);
    out_init(&out, &text, OUT_JSON);
    out_msgpack(&out, (struct str){zmq_msg_data(&reply->body), zmq_msg_size(&reply->body)});
    if (zmq_msg_size(&reply->body))
        fprintf(reply->error ? stderr : stdout, "%.*s\n", (int)text.size, text.data);
    buf_free(&text);
    return status;
}

int
sxctl_call(int argc, char **argv)
{
    struct arguments arguments;
    struct buf json, members, request;
    unsigned count;
    struct client_reply reply;
    uint8_t id[REQUEST_ID_SIZE];
    char request_id[HEX_SIZE(REQUEST_ID_SIZE)];
    struct rpc *rpc;
    bool maybe_sent;
    int status = EXIT_FAILURE;

    if (read_arguments(argc, argv, &arguments) != 0) {
        fprintf(stderr, "usage: sxctl %s SERVICE.OPERATION ['{json}' | -] [--as '{caller}'] [--key KEY]\n", argv[0]);
        return EXIT_FAILURE;
    }
    rpc = rpc_new();
    buf_init(&json, WIRE_MESSAGE_MAX);
    buf_init(&members, WIRE_MESSAGE_MAX);
    buf_init(&request, WIRE_MESSAGE_MAX);
    secret_random(id, sizeof(id));
    secret_hex(request_id, id, sizeof(id));
    if (read_json(&json, rpc->arena, &arguments, &count) != 0 ||
        write_arguments(&members, &arguments, (struct str){json.data, json.size}, count) != 0)
        status = EXIT_FAILURE;
    else if (client_arguments(&request, (struct str){members.data, members.size}, "operator", request_id) != 0)
        fprintf(stderr, "sxctl: --as must be a JSON object\n");
    else if (client_request(rpc->peers, NULL, arguments.operation, 0, &request, clock_monotonic_ms() + CALL_WAIT_MS,
                            &reply, &maybe_sent) != 0)
        fprintf(stderr, "sxctl: no answer%s\n",
                maybe_sent ? "; the request may have been carried out" : ": no gateway is up");
    else {
        status = print_reply(&reply);
        client_reply_close(&reply);
    }
    buf_free(&json);
    buf_free(&members);
    buf_free(&request);
    rpc_destroy(&rpc);
    return status;
}
