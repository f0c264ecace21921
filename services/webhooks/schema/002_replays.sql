-- Replays: events that are sent once more, a whole range of them (contract K.4).

-- The delivery that began a failed one anew: it is not to be repeated any more.
alter table delivery add column retried_as bigint;
create index delivery_to_repeat on delivery (subscription_id, event_at, delivery_id)
    where state = 'failed' and retried_as is null and resource_type <> 'test';
create index log_by_time on log (installation_id, topic, event_at, seq);

create sequence replay_id_seq;

-- subscription_id, topic: of these alone. status: failed, what failed and was not repeated since; all: every event of
-- the log, delivered or not. at_*: how far it has come, one subscription after the other. before_delivery: what failed
-- in the replay itself is not taken up again. next_at: when the next ones may go out.
create table replay (
    replay_id        bigint primary key default nextval('replay_id_seq'),
    installation_id  bigint not null references installation,
    generation       integer not null,
    subscription_id  bigint,
    topic            text,
    event_id         uuid,
    status           text not null check (status in ('failed', 'all')),
    from_at          timestamptz not null,
    to_at            timestamptz not null,
    rate             integer not null check (rate > 0),
    state            text not null check (state in ('running', 'completed', 'cancelled', 'stopped')),
    total            integer not null,
    queued           bigint not null default 0,
    at_subscription  bigint not null default 0,
    at_time          timestamptz not null,
    at_number        bigint not null default 0,
    before_delivery  bigint not null default nextval('delivery_id_seq'),
    next_at          timestamptz not null,
    created_at       timestamptz not null,
    finished_at      timestamptz
);
create unique index replay_running on replay (installation_id) where state = 'running';
create index replay_due on replay (next_at) where state = 'running';
create index replay_of_installation on replay (installation_id, replay_id desc);
