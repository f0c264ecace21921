"""Categories: a tree without rings, whose categories do not go while products are in them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from . import goods
from .client import is_error

CATEGORIES = "/api/apps/v1/categories"


def make(shop, name="Panjabi", **body):
    answer = shop.post(CATEGORIES, {"name": name, **body})
    assert answer.status_code == 201, answer
    return answer.json()["data"]


def test_one_from_its_making_to_its_end(shop):
    top = make(shop, "পোশাক")
    made = make(shop, parent_id=top["category_id"], description="d 🎁", image="k.png", position=3)
    assert (top["slug"], top["parent_id"], made["slug"], made["parent_id"], made["position"]) == (
        "পোশাক", None, "panjabi", top["category_id"], 3)
    path = f"{CATEGORIES}/{made['category_id']}"
    assert shop.get(path).json()["data"] == made
    changed = shop.put(path, {"name": "Silk", "description": None}).json()["data"]
    assert (changed["name"], changed["slug"], changed["description"], changed["parent_id"]) == ("Silk", "panjabi", None, top["category_id"])
    assert shop.put(path, {"name": "Silk"}).json()["data"] == changed == shop.get(path).json()["data"]
    assert shop.put(path, {"parent_id": None, "slug": "silk"}).json()["data"]["parent_id"] is None
    assert shop.delete(path).json()["data"] == {"category_id": made["category_id"]}
    for answer in (shop.get(path), shop.put(path, {}), shop.delete(path)):
        is_error(answer, 404, "not_found")


@pytest.mark.parametrize("body, field", [
    ({}, "name"), ({"name": ""}, "name"), ({"name": "x" * 256}, "name"), ({"name": "x", "slug": "A"}, "slug"),
    ({"name": "x", "parent_id": 0}, "parent_id"), ({"name": "x", "position": -1}, "position"),
    ({"name": "x", "position": 1.5}, "position"), ({"name": "x", "description": "x" * 5001}, "description")])
def test_bad_bodies(shop, body, field):
    assert is_error(shop.post(CATEGORIES, body), 400, "validation_error")["errors"][0]["field"] == field


def test_slugs(shop):
    assert [make(shop, "Tea!")["slug"] for _ in range(3)] == ["tea", "tea-2", "tea-3"]
    is_error(shop.post(CATEGORIES, {"name": "x", "slug": "tea-2"}), 409, "duplicate_slug")
    other = make(shop, "Other")
    is_error(shop.put(f"{CATEGORIES}/{other['category_id']}", {"slug": "tea"}), 409, "duplicate_slug")
    is_error(shop.put(f"{CATEGORIES}/{other['category_id']}", {"slug": "T"}), 400, "validation_error")


def test_no_rings(shop):
    a = make(shop, "a")["category_id"]
    b = make(shop, "b", parent_id=a)["category_id"]
    c = make(shop, "c", parent_id=b)["category_id"]
    for below in (a, b, c):
        body = is_error(shop.put(f"{CATEGORIES}/{a}", {"parent_id": below}), 400, "validation_error")
        assert body["errors"][0]["field"] == "parent_id"
    assert shop.put(f"{CATEGORIES}/{c}", {"parent_id": a}).status_code == 200


def test_two_moves_at_once_make_no_ring(shop):
    for _ in range(8):
        a, b = (make(shop, name)["category_id"] for name in "ab")
        with ThreadPoolExecutor(2) as pool:
            moves = list(pool.map(lambda pair: shop.put(f"{CATEGORIES}/{pair[0]}", {"parent_id": pair[1]}), [(a, b), (b, a)]))
        assert sorted(answer.status_code for answer in moves) == [200, 400]


def test_one_in_use_stays(shop):
    top = make(shop, "top")["category_id"]
    below = make(shop, "below", parent_id=top)["category_id"]
    product = shop.post("/api/apps/v1/products", {"name": "x", "category_id": below}).json()["data"]["product_id"]
    for number in (top, below):
        is_error(shop.delete(f"{CATEGORIES}/{number}"), 409, "conflict")
    shop.delete(f"/api/apps/v1/products/{product}")
    for number in (below, top):
        assert shop.delete(f"{CATEGORIES}/{number}").status_code == 200
    is_error(shop.post("/api/apps/v1/products", {"name": "y", "category_id": below}), 404, "not_found")


def test_no_product_is_in_a_category_that_went(shop):
    """Products and the end of their category at once: whoever is first, nobody is left in one that is not there."""
    for round_ in range(6):
        number = make(shop, f"c{round_}")["category_id"]
        with ThreadPoolExecutor(6) as pool:
            made = [pool.submit(shop.post, "/api/apps/v1/products", {"name": "x", "category_id": number}) for _ in range(5)]
            gone = pool.submit(shop.delete, f"{CATEGORIES}/{number}").result().status_code
        statuses = {future.result().status_code for future in made}
        assert (gone, statuses) in [(200, {404}), (409, {201})] or (gone == 409 and statuses <= {201}), (gone, statuses)


def test_if_match(shop):
    path = f"{CATEGORIES}/{make(shop)['category_id']}"
    stale = shop.get(path).headers["ETag"]
    assert shop.put(path, {"name": "B"}, headers={"If-Match": stale}).status_code == 200
    for answer in (shop.put(path, {"name": "C"}, headers={"If-Match": stale}), shop.delete(path, headers={"If-Match": stale})):
        is_error(answer, 412, "precondition_failed")
    assert shop.delete(path, headers={"If-Match": shop.get(path).headers["ETag"]}).status_code == 200


def test_another_stores_are_not_there(owner, shop):
    other = owner.open_shop()
    theirs, mine = make(other)["category_id"], make(shop)["category_id"]
    for ask in (shop.get, lambda path: shop.put(path, {"name": "x"}), shop.delete):
        answers = [is_error(ask(f"{CATEGORIES}/{number}"), 404, "not_found") for number in (theirs, 2**60)]
        assert answers[0] == answers[1]
    for ask in (lambda body: shop.post(CATEGORIES, {"name": "x", **body}), lambda body: shop.put(f"{CATEGORIES}/{mine}", body)):
        answers = [is_error(ask({"parent_id": number}), 404, "not_found") for number in (theirs, 2**60)]
        assert answers[0] == answers[1]
    assert [row["category_id"] for row in shop.get(CATEGORIES).json()["data"]] == [mine]


@pytest.mark.parametrize("sort", ["created_at:asc", "created_at", "updated_at:asc", "updated_at:desc", "name:asc", "name"])
@pytest.mark.parametrize("below", [False, True])
def test_every_page(platform, shop, sort, below):
    parent = make(shop, "parent")["category_id"]
    goods.run(platform, "insert into category (store_id, parent_id, name, slug, created_at, updated_at) select %s, case when i %% 3 = 0 "
              "then %s end, (array['apple','banana',repeat('ক', 100)])[1 + i %% 3], 's' || i, timestamptz '2026-01-01' + i / 4 * interval "
              "'1 us', timestamptz '2026-01-01' + i %% 7 * interval '1 s' from generate_series(1, 40) as i", shop.store_id, parent)
    column, _, way = sort.partition(":")
    key, way = "left(name, 60) collate \"C\"" if column == "name" else column, way or "desc"
    wanted = [n for n, in goods.run(platform, f"select category_id from category where store_id = %s and (%s or parent_id = %s) "
                                    f"order by {key} {way}, category_id {way}", shop.store_id, not below, parent)]
    query, walked, cursor = ({"parent_id": parent} if below else {}), [], None
    while True:
        body = shop.get(CATEGORIES, params={**query, "sort": sort, "limit": 6, **({"cursor": cursor} if cursor else {})}).json()
        walked += [row["category_id"] for row in body["data"]]
        assert body["pagination"]["total"] == len(wanted)
        cursor = body["pagination"]["next_cursor"]
        if not cursor:
            break
    assert walked == wanted
    paged = [shop.get(CATEGORIES, params={**query, "sort": sort, "limit": 6, "page": page}).json()["data"] for page in range(1, 8)]
    assert [row["category_id"] for page in paged for row in page] == wanted


def test_bad_queries(shop):
    for query in ({"sort": "price"}, {"parent_id": "x"}, {"cursor": "x"}):
        is_error(shop.get(CATEGORIES, params=query), 400, "validation_error")


def test_what_a_browser_would_run_is_no_image(shop):
    path = f"{CATEGORIES}/{make(shop)['category_id']}"
    for image in "javascript:x", "data:image/png;base64,AA", "../a.png", "a b":
        for answer in shop.put(path, {"image": image}), shop.post(CATEGORIES, {"name": "C", "image": image}):
            assert is_error(answer, 400, "validation_error")["errors"][0]["field"] == "image"
    assert shop.put(path, {"image": "https://cdn.example/c.png"}).json()["data"]["image"] == "https://cdn.example/c.png"
