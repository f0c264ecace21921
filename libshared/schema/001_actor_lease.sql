-- Which process runs an actor at the moment (libshared/actor.h). The row picks one of several; correctness never depends
-- on it, because a process that was stopped may wake up after its time.
create table actor_lease (
    name    text primary key,
    holder  bigint not null,                -- random, made anew by each actor
    until   timestamptz not null            -- by the database's clock
) with (fillfactor = 20);
