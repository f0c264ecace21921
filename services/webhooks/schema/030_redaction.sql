-- Forgetting people: what store-data has erased is erased here as well (redaction.c).

-- Customers and orders whose events are not to tell any more who somebody is. pass: how many times they were gone through.
create table redaction (
    store_id       bigint not null,
    resource_type  text not null check (resource_type in ('customer', 'order')),
    resource_id    bigint not null,
    pass           smallint not null default 0,
    next_at        timestamptz not null,
    primary key (store_id, resource_type, resource_id)
);
create index redaction_next on redaction (next_at);
create index redaction_first on redaction (store_id) where pass = 0;

alter table event add column erased boolean not null default false;
create index event_personal on event (store_id, resource_type, resource_id)
    where not erased and resource_type in ('customer', 'order');

-- What an endpoint answered may repeat what it was sent: there where it did answer something to an event about a person.
alter table attempt add column resource_type text, add column resource_id bigint;
create index attempt_answer on attempt (resource_type, resource_id) where resource_type is not null;

-- Whoever holds the queue has read deliveries before this, and reads them again.
alter table queue add column reread_at timestamptz;

-- An event's data without what tells who the person is; everything else as it was written. The keys stay, empty.
create function person_free(data json) returns json language sql immutable parallel safe as $$
    select case when json_typeof(data) <> 'object' then data else (
        select coalesce(json_object_agg(key, case
                   when key = 'name' and key = any (personal) then '""'::json
                   when key = any (personal) then 'null'::json
                   when key = 'customer' and json_typeof(value) = 'object' then
                       json_build_object('id', value -> 'id', 'email', null, 'phone', null)
                   when key in ('changed', 'changes') and json_typeof(value) = 'object' then
                       (select coalesce(json_object_agg(c.key, case when c.key = any (personal)
                                                               then '{"old": null, "new": null}'::json else c.value end), '{}')
                          from json_each(value) as c)
                   else value end), '{}')
          from json_each(data), lateral (select case when data -> 'order_id' is not null
               then '{shipping_address,billing_address,address,note,metadata,courier_id,tracking_code,tracking_id,tracking_number,'
                    'customer_name,customer_phone,customer_email,phone,email,shipping_phone}'
               else '{name,email,phone,address_json}' end::text[]) as p (personal)) end
$$;
