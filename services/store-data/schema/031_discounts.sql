-- Discount codes and who has used them.
--
-- discount.used is the number of rows in discount_use. An order that brings a code locks the code's row before it looks
-- at used and at the buyer's own uses, and until it commits: so total_use and use_per_user hold whoever comes at once.

create sequence discount_id_seq;

-- A percentage (is_amount false, amount null) or an amount (percentage null), free shipping with either.
create table discount (
    store_id                bigint not null,
    discount_id             bigint not null default nextval('discount_id_seq'),
    code                    text collate "C" not null check (length(code) between 1 and 64),
    is_amount               boolean not null,
    amount                  numeric(14,2) check (amount > 0),
    percentage              numeric(5,2) check (percentage between 0 and 100),
    free_shipping_on        boolean not null default false,
    minimum_order_value     numeric(14,2) check (minimum_order_value >= 0),
    maximum_discount_amount numeric(14,2) check (maximum_discount_amount > 0),
    is_active               boolean not null default true,
    total_use               bigint check (total_use > 0),
    use_per_user            bigint check (use_per_user > 0),
    used                    bigint not null default 0 check (used >= 0),
    starts_at               timestamptz,
    ends_at                 timestamptz,
    created_at              timestamptz not null,
    updated_at              timestamptz not null,
    deleted_at              timestamptz,
    primary key (store_id, discount_id),
    check ((amount is not null) = is_amount and (percentage is null) = is_amount),
    check (starts_at < ends_at)
) with (fillfactor = 70);

create unique index discount_code on discount (store_id, code) where deleted_at is null;
create index discount_code_order on discount (store_id, code, discount_id) where deleted_at is null;
create index discount_created_at on discount (store_id, created_at, discount_id) where deleted_at is null;
create index discount_updated_at on discount (store_id, updated_at, discount_id) where deleted_at is null;
create index discount_active_code on discount (store_id, is_active, code, discount_id) where deleted_at is null;
create index discount_active_created_at on discount (store_id, is_active, created_at, discount_id)
    where deleted_at is null;
create index discount_active_updated_at on discount (store_id, is_active, updated_at, discount_id)
    where deleted_at is null;
create index discount_search on discount using gin (text_grams(store_id, code)) where deleted_at is null;
alter index discount_search alter column 1 set statistics 0;

-- A row per order that used a code, until the order is cancelled or deleted. phone and email are the buyer's
-- as they were then, in their normal form: whoever comes back with one of them is the same, a customer or not.
create table discount_use (
    store_id    bigint not null,
    order_id    bigint not null,
    discount_id bigint not null,
    user_id     bigint,
    phone       text,
    email       text,
    created_at  timestamptz not null,
    primary key (store_id, order_id),
    foreign key (store_id, order_id) references store_order,
    foreign key (store_id, discount_id) references discount
);

create index discount_use_user on discount_use (store_id, discount_id, user_id) where user_id is not null;
create index discount_use_phone on discount_use (store_id, discount_id, phone) where phone is not null;
create index discount_use_email on discount_use (store_id, discount_id, lower(email)) where email is not null;

-- discount holds both what the code took off and what was given by hand; code_discount is the code's part of it.
alter table store_order add column discount_code text;
alter table store_order add column code_discount numeric(14,2) not null default 0 check (code_discount >= 0);

create function discount_counted() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into kept_total as kept (store_id, kind, status, stripe, n)
        select store_id, 'd', product_status(is_active), kept_stripe('-infinity'), count(*)
          from new_rows where deleted_at is null
         group by store_id, is_active
         order by 1, 3
        on conflict (store_id, kind, status, stripe) do update set n = kept.n + excluded.n;
    else
        insert into kept_total as kept (store_id, kind, status, stripe, n)
        select store_id, 'd', product_status(is_active), kept_stripe('-infinity'), sum(n)
          from (select before.store_id, change.is_active, change.n
                  from old_rows as before join new_rows as after using (store_id, discount_id)
                       cross join lateral (values (before.is_active, before.deleted_at, -1),
                                                  (after.is_active, after.deleted_at, 1))
                           as change (is_active, deleted_at, n)
                 where (before.is_active, before.deleted_at) is distinct from (after.is_active, after.deleted_at)
                   and change.deleted_at is null) as changed
         group by store_id, is_active
        having sum(n) <> 0
         order by 1, 3
        on conflict (store_id, kind, status, stripe) do update set n = kept.n + excluded.n;
    end if;
    return null;
end
$$;

create trigger counted_insert after insert on discount referencing new table as new_rows
    for each statement execute function discount_counted();
create trigger counted_update after update on discount referencing old table as old_rows new table as new_rows
    for each statement execute function discount_counted();
