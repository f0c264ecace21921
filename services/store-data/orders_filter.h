/* orders_filter.h - the filters of one POST /orders/filters, between reading them (orders_filter_read.c) and running
 * them (orders_filter.c). */
#ifndef ORDERS_FILTER_H
#define ORDERS_FILTER_H

#include "call.h"

#define FILTERS_MAX           50  /* in a body, as the contract says */
#define FILTER_VALUES_MAX     100 /* of one filter */
#define FILTER_METAFIELDS_MAX 5   /* each is looked up for every order that is walked past */
#define FILTER_EXCLUDED_MAX   20

enum filter_column { ORDER_STATUS, FINANCIAL, FULFILLMENT, PAYMENT, COURIER, COURIER_ID, FILTER_COLUMNS };

struct metafield_filter {
    const char *name;      /* "namespace.key" */
    const char *values;    /* as PostgreSQL writes a list: {"a","b"}; {NULL} for any */
    unsigned value_count;  /* how many values it has */
    int64_t definition_id; /* 0: the app has not defined it */
};

/* Texts are in the call's arena. Lists are as PostgreSQL writes them, NULL where nothing is asked. */
struct order_filters {
    const char *values[FILTER_COLUMNS];
    const char *status;    /* the only value of order_status, or "" */
    const char *filled;    /* the columns that must not be empty */
    unsigned column_count; /* filters on columns */
    struct metafield_filter metafields[FILTER_METAFIELDS_MAX];
    unsigned metafield_count;
    const char *excluded_names[FILTER_EXCLUDED_MAX];
    unsigned excluded_count;
    const char *excluded; /* ids of definitions */
    const char *warnings[FILTERS_MAX];
    unsigned warning_count;
};

/* Reads `filters` and `exclude_metafields` of the body, and looks up the metafields' definitions. -1: the call has
 * failed. */
int order_filters_read(struct order_filters *self, struct call *call) must_check;

/* cursor_hash over everything that chooses orders. */
uint64_t order_filters_hash(const struct order_filters *self, struct call *call);

#endif
