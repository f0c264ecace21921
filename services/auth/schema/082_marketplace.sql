-- What developer-apps is told of apps, for the marketplace (app_tell.c), and what it tells back: whether one is approved.

alter table app
    add column version          bigint not null default 1,      -- of what is told; counts up with each change of it
    add column is_approved      boolean not null default false,
    add column decision_number  bigint not null default 0;      -- of the last review that was heard of; a lower one comes too late

-- Apps that are to be told; told is what has this version or a later one. Written with the change itself.
create table app_untold (
    app_id   bigint primary key,
    version  bigint not null
);

create function app_changed() returns trigger language plpgsql set search_path = auth, pg_temp as $$
begin
    if tg_op = 'UPDATE' then
        new.version := old.version + 1;
    end if;
    insert into app_untold (app_id, version) values (new.app_id, new.version)
        on conflict (app_id) do update set version = excluded.version;
    return new;
end
$$;

-- A custom app is its store's, and in no marketplace.
create trigger app_made before insert on app
    for each row when (new.type = 'platform') execute function app_changed();
create trigger app_changed before update on app
    for each row when (new.type = 'platform' and
        (old.owner_account_id, old.name, old.slug, old.icon, old.developer_name, old.developer_email, old.requested_scopes,
         old.is_listed, old.is_active, old.is_approved, old.deleted_at, old.updated_at)
        is distinct from
        (new.owner_account_id, new.name, new.slug, new.icon, new.developer_name, new.developer_email, new.requested_scopes,
         new.is_listed, new.is_active, new.is_approved, new.deleted_at, new.updated_at))
    execute function app_changed();

insert into app_untold (app_id, version) select app_id, version from app where type = 'platform';
