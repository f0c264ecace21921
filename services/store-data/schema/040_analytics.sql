-- What analytics answers from: figures per UTC day of created_at, kept by the writes themselves (contract K.3,
-- protocols 12).
--
-- An order counts while it is neither deleted nor cancelled; its grand_total is sales, and its items are sold, while it
-- is not refunded either. Who reads adds up days and stripes; nobody scans orders. The triggers are statement-level
-- with the rows before and after: no writer can forget them, and a bulk of rows costs a few figures. One table for all,
-- so that an order costs two statements more, and not one for each kind of figure.
--
-- They add in the order of the keys, as 001 does, so that writers wait for each other and never in a ring. An order's
-- own figures come before those of its items in that order, because a new order is told of first and its items after
-- it; who changes the items of an order takes its figures first (kept_day_take).
--
-- Two things are asked of writers: items are deleted in a statement before that of their orders (else the statement
-- fails), and no statement changes both an order's items and whether or on which day it counts.

-- kind, id: n and amount of a day
--   a, 0        all orders, and the grand_total of those that are in sales
--   b, 0        orders that went back: refunded
--   c, user_id  orders of a customer, and what is in sales of them
--   i, 0        pieces sold, and price x quantity of them
--   p, product  the same of a product
-- Striped like kept_count (001), so that writers of one store do not queue; a single stripe may be negative.
create table kept_day (
    store_id bigint not null,
    kind     "char" not null check (kind in ('a', 'b', 'c', 'i', 'p')),
    day      date not null,
    id       bigint not null,
    stripe   smallint not null,
    n        bigint not null,
    amount   numeric(24,2) not null,
    primary key (store_id, kind, day, id, stripe)
) with (fillfactor = 70);
-- Whether a customer had bought before.
create index kept_day_customer on kept_day (store_id, id, day) where kind = 'c';

-- A customer does not place many orders at a time, and orders of one variant meet at its stock anyway.
create function kept_day_stripe(kind "char") returns smallint language sql stable parallel safe as $$
    select (pg_backend_pid() % case kind when 'c' then 1 when 'p' then 4 else 8 end)::smallint
$$;

-- 0 counts nothing, 1 is an order and no sale, 2 is an order and a sale.
create function order_weight(order_status text, deleted_at timestamptz) returns integer language sql immutable
    parallel safe as $$
    select case when deleted_at is not null or order_status = 'cancelled' then 0
                when order_status = 'refunded' then 1 else 2 end
$$;

create function utc_day(moment timestamptz) returns date language sql immutable parallel safe as $$
    select (moment at time zone 'UTC')::date
$$;

-- Orders that come or go; their items have triggers of their own. The plans are made once and kept, maybe while the
-- tables are empty: hence no sequential scans.
create function store_order_rolled_up() returns trigger language plpgsql set enable_seqscan = off as $$
declare
    sign constant integer := case tg_op when 'INSERT' then 1 else -1 end;
begin
    insert into kept_day as kept (store_id, kind, day, id, stripe, n, amount)
    select store_id, kind, day, id, kept_day_stripe(kind), sign * count(*), sign * sum(amount)
      from (select o.store_id, f.kind, utc_day(o.created_at) as day, f.id, f.amount
              from changed_rows as o cross join lateral order_weight(o.order_status, o.deleted_at) as weight
                   cross join lateral (values ('a'::"char", 0, case weight when 2 then o.grand_total else 0 end),
                                              ('b', case weight when 1 then 0 end, 0),
                                              ('c', o.user_id, case weight when 2 then o.grand_total else 0 end))
                       as f (kind, id, amount)
             where weight > 0 and f.id is not null) as figure
     group by store_id, kind, day, id
     order by 1, 2, 3, 4
    on conflict (store_id, kind, day, id, stripe) do update set n = kept.n + excluded.n, amount = kept.amount + excluded.amount;
    return null;
end
$$;

-- Orders that change: those that count otherwise than before, with the items they have.
create function store_order_rolled_over() returns trigger language plpgsql set enable_seqscan = off as $$
begin
    if not exists (select from old_rows as before join new_rows as after using (store_id, order_id)
                    where (order_weight(before.order_status, before.deleted_at), before.created_at, before.grand_total,
                           before.user_id) is distinct from
                          (order_weight(after.order_status, after.deleted_at), after.created_at, after.grand_total,
                           after.user_id)) then
        return null;
    end if;
    insert into kept_day as kept (store_id, kind, day, id, stripe, n, amount)
    select store_id, kind, day, id, kept_day_stripe(kind), sum(n), sum(amount)
      from (select o.store_id, f.kind, utc_day(o.created_at) as day, f.id, o.sign as n, o.sign * f.amount as amount
              from (select *, 1 as sign from new_rows union all select *, -1 from old_rows) as o
                   cross join lateral order_weight(o.order_status, o.deleted_at) as weight
                   cross join lateral (values ('a'::"char", 0, case weight when 2 then o.grand_total else 0 end),
                                              ('b', case weight when 1 then 0 end, 0),
                                              ('c', o.user_id, case weight when 2 then o.grand_total else 0 end))
                       as f (kind, id, amount)
             where weight > 0 and f.id is not null
            union all
            select o.store_id, f.kind, utc_day(o.created_at), f.id, o.sign * i.quantity, o.sign * i.price * i.quantity
              from old_rows as before join new_rows as after using (store_id, order_id)
                   cross join lateral (values
                       (store_id, order_id, before.created_at, order_weight(before.order_status, before.deleted_at), -1),
                       (store_id, order_id, after.created_at, order_weight(after.order_status, after.deleted_at), 1))
                       as o (store_id, order_id, created_at, weight, sign)
                   join order_item as i on i.store_id = o.store_id and i.order_id = o.order_id
                   cross join lateral (values ('i'::"char", 0), ('p', i.product_id)) as f (kind, id)
             where o.weight = 2 and f.id is not null
               and (order_weight(before.order_status, before.deleted_at) = 2, utc_day(before.created_at)) is distinct from
                   (order_weight(after.order_status, after.deleted_at) = 2, utc_day(after.created_at))) as figure
     group by store_id, kind, day, id
    having sum(n) <> 0 or sum(amount) <> 0
     order by 1, 2, 3, 4
    on conflict (store_id, kind, day, id, stripe) do update set n = kept.n + excluded.n, amount = kept.amount + excluded.amount;
    return null;
end
$$;

-- The figures of orders are locked, before those of their items: the order comes after its items when these are
-- replaced.
create function kept_day_take(stores bigint[], orders bigint[]) returns void language sql set enable_seqscan = off as $$
    insert into kept_day as kept (store_id, kind, day, id, stripe, n, amount)
    select distinct o.store_id, f.kind, utc_day(o.created_at), f.id, kept_day_stripe(f.kind), 0, 0
      from unnest(stores, orders) as i (store_id, order_id)
           join store_order as o on o.store_id = i.store_id and o.order_id = i.order_id
           cross join lateral (values ('a'::"char", 0::bigint), ('c', o.user_id)) as f (kind, id)
     where order_weight(o.order_status, o.deleted_at) > 0 and f.id is not null
     order by 1, 2, 3, 4
    on conflict (store_id, kind, day, id, stripe) do update set n = kept.n
$$;

-- Items that come or go, of orders that are in sales.
create function order_item_rolled_up() returns trigger language plpgsql set enable_seqscan = off as $$
declare
    sign constant integer := case tg_op when 'INSERT' then 1 else -1 end;
begin
    if tg_op = 'DELETE' and exists (select from changed_rows as i where not exists (
           select from store_order as o where o.store_id = i.store_id and o.order_id = i.order_id)) then
        raise exception 'items are deleted in a statement before that of their orders'
            using errcode = 'foreign_key_violation';
    end if;
    if tg_op = 'DELETE' then
        perform kept_day_take(array_agg(store_id), array_agg(order_id))
           from (select distinct store_id, order_id from changed_rows) as i;
    end if;
    insert into kept_day as kept (store_id, kind, day, id, stripe, n, amount)
    select store_id, kind, day, id, kept_day_stripe(kind), sign * sum(n), sign * sum(amount)
      from (select i.store_id, f.kind, utc_day(o.created_at) as day, f.id, i.quantity as n, i.price * i.quantity as amount
              from changed_rows as i join store_order as o on o.store_id = i.store_id and o.order_id = i.order_id
                   cross join lateral (values ('i'::"char", 0), ('p', i.product_id)) as f (kind, id)
             where order_weight(o.order_status, o.deleted_at) = 2 and f.id is not null) as figure
     group by store_id, kind, day, id
     order by 1, 2, 3, 4
    on conflict (store_id, kind, day, id, stripe) do update set n = kept.n + excluded.n, amount = kept.amount + excluded.amount;
    return null;
end
$$;

create function order_item_rolled_over() returns trigger language plpgsql set enable_seqscan = off as $$
begin
    perform kept_day_take(array_agg(store_id), array_agg(order_id))
       from (select distinct store_id, order_id from old_rows) as i;
    insert into kept_day as kept (store_id, kind, day, id, stripe, n, amount)
    select store_id, kind, day, id, kept_day_stripe(kind), sum(n), sum(amount)
      from (select i.store_id, f.kind, utc_day(o.created_at) as day, f.id, i.sign * i.quantity as n,
                   i.sign * i.price * i.quantity as amount
              from (select *, 1 as sign from new_rows union all select *, -1 from old_rows) as i
                   join store_order as o on o.store_id = i.store_id and o.order_id = i.order_id
                   cross join lateral (values ('i'::"char", 0), ('p', i.product_id)) as f (kind, id)
             where order_weight(o.order_status, o.deleted_at) = 2 and f.id is not null) as figure
     group by store_id, kind, day, id
    having sum(n) <> 0 or sum(amount) <> 0
     order by 1, 2, 3, 4
    on conflict (store_id, kind, day, id, stripe) do update set n = kept.n + excluded.n, amount = kept.amount + excluded.amount;
    return null;
end
$$;

-- The triggers come first: they keep writers out until this file has been committed with what was there before.
create trigger rolled_up_insert after insert on store_order referencing new table as changed_rows
    for each statement execute function store_order_rolled_up();
create trigger rolled_up_delete after delete on store_order referencing old table as changed_rows
    for each statement execute function store_order_rolled_up();
create trigger rolled_up_update after update on store_order referencing old table as old_rows new table as new_rows
    for each statement execute function store_order_rolled_over();
create trigger rolled_up_insert after insert on order_item referencing new table as changed_rows
    for each statement execute function order_item_rolled_up();
create trigger rolled_up_delete after delete on order_item referencing old table as changed_rows
    for each statement execute function order_item_rolled_up();
create trigger rolled_up_update after update on order_item referencing old table as old_rows new table as new_rows
    for each statement execute function order_item_rolled_over();

-- What the figures of a store should be: for a recount (analytics_verify.c), and for what was there before. Added up by
-- customer and by product first, because these are fewer than orders and items. Of the days from first to last: of a
-- large store, that takes longer than a statement may.
create function counted_day(store bigint, first date, last date)
    returns table (kind "char", day date, id bigint, n bigint, amount numeric)
    language sql stable as $$
    select f.kind, o.day, f.id, sum(f.n)::bigint, sum(f.amount)
      from (select utc_day(created_at) as day, user_id, count(*) as n,
                   count(*) filter (where order_status = 'refunded') as refunded,
                   coalesce(sum(grand_total) filter (where order_status <> 'refunded'), 0) as amount
              from store_order
             where store_id = store and deleted_at is null and order_weight(order_status, deleted_at) > 0
               and created_at >= first::timestamp at time zone 'UTC' and created_at < (last + 1)::timestamp at time zone 'UTC'
             group by 1, 2) as o
           cross join lateral (values ('a'::"char", 0::bigint, o.n, o.amount), ('b', 0, nullif(o.refunded, 0), 0),
                                      ('c', o.user_id, o.n, o.amount)) as f (kind, id, n, amount)
     where f.id is not null and f.n is not null
     group by 1, 2, 3
    union all
    select f.kind, s.day, f.id, sum(s.n)::bigint, sum(s.amount)
      from (select utc_day(o.created_at) as day, i.product_id, sum(i.quantity) as n, sum(i.price * i.quantity) as amount
              from store_order as o join order_item as i on i.store_id = o.store_id and i.order_id = o.order_id
             where o.store_id = store and o.deleted_at is null and order_weight(o.order_status, o.deleted_at) = 2
               and o.created_at >= first::timestamp at time zone 'UTC'
               and o.created_at < (last + 1)::timestamp at time zone 'UTC'
             group by 1, 2) as s
           cross join lateral (values ('i'::"char", 0::bigint), ('p', s.product_id)) as f (kind, id)
     where f.id is not null
     group by 1, 2, 3
$$;

insert into kept_day (store_id, kind, day, id, stripe, n, amount)
select s.store_id, c.kind, c.day, c.id, 0, c.n, c.amount
  from (select distinct store_id from store_order) as s
       cross join lateral counted_day(s.store_id, '-infinity', 'infinity') as c;

-- ---- events that apps send -----------------------------------------------------------------------------------------

-- The names an app has used in a store: few, so that a summary stays small.
create table app_event_name (
    store_id bigint not null,
    app_id   bigint not null,
    name     text collate "C" not null,
    primary key (store_id, app_id, name)
);

-- An app's own events, seen by no other app. They are kept for a while (event_trim.c), and as long a key is known
-- again; their counts per day last longer.
create table app_event (
    store_id    bigint not null,
    app_id      bigint not null,
    event_id    bigint generated always as identity,
    event_key   text collate "C",
    name        text collate "C" not null,
    occurred_at timestamptz not null,
    customer_id bigint,
    properties  json,
    created_at  timestamptz not null,
    primary key (store_id, app_id, event_id)
) with (autovacuum_vacuum_insert_scale_factor = 0.05);
create unique index app_event_key on app_event (store_id, app_id, event_key) where event_key is not null;
create index app_event_occurred_at on app_event (occurred_at);
create index app_event_customer on app_event (store_id, customer_id) where customer_id is not null;

create table event_day (
    store_id bigint not null,
    app_id   bigint not null,
    day      date not null,
    name     text collate "C" not null,
    stripe   smallint not null,
    n        bigint not null,
    primary key (store_id, app_id, day, name, stripe)
) with (fillfactor = 80);
create index event_day_day on event_day (day);

create function app_event_counted() returns trigger language plpgsql as $$
begin
    insert into event_day as kept (store_id, app_id, day, name, stripe, n)
    select store_id, app_id, utc_day(occurred_at), name, kept_stripe(utc_day(occurred_at)), count(*)
      from new_rows
     group by 1, 2, 3, 4
     order by 1, 2, 3, 4
    on conflict (store_id, app_id, day, name, stripe) do update set n = kept.n + excluded.n;
    return null;
end
$$;

create trigger counted_insert after insert on app_event referencing new table as new_rows
    for each statement execute function app_event_counted();
