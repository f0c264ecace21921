-- auth: who exists, what they may use, and what has been taken back.
--
-- Times come from the processes' clock, never from now(): a test may set that clock. Everything that opens a door is kept
-- as a SHA-256 (random secrets) or Argon2id (passwords); the session signing key, which the platform must use itself, is
-- sealed with AES-256-GCM.

create table account (
    account_id          bigint generated always as identity primary key,
    name                text not null,
    email               text not null unique check (email = lower(email)),
    phone               text unique,
    username            text unique check (username ~ '^[a-z][a-z0-9_.-]{2,31}$'),  -- can be no e-mail and no phone number
    password            text not null,                                              -- Argon2id, PHC form
    is_admin            boolean not null default false,
    is_developer        boolean not null default false,
    status              text not null default 'active' check (status in ('active', 'disabled')),
    created_at          timestamptz not null,
    updated_at          timestamptz not null
);

-- A login. Merchants carry an opaque access token; a developer's access token is a JWT that names this row.
create table session (
    session_id          bigint generated always as identity primary key,
    account_id          bigint not null references account,
    audience            text not null check (audience in ('merchant', 'developer')),
    access_hash         bytea unique check (octet_length(access_hash) = 32),
    refresh_hash        bytea not null unique check (octet_length(refresh_hash) = 32),
    expires_at          timestamptz not null,
    refresh_expires_at  timestamptz not null,
    revoked_at          timestamptz,
    created_at          timestamptz not null,
    check ((audience = 'merchant') = (access_hash is not null))
);
create index on session (account_id) where revoked_at is null;

-- Failed logins of an account, or of a name that no account has: both are counted, so that they cannot be told apart.
create table login_failure (
    who                 bytea primary key,
    failures            integer not null,
    until               timestamptz not null
);
create index on login_failure (until);

create table store (
    store_id            bigint generated always as identity primary key,
    owner_account_id    bigint not null references account,
    name                text not null,
    status              text not null default 'active' check (status in ('active', 'suspended', 'frozen')),
    created_at          timestamptz not null,
    updated_at          timestamptz not null
);
create index on store (owner_account_id);

create table app (
    app_id              bigint generated always as identity primary key,
    owner_account_id    bigint not null references account,
    type                text not null check (type in ('platform', 'custom')),
    name                text not null,
    slug                text not null unique check (slug ~ '^[a-z0-9-]{3,255}$'),
    icon                text,
    app_url             text,
    setup_url           text,
    webhook_url         text,
    developer_name      text,
    developer_email     text,
    redirect_urls       jsonb not null,
    requested_scopes    text not null,
    client_id           text not null unique check (client_id ~ '^sx_app_[0-9a-f]{32}$'),
    client_secret_hash  bytea not null,
    session_signing_key bytea not null,
    is_active           boolean not null default true,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    deleted_at          timestamptz
);
create index on app (owner_account_id);

-- One row per store and app for ever; each install raises the generation, so that nothing of an earlier one revives.
create table installation (
    installation_id     bigint generated always as identity primary key,
    store_id            bigint not null references store,
    app_id              bigint not null references app,
    generation          integer not null default 1,
    granted_scopes      text not null,
    status              text not null default 'active' check (status in ('active', 'uninstalling', 'uninstalled')),
    installed_at        timestamptz not null,
    uninstalled_at      timestamptz,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    unique (store_id, app_id)
);
create index on installation (app_id);

create table token (
    token_id            bigint generated always as identity primary key,
    installation_id     bigint not null references installation,
    generation          integer not null,
    kind                text not null check (kind in ('access', 'refresh')),
    token_hash          bytea not null unique check (octet_length(token_hash) = 32),
    expires_at          timestamptz not null,
    revoked_at          timestamptz,
    created_at          timestamptz not null
);
create index on token (installation_id) where revoked_at is null;

-- Revocations, in the order of their commits: the one row of identity_version is the last lock a revoking transaction
-- takes, so a snapshot that shows version v shows everything that v or less has taken back.
create table identity_version (
    one                 boolean primary key default true check (one),
    v                   bigint not null
) with (fillfactor = 20);
insert into identity_version (v) values (1);

create table invalidation (
    v                   bigint not null,
    tag                 text not null,
    primary key (v, tag)
);

-- The gateways that may hold a lease. beat moves with each renewal.
create table gateway (
    id                  bigint primary key,
    beat                bigint not null default 0,
    joined_at           timestamptz not null
) with (fillfactor = 20);

-- Who did what to whom, when, from where. Written only; not even this service can change it.
create table audit (
    audit_id            bigint generated always as identity primary key,
    at                  timestamptz not null,
    actor               text not null,
    actor_account_id    bigint,
    action              text not null,
    target              text not null,
    target_id           bigint not null,
    store_id            bigint,
    app_id              bigint,
    request_id          text not null,
    address             text not null
);
create index on audit (store_id, audit_id) where store_id is not null;
revoke update, delete, truncate on audit from auth;
