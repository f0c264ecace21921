/* queries_shipping.h - the SQL of shipping zones and rates, part of queries.h. $1 store, $2 zone unless said otherwise.
 */
#define ZONE_COLUMNS                                                                                                   \
    "o.zone_id, o.store_id, o.name, o.is_default, coalesce((select json_agg(p.name order by p.position) from "         \
    "shipping_place as p where p.store_id = o.store_id and p.zone_id = o.zone_id), '[]') as cities, "                  \
    "coalesce((select json_agg(m) from (select method_id, name, price, min_order, estimated_days from "                \
    "shipping_method as m where m.store_id = o.store_id and m.zone_id = o.zone_id order by position, method_id) as "   \
    "m), '[]') as methods, o.created_at, o.updated_at"

/* Whoever writes zones of a store waits for the one who does. A statement of its own: the next sees what it has left.
 */
QUERY(SHIPPING_LOCK, "select pg_advisory_xact_lock(hashtextextended('shipping', $1))")

QUERY(ZONE_GET, "select " ZONE_COLUMNS " from shipping_zone as o where o.store_id = $1 and o.zone_id = $2")

/* $2 rows wanted, $3 rows to leave out, $4 and $5 where the page begins. A store has so few that nothing but its rows
 * is needed to sort them. */
#define ZONES_LIST(op, dir)                                                                                            \
    "select total.n as _total, " ZONE_COLUMNS " from (select count(*) as n from shipping_zone where store_id = $1) "   \
    "as total left join lateral (select * from shipping_zone as o where o.store_id = $1 and (o.created_at, "           \
    "o.zone_id) " op " ($4::timestamptz, $5::bigint) order by o.created_at " dir ", o.zone_id " dir                    \
    " offset $3::bigint limit $2) as o on true order by o.created_at " dir ", o.zone_id " dir
QUERY(ZONES_CREATED_ASC, ZONES_LIST(">", "asc"))
QUERY(ZONES_CREATED_DESC, ZONES_LIST("<", "desc"))
#undef ZONES_LIST

/* How many zones there are, and which is the default. */
QUERY(ZONES_STATE, "select count(*) as zones, min(zone_id) filter (where is_default) as default_id from shipping_zone "
                   "where store_id = $1")

/* $2 name, $3 is_default, $4 now. */
QUERY(ZONE_INSERT, "insert into shipping_zone (store_id, name, is_default, created_at, updated_at) "
                   "values ($1, $2, $3, $4, $4) returning zone_id")

/* $3 name, $4 is_default, $5 now. */
QUERY(ZONE_UPDATE, "update shipping_zone set name = $3, is_default = $4, updated_at = $5 where store_id = $1 and "
                   "zone_id = $2")

QUERY(ZONE_DELETE, "delete from shipping_zone where store_id = $1 and zone_id = $2")

/* $3 a list of names. The first that says nothing (zone_id null), or that is in another zone. */
QUERY(PLACES_CHECK,
      "select c.position - 1 as line, c.name, p.zone_id from json_array_elements_text($3) with ordinality as c (name, "
      "position) left join shipping_place as p on p.store_id = $1 and p.place = place_key(c.name) and p.zone_id <> $2 "
      "where p.zone_id is not null or place_key(c.name) = '' order by c.position limit 1")

/* $3 the list that the zone is to have; of two spellings of a place the first counts. Answers how many rows changed. */
QUERY(PLACES_SET,
      "with given as (select distinct on (place) place_key(c.name) as place, c.name, c.position from "
      "json_array_elements_text($3) with ordinality as c (name, position) order by place, position), "
      "gone as (delete from shipping_place as p where p.store_id = $1 and p.zone_id = $2 and not exists (select from "
      "given where given.place = p.place) returning 1), "
      "put as (insert into shipping_place as p (store_id, place, zone_id, name, position) select $1, place, $2, name, "
      "position from given on conflict (store_id, place) do update set name = excluded.name, position = "
      "excluded.position where (p.name, p.position) is distinct from (excluded.name, excluded.position) returning 1) "
      "select (select count(*) from gone) + (select count(*) from put) as changed")

/* $3 methods, as METHODS_SET takes them. The first that says it is another one than those of the zone. */
QUERY(METHODS_CHECK,
      "select g.position from json_to_recordset($3) as g (position integer, method_id bigint) where g.method_id is not "
      "null and not exists (select from shipping_method as m where m.store_id = $1 and m.zone_id = $2 and m.method_id "
      "= g.method_id) order by g.position limit 1")

/* $3 the methods that the zone is to have; those with an id stay who they are. Answers how many rows changed. */
QUERY(METHODS_SET,
      "with given as materialized (select coalesce(g.method_id, nextval('shipping_method_id_seq')) as method_id, "
      "g.position, g.name, g.price, g.min_order, g.estimated_days from json_to_recordset($3) as g (position integer, "
      "method_id bigint, name text, price numeric, min_order numeric, estimated_days integer)), "
      "gone as (delete from shipping_method as m where m.store_id = $1 and m.zone_id = $2 and not exists (select from "
      "given where given.method_id = m.method_id) returning 1), "
      "put as (insert into shipping_method as m (store_id, zone_id, method_id, position, name, price, min_order, "
      "estimated_days) select $1, $2, method_id, position, name, price, min_order, estimated_days from given on "
      "conflict (store_id, method_id) do update set position = excluded.position, name = excluded.name, price = "
      "excluded.price, min_order = excluded.min_order, estimated_days = excluded.estimated_days where (m.position, "
      "m.name, m.price, m.min_order, m.estimated_days) is distinct from (excluded.position, excluded.name, "
      "excluded.price, excluded.min_order, excluded.estimated_days) returning 1) "
      "select (select count(*) from gone) + (select count(*) from put) as changed")

/* $2 area, $3 city, $4 subtotal. The zone of the area, else of the city, else the default one; without methods one row
 * with nulls, without a zone none. */
QUERY(SHIPPING_RATES,
      "select z.zone_id as _zone_id, z.name as _zone_name, m.method_id, m.name, m.price, m.min_order, "
      "m.estimated_days from shipping_zone as z left join shipping_method as m on m.store_id = z.store_id and "
      "m.zone_id = z.zone_id and (m.min_order is null or m.min_order <= $4::numeric) where z.store_id = $1 and "
      "z.zone_id = coalesce((select zone_id from shipping_place where store_id = $1 and place = place_key($2)), "
      "(select zone_id from shipping_place where store_id = $1 and place = place_key($3)), (select zone_id from "
      "shipping_zone where store_id = $1 and is_default)) order by m.price, m.position, m.method_id")

#undef ZONE_COLUMNS
