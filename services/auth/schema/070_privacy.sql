-- A customer's wish is told to the apps with what store-data knows about them, and carried out there: both by an actor, which
-- takes a row when next_at has come, puts that ahead while it works, and empties it when nothing is left to do.
alter table privacy_request
    add column told_at      timestamptz,
    add column completed_at timestamptz,
    add column tries        integer not null default 0,
    add column next_at      timestamptz;

-- Those from before were told with the id alone; erasing what store-data holds is still to be done.
update privacy_request
   set told_at = created_at,
       completed_at = case kind when 'data_request' then created_at end,
       next_at = case kind when 'redact' then now() end;

create index privacy_request_next on privacy_request (next_at) where next_at is not null;
create index privacy_request_untold on privacy_request (store_id, customer_id, privacy_request_id) where told_at is null;
