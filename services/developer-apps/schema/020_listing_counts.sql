-- How long the lists of the marketplace and of developers' own apps are, kept as they change (protocols 12): no page counts.

-- The first stripe of these counts that no other transaction has until this one ends: who adds to it waits for nobody, and
-- closes no ring whatever else it has locked. The 64th is shared by all that come later.
create function count_stripe(counts regclass) returns smallint language plpgsql as $$
begin
    for stripe in 0 .. 62 loop
        if pg_try_advisory_xact_lock(counts::oid::integer, stripe) then
            return stripe;
        end if;
    end loop;
    return 63;
end
$$;

-- Each the sum over its stripes; a single one may be negative. account_id: whose list it is, 0: the platform's. category: ''
-- counts all of them.
create table listing_count (
    list        text not null,
    account_id  bigint not null,
    category    text not null,
    stripe      smallint not null,
    n           bigint not null,
    primary key (list, account_id, category, stripe)
) with (fillfactor = 50);

-- How many rows more, or fewer, there are of those that are in the same lists.
create type listing_change as (account_id bigint, category text, is_known boolean, is_listed boolean, is_public boolean,
    is_approved boolean, in_review boolean, n bigint);

create function listing_count_add(changes listing_change[]) returns void language plpgsql
set search_path = developer_apps, pg_temp as $$
declare
    mine smallint;
    counted listing_count;
begin
    if changes = '{}' then
        return;
    end if;
    mine := count_stripe('listing_count');
    for counted in
        insert into listing_count as kept (list, account_id, category, stripe, n)
        select l.list, l.account_id, c.category, mine, sum(n)
          from unnest(changes) as a
               cross join lateral (values ('public', 0::bigint, is_public), ('approved', 0, is_public and is_approved),
                   ('own', a.account_id, is_known), ('unlisted', a.account_id, is_known and not is_listed),
                   ('review', 0, is_known and in_review)) as l (list, account_id, is_in)
               cross join lateral (values (''), (a.category)) as c (category)
         where is_in and c.category is not null
         group by 1, 2, 3 having sum(n) <> 0 order by 1, 2, 3
        on conflict (list, account_id, category, stripe) do update set n = kept.n + excluded.n
        returning kept.*
    loop
        -- Any text can be a category: one that is left leaves nothing here, however many a developer tries.
        if counted.n = 0 and counted.category <> '' then
            delete from listing_count where list = counted.list and account_id = counted.account_id and category = counted.category
                and stripe = counted.stripe and n = 0;
        end if;
    end loop;
end
$$;

-- Statement-level, with the rows before and after: no writer can forget it. What is deleted was in no list yet.
create function listing_counted() returns trigger language plpgsql set search_path = developer_apps, pg_temp as $$
begin
    if tg_op = 'INSERT' then
        perform listing_count_add(array(
            select (account_id, category, version > 0 and not is_deleted, is_listed, is_public, is_approved,
                    review_status in ('submitted', 'in_review'), count(*))::listing_change
              from new_rows
             group by account_id, category, version > 0, is_deleted, is_listed, is_public, is_approved, review_status));
    else
        perform listing_count_add(array(
            select (account_id, category, version > 0 and not is_deleted, is_listed, is_public, is_approved,
                    review_status in ('submitted', 'in_review'), sum(n))::listing_change
              from (select *, 1 as n from new_rows union all select *, -1 from old_rows) as changed
             group by account_id, category, version > 0, is_deleted, is_listed, is_public, is_approved, review_status
            having sum(n) <> 0));
    end if;
    return null;
end
$$;

create trigger counted_insert after insert on listing referencing new table as new_rows
    for each statement execute function listing_counted();
create trigger counted_update after update on listing referencing old table as old_rows new table as new_rows
    for each statement execute function listing_counted();

-- Nobody else writes to listing now, until this is committed.
select listing_count_add(array(
    select (account_id, category, version > 0 and not is_deleted, is_listed, is_public, is_approved,
            review_status in ('submitted', 'in_review'), count(*))::listing_change
      from listing
     group by account_id, category, version > 0, is_deleted, is_listed, is_public, is_approved, review_status));
