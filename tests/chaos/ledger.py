"""What was committed, and what an endpoint was told of it: two lists that must be one.

What was committed is read from the rows themselves and from their histories. The tables of products, customers and orders keep
no history of their fields, so triggers that only the test has write it down in the transaction of the change. Nothing here
looks at an outbox or at what webhooks keeps.
"""

import collections
import json

TOLD = {                                                                    # topic: what of its data says which change it was
    "order.created": ("order_id",),
    "order.updated": ("order_id", "changed.note.new"),
    "order.status_changed": ("order_id", "previous_status", "status"),
    "order.cancelled": ("order_id", "previous_status"),
    "order.deleted": ("order_id",),
    "product.created": ("product_id",),
    "product.updated": ("product_id", "name"),
    "product.deleted": ("product_id",),
    "customer.created": ("user_id",),
    "customer.updated": ("user_id", "name"),
    "inventory.updated": ("sku_id", "quantity", "reason"),
    "app.installed": ("installation_id", "generation"),
    "app.uninstalled": ("installation_id", "generation"),
}
OF_STORE = [topic for topic in TOLD if not topic.startswith("app.")]
OF_AUTH = [topic for topic in TOLD if topic.startswith("app.")]

CHANGES = """
create schema ledger;
create table ledger.change (n bigint generated always as identity, store_id bigint, topic text, id bigint, value text);
create function ledger.note() returns trigger language plpgsql security definer as $$
begin
    insert into ledger.change (store_id, topic, id, value)
    values (new.store_id, tg_argv[0], (to_jsonb(new) ->> tg_argv[1])::bigint, to_jsonb(new) ->> tg_argv[2]);
    return null;
end
$$;
"""

TRIGGER = ("create trigger told after update on store_data.{table} for each row when (old.{column} is distinct from new.{column}) "
           "execute function ledger.note('{topic}', '{key}', '{column}')")
WATCHED = [("product", "product_id", "name", "product.updated"), ("customer", "user_id", "name", "customer.updated"),
           ("store_order", "order_id", "note", "order.updated")]

# Per resource in the order of the commits.
COMMITTED = """
select 'order.created', order_id::text, null, null from store_data.store_order where store_id = %(s)s
union all select 'order.deleted', order_id::text, null, null from store_data.store_order where store_id = %(s)s and deleted_at is not null
union all select 'product.created', product_id::text, null, null from store_data.product where store_id = %(s)s
union all select 'product.deleted', product_id::text, null, null from store_data.product where store_id = %(s)s and deleted_at is not null
union all select 'customer.created', user_id::text, null, null from store_data.customer where store_id = %(s)s
union all (select topic, id::text, value, null from ledger.change where store_id = %(s)s order by n)
union all (select 'order.status_changed', order_id::text, previous_status, status from store_data.order_status_history
           where store_id = %(s)s and previous_status is not null order by history_id)
union all select 'order.cancelled', order_id::text, previous_status, null from store_data.order_status_history
          where store_id = %(s)s and status = 'cancelled' and previous_status is not null
union all (select 'inventory.updated', sku_id::text, quantity_after::text, reason from store_data.inventory_movement
           where store_id = %(s)s order by movement_id)
"""

# A row of uninstall stays for 48 hours. An install over an install that stands ends nothing.
INSTALLS = """
select 'app.installed', installation_id::text, g::text, null from auth.installation, generate_series(1, generation) as g where app_id = %(a)s
union all select 'app.uninstalled', installation_id::text, u.generation::text, null
          from auth.uninstall as u join auth.installation using (installation_id) where app_id = %(a)s
"""


def watch(platform):
    """Before the first change. Each table by itself, because services hold some of them meanwhile."""
    platform.postgres.rows(CHANGES)
    for table, key, column, topic in WATCHED:
        platform.postgres.rows(TRIGGER.format(table=table, key=key, column=column, topic=topic))


def committed(platform, store_id, app_id):
    rows = platform.postgres.rows(COMMITTED + " union all " + INSTALLS, {"s": store_id, "a": app_id})
    return [tuple(value for value in row if value is not None) for row in rows]


def member(data, path):
    for name in path.split("."):
        data = data[name]
    return str(data)


def change_of(body):
    """Which change a delivery tells of."""
    topic = body["event_topic"]
    return (topic, *(member(body["data"], path) for path in TOLD[topic]))


class Told:
    """Deliveries in the order of their arrival."""

    def __init__(self, requests):
        self.first, self.repeats = {}, 0                                    # event id: the change; in the order of first arrival
        for _, _, body in requests:
            sent = json.loads(body)
            change = change_of(sent)
            if self.first.setdefault(sent["event_id"], change) != change:
                raise AssertionError(f"one event id, two changes: {self.first[sent['event_id']]}, {change}")
        self.repeats = len(requests) - len(self.first)


def difference(there, told):
    """Changes nobody was told of, and such that nobody made; the first few of each."""
    there, told = collections.Counter(there), collections.Counter(told)
    return sorted((there - told).elements())[:5], sorted((told - there).elements())[:5]


def by_resource(changes):
    lanes = collections.defaultdict(list)
    for change in changes:
        lanes[change[:2]].append(change)
    return lanes
