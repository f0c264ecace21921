-- The audit log forgets what is older than the operator wants to keep (SX_AUDIT_DAYS). The service itself may not
-- delete a row of it; it may ask for this, which takes the oldest rows and, by the server's own clock, none of the last
-- 30 days: whoever gets hold of the service cannot wipe out what he did. Clocks of processes differ by a little, so rows
-- do not lie quite in the order of their times; a batch looks at the first of them only, and none stays for long.
create function audit_trim(before timestamptz, at_most integer) returns bigint
    language sql security definer set search_path from current as $$
    with first as (select audit_id, at from audit order by audit_id limit at_most),
         gone as (delete from audit where audit_id in (
                      select audit_id from first where at < least(before, now() - interval '30 days'))
                  returning 1)
    select count(*) from gone
$$;
