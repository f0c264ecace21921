"""Lists of customers: filters, search, sorts, pages, and that all of it is done with an index."""

import time
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import goods
from .client import is_error
from .customers import CUSTOMERS, FIELDS, listed, verify

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


# ---- with an index ---------------------------------------------------------------------------------------------------

TABLES = ("customer", "customer_total", "store_order")


def test_no_list_reads_a_whole_table(make_platform):
    """10,000 customers of 14,000: every documented filter and sort, from both ends of what it may let through; the counters
    of PostgreSQL say whether any table was read from end to end."""
    from .shop import Owner
    platform = make_platform()
    owner = Owner(platform)
    shop = owner.open_shop()
    goods.run(platform, "insert into customer (store_id, name, email, phone, is_guest, created_at, updated_at) "
              "select store, 'Person ' || md5(i::text), case when i %% 4 < 2 then 'p' || i || '@example.com' end, "
              "case when i %% 4 < 3 then '+8801' || lpad((i * 7919)::text, 9, '0') end, i %% 4 = 3, t, t + i %% 977 * interval '1 minute' "
              "from (select case when i <= 10000 then %s else %s end as store, i, timestamptz '2025-01-01' + i * interval '1 hour' as t "
              "from generate_series(1, 14000) as i) as n", shop.store_id, owner.open_store())
    goods.run(platform, "insert into store_order (store_id, user_id, order_status, sub_total, tax, shipping, discount, grand_total, "
              "store_serial_order_no, created_at, updated_at) select store_id, user_id, 'completed', user_id %% 50, 0, 0, 0, user_id %% 50, "
              "'S' || user_id || '-' || n, now(), now() from customer, generate_series(1, 1 + (user_id %% 3)::integer) as n where user_id %% 2 = 0")
    goods.run(platform, "analyze customer, customer_total, store_order")
    platform.postgres.rows("vacuum store_data.customer, store_data.customer_total")
    verify(shop)
    platform["store-data-1"].terminate()                              # its backends hand in what they counted
    platform["store-data-1"].start()
    platform.wait_ready()
    before = scans(platform)
    someone = goods.run(platform, "select max(user_id) from customer where store_id = %s and user_id %% 2 = 0", shop.store_id)[0][0]
    for _ in range(7):                                                # custom plans first, then the one for all values
        for sort in SORTS:
            for query in ({}, {"include_guests": "true"}, {"page": 40}, {"page": 3, "include_guests": "true"},
                          {"search": "p"}, {"search": "zz"}, {"search": "person c4c"}, {"search": "01"},
                          {"since": "2020-01-01"}, {"since": "2026-02-20"}, {"since": "2030-01-01"},
                          {"total_orders_min": 1}, {"total_orders_min": 4}, {"total_spent_min": 1}, {"total_spent_min": 140},
                          {"total_orders_min": 2, "total_spent_min": 3, "search": "a", "since": "2025-02-01", "include_guests": "true"}):
                answer = shop.get(CUSTOMERS, params={**query, "sort": sort, "limit": 20})
                assert answer.status_code == 200, answer
        assert shop.get(f"{CUSTOMERS}/{someone}").status_code == 200
        assert shop.get(f"{CUSTOMERS}/{someone}/orders").json()["pagination"]["total"] >= 1
        shop.post(CUSTOMERS, {"name": "x", "phone": "+8801000000001", "email": "p1@example.com"})
    platform["store-data-1"].terminate()
    while platform.postgres.backends("store-data"):
        time.sleep(0.02)
    after = scans(platform)
    assert {table: after[table] - before[table] for table in TABLES} == dict.fromkeys(TABLES, 0)


def scans(platform):
    return dict(goods.run(platform, "select relname::text, seq_scan from pg_stat_user_tables where schemaname = 'store_data' and relname = any (%s)",
                          list(TABLES)))
