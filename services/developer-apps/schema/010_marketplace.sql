-- The marketplace: what auth says of apps beside what their developers say, and what reviewers say.

-- ---- search ---------------------------------------------------------------------------------------------------------

-- Texts that look alike are the same text: upper and lower case, and letters that can be written in several ways, as
-- Bangla's with a dot below.
create function market_fold(text text) returns text
    language sql immutable strict parallel safe as $$
    select lower(normalize(text, nfkc))
$$;

-- What a part of a text is found by: the three characters at each place, fewer at the end. Any script and any sign is found;
-- pg_trgm knows neither emoji nor punctuation, and nothing that is shorter than three letters. (The cost keeps the planner
-- from working this out for each row where the index could be asked.)
create function market_grams(text text) returns tsvector
    language sql immutable strict parallel safe cost 5000 as $$
    select array_to_tsvector(array(select substr(text, place, 3) from generate_series(1, length(text)) as place))
$$;

-- What of these a text with the pattern has; for fewer than three characters, one that begins with them; null for none. A
-- text that fits need not have the pattern: look at the text as well.
create function market_pattern(pattern text) returns tsquery
    language sql immutable strict parallel safe as $$
    select string_agg('''' || replace(replace(substr(pattern, place, 3), '\', '\\'), '''', '''''') || ''''
                      || case when length(pattern) < 3 then ':*' else '' end, ' & ')::tsquery
      from generate_series(1, greatest(length(pattern) - 2, 1)) as place
     where pattern <> ''
$$;

-- ---- apps -----------------------------------------------------------------------------------------------------------

-- auth's part is kept as it was told last (auth's app_tell.c): the higher version is the newer.
alter table listing
    add column version           bigint not null default 0,          -- of auth's part; 0: nothing was heard of it
    add column name              text,
    add column slug              text,
    add column icon              text,
    add column developer_name    text,
    add column developer_email   text,
    add column requested_scopes  json,
    add column is_listed         boolean not null default false,
    add column is_active         boolean not null default false,
    add column is_approved       boolean not null default false,
    add column is_deleted        boolean not null default false,
    add column app_created_at    timestamptz,
    add column app_updated_at    timestamptz,
    add column review_number     integer not null default 0,         -- the last version that was submitted
    add column review_status     text not null default 'draft'       -- of that version
        check (review_status in ('draft', 'submitted', 'in_review', 'approved', 'rejected')),
    add column approved_version  integer;                            -- null: none is; auth hears of it, and is_approved follows

alter table listing
    add column is_public    boolean not null generated always as (is_listed and is_active and not is_deleted) stored,
    -- The name first: what is found before the line's end is found in the name.
    add column search_text  text generated always as
        (market_fold(name || chr(10) || coalesce(developer_name, '') || chr(10) || coalesce(short_description, ''))) stored;

-- The newest first: all of them, or those that were approved.
create index market_all on listing (app_id desc) where is_public;
create index market_approved on listing (app_id desc) where is_public and is_approved;
create index market_category on listing (category, app_id desc) where is_public;
create index market_category_approved on listing (category, app_id desc) where is_public and is_approved;
create index market_search on listing using gin (market_grams(search_text)) where is_public;
-- Statistics of the pieces would cost more than all others together and help no plan.
alter index market_search alter column 1 set statistics 0;

create index market_own on listing (account_id, app_id desc) include (is_listed, category)
    where version > 0 and not is_deleted;

-- ---- reviews --------------------------------------------------------------------------------------------------------

-- A version is what was submitted. One at a time waits; another submission takes its place.
create table review (
    app_id        bigint not null,
    version       integer not null,
    status        text not null check (status in ('submitted', 'in_review', 'approved', 'rejected')),
    manifest      jsonb not null,
    message       text,                                              -- the reviewer's
    submitted_at  timestamptz not null,
    submitted_by  bigint not null,
    decided_at    timestamptz,
    primary key (app_id, version)
);
create unique index review_open on review (app_id) where status in ('submitted', 'in_review');
create index review_queue on review (submitted_at, app_id) where status in ('submitted', 'in_review');

-- What reviewers have decided, for auth: in the order of these ids for each app, because its listing is locked.
create table decision (
    decision_id  bigint generated always as identity primary key,
    app_id       bigint not null,
    version      integer not null,
    action       text not null check (action in ('approved', 'rejected', 'in_review')),
    is_approved  boolean not null,                                   -- whether any version is, from then on
    account_id   bigint not null,
    at           timestamptz not null,
    due_at       timestamptz                                         -- when to tell it again; null: auth has heard
);
create index decision_due on decision (due_at) where due_at is not null;
create index decision_untold on decision (app_id, decision_id) where due_at is not null;
