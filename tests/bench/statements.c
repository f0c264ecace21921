/* statements.c - prints store-data's statements as NAME, a tab, SQL: so that the ceilings run exactly what the service
 * runs. */
#include <stdio.h>

#define QUERY(name, sql) {#name, sql},

static const struct {
    const char *name, *sql;
} statements[] = {
#include "queries.h"
};

int
main(void)
{
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        printf("%s\t%s\n", statements[i].name, statements[i].sql);
    return 0;
}
