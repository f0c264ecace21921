-- Apps that are suspended, as auth tells: what is for them waits (queries_deliver.h). One that was reinstated stays, for
-- its version: what says a lower one comes too late. A queue that waits for that is due at infinity.
create table suspended_app (
    app_id        bigint primary key,
    is_suspended  boolean not null,
    version       bigint not null
);
