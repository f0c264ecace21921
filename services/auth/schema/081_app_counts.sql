-- How many stores have an app, and have or had it, kept as they come and go (protocols 12): no look at an app counts them.

-- Each count is the sum over its stripes; a stripe belongs to a few connections, so that stores which install one app at the
-- same moment do not wait for each other. A single stripe may be negative.
create table installation_count (
    app_id  bigint not null,
    stripe  smallint not null,
    active  bigint not null,
    total   bigint not null,
    primary key (app_id, stripe)
) with (fillfactor = 50);

-- Statement-level, with the rows before and after: no writer can forget it. Added in the order of the key, so that two
-- statements on the same stripe wait for each other and never in a ring. An installation stays for ever, and its app's.
create function installation_counted() returns trigger language plpgsql set search_path = auth, pg_temp as $$
begin
    if tg_op = 'INSERT' then
        insert into installation_count as kept (app_id, stripe, active, total)
        select app_id, pg_backend_pid() % 64, count(*) filter (where status = 'active'), count(*)
          from new_rows group by app_id order by app_id
        on conflict (app_id, stripe) do update
            set active = kept.active + excluded.active, total = kept.total + excluded.total;
    else
        insert into installation_count as kept (app_id, stripe, active, total)
        select app_id, pg_backend_pid() % 64, sum(n), 0
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
