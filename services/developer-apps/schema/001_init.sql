-- developer-apps: what developers say of their apps beside what auth keeps of them as clients.

-- The row is there before the app is: auth makes the app under creation_id, and that commit makes it whole. A row that no
-- app came of is found and deleted (completion.c). Apps that came another way have no row until something is said of them.
create table listing (
    creation_id        uuid primary key default gen_random_uuid(),
    -- null: not known here that it was made. Deferrable, because a uniqueness that is checked at once can refuse, of two who
    -- put the same row at once, the second one, before `on conflict (creation_id)` has found it.
    app_id             bigint unique deferrable,
    account_id         bigint not null,
    screenshots        json not null default '[]',
    description        text,
    short_description  text,
    homepage_url       text,
    category           text,
    metadata           json,
    pricing_type       text not null default 'free' check (pricing_type in ('free', 'one_time', 'subscription', 'usage')),
    pricing_amount     numeric(12, 2) not null default 0 check (pricing_amount >= 0),
    fee_payer          text not null default 'developer' check (fee_payer in ('developer', 'merchant')),
    payer_version      integer not null default 0,        -- how often fee_payer was said; billing knows the last it heard
    due_at             timestamptz,                       -- when to see whether the app was made and billing has heard; null: all is done
    created_at         timestamptz not null,
    updated_at         timestamptz not null
);
create index listing_due on listing (due_at) where due_at is not null;
