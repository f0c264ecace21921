-- Apps that an operator has suspended (app_suspension.c): their developers cannot switch them on.

-- A suspended app is not active, so that whatever asks for that holds; active_after is what its developer wants it to be
-- once it is reinstated. suspension_version counts up with each suspension and each end of one.
alter table app
    add column suspended_at        timestamptz,
    add column suspension_reason   text,
    add column active_after        boolean,
    add column suspension_version  bigint not null default 0,
    add constraint app_suspended check (case when suspended_at is null then suspension_reason is null and active_after is null
                                        else suspension_reason is not null and active_after is not null and not is_active end)
        not valid;   -- every row there is holds it: nothing is to be read under the lock

-- Why something was done, where whoever did it has said so.
alter table audit add column reason text;
