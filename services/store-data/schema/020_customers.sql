-- Customers as apps list, search and change them; what each has ordered; and the erasing of those who ask for it.

-- ---- sorts and search ----------------------------------------------------------------------------------------------

alter table customer
    -- What `name` sorts by, as with products: short enough for a cursor, and bytes.
    add column name_key text collate "C" not null generated always as (left(name, 60)) stored;

-- Each sort x {everybody, only those with a phone or an e-mail}, ending in the id (protocols 13).
create index customer_created_at on customer (store_id, created_at, user_id) where deleted_at is null;
create index customer_updated_at on customer (store_id, updated_at, user_id) where deleted_at is null;
create index customer_name on customer (store_id, name_key, user_id) where deleted_at is null;
create index customer_known_created_at on customer (store_id, created_at, user_id) where deleted_at is null and not is_guest;
create index customer_known_updated_at on customer (store_id, updated_at, user_id) where deleted_at is null and not is_guest;
create index customer_known_name on customer (store_id, name_key, user_id) where deleted_at is null and not is_guest;

-- What a search looks through. Between the fields stands a character that none of them has, and no search either
-- (customers_read.c), so that nothing is found across.
create function customer_text(name text, email text, phone text) returns text
    language sql immutable parallel safe as $$
    select lower(translate(name, e'\x1f', ' ') || e'\x1f' || coalesce(email, '') || e'\x1f' || coalesce(phone, ''))
$$;

-- Its pieces are those of text_grams (010_products.sql).
create index customer_search on customer using gin (text_grams(store_id, customer_text(name, email, phone)))
    where deleted_at is null;
alter index customer_search alter column 1 set statistics 0;

-- A time as events tell it.
create function event_time(at timestamptz) returns text language sql stable parallel safe as $$
    select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

-- ---- how many there are --------------------------------------------------------------------------------------------

alter table kept_count drop constraint if exists kept_count_kind_check;     -- 'c' are customers, status 'known' or 'guest'

create function customer_status(is_guest boolean) returns text language sql immutable parallel safe as $$
    select case when is_guest then 'guest' else 'known' end
$$;

create function customer_counted() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into kept_count as kept (store_id, kind, status, day, stripe, n)
        select store_id, 'c', coalesce(status, ''), '-infinity', kept_stripe('-infinity'), count(*)
          from (select store_id, customer_status(is_guest) as status from new_rows where deleted_at is null) as added
         group by store_id, cube (status)
         order by 1, 2, 3
        on conflict (store_id, kind, status, day, stripe) do update set n = kept.n + excluded.n;
    elsif tg_op = 'UPDATE' then
        insert into kept_count as kept (store_id, kind, status, day, stripe, n)
        select store_id, 'c', coalesce(status, ''), '-infinity', kept_stripe('-infinity'), sum(n)
          from (select store_id, customer_status(is_guest) as status, 1 as n from new_rows where deleted_at is null
                union all
                select store_id, customer_status(is_guest), -1 from old_rows where deleted_at is null) as changed
         group by store_id, cube (status)
        having sum(n) <> 0
         order by 1, 2, 3
        on conflict (store_id, kind, status, day, stripe) do update set n = kept.n + excluded.n;
    else
        insert into kept_count as kept (store_id, kind, status, day, stripe, n)
        select store_id, 'c', coalesce(status, ''), '-infinity', kept_stripe('-infinity'), -count(*)
          from (select store_id, customer_status(is_guest) as status from old_rows where deleted_at is null) as removed
         group by store_id, cube (status)
         order by 1, 2, 3
        on conflict (store_id, kind, status, day, stripe) do update set n = kept.n + excluded.n;
    end if;
    return null;
end
$$;

create trigger counted_insert after insert on customer referencing new table as new_rows
    for each statement execute function customer_counted();
create trigger counted_update after update on customer referencing old table as old_rows new table as new_rows
    for each statement execute function customer_counted();
create trigger counted_delete after delete on customer referencing old table as old_rows
    for each statement execute function customer_counted();

insert into kept_count (store_id, kind, status, day, stripe, n)
select store_id, 'c', coalesce(status, ''), '-infinity', 0, count(*)
  from (select store_id, customer_status(is_guest) as status from customer where deleted_at is null) as customers
 group by store_id, cube (status);

-- ---- what each has ordered -----------------------------------------------------------------------------------------

-- total_orders: neither deleted nor cancelled; total_spent: grand_total of those that are not refunded either. A table of its
-- own, because an order changes this row, and the customer's row has many indexes. No row: no order ever.
create table customer_total (
    store_id     bigint not null,
    user_id      bigint not null,
    total_orders bigint not null,
    total_spent  numeric(20,2) not null,
    primary key (store_id, user_id)
) with (fillfactor = 70);

create index customer_total_orders on customer_total (store_id, total_orders, user_id);
create index customer_total_spent on customer_total (store_id, total_spent, user_id);

-- Statement-level with both states of the rows, as store_order_counted. The trigger's name makes it the last one: what is
-- locked here is held while nothing else is waited for. In the order of the key, so that two statements never wait in a ring.
create function store_order_totalled() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into customer_total as kept (store_id, user_id, total_orders, total_spent)
        select store_id, user_id, count(*), coalesce(sum(grand_total) filter (where order_status <> 'refunded'), 0)
          from new_rows
         where user_id is not null and deleted_at is null and order_status <> 'cancelled'
         group by store_id, user_id
         order by store_id, user_id
        on conflict (store_id, user_id) do update
           set total_orders = kept.total_orders + excluded.total_orders, total_spent = kept.total_spent + excluded.total_spent;
    elsif tg_op = 'UPDATE' then
        insert into customer_total as kept (store_id, user_id, total_orders, total_spent)
        select store_id, user_id, sum(n), coalesce(sum(n * grand_total) filter (where order_status <> 'refunded'), 0)
          from (select store_id, user_id, order_status, grand_total, deleted_at, 1 as n from new_rows
                union all
                select store_id, user_id, order_status, grand_total, deleted_at, -1 from old_rows) as changed
         where user_id is not null and deleted_at is null and order_status <> 'cancelled'
         group by store_id, user_id
        having sum(n) <> 0 or coalesce(sum(n * grand_total) filter (where order_status <> 'refunded'), 0) <> 0
         order by store_id, user_id
        on conflict (store_id, user_id) do update
           set total_orders = kept.total_orders + excluded.total_orders, total_spent = kept.total_spent + excluded.total_spent;
    else
        insert into customer_total as kept (store_id, user_id, total_orders, total_spent)
        select store_id, user_id, -count(*), -coalesce(sum(grand_total) filter (where order_status <> 'refunded'), 0)
          from old_rows
         where user_id is not null and deleted_at is null and order_status <> 'cancelled'
         group by store_id, user_id
         order by store_id, user_id
        on conflict (store_id, user_id) do update
           set total_orders = kept.total_orders + excluded.total_orders, total_spent = kept.total_spent + excluded.total_spent;
    end if;
    return null;
end
$$;

create trigger totalled_insert after insert on store_order referencing new table as new_rows
    for each statement execute function store_order_totalled();
create trigger totalled_update after update on store_order referencing old table as old_rows new table as new_rows
    for each statement execute function store_order_totalled();
create trigger totalled_delete after delete on store_order referencing old table as old_rows
    for each statement execute function store_order_totalled();

insert into customer_total (store_id, user_id, total_orders, total_spent)
select store_id, user_id, count(*), coalesce(sum(grand_total) filter (where order_status <> 'refunded'), 0)
  from store_order
 where user_id is not null and deleted_at is null and order_status <> 'cancelled'
 group by store_id, user_id;

-- ---- erasing (contract K.6) ----------------------------------------------------------------------------------------

-- Everything of a customer, deleted orders too, in an order that nothing changes.
create index store_order_person on store_order (store_id, user_id, order_id) where user_id is not null;

-- Who is to be forgotten, or was, and how far that is (redaction.c). user_id 0: every customer and every order of the store.
create table redaction (
    store_id     bigint not null,
    user_id      bigint not null,
    step         integer not null default 0,        -- how many of redaction.c's steps are done
    after_id     bigint not null default 0,         -- how far the present one is
    after_key    text not null default '',
    orders       bigint not null default 0,         -- erased so far
    tries        integer not null default 0,        -- failures in a row
    next_at      timestamptz not null,
    created_at   timestamptz not null,
    completed_at timestamptz,
    primary key (store_id, user_id)
);
create index redaction_next on redaction (next_at) where completed_at is null;

-- An order, a customer, or an event about one, without what tells who the person is. Totals, items and amounts stay.
create function person_free(data jsonb) returns jsonb language plpgsql immutable parallel safe as $$
declare
    personal constant text[] := case when data ? 'order_id'
        then '{shipping_address,note,metadata,courier_id,tracking_code,tracking_id,tracking_number,customer_name,'
             'customer_phone,phone,shipping_phone}'
        else '{name,email,phone,address_json}' end;
begin
    return (select jsonb_object_agg(key, case
                when key = any (personal) and key = 'name' then '""'
                when key = any (personal) then 'null'
                when key in ('changed', 'changes') and jsonb_typeof(value) = 'object' then
                    (select coalesce(jsonb_object_agg(field, case when field = any (personal) then '{"old": null, "new": null}'
                                                                  else change end), '{}')
                       from jsonb_each(value) as changed (field, change))
                else value end)
              from jsonb_each(data));
end
$$;

-- A kept answer about this customer (0: about anybody) without the person; any other as it is. What is no JSON text was made
-- for another service, and goes after a day with all kept answers.
create function answer_person_free(body bytea, user_id bigint) returns bytea language plpgsql immutable as $$
declare
    answer jsonb;
begin
    if body is null or get_byte(body || '\x00'::bytea, 0) <> ascii('{') then
        return body;
    end if;
    answer := convert_from(body, 'UTF8')::jsonb;
    if jsonb_typeof(answer -> 'data') is distinct from 'object' or not answer -> 'data' ? 'user_id'
       or (user_id <> 0 and answer -> 'data' ->> 'user_id' is distinct from user_id::text) then
        return body;
    end if;
    return convert_to(jsonb_set(answer, '{data}', person_free(answer -> 'data'))::text, 'UTF8');
exception when data_exception then
    return body;
end
$$;
