-- An installation whose end fails is passed over, and the others of its app, and other apps, go on (app_ending.c).
alter table app_ending
    add column after_id  bigint not null default 0,                   -- where this round goes on; above 0: some were passed over
    add column tries     integer not null default 0,                  -- how many rounds have passed over some
    add column due_at    timestamptz not null default '-infinity';    -- when the next round begins
create index app_ending_due on app_ending (due_at, app_id);
