-- What was paid for an app, kept as its charges change (protocols 12): no look at an app adds them up.

-- Charges that were paid and what is left of them after refunds, each the sum over its stripes; a stripe belongs to a few
-- connections, so that two payments for one app do not wait for each other. A single stripe may be negative.
create table charge_count (
    app_id    bigint not null,
    currency  text not null references currency,
    stripe    smallint not null,
    n         bigint not null,
    amount    bigint not null,
    primary key (app_id, currency, stripe)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- Statement-level, with the rows before and after: no writer can forget it. Added in the order of the key, so that two
-- statements on the same stripe wait for each other and never in a ring. A charge stays for ever, and its app's.
create function charge_counted() returns trigger language plpgsql set search_path = billing, pg_temp as $$
begin
    if tg_op = 'INSERT' then
        insert into charge_count as kept (app_id, currency, stripe, n, amount)
        select app_id, currency, pg_backend_pid() % 64, count(*), sum(amount - refunded_amount)
          from new_rows where status = 'paid' group by app_id, currency order by app_id, currency
        on conflict (app_id, currency, stripe) do update set n = kept.n + excluded.n, amount = kept.amount + excluded.amount;
    else
        insert into charge_count as kept (app_id, currency, stripe, n, amount)
        select app_id, currency, pg_backend_pid() % 64, sum(n), sum(amount)
          from (select app_id, currency, 1 as n, amount - refunded_amount as amount from new_rows where status = 'paid'
                union all
                select app_id, currency, -1, refunded_amount - amount from old_rows where status = 'paid') as changed
         group by app_id, currency having (sum(n), sum(amount)) <> (0, 0) order by app_id, currency
        on conflict (app_id, currency, stripe) do update set n = kept.n + excluded.n, amount = kept.amount + excluded.amount;
    end if;
    return null;
end
$$;

create trigger counted_insert after insert on charge referencing new table as new_rows
    for each statement execute function charge_counted();
create trigger counted_update after update on charge referencing old table as old_rows new table as new_rows
    for each statement execute function charge_counted();

-- Nobody else writes to charge now, until this is committed.
insert into charge_count (app_id, currency, stripe, n, amount)
    select app_id, currency, 0, count(*), sum(amount - refunded_amount) from charge where status = 'paid' group by app_id, currency;
