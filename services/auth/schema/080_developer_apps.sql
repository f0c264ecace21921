-- Apps that developers make over their own API (contract A.5).

-- Whoever makes an app may name it before it is there: what they keep of it lies under that id, so that this row's commit
-- makes the whole app, and making it again finds it.
alter table app add column creation_id uuid not null default gen_random_uuid();
alter table app add constraint app_creation_id_key unique (creation_id);

-- A developer's list, the newest first, and how long it is.
create index app_of_developer on app (owner_account_id, is_active, is_listed, app_id desc)
    where deleted_at is null and home_store_id is null;

-- Deleted apps whose installations end one after the other (app_ending.c), and what is left of them.
create table app_ending (
    app_id  bigint primary key references app
);
create index installation_of_app_active on installation (app_id, installation_id) where status = 'active';

-- Where a developer's app is installed and was, the newest first.
create index installation_of_app on installation (app_id, installation_id);
create index installation_of_app_ended on installation (app_id, installation_id) where status <> 'active';
drop index installation_app_id_idx;
