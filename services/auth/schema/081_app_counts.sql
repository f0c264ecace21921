-- How many apps a developer has, and how many stores have an app, and have or had it, kept as they come and go (protocols
-- 12): no list and no look at an app counts them.

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

-- Each count is the sum over its stripes; a single one may be negative.
create table installation_count (
    app_id  bigint not null,
    stripe  smallint not null,
    active  bigint not null,
    total   bigint not null,
    primary key (app_id, stripe)
) with (fillfactor = 50);

-- Statement-level, with the rows before and after: no writer can forget it. An installation stays for ever, and its app's.
create function installation_counted() returns trigger language plpgsql set search_path = auth, pg_temp as $$
declare
    mine constant smallint := count_stripe('installation_count');
begin
    if tg_op = 'INSERT' then
        insert into installation_count as kept (app_id, stripe, active, total)
        select app_id, mine, count(*) filter (where status = 'active'), count(*)
          from new_rows group by app_id order by app_id
        on conflict (app_id, stripe) do update
            set active = kept.active + excluded.active, total = kept.total + excluded.total;
    else
        insert into installation_count as kept (app_id, stripe, active, total)
        select app_id, mine, sum(n), 0
          from (select app_id, 1 as n from new_rows where status = 'active'
                union all
                select app_id, -1 from old_rows where status = 'active') as changed
         group by app_id having sum(n) <> 0 order by app_id
        on conflict (app_id, stripe) do update set active = kept.active + excluded.active;
    end if;
    return null;
end
$$;

create trigger counted_insert after insert on installation referencing new table as new_rows
    for each statement execute function installation_counted();
create trigger counted_update after update on installation referencing old table as old_rows new table as new_rows
    for each statement execute function installation_counted();

-- Nobody else writes to installation now, until this is committed.
insert into installation_count (app_id, stripe, active, total)
    select app_id, 0, count(*) filter (where status = 'active'), count(*) from installation group by app_id;

-- ---- a developer's apps ---------------------------------------------------------------------------------------------

create table app_count (
    account_id  bigint not null,
    is_active   boolean not null,
    is_listed   boolean not null,
    stripe      smallint not null,
    n           bigint not null,
    primary key (account_id, is_active, is_listed, stripe)
) with (fillfactor = 50);

-- Custom apps are no developer's.
create function app_counted() returns trigger language plpgsql set search_path = auth, pg_temp as $$
declare
    mine constant smallint := count_stripe('app_count');
begin
    if tg_op = 'INSERT' then
        insert into app_count as kept (account_id, is_active, is_listed, stripe, n)
        select owner_account_id, is_active, is_listed, mine, count(*)
          from new_rows where home_store_id is null and deleted_at is null group by 1, 2, 3 order by 1, 2, 3
        on conflict (account_id, is_active, is_listed, stripe) do update set n = kept.n + excluded.n;
    else
        insert into app_count as kept (account_id, is_active, is_listed, stripe, n)
        select owner_account_id, is_active, is_listed, mine, sum(n)
          from (select owner_account_id, is_active, is_listed, 1 as n
                  from new_rows where home_store_id is null and deleted_at is null
                union all
                select owner_account_id, is_active, is_listed, -1
                  from old_rows where home_store_id is null and deleted_at is null) as changed
         group by 1, 2, 3 having sum(n) <> 0 order by 1, 2, 3
        on conflict (account_id, is_active, is_listed, stripe) do update set n = kept.n + excluded.n;
    end if;
    return null;
end
$$;

create trigger counted_insert after insert on app referencing new table as new_rows
    for each statement execute function app_counted();
create trigger counted_update after update on app referencing old table as old_rows new table as new_rows
    for each statement execute function app_counted();

-- Nobody else writes to app now, until this is committed.
insert into app_count (account_id, is_active, is_listed, stripe, n)
    select owner_account_id, is_active, is_listed, 0, count(*)
      from app where home_store_id is null and deleted_at is null group by 1, 2, 3;
