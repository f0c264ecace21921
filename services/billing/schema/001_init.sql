-- billing: what apps charge, what merchants pay, and the ledger in which each of these amounts is found again.
--
-- Amounts are whole numbers of a currency's smallest unit (146000 is 1460.00 BDT). Rates are parts of a million.

create table currency (
    code      text primary key check (code ~ '^[A-Z]{3}$'),
    decimals  smallint not null check (decimals between 0 and 3),
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
create index on transfer (charge_id) where charge_id is not null;

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
create index on wallet_transaction (wallet_id, transaction_id desc);

-- ---- charges ---------------------------------------------------------------------------------------------------------

-- What an app asks a merchant for. The split and the rates are copied here when it is made, and never worked out again.
-- status: paid is shown as active to apps and as completed to developers (contract K.5).
create table charge (
    charge_id           bigint generated always as identity primary key,
    store_id            bigint not null,
    app_id              bigint not null,
    installation_id     bigint not null,
    generation          integer not null,
    charge_type         text not null check (charge_type in ('one_time', 'wallet_topup')),
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
    check (amount = platform_amount + gateway_fee_amount + developer_amount)
);
create index charge_of_installation on charge (installation_id, charge_id desc);
create index charge_of_store on charge (store_id, charge_id desc);
create index charge_of_app on charge (app_id, charge_id desc);
create index charge_due on charge (expires_at) where status = 'pending';
create index charge_pending on charge (installation_id) where status = 'pending';

-- One try to pay a charge, at a payment provider. reference is what the provider knows it by (merchant_transaction_id).
-- duplicate: the money came although the charge was paid or over; it is to go back.
create table checkout (
    checkout_id  bigint generated always as identity primary key,
    charge_id    bigint not null references charge,
    provider     text not null check (provider in ('sandbox', 'eps')),
    reference    text not null unique,
    status       text not null check (status in ('open', 'paid', 'failed', 'duplicate')),
    created_at   timestamptz not null,
    finished_at  timestamptz
);
create index on checkout (charge_id, checkout_id desc);

create table refund (
    refund_id    bigint generated always as identity primary key,
    charge_id    bigint not null references charge,
    amount       bigint not null check (amount > 0),
    reason       text,
    created_at   timestamptz not null
);
create index on refund (charge_id, refund_id desc);

-- An amount as the API shows it.
create function money(amount bigint, of_currency text) returns numeric language sql stable as $$
    select round(amount / 10::numeric ^ decimals, decimals) from currency where code = of_currency
$$;
