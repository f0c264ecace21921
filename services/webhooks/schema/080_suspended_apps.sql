-- Apps that are suspended, as auth tells: what is for them waits (queries_deliver.h). One that was reinstated stays, for
-- its version: what says a lower one comes too late.
create table suspended_app (
    app_id        bigint primary key,
    is_suspended  boolean not null,
    version       bigint not null
);

-- A queue that waits for the end of its app's suspension is due at infinity.
alter table queue add column waits_for_app bigint;
create index queue_waits on queue (waits_for_app, subscription_id) where waits_for_app is not null;
