-- What an app has subscribed to and what was delivered to it, kept as it happens (protocols 12): no look at an app counts
-- subscriptions or deliveries. Each count is the sum over its stripes; a single one of subscriptions may be negative.

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

create table subscription_count (
    app_id  bigint not null,
    stripe  smallint not null,
    active  bigint not null,
    primary key (app_id, stripe)
) with (fillfactor = 50);

-- Of a UTC day, that on which they were over. Goes with the deliveries (retention.c).
create table delivery_count (
    app_id     bigint not null,
    day        date not null,
    stripe     smallint not null,
    delivered  bigint not null,
    failed     bigint not null,
    last_id    bigint not null,                  -- the newest delivery among them
    primary key (app_id, day, stripe)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000);
create index delivery_count_day on delivery_count (day);

-- Statement-level, with the rows before and after: no writer can forget it. Subscriptions stay for ever, and their app's.
create function subscription_counted() returns trigger language plpgsql set search_path = webhooks, pg_temp as $$
declare
    mine constant smallint := count_stripe('subscription_count');
begin
    if tg_op = 'INSERT' then
        insert into subscription_count as kept (app_id, stripe, active)
        select app_id, mine, count(*)
          from new_rows where status = 'active' and app_id is not null group by app_id order by app_id
        on conflict (app_id, stripe) do update set active = kept.active + excluded.active;
    else
        insert into subscription_count as kept (app_id, stripe, active)
        select app_id, mine, sum(n)
          from (select app_id, 1 as n from new_rows where status = 'active' and app_id is not null
                union all
                select app_id, -1 from old_rows where status = 'active' and app_id is not null) as changed
         group by app_id having sum(n) <> 0 order by app_id
        on conflict (app_id, stripe) do update set active = kept.active + excluded.active;
    end if;
    return null;
end
$$;

create trigger counted_insert after insert on subscription referencing new table as new_rows
    for each statement execute function subscription_counted();
create trigger counted_update after update on subscription referencing old table as old_rows new table as new_rows
    for each statement execute function subscription_counted();

-- A delivery that is over never changes again in what is counted, and goes with its day's table. The look-up is a lateral
-- one, so that it goes by the index whatever PostgreSQL believes of the tables' sizes.
create function delivery_counted() returns trigger language plpgsql set search_path = webhooks, pg_temp as $$
declare
    mine constant smallint := count_stripe('delivery_count');
begin
    insert into delivery_count as kept (app_id, day, stripe, delivered, failed, last_id)
    select app_id, day, mine, count(*) filter (where state = 'success'), count(*) filter (where state = 'failed'),
           max(delivery_id)
      from (select subscription_id, delivery_id, state, (finished_at at time zone 'UTC')::date as day from new_rows) as d
           cross join lateral (select app_id from subscription where subscription_id = d.subscription_id and
                               app_id is not null offset 0) as s
     group by app_id, day order by app_id, day
    on conflict (app_id, day, stripe) do update set delivered = kept.delivered + excluded.delivered,
        failed = kept.failed + excluded.failed, last_id = greatest(kept.last_id, excluded.last_id);
    return null;
end
$$;

create trigger counted_insert after insert on delivery referencing new table as new_rows
    for each statement execute function delivery_counted();

-- Nobody else writes to these two now, until this is committed.
insert into subscription_count (app_id, stripe, active)
    select app_id, 0, count(*) from subscription where status = 'active' and app_id is not null group by app_id;
insert into delivery_count (app_id, day, stripe, delivered, failed, last_id)
    select app_id, (finished_at at time zone 'UTC')::date, 0, count(*) filter (where state = 'success'),
           count(*) filter (where state = 'failed'), max(delivery_id)
      from delivery join subscription using (subscription_id) where app_id is not null group by 1, 2;
