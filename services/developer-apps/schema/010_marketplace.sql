-- The marketplace: what auth says of apps beside what their developers say, and what reviewers say.

-- ---- search ---------------------------------------------------------------------------------------------------------

-- Texts that look alike are the same text: upper and lower case, and letters that can be written in several ways, as
-- Bangla's with a dot below.
create function market_fold(text text) returns text
    language sql immutable strict parallel safe as $$
    select lower(normalize(text, nfkc))
$$;

-- An app stands on a shelf with the 8,192 that are next to it by their ids, and all that it is found by begins with the
-- number of the shelf. A search goes from shelf to shelf, the newest first, until it has enough: what it costs depends on
-- what it finds, not on how many there are.
create function market_shelf(app_id bigint) returns bigint
    language sql immutable strict parallel safe as $$
    select app_id >> 13
$$;

-- What an app is found by: its category, that it was approved, and of its text the three characters at each place, fewer at
-- the end. Any script and any sign is found; pg_trgm knows neither emoji nor punctuation, and nothing that is shorter than
-- three letters. (The cost keeps the planner from working this out for each row where the index could be asked.)
create function market_marks(app_id bigint, category text, is_approved boolean, text text) returns tsvector
    language sql immutable parallel safe cost 5000 as $$
    select array_to_tsvector(array(select developer_apps.market_shelf(app_id) || mark from (
        select ':' || substr(text, place, 3) from generate_series(1, length(text)) as place
        union all select '=' || category where category is not null
        union all select '!' where is_approved) as marks (mark)))
$$;

-- What of these an app on the shelf has with the pattern in its text, in the category unless that is null. A pattern of fewer
-- than three characters is the beginning of three; of a long one not every place is asked for. What fits need not have the
-- pattern: look at the text as well.
create function market_query(shelf bigint, pattern text, category text, approved boolean) returns tsquery
    language sql immutable parallel safe as $$
    select string_agg('''' || replace(replace(shelf || mark, '\', '\\'), '''', '''''') || '''' || suffix, ' & ')::tsquery from (
        select ':' || substr(pattern, place, 3) as mark, case when length(pattern) < 3 then ':*' else '' end as suffix
          from generate_series(1, greatest(length(pattern) - 2, 1), 1 + length(pattern) / 12) as place
        union all select '=' || category, '' where category is not null
        union all select '!', '' where approved) as marks
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
    add column approved_version  integer,                            -- null: none is; auth hears of it, and is_approved follows
    add column decision_number   bigint not null default 0,          -- how often was decided; auth knows the last it heard
    add column decision_due      timestamptz;                        -- when to tell auth again; null: it has heard

alter table listing
    add column is_public    boolean not null generated always as (is_listed and is_active and not is_deleted) stored,
    -- The name first: what is found before the line's end is found in the name. Some signs become many when they are folded:
    -- the bound is above what can be said without them.
    add column search_text  text generated always as
        (left(market_fold(name || chr(10) || coalesce(developer_name, '') || chr(10) || coalesce(short_description, '')), 2048)) stored;

-- The newest first: all of them, or those that were approved.
create index market_all on listing (app_id desc) where is_public;
create index market_approved on listing (app_id desc) where is_public and is_approved;
create index market_category on listing (category, app_id desc) where is_public;
create index market_category_approved on listing (category, app_id desc) where is_public and is_approved;
-- Without a list of what is still to be put in, which every search would read.
create index market_search on listing using gin (market_marks(app_id, category, is_approved, search_text)) with (fastupdate = off)
    where is_public;
-- Statistics of the pieces would cost more than all others together and help no plan.
alter index market_search alter column 1 set statistics 0;

-- No index knows version: what changes nothing but texts that are not searched leaves them all alone.
create index market_own on listing (account_id, is_listed, app_id desc) where name is not null and not is_deleted;
create index market_own_category on listing (account_id, category, is_listed, app_id desc) where name is not null and not is_deleted;
alter table listing set (fillfactor = 80);

create index listing_decision_due on listing (decision_due) where decision_due is not null;

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
