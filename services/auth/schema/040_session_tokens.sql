-- Session tokens of embedded apps: how each app wants them signed, and the platform's own key pairs.

-- HS256: with the app's session signing key. ES256: with the platform's key pair, so that the app shares no secret.
alter table app
    add column session_algorithm text not null default 'HS256' check (session_algorithm in ('HS256', 'ES256'));

-- The newest key whose signs_from has come is the one that signs. A key is published from the moment it is made, so that
-- readers of the key set know it before its first token comes, until ends_at, when the last of its tokens has run out; from
-- then on it proves nothing. The private half is sealed.
create table session_key (
    number              integer primary key check (number > 0),
    kid                 text not null unique check (kid ~ '^[0-9a-f]{32}$'),
    public_key          bytea not null check (octet_length(public_key) = 64),
    private_key         bytea not null,
    signs_from          timestamptz not null,
    ends_at             timestamptz,
    created_at          timestamptz not null
);
