-- billing: what apps charge, what merchants pay, and the ledger in which each of these amounts is found again.
--
-- Amounts are whole numbers of a currency's smallest unit (146000 is 1460.00 BDT). Rates are parts of a million.

-- unit is what the smallest unit is worth, with the currency's decimals: an amount times unit is the amount as the API shows
-- it, exactly.
create table currency (
    code      text primary key check (code ~ '^[A-Z]{3}$'),
    decimals  smallint not null check (decimals between 0 and 3),
    unit      numeric not null generated always as (round(10::numeric ^ -decimals, decimals)) stored,
    smallest  bigint not null check (smallest > 0),              -- of a charge's base amount (contract E.1)
    largest   bigint not null check (largest >= smallest)
);
insert into currency (code, decimals, smallest, largest) values ('BDT', 2, 1000, 5000000);

-- An app's terms, from auth and its developer. Without a row: developer pays, and the platform's own rate.
create table app_terms (
    app_id           bigint primary key,
    fee_payer        text not null default 'developer' check (fee_payer in ('developer', 'merchant')),
    commission_rate  integer check (commission_rate between 0 and 1000000),   -- null: the platform's
    updated_at       timestamptz not null
);

-- The last generation of an installation that has ended (protocols 8). Who charges locks this row, so a charge comes
-- before the end, which then cancels it, or finds it and is refused.
create table installation (
    installation_id  bigint primary key,
    ended            integer not null default 0
) with (fillfactor = 60);

-- ---- the ledger ------------------------------------------------------------------------------------------------------

-- Double entry: each amount goes from one account to another, so that the ledger balances however it came about. An
-- account's balance is what came in less what went out.
--   provider   what payment providers hold for us, or have handed over; goes below zero as much as was paid
--   platform   commission         gateway  payment providers' fees
--   developer  what is owed to an app's developer         payout  of it, what is on its way to them        paid  what arrived
--   owed       what merchants paid that nobody may keep: it is to go back
--   issue      where the money in wallets comes from      wallet  of an app in a store                     spent  where debits go
create table account (
    account_id  bigint generated always as identity primary key,
    kind        text not null check (kind in ('provider', 'platform', 'gateway', 'developer', 'payout', 'paid', 'owed',
                                              'issue', 'wallet', 'spent')),
    app_id      bigint not null default 0,
    store_id    bigint not null default 0,
    currency    text not null references currency,
    unique (kind, app_id, store_id, currency)
);

create table transfer (
    transfer_id   bigint generated always as identity primary key,
    from_account  bigint not null references account,
    to_account    bigint not null references account,
    amount        bigint not null check (amount > 0),
    reason        text not null check (reason in ('charge', 'topup', 'debit', 'refund', 'payout', 'adjustment')),
    charge_id     bigint,
    at            timestamptz not null,
    check (from_account <> to_account)
);

-- Transfers that are in no block yet, in a table of its own: what seals them finds them at its end, and a transfer's own
-- row never changes.
create table unsealed (transfer_id bigint primary key);
alter table unsealed set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Each block's hash covers the one before it and its transfers word for word (ledger_hash.c), so none of them can be
-- changed, taken out or put in unnoticed.
create table block (
    block_id   bigint primary key,
    transfers  bigint[] not null,
    hash       bytea not null check (octet_length(hash) = 32),
    sealed_at  timestamptz not null
);

-- One statement's transfers must move between accounts of one currency.
create function transfer_unsealed() returns trigger language plpgsql as $$
begin
    if exists (select from fresh join account as f on f.account_id = from_account join account as t on
               t.account_id = to_account where f.currency <> t.currency) then
        raise exception 'a transfer between two currencies' using errcode = '23514';
    end if;
    insert into unsealed (transfer_id) select transfer_id from fresh;
    return null;
end
$$;
create trigger transfer_unsealed after insert on transfer
    referencing new table as fresh for each statement execute function transfer_unsealed();

-- Append-only: the service may write transfers and blocks, and never again touch what is written.
do $$
begin
    execute format('revoke update, delete, truncate on transfer, block, account, currency from %I', current_schema());
end
$$;

-- ---- wallets ---------------------------------------------------------------------------------------------------------

-- One per app and store. balance is that of its account, and is changed with it: the row is the lock on which debits
-- wait for each other.
create table wallet (
    wallet_id    bigint generated always as identity primary key,
    app_id       bigint not null,
    store_id     bigint not null,
    currency     text not null references currency,
    account_id   bigint not null unique references account,
    balance      bigint not null default 0 check (balance >= 0),
    total_topup  bigint not null default 0,
    total_spent  bigint not null default 0,
    updated_at   timestamptz not null,
    unique (store_id, app_id, currency)
) with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

create table wallet_transaction (
    transaction_id  bigint generated always as identity primary key,
    wallet_id       bigint not null references wallet,
    type            text not null check (type in ('topup', 'debit', 'refund', 'adjustment')),
    amount          bigint not null check (amount > 0),
    balance_after   bigint not null check (balance_after >= 0),
    description     text,
    charge_id       bigint,
    transfer_id     bigint not null references transfer,
    metadata        json,
    created_at      timestamptz not null
);
create index on wallet_transaction (wallet_id, transaction_id);

-- ---- subscriptions ----------------------------------------------------------------------------------------------------

-- What comes back each month or year until somebody ends it. Every period is paid by a charge of its own; charge_id is the
-- latest of them. A trial is a period that nobody pays for.
--   pending -> active (paid, or in its trial; also while the next payment is late) -> cancelled
-- Periods are counted from anchor_at, so that the month after a short one has its own length again (period.h).
create table subscription (
    subscription_id       bigint primary key,       -- the number of its first charge
    store_id              bigint not null,
    app_id                bigint not null,
    installation_id       bigint not null,
    generation            integer not null,
    name                  text not null,
    description           text,
    currency              text not null references currency,
    base_amount           bigint not null check (base_amount > 0),
    billing_interval      text not null check (billing_interval in ('monthly', 'yearly')),
    trial_days            integer not null check (trial_days between 0 and 365),
    return_url            text,
    metadata              json,
    status                text not null check (status in ('pending', 'active', 'cancelled')),
    reason                text,
    charge_id             bigint,
    anchor_at             timestamptz,              -- the first paid period's beginning
    periods               integer not null default 0,   -- paid for
    period_starts_at      timestamptz,
    period_ends_at        timestamptz,
    cancel_at_period_end  boolean not null default false,
    due_at                timestamptz,              -- when the scheduler has something to do (schedule.c)
    created_at            timestamptz not null,
    activated_at          timestamptz,
    ended_at              timestamptz
);
create index subscription_of_installation on subscription (installation_id, subscription_id);
create index subscription_of_store_due on subscription (store_id, due_at, subscription_id) where due_at is not null;
create index subscription_due on subscription (due_at, subscription_id) where due_at is not null;
create index subscription_living on subscription (installation_id, subscription_id) where status <> 'cancelled';

-- ---- usage -----------------------------------------------------------------------------------------------------------

-- What an installation has used and not been asked to pay yet: one open bill each. At the end of its month it becomes a
-- charge, or stays open for another month while it is below the smallest charge. used is this month's part, which
-- capped_amount limits; told is the highest part of the cap, in percent, of which an event was sent.
create table usage_bill (
    usage_bill_id    bigint generated always as identity primary key,
    store_id         bigint not null,
    app_id           bigint not null,
    installation_id  bigint not null,
    generation       integer not null,
    currency         text not null references currency,
    status           text not null default 'open' check (status in ('open', 'billed', 'cancelled')),
    starts_at        timestamptz not null,
    ends_at          timestamptz not null,
    used             bigint not null default 0 check (used >= 0),
    capped_amount    bigint check (capped_amount > 0),
    told             smallint not null default 0 check (told in (0, 50, 80, 100)),
    amount           bigint not null default 0 check (amount >= used),
    platform_amount  bigint not null default 0 check (platform_amount between 0 and amount),
    charge_id        bigint,
    due_at           timestamptz,                   -- as with a subscription; null: nothing is owed
    check (used <= capped_amount)
) with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
create unique index usage_bill_open on usage_bill (installation_id, currency) where status = 'open';
create index usage_bill_of_installation on usage_bill (installation_id, generation, usage_bill_id);
create index usage_bill_of_store_due on usage_bill (store_id, due_at, usage_bill_id) where due_at is not null;
create index usage_bill_due on usage_bill (due_at, usage_bill_id) where due_at is not null;

-- quantity is in thousandths. The developer pays the commission, and no payment provider takes part (contract E.3).
create table usage_charge (
    usage_charge_id   bigint generated always as identity primary key,
    usage_bill_id     bigint not null references usage_bill,
    installation_id   bigint not null,
    description       text not null,
    quantity          bigint not null check (quantity > 0),
    unit_price        bigint not null check (unit_price > 0),
    amount            bigint not null check (amount > 0),
    platform_amount   bigint not null check (platform_amount between 0 and amount),
    metadata          json,
    idempotency_key   text,
    created_at        timestamptz not null
);
create index usage_charge_of_installation on usage_charge (installation_id, usage_charge_id);
create unique index usage_charge_key on usage_charge (installation_id, idempotency_key) where idempotency_key is not null;

-- ---- a store's own clock ---------------------------------------------------------------------------------------------

-- Under SX_DEV=1 a store's time can be stopped and moved on by billing.clock.advance. Empty otherwise.
create table clock (
    store_id  bigint primary key,
    at        timestamptz not null
);

-- ---- charges ---------------------------------------------------------------------------------------------------------

-- What an app asks a merchant for. The split and the rates are copied here when it is made, and never worked out again.
-- status: paid is completed to developers (contract K.5). A recurring charge stays paid when its time is over: ended_at is
-- set then, and reason when its subscription was cancelled. shown: the word that apps and merchants read, active while a
-- subscription's payment is the latest one.
create table charge (
    charge_id           bigint generated always as identity primary key,
    store_id            bigint not null,
    app_id              bigint not null,
    installation_id     bigint not null,
    generation          integer not null,
    charge_type         text not null check (charge_type in ('one_time', 'recurring', 'usage', 'wallet_topup')),
    subscription_id     bigint references subscription,   -- recurring: whose period it pays for
    name                text not null,
    description         text,
    currency            text not null references currency,
    base_amount         bigint not null check (base_amount > 0),
    amount              bigint not null check (amount > 0),
    fee_payer           text not null check (fee_payer in ('developer', 'merchant')),
    commission_rate     integer not null,
    gateway_fee_rate    integer not null,
    platform_amount     bigint not null check (platform_amount >= 0),
    gateway_fee_amount  bigint not null check (gateway_fee_amount >= 0),
    developer_amount    bigint not null check (developer_amount >= 0),
    refunded_amount     bigint not null default 0 check (refunded_amount between 0 and amount),
    status              text not null check (status in ('pending', 'paid', 'declined', 'cancelled', 'expired')),
    reason              text,                     -- why it was cancelled
    return_url          text,
    metadata            json,
    created_at          timestamptz not null,
    expires_at          timestamptz not null,     -- when nobody answers
    activated_at        timestamptz,
    ended_at            timestamptz,
    shown               text not null generated always as (case when status <> 'paid' then status when ended_at is null
                        then 'active' when reason is null then 'completed' else 'cancelled' end) stored,
    check (amount = platform_amount + gateway_fee_amount + developer_amount)
);
create index charge_of_subscription on charge (subscription_id) where subscription_id is not null and shown = 'active';
create index charge_of_installation on charge (installation_id, shown, charge_id);
create index charge_of_store on charge (store_id, charge_id);
create index charge_of_store_in on charge (store_id, shown, charge_id);
create index charge_of_app on charge (app_id, charge_id);
create index charge_of_app_status on charge (app_id, status, charge_id);
create index charge_due on charge (expires_at, charge_id) where status = 'pending';
create index charge_of_store_due on charge (store_id, expires_at, charge_id) where status = 'pending';

-- One try to pay a charge, at a payment provider. reference is what the provider knows it by (merchant_transaction_id).
-- duplicate: the money came although the charge was paid or over; it is to go back, and when an operator has said that it
-- went, the payment is returned.
-- location: where the provider wants the browser, once it was asked; nobody else asks until busy_until. While the
-- payment is open and nothing is heard of it, the provider is asked what became of it at ask_at, less and less often.
create table checkout (
    checkout_id  bigint generated always as identity primary key,
    charge_id    bigint not null references charge,
    account_id   bigint not null,              -- who approved the charge
    provider     text not null check (provider in ('sandbox', 'eps')),
    reference    text not null unique,
    status       text not null check (status in ('open', 'paid', 'failed', 'cancelled', 'duplicate', 'returned')),
    note         text,                         -- how it was returned
    location     text,
    busy_until   timestamptz,
    ask_at       timestamptz not null,
    asked        smallint not null default 0,
    created_at   timestamptz not null,
    finished_at  timestamptz
);
create index on checkout (charge_id, checkout_id desc);
create index checkout_unheard on checkout (ask_at) where status = 'open';
create index checkout_owed on checkout (checkout_id) where status = 'duplicate';

-- What the sandbox remembers of the payments made on its page: its own word, as a real provider would keep it.
create table sandbox_payment (
    reference  text primary key,
    outcome    text not null check (outcome in ('paid', 'failed', 'cancelled', 'stalled')),
    at         timestamptz not null
);

create table refund (
    refund_id    bigint generated always as identity primary key,
    charge_id    bigint not null references charge,
    amount       bigint not null check (amount > 0),
    reason       text,
    created_at   timestamptz not null
);

-- ---- developers ------------------------------------------------------------------------------------------------------

-- What the ledger says of an app's developer, as they ask for it: a row for each transfer into or out of their account
-- that a payment or a refund made, and their sums. paid_out counts a payout from the moment it is asked for, of which
-- on_its_way has not arrived yet. The row is the lock on which payouts wait for each other.
create table revenue (
    transfer_id  bigint primary key references transfer,
    app_id       bigint not null,
    charge_id    bigint not null references charge,
    type         text not null,                 -- the transfer's reason
    paid         bigint not null,               -- by the merchant; of a refund below zero
    earned       bigint not null,               -- of it, by the developer
    currency     text not null references currency,
    created_at   timestamptz not null
);
create index on revenue (app_id, transfer_id);

create table developer_balance (
    app_id      bigint,
    currency    text references currency,
    earned      bigint not null default 0,      -- less what was refunded: may fall below what has been paid out
    paid_out    bigint not null default 0 check (paid_out >= 0),
    on_its_way  bigint not null default 0 check (on_its_way between 0 and paid_out),
    updated_at  timestamptz not null,
    primary key (app_id, currency)
) with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- An operator sends the money, and then says that it has arrived or come back.
create table payout (
    payout_id        bigint generated always as identity primary key,
    app_id           bigint not null,
    currency         text not null references currency,
    amount           bigint not null check (amount > 0),
    all_of_it        boolean not null,          -- asked for without an amount
    status           text not null default 'pending' check (status in ('pending', 'paid', 'failed')),
    note             text,                      -- the bank's reference, or why it failed
    idempotency_key  text,
    requested_by     bigint not null,           -- account
    created_at       timestamptz not null,
    finished_at      timestamptz,
    unique (app_id, idempotency_key)
);
create index on payout (app_id, payout_id);
create index payout_pending on payout (payout_id) where status = 'pending';
