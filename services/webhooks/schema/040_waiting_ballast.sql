-- waiting is empty most of the time and holds a million rows at others. Plans are made once, with whatever PostgreSQL counted
-- last: for an empty table it takes any of the four indexes, reads all of it and sorts, and goes on doing so while the table
-- fills up. Rows that are for nobody, at no time, keep it from ever believing that the table is small.
insert into waiting (delivery_id, subscription_id, event_id, event_at, topic, resource_type, resource_id, next_at, created_at)
    select -n, 0, '00000000-0000-0000-0000-000000000000', 'infinity', '', '', -n, 'infinity', 'infinity'
    from generate_series(1, 10000) as n;
analyze waiting;
