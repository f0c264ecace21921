/* queries_metafields.h - the SQL of metafields: definitions of apps, values of stores.
 *
 * Part of queries.h. Whatever reads or writes a value names the app beside the store: another app's are not there.
 * Resource types are the letters of the table; what clients write is made of them here and nowhere else.
 */
#define METAFIELD_TYPE(column)                                                                                         \
    "case " column " when 'o' then 'order' when 'p' then 'product' when 'c' then 'customer' else 'store' end as "      \
    "resource_type"

#define METAFIELD_DEFINITION_COLUMNS                                                                                   \
    "d.definition_id, d.namespace, d.key, d.name, d.description, " METAFIELD_TYPE(                                     \
        "d.resource_type") ", d.value_type, "                                                                          \
                           "d.created_at"

#define METAFIELD_VALUE_COLUMNS                                                                                        \
    "v.value_id, v.definition_id, d.namespace, d.key, " METAFIELD_TYPE("v.resource_type") ", v.resource_id, v.value, " \
                                                                                          "d.value_type, "             \
                                                                                          "v.created_at, v.updated_at"

#define METAFIELD_VALUES                                                                                               \
    "metafield_value as v join metafield_definition as d on d.definition_id = v.definition_id and d.deleted_at is "    \
    "null"

/* ---- definitions ------------------------------------------------------------------------------------------------- */

/* Definitions of an app are made one after the other, so that its bound holds. */
QUERY(METAFIELD_APP_LOCK, "select pg_advisory_xact_lock(hashtextextended('metafield definitions', $1))")

/* $1 app, $2 namespace .. $5 description, $6 letter of the type, $7 value type, $8 now, $9 the most there may be. */
QUERY(
    METAFIELD_DEFINITION_INSERT,
    "insert into metafield_definition as d (app_id, namespace, key, name, description, resource_type, value_type, "
    "created_at) select $1, $2, $3, $4, $5, $6::text::\"char\", $7, $8 where (select count(*) from "
    "metafield_definition where app_id = $1 and deleted_at is null) < $9::bigint on conflict (app_id, namespace, key) "
    "where deleted_at is null do nothing returning " METAFIELD_DEFINITION_COLUMNS)

QUERY(METAFIELD_DEFINITION_FIND, "select definition_id from metafield_definition where app_id = $1 and namespace = $2 "
                                 "and key = $3 and deleted_at is null")

QUERY(METAFIELD_DEFINITION_GET, "select " METAFIELD_DEFINITION_COLUMNS " from metafield_definition as d where "
                                "d.app_id = $1 and d.definition_id = $2 and d.deleted_at is null")

/* Waits for whoever writes values of it (METAFIELD_DEFINITIONS_SHARE). */
QUERY(METAFIELD_DEFINITION_LOCK, "select " METAFIELD_DEFINITION_COLUMNS " from metafield_definition as d where "
                                 "d.app_id = $1 and d.definition_id = $2 and d.deleted_at is null for no key update")

QUERY(METAFIELD_DEFINITION_MARK,
      "update metafield_definition set deleted_at = $3 where app_id = $1 and definition_id = $2")

/* An app has few (METAFIELD_DEFINITIONS_MAX), so their number is counted. $2 letter of a type or '', $3 rows wanted, $4
 * rows to leave out, $5 and $6 name and id of the last one seen. */
QUERY(METAFIELD_DEFINITIONS,
      "select total.n as _total, o.* from (select count(*) as n from metafield_definition as d where d.app_id = $1 and "
      "d.deleted_at is null and ($2 = '' or d.resource_type = $2::text::\"char\")) as total left join lateral (select "
      "* from (select " METAFIELD_DEFINITION_COLUMNS ", d.namespace || '.' || d.key as _name from metafield_definition "
      "as d where d.app_id = $1 and d.deleted_at is null and ($2 = '' or d.resource_type = $2::text::\"char\")) as d "
      "where (d._name, d.definition_id) > ($5::text collate \"C\", $6::bigint) order by d._name, d.definition_id "
      "offset $4::bigint limit $3) as o on true")

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* $2 letter of the type, $3 id: one row when the resource is in the store. With offset 0 each is looked up by its key;
 * else the planner may read all of the store's orders once for a batch, or by an index of those that are not deleted.
 */
#define METAFIELD_ROW_EXISTS(table, key, id)                                                                           \
    "exists (select from (select deleted_at from " table " where store_id = $1 and " key " = " id                      \
    " offset 0) as r where r.deleted_at is null)"
#define METAFIELD_RESOURCE_EXISTS(type, id)                                                                            \
    "case " type                                                                                                       \
    " when 'o' then " METAFIELD_ROW_EXISTS("store_order", "order_id", id) " when 'p' then " METAFIELD_ROW_EXISTS(      \
        "product", "product_id",                                                                                       \
        id) " when 'c' then " METAFIELD_ROW_EXISTS("customer", "user_id",                                              \
                                                   id) " else " id " = $1 and exists (select from store_profile as r " \
                                                       "where r.store_id = $1) end"

QUERY(METAFIELD_RESOURCE_FIND, "select where " METAFIELD_RESOURCE_EXISTS("$2::text", "$3::bigint"))

/* $2 app, $3 letter, $4 resource, $5 rows wanted, $6 rows to leave out, $7 name and $8 id of the last one seen. */
QUERY(METAFIELD_VALUES_LIST,
      "select total.n as _total, o.* from (select count(*) as n from " METAFIELD_VALUES " where v.store_id = $1 and "
      "v.resource_type = $3::text::\"char\" and v.resource_id = $4 and v.app_id = $2) as total left join lateral "
      "(select * from (select " METAFIELD_VALUE_COLUMNS ", d.namespace || '.' || d.key as _name from " METAFIELD_VALUES
      " where v.store_id = $1 and v.resource_type = $3::text::\"char\" and v.resource_id = $4 and v.app_id = $2) as v "
      "where (v._name, v.value_id) > ($7::text collate \"C\", $8::bigint) order by v._name, v.value_id "
      "offset $6::bigint limit $5) as o on true")

QUERY(METAFIELD_VALUE_GET,
      "select " METAFIELD_VALUE_COLUMNS " from " METAFIELD_VALUES " where v.store_id = $1 and "
      "v.app_id = $2 and v.value_id = $3 and " METAFIELD_RESOURCE_EXISTS("v.resource_type", "v.resource_id"))

QUERY(METAFIELD_VALUE_LOCK,
      "select " METAFIELD_VALUE_COLUMNS " from " METAFIELD_VALUES " where v.store_id = $1 and "
      "v.app_id = $2 and v.value_id = $3 and " METAFIELD_RESOURCE_EXISTS("v.resource_type",
                                                                         "v.resource_id") " for update of v")

QUERY(METAFIELD_VALUE_DELETE, "delete from metafield_value where store_id = $1 and app_id = $2 and value_id = $3")

/* The definitions that a batch names, kept as they are until it ends: none is deleted meanwhile, and no value is
 * written once it is. $2: [{namespace, key}]. */
QUERY(METAFIELD_DEFINITIONS_SHARE,
      "select d.definition_id, d.namespace, d.key, d.resource_type::text as letter, d.value_type from "
      "metafield_definition as d where d.app_id = $1 and d.deleted_at is null and (d.namespace, d.key) in (select "
      "i.namespace, i.key from json_to_recordset($2) as i (namespace text, key text)) order by d.definition_id for "
      "share")

/* The customers of a batch stay until it ends: who erases one waits for us, and finds the value. $2: [{letter, id}]. */
QUERY(METAFIELD_CUSTOMERS_HOLD,
      "select from customer where store_id = $1 and user_id = any (array(select i.id from json_to_recordset($2) as i "
      "(letter text, id bigint) where i.letter = 'c')) and deleted_at is null order by user_id for key share")

/* Of a batch, the resources that are not in the store. $2: [{n, letter, id}]. */
QUERY(METAFIELD_RESOURCES_MISSING,
      "select i.n from json_to_recordset($2) as i (n bigint, letter text, id bigint) where "
      "not (" METAFIELD_RESOURCE_EXISTS("i.letter", "i.id") ") order by i.n limit 1")

/* $2 app, $3 [{n, definition, letter, id, value}], $4 now. In the order of the index that decides, so that two batches
 * wait for each other and never in a ring. What stays as it was is not written. */
QUERY(METAFIELD_VALUES_PUT,
      "insert into metafield_value as v (store_id, app_id, definition_id, resource_type, resource_id, value, "
      "created_at, updated_at) select $1, $2, i.definition, i.letter::\"char\", i.id, i.value, $4::timestamptz, "
      "$4::timestamptz from json_to_recordset($3) as i (definition bigint, letter text, id bigint, value text) "
      "order by i.letter::\"char\", i.id, i.definition on conflict (store_id, resource_type, resource_id, app_id, "
      "definition_id) do update set value = excluded.value, updated_at = excluded.updated_at where v.value <> "
      "excluded.value")

/* A batch as it is now, in its own order; a statement of its own, so that it sees what others wrote before it. Each
 * value is looked up by its key, whatever the planner believes: with offset 0 nothing can be joined that was read for
 * the whole app, and the pair of app and definition, as a range, fits the end of that index and the beginning of none.
 */
QUERY(
    METAFIELD_VALUES_OF,
    "select " METAFIELD_VALUE_COLUMNS " from json_to_recordset($3) as i (n bigint, definition bigint, letter text, "
    "id bigint) cross join lateral (select * from metafield_value as v where v.store_id = $1 and v.resource_type = "
    "i.letter::\"char\" and v.resource_id = i.id and (v.app_id, v.definition_id) >= ($2, i.definition) and (v.app_id, "
    "v.definition_id) <= ($2, i.definition) offset 0) as v cross join lateral (select * from metafield_definition as "
    "d where d.definition_id = v.definition_id offset 0) as d order by i.n")

/* Definitions of orders by name: $2 ["namespace.key"]; 0 for a name that is not defined. */
QUERY(
    METAFIELD_ORDER_DEFINITIONS,
    "select n.number, coalesce(d.definition_id, 0) as definition_id from json_array_elements_text($2) with ordinality "
    "as n (name, number) left join metafield_definition as d on d.app_id = $1 and d.namespace = split_part(n.name, "
    "'.', 1) and d.key = substr(n.name, strpos(n.name, '.') + 1) and d.resource_type = 'o' and d.deleted_at is null "
    "order by n.number")

/* ---- removal ----------------------------------------------------------------------------------------------------- */

/* Values of one definition that was deleted, up to $1 of them; the definition itself once none is left. */
QUERY(METAFIELD_REMOVAL_NEXT, "select definition_id from metafield_definition where deleted_at is not null order by "
                              "definition_id limit 1")
QUERY(METAFIELD_REMOVAL_VALUES, "delete from metafield_value where ctid = any (array(select ctid from metafield_value "
                                "where definition_id = $1 limit $2 for update skip locked))")
QUERY(METAFIELD_REMOVAL_DEFINITION,
      "delete from metafield_definition as d where d.definition_id = $1 and d.deleted_at is not null and not exists "
      "(select from metafield_value as v where v.definition_id = d.definition_id)")

/* What one app kept in a store, up to $3 values. */
QUERY(METAFIELD_FORGET_APP,
      "delete from metafield_value where ctid = any (array(select v.ctid from metafield_definition as d join "
      "metafield_value as v on v.definition_id = d.definition_id and v.store_id = $1 where d.app_id = $2 limit $3 for "
      "update of v skip locked))")
