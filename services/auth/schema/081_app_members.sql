-- Who helps the owner of an app with it, and how much they may (contract A.5; app_access.h).

-- The owner has no row here: app.owner_account_id is who has it, so that there is always exactly one.
create table app_member (
    app_id               bigint not null references app,
    account_id           bigint not null references account,
    role                 text not null check (role in ('viewer', 'developer', 'admin')),
    added_by_account_id  bigint not null references account,
    created_at           timestamptz not null,
    updated_at           timestamptz not null,
    primary key (app_id, account_id)
);
create index app_member_of_account on app_member (account_id, app_id desc);

-- An app that changed hands remembers who made it; null: its owner.
alter table app add column created_by_account_id bigint references account;
