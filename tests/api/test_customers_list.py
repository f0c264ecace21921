"""Lists of customers: filters, search, sorts, pages. That it is done with an index is test_list_plans.py's."""

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import goods
from .client import is_error
from .customers import CUSTOMERS, FIELDS, listed

SORTS = [f"{column}:{way}" for column in ("created_at", "updated_at", "name") for way in ("asc", "desc")]


def add(shop, rows):
    """Customers as (name, email, phone, created_at, updated_at, total_orders, total_spent); answers their ids."""
    ids = []
    for name, email, phone, created_at, updated_at, orders, spent in rows:
        [(user_id,)] = goods.run(
            shop.platform, "insert into customer (store_id, name, email, phone, is_guest, created_at, updated_at) values "
            "(%s, %s, %s, %s, %s, %s, %s) returning user_id", shop.store_id, name, email, phone, not (email or phone),
            created_at, updated_at)
        if orders:
            goods.add_orders(shop, [("completed", created_at, created_at, spent if n == 0 else 0, user_id, None) for n in range(orders)])
        ids.append(user_id)
    return ids


@pytest.fixture
def people(shop):
    rows = [("Nusrat Jahan", "nusrat@example.com", "+8801712345678", 3, 1500.50),
            ("নুসরাত জাহান", None, "+8801812345679", 1, 1500.51),
            ("Walk-in", None, None, 9, 9000),
            ("Karim 100% Hossain", "KARIM_H@example.org", None, 0, 0),
            ("محمد", "m@شبكة.example".replace("شبكة", "shabaka"), "+96655512345", 2, 20)]
    ids = add(shop, [(name, email, phone, f"2026-01-0{n}T10:00:00Z", f"2026-02-0{6 - n}T10:00:00.5Z", orders, spent)
                     for n, (name, email, phone, orders, spent) in enumerate(rows, 1)])
    return shop, ids


@pytest.mark.parametrize("query, wanted", [
    ({}, [4, 3, 1, 0]),
    ({"include_guests": "true"}, [4, 3, 2, 1, 0]),
    ({"include_guests": "1"}, [4, 3, 2, 1, 0]),
    ({"include_guests": "false"}, [4, 3, 1, 0]),
    ({"sort": "created_at:asc"}, [0, 1, 3, 4]),
    ({"sort": "updated_at"}, [0, 1, 3, 4]),
    ({"sort": "name:asc"}, [3, 0, 4, 1]),
    ({"sort": "name"}, [1, 4, 0, 3]),
    ({"since": "2026-02-03T10:00:00.500Z", "include_guests": "true"}, [2, 1, 0]),
    ({"since": "2026-02-03T10:00:00.501Z"}, [1, 0]),
    ({"since": "9999-01-01"}, []),
    ({"search": "nusrat"}, [0]),
    ({"search": "NUSRAT@EXAMPLE"}, [0]),
    ({"search": "নুসরাত"}, [1]),
    ({"search": "ন"}, [1]),
    ({"search": "محمد"}, [4]),
    ({"search": "01712345678"}, [0]),
    ({"search": "+880"}, [1, 0]),
    ({"search": "+"}, [4, 1, 0]),
    ({"search": "5"}, [4, 1, 0]),
    ({"search": "@e"}, [3, 0]),
    ({"search": "h_"}, []),
    ({"search": "_h"}, [3]),
    ({"search": "%"}, [3]),
    ({"search": "100%"}, [3]),
    ({"search": "\\"}, []),
    ({"search": "' or 1=1 --"}, []),
    ({"search": "in", "include_guests": "true"}, [3, 2]),
    ({"search": "n\nn"}, []),
    ({"search": "n\x1fn"}, []),
    ({"search": "m+9"}, []),
    ({"search": ""}, [4, 3, 1, 0]),
    ({"total_orders_min": 0}, [4, 3, 1, 0]),
    ({"total_orders_min": 2}, [4, 0]),
    ({"total_orders_min": 2, "include_guests": "true", "sort": "name:asc"}, [0, 2, 4]),
    ({"total_orders_min": 10}, []),
    ({"total_spent_min": 1500}, [1, 0]),
    ({"total_spent_min": "1500.51"}, [1]),
    ({"total_spent_min": 0}, [4, 3, 1, 0]),
    ({"total_spent_min": 10, "total_orders_min": 2, "search": "m", "since": "2026-01-01"}, [4, 0]),
])
def test_lists(people, query, wanted):
    shop, ids = people
    body = listed(shop, **query)
    assert [row["user_id"] for row in body["data"]] == [ids[n] for n in wanted]
    assert body["pagination"]["total"] == len(wanted) and "total_capped" not in body["pagination"]


def test_the_fields(people):
    shop, ids = people
    rows = shop.get(CUSTOMERS, params={"include_guests": "true"}).json(parse_float=Decimal)["data"]
    assert all(set(row) == FIELDS and row["store_id"] == shop.store_id for row in rows)
    assert [(row["is_guest"], row["total_orders"], row["total_spent"]) for row in rows] == [
        (0, 2, Decimal("20.00")), (0, 0, 0), (1, 9, Decimal("9000.00")), (0, 1, Decimal("1500.51")), (0, 3, Decimal("1500.50"))]


@pytest.mark.parametrize("query", [{"sort": "phone"}, {"sort": "name:up"}, {"since": "yesterday"}, {"total_orders_min": "x"},
                                   {"total_orders_min": -1}, {"total_spent_min": "1.001"}, {"total_spent_min": "1e3"},
                                   {"total_spent_min": -1}, {"cursor": "x"}, {"search": "x" * 101}, {"include_guests": "yes"}])
def test_bad_queries(shop, query):
    body = is_error(shop.get(CUSTOMERS, params=query), 400, "validation_error")
    assert [error["field"] for error in body["errors"]] == list(query)


def test_clamped(people):
    shop, _ = people
    for query, shown in (({"limit": -1}, (1, 1)), ({"limit": 10000}, (1, 250)), ({"page": "abc"}, (1, 50)), ({"page": 0, "limit": "x"}, (1, 50))):
        pagination = listed(shop, **query)["pagination"]
        assert (pagination["page"], pagination["limit"]) == shown
    assert listed(shop, page=10**9)["data"] == []


def test_a_cursor_belongs_to_its_list(people, owner):
    shop, _ = people
    cursor = listed(shop, limit=1)["pagination"]["next_cursor"]
    assert listed(shop, limit=1, cursor=cursor)["data"]
    for query in ({"sort": "name"}, {"search": "a"}, {"include_guests": "true"}, {"since": "2020-01-01"}, {"total_orders_min": 1},
                  {"total_spent_min": 1}):
        is_error(shop.get(CUSTOMERS, params={"cursor": cursor, **query}), 400, "validation_error")
    is_error(owner.open_shop().get(CUSTOMERS, params={"cursor": cursor}), 400, "validation_error")
    is_error(shop.get("/api/apps/v1/orders", params={"cursor": cursor}), 400, "validation_error")


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("query", [{}, {"include_guests": "true"}, {"search": "a"}, {"since": "2026-01-01T00:00:03Z"},
                                   {"total_orders_min": 1, "include_guests": "true"}, {"total_spent_min": 50}])
def test_every_page(platform, shop, sort, query):
    """Walked by cursor and by page: the truth of the table, with ties in every column."""
    goods.run(platform, "insert into customer (store_id, name, phone, is_guest, created_at, updated_at) select %s, "
              "(array['apple','banana',repeat('ক', 100),'Apple','a'])[1 + i %% 5], case when i %% 3 > 0 then '+88017' || lpad(i::text, 8, '0') end, "
              "i %% 3 = 0, timestamptz '2026-01-01' + i / 4 * interval '1 us', timestamptz '2026-01-01' + i %% 7 * interval '1 s' "
              "from generate_series(1, 53) as i", shop.store_id)
    who = [user_id for user_id, in goods.run(platform, "select user_id from customer where store_id = %s order by user_id", shop.store_id)]
    goods.add_orders(shop, [("completed", "2026-01-01", "2026-01-01", 10 * (n % 9), who[n], None) for n in range(0, 53, 2)])
    column, _, way = sort.partition(":")
    key = "left(name, 60) collate \"C\"" if column == "name" else column
    wanted = [n for n, in goods.run(
        platform, "select user_id from customer left join customer_total using (store_id, user_id) where store_id = %s and (%s or not is_guest) "
        "and name ilike %s and updated_at >= %s and coalesce(total_orders, 0) >= %s and coalesce(total_spent, 0) >= %s "
        f"order by {key} {way}, user_id {way}", shop.store_id, "include_guests" in query, f"%{query.get('search', '')}%",
        query.get("since", "-infinity"), query.get("total_orders_min", 0), query.get("total_spent_min", 0))]
    assert wanted
    walked, cursor = [], None
    while True:
        body = listed(shop, **query, sort=sort, limit=7, **({"cursor": cursor} if cursor else {}))
        walked += [row["user_id"] for row in body["data"]]
        cursor = body["pagination"]["next_cursor"]
        assert body["pagination"]["total"] == len(wanted)
        if not cursor:
            break
    assert walked == wanted
    paged = [listed(shop, **query, sort=sort, limit=7, page=page)["data"] for page in range(1, 10)]
    assert [row["user_id"] for page in paged for row in page] == wanted


@pytest.fixture(scope="module")
def searched(owner):
    shop = owner.open_shop()
    goods.run(shop.platform, "insert into customer (store_id, name, email, phone) select %s, w, 'u' || i || '@x.io', '+8801700000' || lpad(i::text, 3, '0') "
              "from unnest(%s::text[]) with ordinality as t (w, i)", shop.store_id,
              ["abc", "ABC d", "আমার সোনার বাংলা", "ab\tc", "été", "ETE", "😀😀 smile", "مرحبا بك", "a%b_c\\d", "  spaces  ", "aa aaa", "ß", "İi"])
    return shop


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(st.sampled_from("abcdABC %_\\é😀আমর+01@x.ioßİ\tم"), min_size=1, max_size=6))
def test_a_search_finds_what_a_scan_finds(searched, text):
    wanted = [n for n, in goods.run(searched.platform, "select user_id from customer where store_id = %s and (strpos(lower(name), lower(%s)) > 0 "
                                    "or strpos(lower(email), lower(%s)) > 0 or strpos(phone, lower(%s)) > 0) order by user_id",
                                    searched.store_id, text, text, text)]
    assert [row["user_id"] for row in listed(searched, search=text, sort="created_at:asc")["data"]] == wanted
