-- What every service's schema has: kept answers of idempotent requests, and events waiting to be published.

-- A service reads which migrations ran; only its owner role may write that down.
do $$
begin
    execute format('revoke insert, update, delete on migration from %I', current_schema());
end
$$;

-- The same key, the same answer (protocols 6). Only committed 2xx answers are kept, for 24 hours. headers is a msgpack
-- map or null; a sealed body is one that holds a secret. The primary key is the backstop behind the advisory lock.
create table idempotency (
    store_id     bigint not null,
    app_id       bigint not null,
    key          text not null,
    operation    text not null,
    request_hash bytea not null,
    status       smallint not null,
    headers      bytea,
    body         bytea not null,
    sealed       boolean not null,
    created_at   timestamptz not null,
    primary key (store_id, app_id, key)
);

create index idempotency_created_at on idempotency (created_at);

-- Events written in the transaction of the change that caused them (protocols 7). Per resource, id order is the order of
-- the commits, because the resource's row is locked first. Rows are taken out when they have been published.
create table outbox (
    id            bigint generated always as identity primary key,
    event_id      uuid not null default gen_random_uuid(),
    topic         text not null,
    store_id      bigint not null,
    resource_type text not null,
    resource_id   bigint not null,
    data          json not null,
    created_at    timestamptz not null
);
