-- Where a store delivers, how, and for what price (contract K.3). Small: at most 100 zones of a store, with at most 50
-- methods and 500 places each; writers of one store's zones take turns (shipping_lock), so a place has one zone and one
-- zone is the default.

create sequence shipping_zone_id_seq;

create table shipping_zone (
    store_id   bigint not null,
    zone_id    bigint not null default nextval('shipping_zone_id_seq'),
    name       text not null,
    is_default boolean not null,            -- takes every place that no other zone names
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (store_id, zone_id)
);
create unique index shipping_zone_default on shipping_zone (store_id) where is_default;

-- What two spellings of a place have in common: no outer and no doubled spaces, lower case, one Unicode form.
create function place_key(name text) returns text language sql immutable parallel safe as $$
    select left(lower(normalize(btrim(regexp_replace(name, '\s+', ' ', 'g')), nfkc)), 200)
$$;

create table shipping_place (
    store_id bigint not null,
    place    text collate "C" not null,     -- place_key(name)
    zone_id  bigint not null,
    name     text not null,                 -- as it was written
    position integer not null,
    primary key (store_id, place),
    foreign key (store_id, zone_id) references shipping_zone on delete cascade
);
create index shipping_place_zone on shipping_place (store_id, zone_id, position);

create sequence shipping_method_id_seq;

create table shipping_method (
    store_id       bigint not null,
    zone_id        bigint not null,
    method_id      bigint not null default nextval('shipping_method_id_seq'),
    position       integer not null,
    name           text not null,
    price          numeric(14,2) not null check (price >= 0),
    min_order      numeric(14,2) check (min_order >= 0),
    estimated_days integer check (estimated_days >= 0),
    primary key (store_id, method_id),
    foreign key (store_id, zone_id) references shipping_zone on delete cascade
);
create index shipping_method_zone on shipping_method (store_id, zone_id, position);
