"""NAME.verify: what is kept of a store against a recount goes in spans, so that a store may have any size.

Each test makes a store of several spans, in tables that nobody has looked at yet, and puts something wrong into the first
and into the last of them. `after` is what next_after of an answer before would be.
"""

import pytest

from . import goods

MAKE_PRODUCTS = """
with p as (insert into product (store_id, name, slug, created_at, updated_at) select %(store)s, 'Thing ' || n, 'thing-' || n, now(), now()
           from generate_series(1, %(count)s) as n returning store_id, product_id),
     s as (insert into sku (store_id, product_id, variant_name, sku_code, price, quantity) select store_id, product_id, 'Default', 'T-' || product_id, 10, 3
           from p returning store_id, product_id, sku_id, quantity)
insert into inventory_movement (store_id, product_id, sku_id, change, quantity_after, reason, created_at)
select store_id, product_id, sku_id, quantity, quantity, 'opening', now() from s
"""


def ask(shop, name, **fields):
    return shop.platform.call(f"store-data.{name}.verify", store_id=shop.store_id, **fields)


def sql(shop, statement, **values):
    """With named values: goods.run takes them in order."""
    connection = shop.platform.postgres.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("set search_path = store_data")
            cursor.execute(statement, {"store": shop.store_id, **values})
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_the_stock_of_thousands_of_new_products(shop):
    sql(shop, MAKE_PRODUCTS, count=5000)
    whole = ask(shop, "inventory")
    assert whole["ok"] is True and whole["next_after"] is None, whole["differences"]
    assert (whole["products"], whole["variants"], whole["quantity"]) == (5000, 5000, 15000)
    (first, last), = sql(shop, "select min(product_id), max(product_id) from product where store_id = %(store)s")
    sql(shop, "update product_stock set variant_count = 7 where store_id = %(store)s and product_id in (%(first)s, %(last)s)", first=first, last=last)
    assert [(d["kind"], d["id"], d["kept"], d["counted"]) for d in ask(shop, "inventory")["differences"]] == [
        ("product.variant_count", first, 7, 1), ("product.variant_count", last, 7, 1)]
    assert [d["id"] for d in ask(shop, "inventory", after=first)["differences"]] == [last]
    sql(shop, "delete from product_stock where store_id = %(store)s and product_id = %(last)s", last=last)
    missing = {d["kind"]: (d["id"], d["kept"], d["counted"]) for d in ask(shop, "inventory", after=first)["differences"]}
    assert missing["product.total_quantity"] == (last, None, 3) and missing["product.variant_count"] == (last, None, 1)


@pytest.fixture(scope="module")
def filled(owner):
    """10,000 orders of a year."""
    shop = owner.open_shop()
    for _ in range(5):
        shop.platform.call("store-data.stores.fill", store_id=shop.store_id, kind="bench", orders=2000, days=365)
    return shop


def test_a_filled_store_is_right(filled):
    for name in ("counts", "analytics", "inventory", "customers", "discounts"):
        answer = ask(filled, name)
        assert answer["ok"] is True and answer["next_after"] is None and answer["differences"] == [], (name, answer["differences"])
    assert ask(filled, "counts")["orders"] == 10000


@pytest.mark.parametrize("name, table, change, where", [
    ("counts", "kept_count", "n = n + 1", "kind = 'o' and status = '' and day > '-infinity'"),
    ("analytics", "kept_day", "amount = amount + 0.01", "kind = 'a'")])
def test_wrong_figures_of_the_first_and_the_last_day(filled, name, table, change, where):
    ends = [str(day) for day, in sql(filled, f"select distinct day from {table} where store_id = %(store)s and {where} order by day")]
    first, last = ends[0], ends[-1]
    wrong = (f"update {table} set {{}} where store_id = %(store)s and {where} and day = %(day)s and stripe = (select min(stripe) from {table} "
             f"where store_id = %(store)s and {where} and day = %(day)s)")
    for day in (first, last):
        sql(filled, wrong.format(change), day=day)
    number, = sql(filled, "select %(day)s::date - date '1970-01-01'", day=first)[0]
    found, behind = ask(filled, name), ask(filled, name, after=number)
    for day in (first, last):
        sql(filled, wrong.format(change.replace("+", "-")), day=day)
    def days(answer):
        """Months differ from their days as well then."""
        return [d["day"] for d in answer["differences"] if d["day"] and d.get("kind") != "month"]

    assert found["ok"] is False and days(found) == [first, last]
    assert behind["ok"] is False and days(behind) == [last]
    assert ask(filled, name)["ok"] is True


def test_wrong_totals_of_the_first_and_the_last_customer(filled):
    (first, last), = sql(filled, "select min(user_id), max(user_id) from customer_total where store_id = %(store)s")
    change = "update customer_total set total_orders = total_orders %s 1 where store_id = %%(store)s and user_id in (%%(first)s, %%(last)s)"
    sql(filled, change % "+", first=first, last=last)
    found, behind = ask(filled, "customers"), ask(filled, "customers", after=first)
    sql(filled, change % "-", first=first, last=last)
    assert [d["user_id"] for d in found["differences"]] == [first, last] and [d["user_id"] for d in behind["differences"]] == [last]
    assert ask(filled, "customers")["ok"] is True


def test_differences_are_listed_until_there_are_too_many(shop):
    sql(shop, MAKE_PRODUCTS, count=5000)
    sql(shop, "update product_stock set variant_count = 7 where store_id = %(store)s")
    after, found, calls = 0, [], 0
    while after is not None:
        answer = ask(shop, "inventory", after=after)
        assert answer["ok"] is False and len(answer["differences"]) >= 1000
        assert answer["next_after"] is None or answer["next_after"] > after
        after, calls = answer["next_after"], calls + 1
        found += [d["id"] for d in answer["differences"]]
    assert calls == 3 and len(set(found)) == len(found) >= 3000


def test_the_uses_of_discounts(shop):
    made = [shop.post("/api/apps/v1/discounts", {"code": code, "is_amount": True, "amount": 5}).json()["data"]["discount_id"] for code in ("EID1", "EID2")]
    assert ask(shop, "discounts")["ok"] is True
    goods.run(shop.platform, "update discount set used = 1 where store_id = %s", shop.store_id)
    assert [d["id"] for d in ask(shop, "discounts")["differences"]] == made
    assert [d["id"] for d in ask(shop, "discounts", after=made[0])["differences"]] == made[1:]
