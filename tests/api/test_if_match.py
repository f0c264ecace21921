"""If-Match on every PUT and DELETE of the contract: only the present state's own ETag, or *, lets a write through.

The operations come from the contract (operations.py). The resource of a PUT or DELETE is the nearest GET above it: that of
/orders/{order_id}/status is the order, that of a variant is its product. So a new PUT or DELETE is tried as soon as it
is described; it needs a POST whose example makes its resource, and a PUT whose example changes it.
"""

import pytest

from .client import is_error
from .operations import OPERATIONS, follow, harvest, ids_for, populate

BY_PATH = {(operation.method, operation.path): operation for operation in OPERATIONS}
WRITES = [operation for operation in OPERATIONS if operation.method in ("PUT", "PATCH", "DELETE")]


def resource_of(operation):
    path = operation.path
    while path and ("GET", path) not in BY_PATH:
        path = path.rpartition("/")[0]
    assert path, f"{operation}: no GET shows what it changes, so nobody has an ETag to send with it"
    return BY_PATH["GET", path]


def maker_of(name):
    """The POST that makes the thing with this id: that of the list above it."""
    for operation in OPERATIONS:
        if operation.method == "POST" and any(path == f"{operation.path}/{{{name}}}" for _, path in BY_PATH):
            return operation
    return None


def make(shop, operation):
    """What the operation needs and no more, because a category with products cannot be deleted; else one of everything."""
    known = {"store_id": shop.store_id}
    for name in operation.parameters:
        maker = maker_of(name)
        answer = maker.ask(shop.platform, shop.bearer, known) if maker else None
        if not answer or answer.status_code >= 300:
            return populate(shop)
        harvest(answer.json()["data"], known)
    return known


class Case:
    """One write and the thing it is about, in a store of its own."""

    def __init__(self, shop, operation):
        self.shop, self.operation, self.resource = shop, operation, resource_of(operation)
        self.ids = ids_for(operation, make(shop, operation))

    def tag(self):
        answer = self.resource.ask(self.shop.platform, self.shop.bearer, self.ids)
        assert answer.status_code == 200, answer
        return answer.headers["ETag"]

    def write(self, if_match, operation=None):
        credentials = {**self.shop.bearer, **({"If-Match": if_match} if if_match else {})}
        return (operation or self.operation).ask(self.shop.platform, credentials, self.ids)

    def is_refused(self, if_match, present):
        answer = self.write(if_match)
        assert set(is_error(answer, 412, "precondition_failed")) == {"message", "code", "status"}
        assert answer.headers["ETag"] == present, "the answer tells the state that is there"
        assert self.tag() == present, "nothing has changed"

    def change(self):
        """By another PUT on the same thing where there is one; False when no PUT changes it."""
        puts = sorted((one for one in WRITES if one.method == "PUT" and resource_of(one) is self.resource),
                      key=lambda one: (one is self.operation, one.path))
        if not puts:
            return False
        before, answer = self.tag(), self.write(None, puts[0])
        assert answer.status_code == 200, answer
        assert self.tag() != before, f"{puts[0]}: its example changes nothing; give it one that does"
        return True


@pytest.fixture
def case(owner, request):
    return Case(owner.open_shop(), request.param)


@pytest.fixture(scope="module")
def elsewhere(owner):
    """A store with one of everything: things of the same kinds with ETags of their own."""
    shop = owner.open_shop()
    return shop, populate(shop)


def of_all(operations):
    return pytest.mark.parametrize("case", operations, ids=str, indirect=True)


@of_all(WRITES)
def test_a_stale_tag_is_refused_and_the_present_one_works(case):
    stale = case.tag()
    if not case.change():
        stale = '"0123456789abcdef0123456789abcdef"'    # nothing but its making and its end ever changes it
    present = case.tag()
    case.is_refused(stale, present)
    case.is_refused(f'{stale}, "{present[1:-2]}"', present)
    answer = case.write(present)
    assert answer.status_code == 200, answer


@of_all(WRITES)
def test_a_weak_tag_and_one_of_another_thing_are_refused(case, elsewhere):
    """RFC 9110, 13.1.1: If-Match compares strongly."""
    shop, ids = elsewhere
    present = case.tag()
    case.is_refused(f"W/{present}", present)
    other = case.resource.ask(shop.platform, shop.bearer, ids).headers["ETag"]
    assert other != present
    case.is_refused(other, present)


@of_all(WRITES)
def test_any_state_will_do(case):
    answer = case.write("*")
    assert answer.status_code == 200, answer


@of_all(WRITES)
def test_one_of_several(case):
    answer = case.write(f'"of-long-ago", W/{case.tag()}, {case.tag()}')
    assert answer.status_code == 200, answer


def data_of(operation, status):
    """The schema of its data, and whether the contract says that the answer carries an ETag."""
    answer = operation.node["responses"].get(status, {})
    schema = follow(answer.get("content", {}).get("application/json", {}).get("schema", {}))
    return schema.get("properties", {}).get("data"), "ETag" in answer.get("headers", {})


PUTS = [operation for operation in WRITES if operation.method == "PUT"]
POSTS = [operation for operation in OPERATIONS if operation.method == "POST" and data_of(operation, "201")[1]]


@of_all(PUTS)
def test_what_a_put_answers_has_the_tag_that_the_next_get_gives(case):
    """Where the answer is that of the GET. That of a variant is no product, and a store's says whether it was changed."""
    data, promised = data_of(case.operation, "200")
    shown, _ = data_of(case.resource, "200")
    assert promised == (data == shown and case.operation.path != "/api/apps/v1/store")
    answer = case.write(case.tag())
    assert answer.status_code == 200 and answer.headers.get("ETag") == (case.tag() if promised else None)
    again = case.write(answer.headers.get("ETag"))         # changes nothing, where that is no mistake
    assert again.status_code != 412
    if promised and again.status_code == 200:
        assert again.headers["ETag"] == case.tag()


def test_some_answers_have_tags():
    assert len(POSTS) >= 7 and sum(data_of(operation, "200")[1] for operation in PUTS) >= 7


@pytest.mark.parametrize("operation", POSTS, ids=str)
def test_what_a_post_has_made_has_the_tag_that_its_get_gives(owner, operation):
    shop = owner.open_shop()
    answer = operation.ask(shop.platform, shop.bearer, {"store_id": shop.store_id})
    if answer.status_code != 201:
        answer = operation.ask(shop.platform, shop.bearer, populate(shop))
    assert answer.status_code == 201, answer
    made = {}
    harvest(answer.json()["data"], made)
    get = next(one for (method, path), one in BY_PATH.items() if method == "GET" and path.startswith(operation.path + "/{")
               and path.count("/") == operation.path.count("/") + 1)
    shown = get.ask(shop.platform, shop.bearer, ids_for(get, made))
    assert shown.status_code == 200 and shown.json()["data"] == answer.json()["data"]
    assert answer.headers["ETag"] == shown.headers["ETag"]


@of_all([operation for operation in WRITES if operation.method == "DELETE"])
def test_what_is_gone_is_not_found(case):
    """Not 412: there is no state to compare with."""
    assert case.write(case.tag()).status_code == 200
    for if_match in ("*", None):
        is_error(case.write(if_match), 404, "not_found")
