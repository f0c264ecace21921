/* sxctl - the operator's tool: calls any operation of any service, shows who is connected, makes keys, supervises. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "config.h"
#include "log.h"
#include "sxctl.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"call", sxctl_call,
     "SERVICE.OPERATION ['{json}' | -] [--as '{caller}'] [--key KEY]: call an operation, print its answer"},
    {"who", sxctl_who, "which workers are connected to which gateway, and how busy they are"},
    {"create-admin", sxctl_create_admin,
     "NAME EMAIL: an account that may administer the platform; password on standard input"},
    {"supervise", sxctl_supervise, "[--foreground]: run the platform of this host and keep it running"},
    {"demo", sxctl_demo,
     "[BASE_URL]: load the demo stores and write demo.json, once; again: renew its tokens that have ended"},
    {"bench-data", sxctl_bench_data, "STORES ORDERS: load stores to measure with and write bench.json"},
    {"ledger", sxctl_ledger,
     "export > FILE | verify [FILE]: billing's ledger as a text; check it, or the platform's own"},
    {"keys", sxctl_keys, "DIRECTORY: make the CURVE keys that are missing there"},
    {"rotate-master-key", sxctl_rotate_master_key,
     "[--wait SECONDS] [FILE...]: a new master key, everything that is stored sealed anew; may be killed and run again"},
    {"settings", sxctl_settings, "print the table of settings for the README"},
};

static int
usage(FILE *target)
{
    fprintf(target, "usage: sxctl COMMAND\n\n");
    for (unsigned i = 0; i < ARRAY_COUNT(commands); i++)
        fprintf(target, "  %-17s %s\n", commands[i].name, commands[i].help);
    return target == stdout ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
    enum log_level level = LOG_INFO;

    if (argc < 2)
        return usage(stderr);
    if (strcmp(argv[1], "--help") == 0) {
        usage(stdout);
        printf("\nsettings:\n\n");
        config_print_help();
        return EXIT_SUCCESS;
    }
    for (unsigned i = 0; i < ARRAY_COUNT(commands); i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        if (config_load() != 0)
            return EXIT_FAILURE;
        if (log_level_of(config.log_level, &level) != 0)
            level = LOG_INFO;
        log_start("sxctl", level);
        return commands[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "sxctl: there is no command \"%s\"\n", argv[1]);
    return usage(stderr);
}
