-- Totals that cost the same however large the store is: orders per UTC month, and categories.
--
-- A range of years was the sum over each of its days, in up to eight stripes. With months beside the days ('m', on the
-- month's first day) it is that of its whole months and of at most two months of days.

create or replace function store_order_counted() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into kept_count as kept (store_id, kind, status, day, stripe, n)
        select store_id, kind, status, day, kept_stripe(day), n
          from (select store_id, case when grouping(month) = 0 then 'm'::"char" else 'o' end as kind,
                       coalesce(order_status, '') as status, coalesce(day, month, '-infinity') as day, count(*) as n
                  from (select store_id, order_status, (created_at at time zone 'UTC')::date as day,
                               date_trunc('month', created_at at time zone 'UTC')::date as month
                          from new_rows where deleted_at is null) as added
                 group by store_id, cube (order_status), grouping sets ((), (day), (month))) as count
         order by 1, 2, 3, 4
        on conflict (store_id, kind, status, day, stripe) do update set n = kept.n + excluded.n;
    elsif tg_op = 'UPDATE' then
        insert into kept_count as kept (store_id, kind, status, day, stripe, n)
        select store_id, kind, status, day, kept_stripe(day), n
          from (select store_id, case when grouping(month) = 0 then 'm'::"char" else 'o' end as kind,
                       coalesce(order_status, '') as status, coalesce(day, month, '-infinity') as day, sum(n) as n
                  from (select before.store_id, change.order_status,
                               (change.created_at at time zone 'UTC')::date as day,
                               date_trunc('month', change.created_at at time zone 'UTC')::date as month, change.n
                          from old_rows as before join new_rows as after using (store_id, order_id)
                               cross join lateral (values
                                   (before.order_status, before.created_at, before.deleted_at, -1),
                                   (after.order_status, after.created_at, after.deleted_at, 1))
                                   as change (order_status, created_at, deleted_at, n)
                         where (before.order_status, before.created_at, before.deleted_at)
                               is distinct from (after.order_status, after.created_at, after.deleted_at)
                           and change.deleted_at is null) as changed
                 group by store_id, cube (order_status), grouping sets ((), (day), (month))
                having sum(n) <> 0) as count
         order by 1, 2, 3, 4
        on conflict (store_id, kind, status, day, stripe) do update set n = kept.n + excluded.n;
    else
        insert into kept_count as kept (store_id, kind, status, day, stripe, n)
        select store_id, kind, status, day, kept_stripe(day), -n
          from (select store_id, case when grouping(month) = 0 then 'm'::"char" else 'o' end as kind,
                       coalesce(order_status, '') as status, coalesce(day, month, '-infinity') as day, count(*) as n
                  from (select store_id, order_status, (created_at at time zone 'UTC')::date as day,
                               date_trunc('month', created_at at time zone 'UTC')::date as month
                          from old_rows where deleted_at is null) as removed
                 group by store_id, cube (order_status), grouping sets ((), (day), (month))) as count
         order by 1, 2, 3, 4
        on conflict (store_id, kind, status, day, stripe) do update set n = kept.n + excluded.n;
    end if;
    return null;
end
$$;

-- Nobody writes orders while the months are added up that are there already.
lock table store_order in share row exclusive mode;
insert into kept_count (store_id, kind, status, day, stripe, n)
select store_id, 'm', status, date_trunc('month', day)::date, 0, sum(n)
  from kept_count where kind = 'o' and day > '-infinity'
 group by 1, 3, 4;

-- ---- categories ----------------------------------------------------------------------------------------------------

-- 'c': categories, with no status.
alter table kept_total drop constraint if exists kept_total_kind_check;

-- The triggers come first: they keep writers out until this file has been committed with what was there before.
create function category_counted() returns trigger language plpgsql as $$
begin
    insert into kept_total as kept (store_id, kind, status, stripe, n)
    select store_id, 'c', '', kept_stripe('-infinity'), case tg_op when 'INSERT' then 1 else -1 end * count(*)
      from changed_rows group by store_id order by store_id
    on conflict (store_id, kind, status, stripe) do update set n = kept.n + excluded.n;
    return null;
end
$$;

create trigger counted_insert after insert on category referencing new table as changed_rows
    for each statement execute function category_counted();
create trigger counted_delete after delete on category referencing old table as changed_rows
    for each statement execute function category_counted();

insert into kept_total (store_id, kind, status, stripe, n)
select store_id, 'c', '', 0, count(*) from category group by store_id;
