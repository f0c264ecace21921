-- webhooks: who wants which events, the events themselves, and what is still to be delivered.
--
-- Times come from the processes' clock, never from now(): a test may set that clock. Leases alone use the database's.
-- event, log, delivery and attempt are partitioned by day and dropped by day (partitions_make, partitions_drop): by the
-- day the emitter wrote the event, never by arrival, so that an event that comes twice meets itself in the unique index.

-- ---- what there is to subscribe to ----------------------------------------------------------------------------------

-- scope: an app needs it; null: none. named: goes only to the app that the event names. merchant: merchants may subscribe
-- too. personal: data members that belong to the customer, left out where `permissions` does not name read:customers.
create table topic (
    topic     text primary key,
    scope     text,
    named     boolean not null,
    merchant  boolean not null,
    personal  text[] not null default '{}',
    summary   text not null,
    sample    json not null
);

-- ---- installations, as auth tells them ------------------------------------------------------------------------------

-- Nothing of a generation revives: what says less than this row is late and does nothing (protocols 8).
create table installation (
    installation_id  bigint primary key,
    store_id         bigint not null,
    app_id           bigint not null,
    generation       integer not null,
    scopes           text[] not null,
    status           text not null check (status in ('active', 'ending', 'ended')),
    subscribed       integer not null default 0,   -- the generation whose automatic subscriptions are made
    updated_at       timestamptz not null
);
create index on installation (store_id) where status <> 'ended';

-- The log's last number. A table of its own, because each event locks this row until it commits.
create table sequence (
    installation_id  bigint primary key references installation,
    last             bigint not null default 0
) with (fillfactor = 20);

-- ---- subscriptions ---------------------------------------------------------------------------------------------------

create sequence subscription_id_seq;

-- status: ending takes only what belongs to the uninstall; ended and deleted ones stay, because what waits for them is
-- still signed with their secret. secret, old_secret: sealed, bound to the id. Until old_secret_until both count.
create table subscription (
    subscription_id   bigint primary key,
    store_id          bigint not null,
    installation_id   bigint references installation,
    app_id            bigint,
    generation        integer,
    made_by           text not null check (made_by in ('app', 'install', 'merchant', 'developer')),
    name              text,
    topic             text not null references topic,
    target_url        text not null,
    secret            bytea not null,
    old_secret        bytea,
    old_secret_until  timestamptz,
    profile           text not null check (profile in ('selorax', 'standard-webhooks', 'stripe', 'github', 'shopify')),
    permissions       text[],
    fields            text[],
    status            text not null check (status in ('active', 'inactive', 'ending', 'ended', 'deleted')),
    failure_count     integer not null default 0,   -- events that failed for good, in a row
    last_failure_at   timestamptz,
    last_success_at   timestamptz,
    disabled_reason   text,
    disabled_at       timestamptz,
    created_at        timestamptz not null,
    updated_at        timestamptz not null,
    check ((installation_id is null) = (made_by = 'merchant'))
) with (fillfactor = 80);
create index subscription_fan_out on subscription (store_id, topic) where status in ('active', 'ending', 'ended');
create index subscription_of_installation on subscription (installation_id, subscription_id desc)
    where status in ('active', 'inactive');

-- ---- events and the log ---------------------------------------------------------------------------------------------

create table event (
    event_id         uuid not null,
    created_at       timestamptz not null,
    number           bigint generated always as identity,   -- order of arrival
    topic            text not null,
    store_id         bigint not null,
    resource_type    text not null,
    resource_id      bigint not null,
    installation_id  bigint,                                -- that a named topic names, and its
    generation       integer,                               -- where the event says it
    data             json not null,
    primary key (event_id, created_at)
) partition by range (created_at);

-- What an installation may read, numbered without gaps: seq is given out under the lock of its row of sequence, so it is
-- seen in order.
create table log (
    installation_id  bigint not null,
    seq              bigint not null,
    event_at         timestamptz not null,
    event_id         uuid not null,
    topic            text not null,
    generation       integer not null,
    primary key (installation_id, seq, event_at)
) partition by range (event_at);
create index on log (installation_id, topic, seq);

-- ---- deliveries ------------------------------------------------------------------------------------------------------

create sequence delivery_id_seq;

-- Those that are not over: small, so that finding the next ones costs nothing, however many days are kept. Per resource
-- the order of delivery_id is the order of the commits.
create table waiting (
    delivery_id      bigint primary key default nextval('delivery_id_seq'),
    subscription_id  bigint not null,
    event_id         uuid not null,
    event_at         timestamptz not null,
    topic            text not null,
    resource_type    text not null,
    resource_id      bigint not null,
    attempt          integer not null default 0,            -- that were made
    next_at          timestamptz not null,
    created_at       timestamptz not null
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
create index waiting_due on waiting (subscription_id, next_at, delivery_id);
create index waiting_of on waiting (subscription_id, delivery_id);
create index waiting_lane on waiting (subscription_id, resource_type, resource_id, delivery_id);

-- Those that are over.
create table delivery (
    delivery_id      bigint not null,
    event_at         timestamptz not null,
    subscription_id  bigint not null,
    event_id         uuid not null,
    topic            text not null,
    resource_type    text not null,
    resource_id      bigint not null,
    state            text not null check (state in ('success', 'failed')),
    attempt          integer not null,
    created_at       timestamptz not null,
    finished_at      timestamptz not null,
    primary key (delivery_id, event_at)
) partition by range (event_at);
create index on delivery (subscription_id, state, delivery_id);

create table attempt (
    attempt_id       uuid not null,                         -- X-SeloraX-Delivery-Id
    at               timestamptz not null,
    delivery_id      bigint not null,
    subscription_id  bigint not null,
    attempt          integer not null,
    request_headers  json not null,
    response_status  integer,
    response_body    text,
    error            text,
    duration_ms      integer not null,
    next_retry_at    timestamptz
) partition by range (at);
create index on attempt (delivery_id, attempt);

-- One row per subscription that has ever had a delivery: when there is something to do, and which process does it. version
-- rises with everything that is put into waiting or made due there, so that nobody lets go of what he has not seen.
create table queue (
    subscription_id  bigint primary key,
    due_at           timestamptz,
    version          bigint not null default 0,
    holder           bigint,
    held_until       timestamptz                            -- by the database's clock
) with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
create index queue_due on queue (due_at) where due_at is not null;

-- ---- partitions: made and dropped by their owner on behalf of the service --------------------------------------------

create function partitions_make(day date) returns void language plpgsql security definer
set search_path = webhooks, pg_temp as $$
declare
    base text;
    part text;
begin
    foreach base in array array['event', 'log', 'delivery', 'attempt'] loop
        part := base || to_char(day, '_YYYYMMDD');
        continue when to_regclass(format('webhooks.%I', part)) is not null;
        perform pg_advisory_xact_lock(hashtextextended('webhooks partitions', 0));
        continue when to_regclass(format('webhooks.%I', part)) is not null;
        execute format('create table %I (like %I including defaults including constraints)', part, base);
        execute format('alter table %I attach partition %I for values from (%L) to (%L)', base, part,
                       day || ' 00:00+00', day + 1 || ' 00:00+00');
    end loop;
end
$$;

-- Whole days before `day`, a few tables at a time, but nothing that a delivery still waits for; answers how many went.
create function partitions_drop(day date) returns integer language plpgsql security definer
set search_path = webhooks, pg_temp as $$
declare
    part text;
    dropped integer := 0;
begin
    for part in select c.relname from pg_inherits join pg_class c on c.oid = inhrelid
                join pg_class p on p.oid = inhparent join pg_namespace n on n.oid = p.relnamespace
                where n.nspname = 'webhooks' and p.relname in ('event', 'log', 'delivery', 'attempt') and c.relkind = 'r'
                and not exists (select from waiting where event_at < day::timestamp at time zone 'UTC')
                and right(c.relname, 8) ~ '^\d{8}$' and to_date(right(c.relname, 8), 'YYYYMMDD') < day
                order by right(c.relname, 8) limit 4 loop
        execute format('drop table %I', part);
        dropped := dropped + 1;
    end loop;
    return dropped;
end
$$;

-- ---- the body --------------------------------------------------------------------------------------------------------

-- The data as one subscription is to see it. Personal members go from `changed` as well. As json, which keeps every number
-- as it was written.
create function data_for(data json, personal text[], permissions text[], fields text[]) returns text
language sql immutable as $$
    select case when fields is null and (permissions is null or 'read:customers' = any (permissions) or personal = '{}')
    then data::text else (
        select coalesce(json_object_agg(key, case when key = 'changed' and hides and json_typeof(value) = 'object' then
            (select coalesce(json_object_agg(c.key, c.value), '{}') from json_each(value) as c where c.key <> all (personal))
            else value end), '{}')::text
        from json_each(data), lateral (select permissions is not null and 'read:customers' <> all (permissions)) as h (hides)
        where (not hides or key <> all (personal)) and (fields is null or key = any (fields))) end
$$;

insert into topic (topic, scope, named, merchant, personal, summary, sample) values
    ('order.created', 'read:orders', false, true, '{customer,customer_name,customer_phone,customer_email,phone,email,shipping_phone,shipping_address,billing_address,address}', 'An order was placed',
     '{"order_id": 1042, "id": 1042, "order_number": "342", "order_status": "pending", "customer_name": "Rahim Uddin", "customer_phone": "+8801712345678", "phone": "+8801712345678", "shipping_phone": "+8801712345678", "total": 1460.0, "grand_total": 1460.0, "tracking_id": null, "tracking_number": null, "store_name": "Dhaka Threads", "payment_method": "cod"}'),
    ('order.updated', 'read:orders', false, true, '{customer,customer_name,customer_phone,customer_email,phone,email,shipping_phone,shipping_address,billing_address,address}', 'An order was changed',
     '{"order_id": 1042, "id": 1042, "order_number": "342", "order_status": "pending", "customer_name": "Rahim Uddin", "customer_phone": "+8801712345678", "phone": "+8801712345678", "shipping_phone": "+8801712345678", "total": 1460.0, "grand_total": 1460.0, "tracking_id": null, "tracking_number": null, "store_name": "Dhaka Threads", "payment_method": "cod", "changed": {"note": {"old": null, "new": "Call first"}}}'),
    ('order.status_changed', 'read:orders', false, true, '{customer,customer_name,customer_phone,customer_email,phone,email,shipping_phone,shipping_address,billing_address,address}', 'An order moved to another status',
     '{"order_id": 1042, "id": 1042, "order_number": "342", "order_status": "confirmed", "customer_name": "Rahim Uddin", "customer_phone": "+8801712345678", "phone": "+8801712345678", "shipping_phone": "+8801712345678", "total": 1460.0, "grand_total": 1460.0, "tracking_id": null, "tracking_number": null, "store_name": "Dhaka Threads", "payment_method": "cod", "status": "confirmed", "previous_status": "pending"}'),
    ('order.cancelled', 'read:orders', false, false, '{customer,customer_name,customer_phone,customer_email,phone,email,shipping_phone,shipping_address,billing_address,address}', 'An order was cancelled',
     '{"order_id": 1042, "id": 1042, "order_number": "342", "order_status": "cancelled", "customer_name": "Rahim Uddin", "customer_phone": "+8801712345678", "phone": "+8801712345678", "shipping_phone": "+8801712345678", "total": 1460.0, "grand_total": 1460.0, "tracking_id": null, "tracking_number": null, "store_name": "Dhaka Threads", "payment_method": "cod", "status": "cancelled", "previous_status": "confirmed"}'),
    ('order.deleted', 'read:orders', false, false, '{customer,customer_name,customer_phone,customer_email,phone,email,shipping_phone,shipping_address,billing_address,address}', 'An order was deleted',
     '{"order_id": 1042, "id": 1042, "order_number": "342", "order_status": "pending", "customer_name": "Rahim Uddin", "customer_phone": "+8801712345678", "phone": "+8801712345678", "shipping_phone": "+8801712345678", "total": 1460.0, "grand_total": 1460.0, "tracking_id": null, "tracking_number": null, "store_name": "Dhaka Threads", "payment_method": "cod"}'),
    ('product.created', 'read:products', false, true, '{}', 'A product was made',
     '{"product_id": 77, "name": "Cotton Panjabi", "slug": "cotton-panjabi", "is_active": 1, "variants": [{"sku_id": 311, "variant_name": "M", "sku_code": "PAN-M", "price": 1250.0, "quantity": 40}]}'),
    ('product.updated', 'read:products', false, true, '{}', 'A product was changed',
     '{"product_id": 77, "name": "Cotton Panjabi", "slug": "cotton-panjabi", "is_active": 1, "variants": [{"sku_id": 311, "variant_name": "M", "sku_code": "PAN-M", "price": 1250.0, "quantity": 40}], "changed": {"name": {"old": "Panjabi", "new": "Cotton Panjabi"}}}'),
    ('product.deleted', 'read:products', false, true, '{}', 'A product was deleted',
     '{"product_id": 77, "name": "Cotton Panjabi"}'),
    ('customer.created', 'read:customers', false, true, '{}', 'A customer was made',
     '{"user_id": 501, "name": "Rahim Uddin", "phone": "+8801712345678", "email": "rahim@example.com"}'),
    ('customer.updated', 'read:customers', false, true, '{}', 'A customer was changed',
     '{"user_id": 501, "name": "Rahim Uddin", "phone": "+8801712345678", "email": "rahim@example.com"}'),
    ('inventory.updated', 'read:inventory', false, true, '{}', 'A stock level changed',
     '{"sku_id": 311, "product_id": 77, "sku_code": "PAN-M", "previous_quantity": 40, "quantity": 38}'),
    ('app.installed', null, true, true, '{}', 'The app was installed, or installed again',
     '{"installation_id": 9, "app_id": 4, "app_name": "My App", "scopes": ["read:orders"], "generation": 1, "installed_at": "2026-01-15T08:30:00.000Z"}'),
    ('app.uninstalled', null, true, true, '{}', 'The app was uninstalled',
     '{"installation_id": 9, "app_id": 4, "app_name": "My App", "generation": 1, "uninstalled_at": "2026-01-15T08:30:00.000Z"}'),
    ('charge.created', null, true, false, '{}', 'A charge was made',
     '{"charge_id": 12, "installation_id": 9, "app_id": 4, "name": "Pro plan", "charge_type": "one_time", "amount": 500.0, "currency": "BDT", "status": "pending"}'),
    ('charge.activated', null, true, false, '{}', 'A charge was paid',
     '{"charge_id": 12, "installation_id": 9, "app_id": 4, "name": "Pro plan", "charge_type": "one_time", "amount": 500.0, "currency": "BDT", "status": "active"}'),
    ('charge.declined', null, true, false, '{}', 'The merchant declined a charge',
     '{"charge_id": 12, "installation_id": 9, "app_id": 4, "name": "Pro plan", "charge_type": "one_time", "amount": 500.0, "currency": "BDT", "status": "declined"}'),
    ('charge.expired', null, true, false, '{}', 'A charge was not answered in time',
     '{"charge_id": 12, "installation_id": 9, "app_id": 4, "name": "Pro plan", "charge_type": "one_time", "amount": 500.0, "currency": "BDT", "status": "expired"}'),
    ('charge.payment_failed', null, true, false, '{}', 'A payment did not go through',
     '{"charge_id": 12, "installation_id": 9, "app_id": 4, "name": "Pro plan", "charge_type": "one_time", "amount": 500.0, "currency": "BDT", "status": "pending"}'),
    ('charge.cancelled', null, true, false, '{}', 'A charge was cancelled',
     '{"charge_id": 12, "installation_id": 9, "app_id": 4, "name": "Pro plan", "charge_type": "one_time", "amount": 500.0, "currency": "BDT", "status": "cancelled", "reason": "app_uninstalled"}'),
    ('subscription.renewal_pending', null, true, false, '{}', 'A subscription is to be paid again',
     '{"charge_id": 12, "installation_id": 9, "app_id": 4, "name": "Pro plan", "charge_type": "recurring", "amount": 500.0, "currency": "BDT", "status": "pending"}'),
    ('customers/data_request', 'read:customers', false, false, '{}', 'A customer asks for their data; answer the merchant within 30 days',
     '{"privacy_request_id": 3, "store_id": 1, "customer": {"id": 501}, "requested_at": "2026-01-15T08:30:00.000Z"}'),
    ('customers/redact', 'read:customers', false, false, '{}', 'A customer asks to be forgotten',
     '{"privacy_request_id": 4, "store_id": 1, "customer": {"id": 501}, "redact_requested_at": "2026-01-15T08:30:00.000Z"}'),
    ('shop/redact', null, true, false, '{}', 'Forget the store: 48 hours after the app was uninstalled',
     '{"store_id": 1, "app_id": 4, "installation_id": 9, "redact_requested_at": "2026-01-15T08:30:00.000Z"}'),
    ('webhook.disabled', null, true, false, '{}', 'A subscription of the app was switched off, because its endpoint failed',
     '{"subscription_id": 21, "installation_id": 9, "app_id": 4, "event_topic": "order.created", "target_url": "https://app.example/hooks", "reason": "ten events in a row failed", "disabled_at": "2026-01-15T08:30:00.000Z"}');
