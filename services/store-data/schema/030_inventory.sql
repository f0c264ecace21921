-- Stock: what happened to each variant, and what a product has in all.
--
-- sku.quantity is the truth and is changed under the row's lock only. Beside it stand the movements, whose sum it is,
-- and the figures per product that lists sort and filter by, kept by triggers: no writer can forget them.

alter table sku add column low_stock_threshold bigint check (low_stock_threshold >= 0);

-- A row per change of a variant's stock, in the transaction of the change. The first one of a variant is its stock when
-- it was made. order_id where an order did it. The key serves the walk over a product's movements.
create table inventory_movement (
    store_id       bigint not null,
    movement_id    bigint generated always as identity,
    product_id     bigint not null,
    sku_id         bigint not null,
    change         bigint not null,
    quantity_after bigint not null check (quantity_after >= 0),
    reason         text not null,
    order_id       bigint,
    created_at     timestamptz not null,
    primary key (store_id, product_id, movement_id)
) with (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

create index inventory_movement_sku on inventory_movement (store_id, sku_id, movement_id desc);

insert into inventory_movement (store_id, product_id, sku_id, change, quantity_after, reason, created_at)
select store_id, product_id, sku_id, quantity, quantity, 'opening', updated_at from sku where quantity > 0
 order by store_id, sku_id;

-- What a product has: the list of the inventory is read from here alone. Apart from `product`, because each order
-- changes it, and a product has many indexes. live: the product is not deleted; a row may be there before its product's
-- trigger ran. updated_at is the last change of the stock, the name or is_active.
create table product_stock (
    store_id       bigint not null,
    product_id     bigint not null,
    name           text not null default '',
    name_key       text collate "C" not null generated always as (left(name, 60)) stored,
    is_active      boolean not null default false,
    live           boolean not null default false,
    total_quantity bigint not null default 0,
    variant_count  bigint not null default 0,
    low_count      bigint not null default 0,     -- variants below their low_stock_threshold
    has_stock      boolean not null generated always as (total_quantity > 0) stored,
    updated_at     timestamptz not null,
    primary key (store_id, product_id)
) with (fillfactor = 70);

create index product_stock_updated_at on product_stock (store_id, updated_at, product_id) where live;
create index product_stock_name on product_stock (store_id, name_key, product_id) where live;
create index product_stock_total on product_stock (store_id, total_quantity, product_id) where live;
create index product_stock_has_updated_at on product_stock (store_id, has_stock, updated_at, product_id) where live;
create index product_stock_has_name on product_stock (store_id, has_stock, name_key, product_id) where live;
create index product_stock_low on product_stock (store_id, product_id) where live and low_count > 0;

-- How many there are of a kind and status, in stripes as kept_count. i: live products by in_stock, out_of_stock and
-- low_stock. d: discounts, active or inactive.
create table kept_total (
    store_id bigint not null,
    kind     "char" not null check (kind in ('i', 'd')),
    status   text collate "C" not null,
    stripe   smallint not null,
    n        bigint not null,
    primary key (store_id, kind, status, stripe)
) with (fillfactor = 50);

create function product_stock_counted() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        if not exists (select from new_rows) then
            return null;      -- an upsert that has only updated
        end if;
        insert into kept_total as kept (store_id, kind, status, stripe, n)
        select store_id, 'i', status, kept_stripe('-infinity'), count(*)
          from new_rows cross join lateral (values (case when has_stock then 'in_stock' else 'out_of_stock' end),
                                                   (case when low_count > 0 then 'low_stock' end)) as is_now (status)
         where live and status is not null
         group by store_id, status
         order by 1, 3
        on conflict (store_id, kind, status, stripe) do update set n = kept.n + excluded.n;
    else
        insert into kept_total as kept (store_id, kind, status, stripe, n)
        select store_id, 'i', status, kept_stripe('-infinity'), sum(n)
          from (select before.store_id, change.status, change.n
                  from old_rows as before join new_rows as after using (store_id, product_id)
                       cross join lateral (values
                           (before.live, case when before.has_stock then 'in_stock' else 'out_of_stock' end, -1),
                           (after.live, case when after.has_stock then 'in_stock' else 'out_of_stock' end, 1),
                           (before.live, case when before.low_count > 0 then 'low_stock' end, -1),
                           (after.live, case when after.low_count > 0 then 'low_stock' end, 1))
                           as change (live, status, n)
                 where (before.live, before.has_stock, before.low_count > 0)
                       is distinct from (after.live, after.has_stock, after.low_count > 0)
                   and change.live and change.status is not null) as changed
         group by store_id, status
        having sum(n) <> 0
         order by 1, 3
        on conflict (store_id, kind, status, stripe) do update set n = kept.n + excluded.n;
    end if;
    return null;
end
$$;

create trigger counted_insert after insert on product_stock referencing new table as new_rows
    for each statement execute function product_stock_counted();
create trigger counted_update after update on product_stock referencing old table as old_rows new table as new_rows
    for each statement execute function product_stock_counted();

create function is_low(quantity bigint, low_stock_threshold bigint) returns boolean language sql immutable parallel safe
as $$ select coalesce(quantity < low_stock_threshold, false) $$;

-- Rows are added in the order of their key, as in store_order_counted.
create function sku_stocked() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into product_stock as kept (store_id, product_id, total_quantity, variant_count, low_count, updated_at)
        select store_id, product_id, sum(quantity), count(*),
               count(*) filter (where is_low(quantity, low_stock_threshold)), max(updated_at)
          from new_rows where deleted_at is null
         group by store_id, product_id
         order by 1, 2
        on conflict (store_id, product_id) do update
           set total_quantity = kept.total_quantity + excluded.total_quantity,
               variant_count = kept.variant_count + excluded.variant_count,
               low_count = kept.low_count + excluded.low_count,
               updated_at = greatest(kept.updated_at, excluded.updated_at);
    else
        insert into product_stock as kept (store_id, product_id, total_quantity, variant_count, low_count, updated_at)
        select store_id, product_id, sum(n * quantity), sum(n), sum(n * low::integer), max(updated_at)
          from (select before.store_id, before.product_id, change.n, change.quantity, change.low, after.updated_at
                  from old_rows as before join new_rows as after using (store_id, sku_id)
                       cross join lateral (values
                           (before.quantity, is_low(before.quantity, before.low_stock_threshold),
                            before.deleted_at, -1),
                           (after.quantity, is_low(after.quantity, after.low_stock_threshold), after.deleted_at, 1))
                           as change (quantity, low, deleted_at, n)
                 where (before.quantity, before.low_stock_threshold, before.deleted_at)
                       is distinct from (after.quantity, after.low_stock_threshold, after.deleted_at)
                   and change.deleted_at is null) as changed
         group by store_id, product_id
         order by 1, 2
        on conflict (store_id, product_id) do update
           set total_quantity = kept.total_quantity + excluded.total_quantity,
               variant_count = kept.variant_count + excluded.variant_count,
               low_count = kept.low_count + excluded.low_count,
               updated_at = greatest(kept.updated_at, excluded.updated_at);
    end if;
    return null;
end
$$;

create trigger stocked_insert after insert on sku referencing new table as new_rows
    for each statement execute function sku_stocked();
create trigger stocked_update after update on sku referencing old table as old_rows new table as new_rows
    for each statement execute function sku_stocked();

create function product_stocked() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into product_stock as kept (store_id, product_id, name, is_active, live, updated_at)
        select store_id, product_id, name, is_active, deleted_at is null, updated_at
          from new_rows
         order by 1, 2
        on conflict (store_id, product_id) do update
           set name = excluded.name, is_active = excluded.is_active, live = excluded.live,
               updated_at = greatest(kept.updated_at, excluded.updated_at);
    else
        insert into product_stock as kept (store_id, product_id, name, is_active, live, updated_at)
        select store_id, product_id, after.name, after.is_active, after.deleted_at is null, after.updated_at
          from old_rows as before join new_rows as after using (store_id, product_id)
         where (before.name, before.is_active, before.deleted_at)
               is distinct from (after.name, after.is_active, after.deleted_at)
         order by 1, 2
        on conflict (store_id, product_id) do update
           set name = excluded.name, is_active = excluded.is_active, live = excluded.live,
               updated_at = greatest(kept.updated_at, excluded.updated_at);
    end if;
    return null;
end
$$;

create trigger stocked_insert after insert on product referencing new table as new_rows
    for each statement execute function product_stocked();
create trigger stocked_update after update on product referencing old table as old_rows new table as new_rows
    for each statement execute function product_stocked();

insert into product_stock (store_id, product_id, name, is_active, live, total_quantity, variant_count, updated_at)
select p.store_id, p.product_id, p.name, p.is_active, p.deleted_at is null, coalesce(sum(s.quantity), 0),
       count(s.sku_id), greatest(p.updated_at, max(s.updated_at))
  from product as p left join sku as s on s.store_id = p.store_id and s.product_id = p.product_id
                                      and s.deleted_at is null
 group by p.store_id, p.product_id
 order by 1, 2;

-- `changed` of inventory.updated: the members that a change has changed.
create function stock_changed(was bigint, is_now bigint, was_threshold bigint, threshold bigint) returns jsonb
    language sql stable parallel safe as $$
    select case when was <> is_now then jsonb_build_object('quantity', jsonb_build_object('old', was, 'new', is_now))
                else '{}' end
           || case when was_threshold is distinct from threshold
                   then jsonb_build_object('low_stock_threshold',
                                           jsonb_build_object('old', was_threshold, 'new', threshold))
                   else '{}' end
           || case when is_low(was, was_threshold) <> is_low(is_now, threshold)
                   then jsonb_build_object('low_stock', jsonb_build_object('old', is_low(was, was_threshold),
                                                                           'new', is_low(is_now, threshold)))
                   else '{}' end
$$;
