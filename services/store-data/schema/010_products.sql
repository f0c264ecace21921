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

-- What a part of a text is found by, of products, customers and discounts: the three characters at each place (fewer at the
-- end), each behind the number of the store, so that a search walks the entries of one store only. Any script and any sign
-- is found; pg_trgm knows neither stores nor emoji nor punctuation, and nothing that is shorter than three letters. The text
-- comes in lower case. (The cost keeps the planner from working this out for each row where the index could be asked.)
create function text_grams(store_id bigint, text text) returns tsvector
    language sql immutable strict parallel safe cost 5000 as $$
    select array_to_tsvector(array(select store_id || '|' || substr(text, place, 3)
                                     from generate_series(1, length(text)) as place))
$$;

-- What of these a text with the pattern has; for fewer than three characters, one that begins with them. A text that fits
-- need not have the pattern: look at the text as well.
create function search_grams(store_id bigint, pattern text) returns tsquery
    language sql immutable strict parallel safe as $$
    select string_agg('''' || store_id || '|' || replace(replace(substr(pattern, place, 3), '\', '\\'), '''', '''''') || ''''
                      || case when length(pattern) < 3 then ':*' else '' end, ' & ')::tsquery
      from generate_series(1, greatest(length(pattern) - 2, 1)) as place
$$;

create index product_search on product using gin (text_grams(store_id, lower(name))) where deleted_at is null;
-- Statistics of the pieces would cost more than all others together and help no plan.
alter index product_search alter column 1 set statistics 0;

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
