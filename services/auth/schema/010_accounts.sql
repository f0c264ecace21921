-- Accounts and stores as people use them: sessions that are renewed, codes sent to phones, members of stores, requests for
-- privacy, and the stores whose profile is still to be made.

-- A session is one family of refresh tokens: its row holds the one that is good now, this table those that were used. One
-- that is used again was stolen, or its thief was faster: the whole session ends. A row is needed until its token would
-- have run out anyway.
create table session_spent (
    refresh_hash        bytea primary key check (octet_length(refresh_hash) = 32),
    session_id          bigint not null references session on delete cascade,
    expires_at          timestamptz not null
);
create index on session_spent (session_id);
create index on session_spent (expires_at);
create index on session (refresh_expires_at);

-- The code last sent to a phone number. Four digits are soon tried out, so what is kept is not their hash but a MAC.
create table otp (
    phone               text primary key,
    code_mac            bytea not null check (octet_length(code_mac) = 32),
    attempts            integer not null default 0,
    expires_at          timestamptz not null,
    created_at          timestamptz not null
);
create index on otp (expires_at);

-- People beside the owner who may act for a store. permissions: names with single spaces between.
create table store_member (
    store_id            bigint not null references store,
    account_id          bigint not null references account,
    permissions         text not null,
    added_by_account_id bigint not null references account,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    primary key (store_id, account_id)
);
create index on store_member (account_id, store_id);

-- What a customer asked a merchant for. The row is the proof that it was passed on; the outbox does the passing on.
create table privacy_request (
    privacy_request_id  bigint generated always as identity primary key,
    store_id            bigint not null references store,
    customer_id         bigint not null,
    kind                text not null check (kind in ('data_request', 'redact')),
    account_id          bigint not null references account,
    created_at          timestamptz not null
);
create index on privacy_request (store_id, privacy_request_id);

-- Stores whose profile store-data does not have yet: written with the store, taken out when store-data has answered.
-- Whoever works on a row puts next_at ahead first, so that a crash only delays it.
create table store_setup (
    store_id            bigint primary key references store,
    name                text not null,
    email               text,
    phone               text,
    address             text,
    domain              text,
    language            text not null,
    tries               integer not null default 0,
    next_at             timestamptz not null,
    created_at          timestamptz not null
);
create index on store_setup (next_at);
