/* settings.c - `sxctl settings`: the README's table, from the one list of settings. */
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "sxctl.h"

int
sxctl_settings(int argc, char **argv)
{
    if (argc != 1) {
        fprintf(stderr, "usage: sxctl %s\n", argv[0]);
        return EXIT_FAILURE;
    }
    config_print_markdown();
    return EXIT_SUCCESS;
}
