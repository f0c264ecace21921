/* keys.c - `sxctl keys`: a CURVE key pair for the gateway, for each service of the contract, and for the operator. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "contract.h"
#include "curve.h"
#include "sxctl.h"

#define NAMES_MAX (SERVICES_MAX + 2) /* and the gateway's and the operator's */

int
sxctl_keys(int argc, char **argv)
{
    const char *names[NAMES_MAX] = {"gateway", "operator"};
    unsigned count = 2;

    if (argc != 2) {
        fprintf(stderr, "usage: sxctl %s DIRECTORY\n", argv[0]);
        return EXIT_FAILURE;
    }
    for (unsigned i = 0; i < operation_count && count < NAMES_MAX; i++) {
        const char *service = operations[i].service;

        /* Operations are sorted by name, so by service. */
        if (strcmp(service, names[count - 1]) != 0 && strcmp(service, "gateway") != 0)
            names[count++] = service;
    }
    if (curve_make_keys(argv[1], names, count) != 0)
        return EXIT_FAILURE;
    printf("%u key pairs in %s: give each process its own NAME.secret, NAME.public and gateway.public;\n"
           "the gateway has gateway.secret and every NAME.public\n",
           count, argv[1]);
    return EXIT_SUCCESS;
}
