/* admin.c - `sxctl create-admin NAME EMAIL`: an account that may administer the platform.
 *
 * The password is read from standard input, without echo on a terminal: arguments would stand in the shell's history
 * and in the list of processes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "buf.h"
#include "out.h"
#include "rpc.h"
#include "sxctl.h"

#define PASSWORD_SIZE_MAX 512 /* 128 characters of at most four bytes */

static int
read_password(char target[PASSWORD_SIZE_MAX + 2])
{
    struct termios shown, hidden;
    bool terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
    bool read;

    if (terminal) {
        fprintf(stderr, "Password (8 to 128 characters): ");
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    read = fgets(target, PASSWORD_SIZE_MAX + 2, stdin) != NULL;
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        fprintf(stderr, "\n");
    }
    if (!read)
        return -1;
    target[strcspn(target, "\r\n")] = '\0';
    return 0;
}

int
sxctl_create_admin(int argc, char **argv)
{
    char password[PASSWORD_SIZE_MAX + 2];
    struct buf body;
    struct out out;
    struct rpc *rpc;
    struct in reply;

    if (argc != 3) {
        fprintf(stderr, "usage: sxctl %s NAME EMAIL (the password is read from standard input)\n", argv[0]);
        return EXIT_FAILURE;
    }
    if (read_password(password) != 0) {
        fprintf(stderr, "sxctl: give the password on standard input\n");
        return EXIT_FAILURE;
    }
    buf_init(&body, 4096);
    out_init(&out, &body, OUT_JSON);
    out_map(&out, 4);
    out_key(&out, "name");
    out_text(&out, argv[1]);
    out_key(&out, "email");
    out_text(&out, argv[2]);
    out_key(&out, "password");
    out_text(&out, password);
    out_key(&out, "is_admin");
    out_bool(&out, true);
    if (!out_complete(&out)) {
        fprintf(stderr, "sxctl: name or e-mail address is too long\n");
        return EXIT_FAILURE;
    }
    rpc = rpc_new();
    rpc_call(rpc, &reply, "auth.accounts.create", "%.*s", (int)body.size, body.data);
    printf("account %lld is an administrator of the platform\n", (long long)in_int(reply, "account_id", 0));
    buf_free(&body);
    rpc_destroy(&rpc);
    return EXIT_SUCCESS;
}
