-- Apps that a merchant makes for one store, credentials that overlap while they are exchanged, and when each credential
-- was last used.

-- home_store_id: a custom app's only store. The numbers tell the credentials of one kind apart, so that a use of the old
-- secret is never shown as one of the new. previous_*: the secret before, while its owner lets it live on.
alter table app
    add column description                text,
    add column home_store_id              bigint references store,
    add column secret_number              integer not null default 1,
    add column secret_made_at             timestamptz,
    add column previous_secret_hash       bytea check (octet_length(previous_secret_hash) = 32),
    add column previous_secret_expires_at timestamptz,
    add column signing_key_number         integer not null default 1,
    add column signing_key_made_at        timestamptz,
    add check ((previous_secret_hash is null) = (previous_secret_expires_at is null));
create unique index app_custom_name on app (owner_account_id, lower(name))
    where home_store_id is not null and deleted_at is null;
create index app_of_store on app (home_store_id, app_id) where home_store_id is not null and deleted_at is null;

-- token:ID, secret:APP:NUMBER, signing_key:APP:NUMBER. Written in batches, for what the gateways have counted.
create table credential_use (
    credential          text primary key check (length(credential) <= 64),
    last_used_at        timestamptz not null
);

-- A sealed value begins with the id of its master key (libshared/secret.h); zeros: it is from before there were ids.
update app set session_signing_key = '\x00000000'::bytea || session_signing_key;
