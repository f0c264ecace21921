-- Metafields: what apps keep beside a store's orders, products, customers and beside the store itself; and the indexes of the
-- orders' filters.
--
-- A definition belongs to an app and holds in every store it is installed on; a value belongs to a resource of one store. Nobody
-- but the app sees either. Deleting a definition only marks it: an actor removes its values in batches and then the row
-- (metafield_removal.c), because there may be more of them than one statement can remove in its time.

create sequence metafield_definition_id_seq;

-- The one table here that no store owns: an app's definitions are the same in all stores.
create table metafield_definition (
    definition_id bigint primary key default nextval('metafield_definition_id_seq'),
    app_id        bigint not null,
    namespace     text collate "C" not null,
    key           text collate "C" not null,
    name          text not null,
    description   text,
    resource_type "char" not null check (resource_type in ('o', 'p', 'c', 's')),   -- order, product, customer, store
    value_type    text not null,
    created_at    timestamptz not null,
    deleted_at    timestamptz
);

create unique index metafield_definition_name on metafield_definition (app_id, namespace, key) where deleted_at is null;
create index metafield_definition_deleted on metafield_definition (definition_id) where deleted_at is not null;

create sequence metafield_value_id_seq;

create table metafield_value (
    store_id      bigint not null,
    value_id      bigint not null default nextval('metafield_value_id_seq'),
    app_id        bigint not null,
    definition_id bigint not null,
    resource_type "char" not null,
    resource_id   bigint not null,
    value         text not null,
    -- A value may be longer than an index entry. 64 bits find it; whoever looks compares the value as well.
    value_hash    bigint not null generated always as (hashtextextended(value, 0)) stored,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    primary key (store_id, value_id)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- The app stands behind the resource, so that all values of a resource can be removed with it.
create unique index metafield_value_resource on metafield_value (store_id, resource_type, resource_id, app_id, definition_id);
-- Finds orders by value. The definition stands first for the actor's sake: it removes one definition's values in all stores.
create index metafield_value_found on metafield_value (definition_id, store_id, value_hash, resource_id);

-- ---- filters of POST /orders/filters -------------------------------------------------------------------------------
--
-- Without the sort's columns: equal entries then share their key (deduplication), so that an index of the four states that
-- every new order begins with costs next to nothing to write. Few rows are found here and sorted; many are met along the
-- sort's own index (orders_filter.c).

create index store_order_financial_status on store_order (store_id, financial_status) where deleted_at is null;
create index store_order_fulfillment_status on store_order (store_id, fulfillment_status) where deleted_at is null;
create index store_order_payment_method on store_order (store_id, payment_method)
    where payment_method is not null and deleted_at is null;
create index store_order_courier on store_order (store_id, courier) where courier is not null and deleted_at is null;
create index store_order_courier_id on store_order (store_id, courier_id) where courier_id is not null and deleted_at is null;
create index store_order_tracking_code on store_order (store_id, order_id) where tracking_code > '' and deleted_at is null;
create index store_order_note on store_order (store_id, order_id) where note > '' and deleted_at is null;
