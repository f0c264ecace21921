"""Pages of orders: every sort and filter, by cursor and by page, is what the table says (protocols 13).

Times and totals have many ties, and differ by single microseconds.
"""

import base64
import hmac
import itertools
import random

import pytest

from . import goods
from .client import is_error

ORDERS = "/api/apps/v1/orders"
SORTS = [f"{column}:{way}" for column in ("created_at", "updated_at", "grand_total") for way in ("asc", "desc")]
COUNT = 211
SINCE, UNTIL = "2026-03-02T00:00:00.000Z", "2026-03-04T12:00:00.000Z"
FILTERS = [{}, {"status": "pending"}, {"since": SINCE}, {"until": UNTIL}, {"since": SINCE, "until": UNTIL},
           {"has_courier": 1},
           {"customer_id": 0}, {"order_ids": 0}, {"status": "shipped", "since": SINCE},
           {"status": "hold", "until": UNTIL, "has_courier": 1},
           {"customer_id": 0, "status": "shipped", "since": SINCE}, {"customer_id": 0, "has_courier": 1},
           {"order_ids": 0, "status": "pending", "has_courier": 0}]


@pytest.fixture(scope="module")
def full(owner):
    """A store with 211 orders; answers the shop, a customer's id and the ids of the orders."""
    shop, draw = owner.open_shop(), random.Random(7)
    customer, other = goods.add_customer(shop), goods.add_customer(shop)
    rows = []
    for _ in range(COUNT):
        day, hour, us = draw.randrange(1, 7), draw.choice([0, 11, 12, 23]), draw.choice([0, 0, 1, 2, 500000, 999999])
        rows.append((draw.choice(["pending", "pending", "shipped", "hold"]), f"2026-03-0{day}T{hour}:00:00.{us:06d}Z",
                     f"2026-04-0{draw.randrange(1, 9)}T10:00:00.{draw.randrange(4):06d}Z",
                     draw.choice([100, 100, 250.5, 99999, draw.randrange(5000)]),
                     draw.choice([customer, other, None]), draw.choice(["Pathao", None])))
    ids = goods.add_orders(shop, rows)
    deleted = draw.sample(ids, 20)
    goods.run(shop.platform, "update store_order set deleted_at = now() where order_id = any(%s)", deleted)
    return shop, customer, ids


def truth(shop, query, sort):
    """The ids that a list must have, straight from the table. `until` holds for the whole of its millisecond."""
    until = ("created_at <= %s::timestamptz + case when extract(microseconds from %s::timestamptz)::bigint %% 1000 = 0 "
             "then interval '999 us' else interval '0' end")
    conditions = {"status": "order_status = %s", "since": "created_at >= %s::timestamptz", "until": until,
                  "customer_id": "user_id = %s", "order_ids": "order_id = any(%s)"}
    where, arguments = ["store_id = %s", "deleted_at is null"], [shop.store_id]
    for name, condition in conditions.items():
        if name in query:
            value = [int(n) for n in query[name].split(",")] if name == "order_ids" else query[name]
            where.append(condition)
            arguments += [value] * condition.count("%s")
    if query.get("has_courier"):
        where.append("courier is not null")
    column, _, way = sort.partition(":")
    return [n for n, in goods.run(shop.platform, f"select order_id from store_order where {' and '.join(where)} "
                                                 f"order by {column} {way}, order_id {way}", *arguments)]


def ids_of(body):
    return [order["order_id"] for order in body["data"]]


def walk(shop, **query):
    """All pages by cursor."""
    while True:
        answer = shop.get(ORDERS, params=query)
        assert answer.status_code == 200, answer
        yield answer.json()
        query["cursor"] = answer.json()["pagination"]["next_cursor"]
        if not query["cursor"]:
            return


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("filters", FILTERS, ids=lambda f: "+".join(f) or "none")
def test_every_sort_and_filter(full, filters, sort):
    shop, customer, ids = full
    query = dict(filters)
    if "customer_id" in query:
        query["customer_id"] = customer
    if "order_ids" in query:
        query["order_ids"] = ",".join(map(str, ids[::3]))
    wanted = truth(shop, query, sort)
    assert wanted
    pages = list(walk(shop, **query, sort=sort, limit=9))
    assert [n for page in pages for n in ids_of(page)] == wanted
    assert {page["pagination"]["total"] for page in pages} == {len(wanted)}
    assert all(("items" in order) == bool("order_ids" in query or query.get("has_courier")) for page in pages for order in page["data"])
    last = (len(wanted) + 8) // 9
    for page in sorted({1, 2, last // 2, last - 1, last, last + 1, 10**6} - {0}):
        body = shop.get(ORDERS, params={**query, "sort": sort, "limit": 9, "page": page}).json()
        assert ids_of(body) == wanted[(page - 1) * 9:page * 9]
        assert (body["pagination"]["total"], body["pagination"]["page"]) == (len(wanted), page)
        assert (body["pagination"]["next_cursor"] is not None) == (page < last)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("filters, query", [
    ([], {}), ([("order_status", "is", ["pending", "hold"])], {"status": ["pending", "hold"]}),
    ([("order_status", "is", ["shipped"])], {"status": ["shipped"]}),
    ([("courier", "is_not_empty", None)], {"has_courier": 1}), ([("courier", "is", ["Pathao"]), ("order_status", "is", ["pending", "hold"])],
                                                                {"has_courier": 1, "status": ["pending", "hold"]}),
], ids=str)
def test_every_sort_of_a_filtered_list(full, filters, query, sort):
    shop, _, _ = full
    column, _, way = sort.partition(":")
    statuses = query.get("status", ["pending", "hold", "shipped"])
    wanted = [n for n, in goods.run(
        shop.platform, "select order_id from store_order where store_id = %s and deleted_at is null and order_status = any(%s) and (not %s or courier "
        f"is not null) order by {column} {way}, order_id {way}", shop.store_id, statuses, bool(query.get("has_courier")))]
    body = {"filters": [{"name": name, "type": kind, "dataType": "select", "value": value} for name, kind,
                        value in filters], "limit": 20,
            "sort": column, "order": way.upper()}
    walked, cursor = [], None
    while True:
        found = shop.post(f"{ORDERS}/filters", {**body, "cursor": cursor}).json()
        walked += ids_of(found)
        cursor = found["pagination"]["next_cursor"]
        if not cursor:
            break
    assert walked == wanted and found["pagination"]["total"] == len(wanted) and found["warnings"] == []
    assert ids_of(shop.post(f"{ORDERS}/filters", {**body, "page": 2}).json()) == wanted[20:40]


def test_the_default_is_newest_first(full):
    shop, _, _ = full
    assert ids_of(shop.get(ORDERS, params={"limit": 250}).json()) == truth(shop, {}, "created_at:desc")
    for column in ("created_at", "updated_at", "grand_total"):
        assert ids_of(shop.get(ORDERS, params={"limit": 250, "sort": column}).json()) == truth(shop, {}, f"{column}:desc")


@pytest.mark.parametrize("since, until", [
    ("2026-03-02T00:00:00.000001Z", "2026-03-02T11:00:00Z"), ("2026-03-02", "2026-03-03"),
    ("2026-03-02T11:00:00Z", "2026-03-02T11:00:00Z"),
    ("2026-03-03T23:00:00.999999Z", "2026-03-04T00:00:00Z"), ("2026-03-05", "2026-03-02"),
    ("0001-01-01", "9999-12-31T23:59:59Z"),
    ("2026-03-02T05:30:00+05:30", "2026-03-03T23:59:59.999999Z"), ("1969-12-31T23:59:59Z", "2026-03-02T00:00:00.000001Z"),
])
@pytest.mark.parametrize("status", [None, "pending"])
def test_edges_of_time(full, since, until, status):
    shop, _, _ = full
    query = {"since": since, "until": until, **({"status": status} if status else {})}
    for sort in ("created_at:desc", "created_at:asc", "grand_total:asc"):
        body = shop.get(ORDERS, params={**query, "sort": sort, "limit": 250}).json()
        assert (ids_of(body), body["pagination"]["total"]) == ((wanted := truth(shop, query, sort)), len(wanted))


def test_an_order_is_found_by_the_time_it_shows(full):
    """Milliseconds are shown, microseconds are kept."""
    shop, _, _ = full
    for order in shop.get(ORDERS, params={"limit": 250}).json()["data"][::17]:
        moment = order["created_at"]
        found = shop.get(ORDERS, params={"since": moment, "until": moment, "limit": 250}).json()
        assert order["order_id"] in ids_of(found)
        assert {other["created_at"] for other in found["data"]} == {moment}


def test_orders_that_come_during_the_walk(owner):
    """None that was there is lost or seen twice."""
    shop = owner.open_shop()
    before = [goods.order(shop)["order_id"] for _ in range(23)]
    seen = []
    for page in walk(shop, limit=4, sort="created_at:desc"):
        seen += ids_of(page)
        goods.order(shop)
        goods.order(shop)
    assert seen == before[::-1]


def test_a_cursor_is_for_its_own_list(full, owner):
    shop, customer, _ = full
    cursor = shop.get(ORDERS, params={"limit": 5}).json()["pagination"]["next_cursor"]
    wrong = [{"sort": "created_at:asc"}, {"sort": "grand_total"}, {"status": "pending"}, {"since": SINCE},
             {"customer_id": customer}, {"has_courier": 1},
             {"order_ids": "1,2"}]
    for query in wrong:
        body = is_error(shop.get(ORDERS, params={**query, "cursor": cursor}), 400, "validation_error")
        assert body["errors"][0]["field"] == "cursor"
    other = owner.open_shop()
    is_error(other.get(ORDERS, params={"cursor": cursor}), 400, "validation_error")
    is_error(shop.get("/api/apps/v1/products", params={"cursor": cursor}), 400, "validation_error")
    is_error(shop.post(f"{ORDERS}/filters", {"cursor": cursor}), 400, "validation_error")
    assert shop.get(ORDERS, params={"cursor": cursor, "limit": 9, "page": 7}).status_code == 200


def test_a_changed_cursor_is_refused(full):
    shop, _, _ = full
    cursor = shop.get(ORDERS, params={"limit": 5}).json()["pagination"]["next_cursor"]
    for at in range(len(cursor)):
        changed = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1:]
        is_error(shop.get(ORDERS, params={"cursor": changed}), 400, "validation_error")
    for bad in (cursor[:-1], cursor + "A", cursor * 2, "null", "=", "💥", "' or 1=1"):
        is_error(shop.get(ORDERS, params={"cursor": bad}), 400, "validation_error")


@pytest.mark.parametrize("query, page, limit", [
    ({"limit": -1}, 1, 1), ({"limit": 0}, 1, 1), ({"limit": 10000}, 1, 250), ({"limit": "abc"}, 1, 50),
    ({"page": "abc"}, 1, 50), ({"page": -5}, 1, 50),
    ({"page": 2**70, "limit": 250}, 10**9, 250), ({"limit": 2.5}, 1, 50), ({"page": "", "limit": ""}, 1, 50),
])
def test_bad_pages_become_the_nearest(full, query, page, limit):
    shop, _, _ = full
    answer = shop.get(ORDERS, params=query)
    assert answer.status_code == 200, answer
    pagination = answer.json()["pagination"]
    assert (pagination["page"], pagination["limit"]) == (page, limit) or "2.5" in str(query)


@pytest.mark.parametrize("query, field", [
    ({"sort": "secret"}, "sort"), ({"sort": "created_at:up"}, "sort"), ({"sort": "created_at desc"}, "sort"),
    ({"status": "lost"}, "status"),
    ({"since": "soon"}, "since"), ({"until": "2026-02-30"}, "until"), ({"customer_id": "x"}, "customer_id"),
    ({"customer_id": 2**63}, "customer_id"),
    ({"has_courier": "yes"}, "has_courier"), ({"order_ids": "1,x"}, "order_ids"), ({"order_ids": "0"}, "order_ids"),
    ({"order_ids": ",".join(str(n) for n in range(1, 502))}, "order_ids"), ({"order_ids": "1;drop table store_order"}, "order_ids"),
])
def test_bad_queries(full, query, field):
    shop, _, _ = full
    body = is_error(shop.get(ORDERS, params=query), 400, "validation_error")
    assert [error["field"] for error in body["errors"]] == [field]
    if field == "sort":
        assert "grand_total" in body["errors"][0]["message"]


def test_five_hundred_ids(full):
    shop, _, ids = full
    query = {"order_ids": ",".join(map(str, (ids * 3)[:500])), "limit": 250}
    assert ids_of(shop.get(ORDERS, params=query).json()) == truth(shop, query, "created_at:desc")
    assert ids_of(shop.get(ORDERS, params={"order_ids": ","}).json()) == []


# ---- a large store ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(platform, owner):
    """14,000 orders over 300 days."""
    shop = owner.open_shop()
    for _ in range(7):
        platform.call("store-data.stores.fill", store_id=shop.store_id, kind="bench", orders=2000, days=300)
    return shop


def test_totals_are_exact_or_capped(large):
    count = goods.run(large.platform, "select count(*) filter (where courier is not null), count(*) filter (where order_status = 'completed') "
                      "from store_order where store_id = %s", large.store_id)[0]
    assert count[0] > 10000
    capped = large.get(ORDERS, params={"has_courier": 1, "limit": 1}).json()["pagination"]
    assert (capped["total"], capped["total_capped"]) == (10000, True)
    exact = large.get(ORDERS, params={"status": "completed", "limit": 1}).json()["pagination"]
    assert exact["total"] == count[1] and "total_capped" not in exact
    assert large.get(ORDERS, params={"since": "2020-01-01", "limit": 1}).json()["pagination"]["total"] == 14000


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("filters", [{}, {"status": "completed"}, {"since": "2020-01-01"},
                                     {"since": "2020-01-01", "status": "completed"},
                                     {"until": "2090-01-01", "status": "hold"}, {"has_courier": 1}],
                                     ids=lambda f: "+".join(f) or "none")
def test_deep_pages(large, filters, sort):
    """By page from either end, and by cursor from there on."""
    wanted = truth(large, filters, sort)
    last = (len(wanted) + 49) // 50
    for page in sorted({1, 2, last // 3, last // 2 + 1, last - 1, last} - {0}):
        body = large.get(ORDERS, params={**filters, "sort": sort, "page": page}).json()
        assert ids_of(body) == wanted[(page - 1) * 50:page * 50]
        following = itertools.islice(walk(large, **filters, sort=sort, cursor=body["pagination"]["next_cursor"]),
                                     2) if page < last else ()
        for number, further in enumerate(following, page + 1):
            assert ids_of(further) == wanted[(number - 1) * 50:number * 50]


def test_a_cursor_is_signed_with_a_key_of_this_platform(full):
    shop, _, _ = full
    cursor = shop.get(f"{ORDERS}?limit=1").json()["pagination"]["next_cursor"]
    packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    body, mac = packed[:-16], packed[-16:]
    assert hmac.digest(bytes(32), body, "sha256")[:16] != mac       # nobody ever gave it one
    master = bytes.fromhex((shop.platform.home / "secrets" / "master.key").read_text().strip())
    derived = hmac.digest(hmac.digest(bytes(32), master, "sha256"), b"cursor\x01", "sha256")
    assert hmac.digest(derived, body, "sha256")[:16] == mac
