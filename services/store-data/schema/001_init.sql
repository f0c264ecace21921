-- What a store owns: its profile, catalogue, customers and orders.
--
-- Every table leads its primary key and its indexes with store_id, so that one store's rows lie together in every index and
-- the same schema can be distributed by store. Ids come from one sequence per table and are unique over all stores. Rows that
-- clients may delete are kept with deleted_at; indexes that serve lists leave them out.

create table store_profile (
    store_id   bigint primary key,
    name       text not null,
    email      text,
    phone      text,
    currency   text not null,
    image      text,
    address    text,
    domain     text,
    language   text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- The last order number of a store. A table of its own, because each order locks this row until it commits.
create table store_serial (
    store_id bigint primary key,
    last     bigint not null
) with (fillfactor = 20);

-- ---- catalogue -----------------------------------------------------------------------------------------------------

create sequence product_id_seq;

create table product (
    store_id          bigint not null,
    product_id        bigint not null default nextval('product_id_seq'),
    name              text not null,
    -- What `name` sorts by: short enough for a cursor, and bytes, so that no change of a collation can break an index.
    name_key          text collate "C" not null generated always as (left(name, 60)) stored,
    slug              text not null,
    description       text,
    short_description text,
    category_id       bigint,
    brand_id          bigint,
    is_active         boolean not null default true,
    is_visible        boolean not null default true,
    is_featured       boolean not null default false,
    is_bestseller     boolean not null default false,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now(),
    deleted_at        timestamptz,
    primary key (store_id, product_id)
);

create unique index product_slug on product (store_id, slug) where deleted_at is null;
create index product_created_at on product (store_id, created_at, product_id) where deleted_at is null;
create index product_updated_at on product (store_id, updated_at, product_id) where deleted_at is null;
create index product_name on product (store_id, name_key, product_id) where deleted_at is null;
create index product_active_created_at on product (store_id, is_active, created_at, product_id) where deleted_at is null;
create index product_active_updated_at on product (store_id, is_active, updated_at, product_id) where deleted_at is null;
create index product_active_name on product (store_id, is_active, name_key, product_id) where deleted_at is null;
create index product_category on product (store_id, category_id, created_at, product_id) where deleted_at is null;

create sequence sku_id_seq;

-- A variant of a product, and its stock.
create table sku (
    store_id         bigint not null,
    sku_id           bigint not null default nextval('sku_id_seq'),
    product_id       bigint not null,
    variant_name     text not null,
    sku_code         text not null,
    price            numeric(14,2) not null check (price >= 0),
    compare_at_price numeric(14,2) check (compare_at_price >= 0),
    available        boolean not null default true,
    quantity         bigint not null check (quantity >= 0),
    is_default       boolean not null default false,
    images           text,
    weight           numeric(10,3) check (weight >= 0),
    position         integer not null default 0,
    free_shipping    boolean not null default false,
    created_at       timestamptz not null default now(),
    updated_at       timestamptz not null default now(),
    deleted_at       timestamptz,
    primary key (store_id, sku_id),
    foreign key (store_id, product_id) references product
) with (fillfactor = 70);

create index sku_product on sku (store_id, product_id, position, sku_id) where deleted_at is null;

-- ---- customers -----------------------------------------------------------------------------------------------------

create sequence customer_id_seq;

create table customer (
    store_id     bigint not null,
    user_id      bigint not null default nextval('customer_id_seq'),
    name         text not null,
    email        text,
    phone        text,
    address_json json,
    is_guest     boolean not null default false,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    deleted_at   timestamptz,
    primary key (store_id, user_id)
);

create unique index customer_phone on customer (store_id, phone) where phone is not null and deleted_at is null;
create unique index customer_email on customer (store_id, lower(email)) where email is not null and deleted_at is null;

-- ---- orders --------------------------------------------------------------------------------------------------------

create sequence order_id_seq;

create table store_order (
    store_id              bigint not null,
    order_id              bigint not null default nextval('order_id_seq'),
    user_id               bigint,
    order_status          text not null check (order_status in
                              ('pending', 'confirmed', 'processing', 'shipped', 'delivered', 'completed', 'cancelled',
                               'hold', 'refunded')),
    held_from             text,
    financial_status      text,
    fulfillment_status    text,
    sub_total             numeric(14,2) not null check (sub_total >= 0),
    tax                   numeric(14,2) not null check (tax >= 0),
    shipping              numeric(14,2) not null check (shipping >= 0),
    discount              numeric(14,2) not null check (discount >= 0),
    grand_total           numeric(14,2) not null check (grand_total >= 0),
    payment_method        text,
    note                  text,
    courier               text,
    courier_id            text,
    tracking_code         text,
    store_serial_order_no text not null,
    shipping_address      json,
    metadata              json,
    created_at            timestamptz not null,
    updated_at            timestamptz not null,
    deleted_at            timestamptz,
    primary key (store_id, order_id),
    foreign key (store_id, user_id) references customer,
    check (grand_total = sub_total + tax + shipping - discount)
) with (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.05,
        autovacuum_analyze_scale_factor = 0.05);

create unique index store_order_serial on store_order (store_id, store_serial_order_no);

-- Each sort x {none, status}, ending in the id (protocols 13): a page costs the same at any depth.
create index store_order_created_at on store_order (store_id, created_at, order_id) where deleted_at is null;
create index store_order_updated_at on store_order (store_id, updated_at, order_id) where deleted_at is null;
create index store_order_grand_total on store_order (store_id, grand_total, order_id) where deleted_at is null;
create index store_order_status_created_at on store_order (store_id, order_status, created_at, order_id)
    where deleted_at is null;
create index store_order_status_updated_at on store_order (store_id, order_status, updated_at, order_id)
    where deleted_at is null;
create index store_order_status_grand_total on store_order (store_id, order_status, grand_total, order_id)
    where deleted_at is null;
create index store_order_customer on store_order (store_id, user_id, created_at, order_id) where deleted_at is null;
-- Only what was given to a courier; small, and what `has_courier` walks.
create index store_order_courier_created_at on store_order (store_id, created_at, order_id)
    where courier is not null and deleted_at is null;
create index store_order_courier_updated_at on store_order (store_id, updated_at, order_id)
    where courier is not null and deleted_at is null;
create index store_order_courier_grand_total on store_order (store_id, grand_total, order_id)
    where courier is not null and deleted_at is null;

create sequence order_item_id_seq;

create table order_item (
    store_id      bigint not null,
    order_id      bigint not null,
    order_item_id bigint not null default nextval('order_item_id_seq'),
    product_id    bigint,
    variant_id    bigint,
    bundle_id     bigint,
    name          text not null,
    price         numeric(14,2) not null check (price >= 0),
    quantity      bigint not null check (quantity > 0),
    image         text,
    sku           text,
    primary key (store_id, order_id, order_item_id),
    foreign key (store_id, order_id) references store_order
);

-- Every status an order has had, the first one with previous_status null.
create table order_status_history (
    store_id        bigint not null,
    order_id        bigint not null,
    history_id      bigint generated always as identity,
    status          text not null,
    previous_status text,
    note            text,
    created_at      timestamptz not null,
    primary key (store_id, order_id, history_id),
    foreign key (store_id, order_id) references store_order
);

-- ---- kept totals (protocols 12) ------------------------------------------------------------------------------------

-- How many rows of a kind there are: of a status or of all ('' ), on one UTC day or on all (-infinity). Each count is the
-- sum over its stripes; a stripe belongs to a few connections, so that writers of one store do not wait for each other. A
-- single stripe may be negative.
create table kept_count (
    store_id bigint not null,
    kind     "char" not null check (kind in ('o', 'p')),   -- orders, products
    status   text collate "C" not null,
    day      date not null,
    stripe   smallint not null,
    n        bigint not null,
    primary key (store_id, kind, status, day, stripe)
) with (fillfactor = 50);

-- A day gets fewer stripes than the whole: there are many days in a range.
create function kept_stripe(day date) returns smallint language sql stable parallel safe as $$
    select (pg_backend_pid() % case when day = '-infinity' then 64 else 8 end)::smallint
$$;

-- Statement-level, with the rows before and after: no writer can forget it, and a bulk of rows costs a few counts. The rows
-- are added in the order of their key, so that two statements on the same stripe wait for each other and never in a ring.
create function store_order_counted() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into kept_count as kept (store_id, kind, status, day, stripe, n)
        select store_id, 'o', coalesce(order_status, ''), coalesce(day, '-infinity'),
               kept_stripe(coalesce(day, '-infinity')), count(*)
          from (select store_id, order_status, (created_at at time zone 'UTC')::date as day
                  from new_rows where deleted_at is null) as added
         group by store_id, cube (order_status, day)
         order by 1, 2, 3, 4
        on conflict (store_id, kind, status, day, stripe) do update set n = kept.n + excluded.n;
    elsif tg_op = 'UPDATE' then
        insert into kept_count as kept (store_id, kind, status, day, stripe, n)
        select store_id, 'o', coalesce(order_status, ''), coalesce(day, '-infinity'),
               kept_stripe(coalesce(day, '-infinity')), sum(n)
          from (select before.store_id, change.order_status, (change.created_at at time zone 'UTC')::date as day, change.n
                  from old_rows as before join new_rows as after using (store_id, order_id)
                       cross join lateral (values (before.order_status, before.created_at, before.deleted_at, -1),
                                                  (after.order_status, after.created_at, after.deleted_at, 1))
                           as change (order_status, created_at, deleted_at, n)
                 where (before.order_status, before.created_at, before.deleted_at)
                       is distinct from (after.order_status, after.created_at, after.deleted_at)
                   and change.deleted_at is null) as changed
         group by store_id, cube (order_status, day)
        having sum(n) <> 0
         order by 1, 2, 3, 4
        on conflict (store_id, kind, status, day, stripe) do update set n = kept.n + excluded.n;
    else
        insert into kept_count as kept (store_id, kind, status, day, stripe, n)
        select store_id, 'o', coalesce(order_status, ''), coalesce(day, '-infinity'),
               kept_stripe(coalesce(day, '-infinity')), -count(*)
          from (select store_id, order_status, (created_at at time zone 'UTC')::date as day
                  from old_rows where deleted_at is null) as removed
         group by store_id, cube (order_status, day)
         order by 1, 2, 3, 4
        on conflict (store_id, kind, status, day, stripe) do update set n = kept.n + excluded.n;
    end if;
    return null;
end
$$;

create trigger counted_insert after insert on store_order referencing new table as new_rows
    for each statement execute function store_order_counted();
create trigger counted_update after update on store_order referencing old table as old_rows new table as new_rows
    for each statement execute function store_order_counted();
create trigger counted_delete after delete on store_order referencing old table as old_rows
    for each statement execute function store_order_counted();

create function product_status(is_active boolean) returns text language sql immutable parallel safe as $$
    select case when is_active then 'active' else 'inactive' end
$$;

create function product_counted() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into kept_count as kept (store_id, kind, status, day, stripe, n)
        select store_id, 'p', coalesce(status, ''), '-infinity', kept_stripe('-infinity'), count(*)
          from (select store_id, product_status(is_active) as status from new_rows where deleted_at is null) as added
         group by store_id, cube (status)
         order by 1, 2, 3
        on conflict (store_id, kind, status, day, stripe) do update set n = kept.n + excluded.n;
    elsif tg_op = 'UPDATE' then
        insert into kept_count as kept (store_id, kind, status, day, stripe, n)
        select store_id, 'p', coalesce(status, ''), '-infinity', kept_stripe('-infinity'), sum(n)
          from (select store_id, product_status(is_active) as status, 1 as n from new_rows where deleted_at is null
                union all
                select store_id, product_status(is_active), -1 from old_rows where deleted_at is null) as changed
         group by store_id, cube (status)
        having sum(n) <> 0
         order by 1, 2, 3
        on conflict (store_id, kind, status, day, stripe) do update set n = kept.n + excluded.n;
    else
        insert into kept_count as kept (store_id, kind, status, day, stripe, n)
        select store_id, 'p', coalesce(status, ''), '-infinity', kept_stripe('-infinity'), -count(*)
          from (select store_id, product_status(is_active) as status from old_rows where deleted_at is null) as removed
         group by store_id, cube (status)
         order by 1, 2, 3
        on conflict (store_id, kind, status, day, stripe) do update set n = kept.n + excluded.n;
    end if;
    return null;
end
$$;

create trigger counted_insert after insert on product referencing new table as new_rows
    for each statement execute function product_counted();
create trigger counted_update after update on product referencing old table as old_rows new table as new_rows
    for each statement execute function product_counted();
create trigger counted_delete after delete on product referencing old table as old_rows
    for each statement execute function product_counted();

-- A plan is made for the tables as they were when they were last looked at. After a bulk of rows the planner must look again at
-- once, not when autovacuum comes by; only the owner may tell it to. Answers whether it was needed.
create function look_again() returns boolean language plpgsql security definer set search_path from current as $$
declare
    seen bigint := (select relpages from pg_class where oid = 'store_order'::regclass);
begin
    if pg_relation_size('store_order') / current_setting('block_size')::bigint <= 2 * seen then
        return false;
    end if;
    perform set_config('lock_timeout', '100ms', true);
    analyze store_order, order_item, kept_count, customer, product, sku;
    return true;
exception when lock_not_available then
    return false;       -- autovacuum is at it
end
$$;
