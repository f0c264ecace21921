-- The OAuth install: codes between a merchant's consent and the app's exchange, and which token came after which.

-- A code is kept after its use, so that a second use is known for what it is and takes back what the first one gave.
create table oauth_code (
    code_hash           bytea primary key check (octet_length(code_hash) = 32),
    app_id              bigint not null references app,
    store_id            bigint not null references store,
    account_id          bigint not null references account,
    redirect_uri        text not null,
    scopes              text not null,
    code_challenge      text check (code_challenge ~ '^[A-Za-z0-9_-]{43}$'),
    expires_at          timestamptz not null,
    used_at             timestamptz,
    installation_id     bigint,             -- from the transaction that used it: no reference to be checked again
    generation          integer,
    created_at          timestamptz not null,
    check ((used_at is null) = (installation_id is null)),
    check ((used_at is null) = (generation is null))
) with (fillfactor = 70);                   -- each row is updated once, in its own page
create index on oauth_code (expires_at);

-- A refresh token is used once. used_at: when it was first; successor_id: the refresh token it gave last; access_id:
-- the access token that a refresh token was given with.
alter table token
    add column used_at      timestamptz,
    add column successor_id bigint,
    add column access_id    bigint;
alter table token set (fillfactor = 80);    -- a refresh token is marked as used in its own page
create index on token (expires_at);
