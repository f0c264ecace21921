-- What webhooks is told: where an app wants its events, and how an installation ends (protocols 8).

-- Topics that each installation of the app is subscribed to by itself, and the address for them (contract C.1 step 5).
alter table app
    add column webhook_topics jsonb not null default '[]' check (jsonb_typeof(webhook_topics) = 'array'),
    add column webhook_receive_url text;

-- app.uninstalled: made with the uninstall, handed to webhooks by its first step there, the same each time it is tried.
-- null: it lies in the outbox, as it did before there were webhooks.
alter table uninstall
    add column event_id uuid not null default gen_random_uuid(),
    add column event json;

-- The two steps of webhooks come after the first one.
update uninstall set step = step + 2 where step >= 1;
