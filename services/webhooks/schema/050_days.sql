-- Days that go by day alone, how far each log was dropped with them, and subscriptions that were switched off and on again.

-- The highest number of an installation's log that was dropped: days go by the event's time, numbers by arrival, so that what
-- is kept may begin before it. Not a column of sequence: intake locks that before the tables of events, retention after them.
create table log_dropped (
    installation_id  bigint primary key,
    seq              bigint not null
);
insert into log_dropped (installation_id, seq)
    select * from (select installation_id, coalesce((select min(seq) from log where log.installation_id = s.installation_id) - 1, last)
                   from sequence as s) as gone (installation_id, seq) where seq > 0;

drop function partitions_drop(date);

-- The next table of that day, null when there is none left. One at a time: who waits for a table while it has another one
-- locked may wait for somebody who waits for that.
create function partition_drop(day date) returns text language plpgsql security definer
set search_path = webhooks, pg_temp as $$
declare
    base text;
    part text;
begin
    foreach base in array array['log', 'event', 'delivery', 'attempt'] loop
        part := base || to_char(day, '_YYYYMMDD');
        continue when to_regclass(format('webhooks.%I', part)) is null;
        if base = 'log' then
            lock table only log in access exclusive mode;
            execute format('insert into log_dropped as known select i.installation_id, l.seq from installation as i cross join '
                           'lateral (select seq from %I where installation_id = i.installation_id order by seq desc limit 1) '
                           'as l on conflict (installation_id) do update set seq = greatest(known.seq, excluded.seq)', part);
        end if;
        execute format('drop table %I', part);
        return part;
    end loop;
    return null;
end
$$;

-- Deliveries with a lower number are not sent any more: they waited when it was switched off last.
alter table subscription add column off_before bigint not null default 0;

-- What developers and merchants have made, which is counted when they make more.
create index subscription_of_developer on subscription (app_id) where store_id is null and status in ('active', 'inactive');
create index subscription_of_merchant on subscription (store_id)
    where installation_id is null and status in ('active', 'inactive');
