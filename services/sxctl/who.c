/* who.c - `sxctl who`: each gateway tells which services it sees, and through which processes (`gateway.who`). */
#include <stdio.h>
#include <stdlib.h>

#include "client.h"
#include "clock.h"
#include "rpc.h"
#include "sxctl.h"

#define ANSWER_WAIT_MS 1000 /* per gateway; one that is stopped is shown as silent */
#define LOOK_MS        20

static void
print_processes(struct in processes)
{
    for (unsigned i = 0; i < in_count(processes, ""); i++) {
        struct in process = in_item(processes, i);

        printf("    %-20s %3lld workers, %3lld idle, %lld requests\n", in_text(process, "instance"),
               (long long)in_int(process, "workers", 0), (long long)in_int(process, "idle", 0),
               (long long)in_int(process, "requests", 0));
    }
}

static void
print_services(struct in services)
{
    for (unsigned i = 0; i < in_count(services, ""); i++) {
        struct in service = in_item(services, i);
        long long foreign = (long long)in_int(service, "foreign_contract", 0);

        printf("  %-22s %3lld workers, %3lld idle, %4lld queued", in_text(service, "service"),
               (long long)in_int(service, "workers", 0), (long long)in_int(service, "idle", 0),
               (long long)in_int(service, "queued", 0));
        if (foreign)
            printf(", %lld built from another contract", foreign);
        printf("\n");
        print_processes(in_at(service, "processes"));
    }
}

/* rpc_new waits for one gateway only; the handshake with the others may still be under way. */
static bool
wait_for(struct rpc *rpc, const struct peer *gateway)
{
    int64_t until_ms = clock_monotonic_ms() + ANSWER_WAIT_MS, now_ms;

    while (!peer_is_live(gateway) && (now_ms = clock_monotonic_ms()) < until_ms)
        peers_wait(rpc->peers, false, now_ms + LOOK_MS);
    return peer_is_live(gateway);
}

int
sxctl_who(int argc, char **argv)
{
    struct buf request;
    struct rpc *rpc;
    int status = EXIT_SUCCESS;

    if (argc != 1) {
        fprintf(stderr, "usage: sxctl %s\n", argv[0]);
        return EXIT_FAILURE;
    }
    rpc = rpc_new();
    buf_init(&request, 1024);
    if (client_arguments(&request, STR(""), "operator", "") != 0)
        return EXIT_FAILURE;
    for (unsigned i = 0; i < peers_count(rpc->peers); i++) {
        struct peer *gateway = peers_at(rpc->peers, i);
        struct client_reply reply;
        struct in services;
        bool maybe_sent;

        printf("%s\n", gateway->endpoint);
        if (!wait_for(rpc, gateway) ||
            client_request(rpc->peers, gateway, "gateway.who", 0, &request, clock_monotonic_ms() + ANSWER_WAIT_MS,
                           &reply, &maybe_sent) != 0) {
            printf("  does not answer\n");
            status = EXIT_FAILURE;
            continue;
        }
        if (in_decode(&services, rpc->arena, zmq_msg_data(&reply.body), zmq_msg_size(&reply.body)) == 0)
            print_services(services);
        client_reply_close(&reply);
    }
    buf_free(&request);
    rpc_destroy(&rpc);
    return status;
}
