-- Two that make the same day at once: after the wait it is asked in pg_class whether the other one has made it.
-- to_regclass would still answer from before the wait, and the second one fail.
create or replace function partitions_make(day date) returns void language plpgsql security definer
set search_path = webhooks, pg_temp as $$
declare
    base text;
    part text;
begin
    foreach base in array array['event', 'log', 'delivery', 'attempt'] loop
        part := base || to_char(day, '_YYYYMMDD');
        continue when to_regclass(format('webhooks.%I', part)) is not null;
        perform pg_advisory_xact_lock(hashtextextended('webhooks partitions', 0));
        continue when exists (select from pg_class where relname = part and relnamespace = 'webhooks'::regnamespace);
        execute format('create table %I (like %I including defaults including constraints)', part, base);
        execute format('alter table %I attach partition %I for values from (%L) to (%L)', base, part,
                       day || ' 00:00+00', day + 1 || ' 00:00+00');
    end loop;
end
$$;
