-- Subscriptions of developers and merchants (contract A.6, A.7).

-- A developer's is for all stores that have the app installed: it has no store and no installation of its own.
alter table subscription alter column store_id drop not null;
alter table subscription drop constraint subscription_check;
alter table subscription add constraint subscription_whose check (case made_by
    when 'developer' then app_id is not null and store_id is null and installation_id is null
    when 'merchant' then app_id is null and store_id is not null and installation_id is null
    else app_id is not null and store_id is not null and installation_id is not null end);
create index subscription_of_every_store on subscription (app_id, topic) where store_id is null and status = 'active';
create index subscription_of_app on subscription (app_id, subscription_id desc) where status in ('active', 'inactive');
create index subscription_of_store on subscription (store_id, subscription_id desc) where status in ('active', 'inactive');

-- Of a developer's subscription: by which installation the event came, so that its end cancels it.
alter table waiting add column installation_id bigint, add column generation integer;
create index waiting_of_installation on waiting (installation_id) where installation_id is not null;
