/* keys.c - `sxctl keys`: a CURVE key pair for the gateway, for each service of the contract, and for the operator. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract.h"
#include "curve.h"
#include "bounds.h"
#include "sxctl.h"
#include "wire.h"

#define NAMES_MAX 64

struct names {
    char text[NAMES_MAX][SERVICE_NAME_MAX + 1];
    const char *list[NAMES_MAX];
    unsigned count;
};

static void
names_add(struct names *self, const char *name, size_t len)
{
    if (self->count == NAMES_MAX || len > SERVICE_NAME_MAX)
        return;
    memcpy(self->text[self->count], name, len);
    self->list[self->count] = self->text[self->count];
    for (unsigned i = 0; i < self->count; i++)
        if (strcmp(self->list[i], self->list[self->count]) == 0) {
            memset(self->text[self->count], 0, len);
            return;
        }
    self->count++;
}

int
sxctl_keys(int argc, char **argv)
{
    static struct names names;

    if (argc != 2) {
        fprintf(stderr, "usage: sxctl %s DIRECTORY\n", argv[0]);
        return EXIT_FAILURE;
    }
    names_add(&names, "gateway", strlen("gateway"));
    names_add(&names, "operator", strlen("operator"));
    for (unsigned i = 0; i < operation_count; i++) {
        struct str service, rest;

        if (wire_split(operations[i].name, strlen(operations[i].name), &service, &rest) == 0)
            names_add(&names, service.base, service.len);
    }
    if (curve_make_keys(argv[1], names.list, names.count) != 0)
        return EXIT_FAILURE;
    printf("%u key pairs in %s: give each process its own NAME.secret, NAME.public and gateway.public;\n"
           "the gateway has gateway.secret and every NAME.public\n",
           names.count, argv[1]);
    return EXIT_SUCCESS;
}
