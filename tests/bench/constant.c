/* constant.c - the ceiling of the HTTP library: a libmicrohttpd server with one thread, an external loop as the
 * gateway's, and one constant body. constant PORT BODY_SIZE; ends on SIGTERM, or by itself after ten minutes.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct MHD_Response *response;

static enum MHD_Result
answer(void *context, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
       const char *upload, size_t *upload_size, void **state)
{
    static int seen;

    (void)context, (void)url, (void)method, (void)version, (void)upload, (void)upload_size;
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

int
main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    size_t size = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    struct MHD_Daemon *daemon;
    struct pollfd polled;
    char *body;

    if (size == 0 || size > 1000000)
        return 2;
    alarm(600);
    body = malloc(size);
    memset(body, 'x', size);
    response = MHD_create_response_from_buffer(size, body, MHD_RESPMEM_MUST_FREE);
    address.sin_port = htons((uint16_t)strtol(argv[1], NULL, 10));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, answer, NULL, MHD_OPTION_SOCK_ADDR, &address,
                              MHD_OPTION_CONNECTION_LIMIT, 4096u, MHD_OPTION_END);
    if (daemon == NULL)
        return 1;
    polled.fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    polled.events = POLLIN;
    for (;;) {
        MHD_UNSIGNED_LONG_LONG timeout_ms = 1000;

        if (MHD_get_timeout(daemon, &timeout_ms) == MHD_NO)
            timeout_ms = 1000;
        poll(&polled, 1, (int)timeout_ms);
        MHD_run(daemon);
    }
}
