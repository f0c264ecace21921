-- Products as apps write them: categories, codes and slugs that are unique, and indexes for the list's filters.

create sequence category_id_seq;

create table category (
    store_id    bigint not null,
    category_id bigint not null default nextval('category_id_seq'),
    parent_id   bigint,
    name        text not null,
    name_key    text collate "C" not null generated always as (left(name, 60)) stored,
    slug        text not null,
    description text,
    image       text,
    position    integer not null default 0,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    primary key (store_id, category_id),
    foreign key (store_id, parent_id) references category
);

-- Products named categories before there were any.
insert into category (store_id, category_id, name, slug)
select distinct store_id, category_id, 'Category ' || category_id, 'category-' || category_id
  from product where category_id is not null;
select setval('category_id_seq', greatest(max(category_id), 1), max(category_id) is not null) from category;

create unique index category_slug on category (store_id, slug);
create index category_created_at on category (store_id, created_at, category_id);
create index category_updated_at on category (store_id, updated_at, category_id);
create index category_name on category (store_id, name_key, category_id);
create index category_parent on category (store_id, parent_id, category_id);

-- A code names one variant of a store. Where two had the same, the older one keeps it.
update sku set sku_code = sku_code || '-' || sku_id
 where deleted_at is null and sku_code <> ''
   and exists (select from sku as older where older.store_id = sku.store_id and older.sku_code = sku.sku_code
                  and older.deleted_at is null and older.sku_id < sku.sku_id);
create unique index sku_code on sku (store_id, sku_code) where deleted_at is null and sku_code <> '';

-- What price_min and price_max look for.
create index sku_price on sku (store_id, price, product_id) where deleted_at is null;

-- ---- search ---------------------------------------------------------------------------------------------------------

-- What a part of a name is found by: its characters and pairs of characters, each hashed together with the store, so that
-- the index has entries of one store only, in any script, and for a pattern of a single character too. pg_trgm would know
-- neither emoji nor punctuation, and nothing that is shorter than three letters.
create function name_grams(store_id bigint, name text) returns bigint[]
    language sql immutable strict parallel safe as $$
    select array(select distinct hashtextextended(substr(s, i, n), $1)
                   from lower($2) as s, generate_series(1, length(s)) as i, generate_series(1, 2) as n)
$$;

-- What of these a pattern must have. A name with all of them need not have the pattern: look at the name as well.
create function search_grams(store_id bigint, pattern text) returns bigint[]
    language sql immutable strict parallel safe as $$
    select array(select distinct hashtextextended(substr(s, i, least(length(s), 2)), $1)
                   from lower($2) as s, generate_series(1, greatest(length(s) - 1, 1)) as i)
$$;

create index product_search on product using gin (name_grams(store_id, name)) where deleted_at is null;

-- ---- slugs ----------------------------------------------------------------------------------------------------------

-- The number that makes a slug free which is taken: base-2, base-3, ... A free one is found by doubling and the first of a
-- row of free ones by halving, so that the thousandth product of a name costs a few look-ups and not a thousand.
-- By index always: the plan of a function is kept, and may have been made while there were no products yet.
create function product_slug_next(store bigint, base text) returns bigint language plpgsql stable
    set enable_seqscan = off as $$
declare
    taken bigint := 1;
    free bigint := 2;
    middle bigint;
begin
    while exists (select from product as p
                   where p.store_id = store and p.slug = base || '-' || free and p.deleted_at is null) loop
        taken := free;
        free := free * 2;
    end loop;
    while free - taken > 1 loop
        middle := (free + taken) / 2;
        if exists (select from product as p
                    where p.store_id = store and p.slug = base || '-' || middle and p.deleted_at is null) then
            taken := middle;
        else
            free := middle;
        end if;
    end loop;
    return free;
end
$$;

-- Which of these slugs (s), codes (c) and bases of slugs (b) are taken, the last with the number that makes them free. A
-- function, because it is planned anew at each call and by index: a plan that was made while there were few products would go
-- through all of them for hundreds of values, until somebody looks at the table again.
create function products_taken(store bigint, slugs json, bases json, codes json)
    returns table (kind text, value text, next bigint) language sql stable set enable_seqscan = off as $$
    select 's', p.slug, null::bigint from product as p
     where p.store_id = store and p.deleted_at is null and p.slug = any (array(select json_array_elements_text(slugs)))
    union all
    select 'c', s.sku_code, null from sku as s
     where s.store_id = store and s.deleted_at is null and s.sku_code <> ''
       and s.sku_code = any (array(select json_array_elements_text(codes)))
    union all
    select 'b', b.base, product_slug_next(store, b.base)
      from (select distinct base from json_array_elements_text(bases) as base) as b
     where exists (select from product as p where p.store_id = store and p.slug = b.base and p.deleted_at is null)
$$;

-- ---- images ---------------------------------------------------------------------------------------------------------

-- Which images a product has; their bytes are with assets.h. The key ends in a hash of the bytes: the same image is there once.
create table product_image (
    store_id   bigint not null,
    product_id bigint not null,
    stored_key text not null,
    size       bigint not null,
    created_at timestamptz not null,
    primary key (store_id, product_id, stored_key),
    foreign key (store_id, product_id) references product
);
