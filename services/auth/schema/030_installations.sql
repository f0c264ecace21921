-- How an app gets onto a store and off it again: what is counted, what is still to be told, what is not yet finished.

-- way: through OAuth, straight from the dashboard (the app is told by a push), with a custom app, by an operator.
alter table installation
    add column way text not null default 'operator' check (way in ('oauth', 'direct', 'custom', 'operator'));
create index on installation (store_id, installation_id);

-- Listed in the marketplace: merchants other than its owner may install it.
alter table app add column is_listed boolean not null default false;

-- Beside the installation, because each look at a credential reads that row and none needs this one. Written in batches.
create table installation_usage (
    installation_id     bigint primary key references installation,
    request_count       bigint not null,
    last_used_at        timestamptz not null
) with (fillfactor = 50);

-- The last batch taken of each gateway process: one that is sent again after a lost answer counts once.
create table usage_batch (
    gateway_id          bigint primary key,
    batch               bigint not null,
    taken_at            timestamptz not null
) with (fillfactor = 50);
create index on usage_batch (taken_at);

-- Uninstalls that are not finished, which takes two days (shop/redact): the saga of protocols 8, which acts on this
-- generation and none later. step counts those of uninstall.c that are done. Whoever works on a row holds it until next_at.
create table uninstall (
    installation_id     bigint not null references installation,
    generation          integer not null,
    step                integer not null default 0,
    tries               integer not null default 0,
    next_at             timestamptz not null,
    created_at          timestamptz not null,
    primary key (installation_id, generation)
);
create index on uninstall (next_at);

-- What an app is still to be told about its direct installation: its token, or that it has ended. Only the newest counts,
-- so there is one row. No token is in it: each attempt makes one. busy_until: an attempt is under way, and ends before.
create table app_push (
    installation_id     bigint primary key references installation,
    generation          integer not null,
    kind                text not null check (kind in ('token', 'revoke')),
    attempts            integer not null default 0,
    busy_until          timestamptz,
    next_at             timestamptz not null,
    created_at          timestamptz not null
);
create index on app_push (next_at);
