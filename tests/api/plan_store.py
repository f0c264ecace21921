"""A store of 10,000 rows of each kind beside four of 2,500, for tests of plans: so large that an index counts, and not most of a table.

Of each kind every 500th row is rare, in every way there is a filter for (20 of the large store), and all others are common.
Rows go in by a few statements, and through the tables' triggers, so that kept totals are right.
"""

from . import goods
from .shop import Owner

ROWS, OTHERS = 10_000, 2_500

EACH = "from unnest(%s::bigint[], %s::integer[]) as size (store, rows), generate_series(1, rows) as n"
FILLS = [
    "insert into category (store_id, name, slug, created_at, updated_at) select store, 'Category ' || n, 'c-' || n, "
    f"timestamptz '2026-01-01' + n * interval '1 minute', timestamptz '2026-02-01' - n * interval '1 minute' {EACH} where n <= 2500",
    "update category as c set parent_id = top.category_id from category as top where top.store_id = c.store_id and top.slug = "
    "case when substr(c.slug, 3)::integer %% 500 = 0 then 'c-2' else 'c-1' end and c.slug not in ('c-1', 'c-2')",
    "insert into product (store_id, name, slug, category_id, is_active, created_at, updated_at) select store, case when n %% 500 = 0 "
    "then 'Zebra 🎁 ' else (array['Cotton Panjabi ', 'Silk Saree ', 'জামদানি শাড়ি '])[1 + n %% 3] end || n, 'p-' || n, "
    "case when n %% 500 = 0 then 9 else n %% 3 + 1 end, n %% 10 > 0, timestamptz '2026-01-01' + n * interval '1 minute', "
    f"timestamptz '2026-02-01' + n * interval '1 minute' {EACH}",
    "insert into sku (store_id, product_id, variant_name, sku_code, price, quantity, low_stock_threshold, is_default, created_at, updated_at) "
    "select store_id, product_id, 'v' || v, 'C' || product_id || '-' || v, case when category_id < 9 then 100 + product_id %% 900 "
    "when v = 1 then 5 else 9000 end, product_id %% 2 * v, case when category_id = 9 then 100 end, v = 1, created_at, updated_at "
    "from product, generate_series(1, 2) as v",
    "insert into inventory_movement (store_id, product_id, sku_id, change, quantity_after, reason, created_at) "
    "select store_id, product_id, sku_id, quantity, quantity, 'opening', created_at from sku where quantity > 0",
    "insert into inventory_movement (store_id, product_id, sku_id, change, quantity_after, reason, created_at) select store, product_id, "
    "(array_agg(sku_id order by sku_id))[1 + (n %% 500 = 0)::integer], 0, 1, 'counted', now() from (select s.* from sku as s join (select store_id, min(product_id) as "
    "product_id from product group by store_id) as first using (store_id, product_id)) as s, unnest(%s::bigint[], %s::integer[]) as size "
    "(store, rows), generate_series(1, rows) as n where store = s.store_id group by store, product_id, n",
    "insert into discount (store_id, code, is_amount, amount, is_active, created_at, updated_at) select store, case when n %% 500 = 0 then 'QZ-' "
    f"else 'CODE-' end || n, true, 1, n %% 2 = 0, timestamptz '2026-01-01' + n * interval '1 minute', now() {EACH}",
    "insert into customer (store_id, name, email, phone, is_guest, created_at, updated_at) select store, case when n %% 500 = 0 then 'Żubr ✪ ' "
    "else 'Person ' end || md5(n::text), case when n %% 4 < 2 then 'p' || n || '@example.com' end, case when n %% 4 < 3 then '+8801' || "
    "lpad((n * 7919)::text, 9, '0') end, n %% 4 = 3, timestamptz '2026-01-01' + n * interval '1 minute', "
    f"timestamptz '2026-02-01' + n * interval '1 minute' {EACH}",
    # One customer has every second order, another one the rare ones; the others have one now and then.
    "insert into store_order (store_id, user_id, order_status, financial_status, fulfillment_status, payment_method, courier, courier_id, "
    "tracking_code, note, sub_total, tax, shipping, discount, grand_total, created_at, updated_at, store_serial_order_no) "
    "select store, user_id, case when rare then 'refunded' else 'completed' end, case when rare then 'partially_refunded' else 'paid' end, "
    "case when rare then 'fulfilled' else 'unfulfilled' end, case when rare then 'bkash' else 'cod' end, "
    "case when rare then 'Rare' when n %% 3 = 0 then 'Pathao' end, case when rare then 'C-9' when n %% 3 = 0 then 'C-1' end, "
    "case when rare then 'T' end, case when rare then 'N' end, n %% 977, 0, 0, 0, n %% 977, "
    "timestamptz '2026-01-01' + n * interval '1 minute', timestamptz '2026-02-01' + n * interval '1 minute', 'S' || n from (select *, "
    f"n %% 500 = 0 as rare, case when n %% 500 = 0 then 2 when n %% 2 = 1 then 1 else 3 + n %% 9973 end as buyer {EACH}) as o "
    "join (select store_id, user_id, row_number() over (partition by store_id order by user_id) as place from customer) as c "
    "on c.store_id = store and c.place = buyer",
    "insert into order_item (store_id, order_id, name, price, quantity) select store_id, order_id, 'Tea', 1, 1 from store_order",
    "insert into order_status_history (store_id, order_id, status, created_at) select store_id, order_id, 'pending', created_at from store_order",
    "insert into metafield_definition (app_id, namespace, key, name, resource_type, value_type, created_at) "
    "select app, 'check', key, key, 'o', 'string', now() from unnest(%s::bigint[]) as app, unnest('{everywhere,third,rare}'::text[]) as key",
    "insert into metafield_value (store_id, app_id, definition_id, resource_type, resource_id, value, created_at, updated_at) "
    "select o.store_id, d.app_id, d.definition_id, 'o', o.order_id, case d.key when 'rare' then 'yes' else 'v' || o.order_id %% 3 end, now(), now() "
    "from store_order as o join (select * from unnest(%s::bigint[], %s::bigint[])) as a (store_id, app_id) using (store_id) "
    "join metafield_definition as d on d.app_id = a.app_id and case d.key when 'rare' then o.note is not null when 'third' then o.courier "
    "is not null else o.note is null end",
    "insert into bulk_job (store_id, job_id, app_id, installation_id, resource, status, created_at, updated_at, finished_at) select store, n, app, 1, "
    "case when n %% 500 = 0 then 'orders' else 'products' end, case when n %% 500 = 0 then 'failed' else 'completed' end, now(), now(), now() "
    "from unnest(%s::bigint[], %s::bigint[], %s::integer[]) as a (store, app, rows), generate_series(1, rows) as n",
]


def open_stores(platform):
    """The stores, filled; answers the large one, as its app sees it."""
    owner = Owner(platform)
    shops = [owner.open_shop() for _ in range(5)]
    rows = [ROWS if shop is shops[2] else OTHERS for shop in shops]
    stores, apps = [shop.store_id for shop in shops], [shop.app_id for shop in shops]
    for sql in FILLS:
        if "metafield_definition (" in sql:
            arguments = [apps]
        elif "bigint[], %s::bigint[]" in sql:
            arguments = [stores, apps] + [rows] * ("generate_series" in sql)
        else:
            arguments = [stores, rows] if "%s" in sql else []
        goods.run(platform, sql, *arguments)
    connection = platform.postgres.connect()
    with connection.cursor() as cursor:
        cursor.execute("vacuum analyze")
    connection.close()
    return shops[2]
