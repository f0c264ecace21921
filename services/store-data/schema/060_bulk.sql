-- Bulk import: jobs, what was uploaded for them, and what came of each line.
--
-- A job's position (piece, piece_at, line) is changed by the transaction that applies the lines up to it and keeps their
-- results, so whatever is killed when, each line is applied once.

create sequence bulk_job_id_seq;

create table bulk_job (
    store_id        bigint not null,
    job_id          bigint not null default nextval('bulk_job_id_seq'),
    app_id          bigint not null,
    installation_id bigint not null,
    resource        text not null check (resource in ('products', 'customers', 'orders', 'inventory')),
    status          text not null default 'uploading' check (status in
                        ('uploading', 'queued', 'running', 'completed', 'cancelled', 'failed')),
    message         text,                           -- why it has failed or was stopped
    lines_total     bigint not null default 0,
    lines_done      bigint not null default 0,
    succeeded       bigint not null default 0,
    pieces          bigint,                         -- how many there were; null until the last has come
    piece           bigint not null default 0,      -- the one to go on with,
    piece_at        integer not null default 0,     -- from this byte
    line            bigint not null default 0,      -- number of the last line before it
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    started_at      timestamptz,
    finished_at     timestamptz,
    primary key (store_id, job_id)
) with (fillfactor = 50);

create index bulk_job_app on bulk_job (store_id, app_id, job_id);
create index bulk_job_waiting on bulk_job (store_id, job_id) where status in ('queued', 'running');
create index bulk_job_uploading on bulk_job (updated_at) where status = 'uploading';
create index bulk_job_finished on bulk_job (finished_at) where finished_at is not null;

-- One row for each store that has ever imported: locked while a batch of the store is at work, so that a store has one
-- at a time; the one whose turn is longest ago comes next.
create sequence bulk_turn_seq;
create table bulk_turn (
    store_id bigint primary key,
    turn     bigint not null default nextval('bulk_turn_seq')
) with (fillfactor = 20);

-- Uncompressed, so that a batch reads its part of it without the rest.
create table bulk_piece (
    store_id bigint not null,
    job_id   bigint not null,
    seq      bigint not null,
    lines    integer not null,
    bytes    bytea not null,
    primary key (store_id, job_id, seq)
);
alter table bulk_piece alter column bytes set storage external;

-- Lines of NDJSON as they are answered, some together in a row.
create table bulk_result (
    store_id  bigint not null,
    job_id    bigint not null,
    last_line bigint not null,
    lines     text not null,
    primary key (store_id, job_id, last_line)
);

-- What lines with an idempotency_key have made.
create table bulk_key (
    store_id   bigint not null,
    app_id     bigint not null,
    resource   text not null,
    key        text collate "C" not null,
    hash       text not null,                       -- sha256 of the line
    id         bigint not null,
    created_at timestamptz not null,
    primary key (store_id, app_id, resource, key)
);
create index bulk_key_created_at on bulk_key (created_at);
