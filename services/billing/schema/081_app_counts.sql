-- How many charges an app has, what was paid of them, and how long its list of revenue is, kept as they change (protocols 12):
-- no list and no look at an app counts them or adds them up.

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

-- Charges by status, and what is left of them after refunds, each the sum over its stripes; a single one may be negative.
create table charge_count (
    app_id    bigint not null,
    currency  text not null references currency,
    status    text not null,
    stripe    smallint not null,
    n         bigint not null,
    amount    bigint not null,
    primary key (app_id, currency, status, stripe)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- Statement-level, with the rows before and after: no writer can forget it. A charge stays for ever, and its app's.
create function charge_counted() returns trigger language plpgsql set search_path = billing, pg_temp as $$
declare
    mine constant smallint := count_stripe('charge_count');
begin
    if tg_op = 'INSERT' then
        insert into charge_count as kept (app_id, currency, status, stripe, n, amount)
        select app_id, currency, status, mine, count(*), sum(amount - refunded_amount)
          from new_rows group by 1, 2, 3 order by 1, 2, 3
        on conflict (app_id, currency, status, stripe) do update
            set n = kept.n + excluded.n, amount = kept.amount + excluded.amount;
    else
        insert into charge_count as kept (app_id, currency, status, stripe, n, amount)
        select app_id, currency, status, mine, sum(n), sum(amount)
          from (select app_id, currency, status, 1 as n, amount - refunded_amount as amount from new_rows
                union all
                select app_id, currency, status, -1, refunded_amount - amount from old_rows) as changed
         group by 1, 2, 3 having (sum(n), sum(amount)) <> (0, 0) order by 1, 2, 3
        on conflict (app_id, currency, status, stripe) do update
            set n = kept.n + excluded.n, amount = kept.amount + excluded.amount;
    end if;
    return null;
end
$$;

create trigger counted_insert after insert on charge referencing new table as new_rows
    for each statement execute function charge_counted();
create trigger counted_update after update on charge referencing old table as old_rows new table as new_rows
    for each statement execute function charge_counted();

-- Counted with the sums, in the row that each entry changes anyway.
alter table developer_balance add column entries bigint not null default 0;

-- Nobody else writes to these now, until this is committed.
lock table revenue in share row exclusive mode;
insert into charge_count (app_id, currency, status, stripe, n, amount)
    select app_id, currency, status, 0, count(*), sum(amount - refunded_amount) from charge group by 1, 2, 3;
update developer_balance as b set entries = r.n
  from (select app_id, currency, count(*) as n from revenue group by 1, 2) as r
 where r.app_id = b.app_id and r.currency = b.currency;
