"""Every operation of the app API tried with another store's ids, without its scope, after an uninstall, in a suspended store.

Everything comes from the contract (operations.py): the operations, the bodies (the examples of their schemas), and the
resources in two stores, which are made by the contract's own POSTs. So an operation is covered when it is described. One
that takes an id needs a POST whose example works; without one its tests fail and say so.
"""

import json
import re
import time

import pytest

from . import goods
from .client import is_error
from .operations import OPERATIONS, OTHER_NAMES, READS, WITH_IDS, ids_for, populate
from .shop import SCOPES

NOBODYS_ID = 2**62 + 12345
NOBODYS_TEXT = "NOBODYS-7Q2"
# What differs between two answers to the same question.
OF_THE_MOMENT = {"x-request-id", "date", "ratelimit-remaining", "ratelimit-reset"}
SCOPED = [operation for operation in OPERATIONS if operation.scopes]


class Stores:
    def __init__(self, owner):
        self.platform = owner.platform
        self.own, self.other = owner.open_shop(), owner.open_shop()
        self.own_ids, self.other_ids = populate(self.own), populate(self.other)
        deadline = time.monotonic() + 30
        while self.working() and time.monotonic() < deadline:
            time.sleep(0.1)

    def working(self):
        return goods.run(self.platform, "select 1 from bulk_job where store_id = %s and status in ('queued', 'receiving', 'running')",
                         self.other.store_id) if self.has_table("bulk_job") else []

    def has_table(self, name):
        return self.platform.postgres.rows("select 1 from pg_class where relname = %s and relnamespace = 'store_data'::regnamespace", (name,))

    def rows_of_the_other(self):
        """A fingerprint of every table's rows of the other store."""
        tables = self.platform.postgres.rows("select table_schema || '.' || table_name from information_schema.columns where table_schema in "
                                             "('billing', 'store_data') and column_name = 'store_id' and table_name <> 'outbox' order by 1")
        return {table: self.platform.postgres.rows(f"select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {table} as t where "
                                                   "store_id = %s", (self.other.store_id,)) for table, in tables}


@pytest.fixture(scope="module")
def stores(owner):
    return Stores(owner)


@pytest.fixture(scope="module")
def rows_before(stores):
    """When the other store's own jobs have come to their end, what a cancelled one has left was cleared away, and its events
    are published: they go on by themselves."""
    deadline = time.monotonic() + 30
    while goods.run(stores.platform, "select 1 from bulk_job where store_id = %s and finished_at is null union all select 1 from bulk_piece "
                    "where store_id = %s union all select 1 from store_data.outbox where store_id = %s", *[stores.other.store_id] * 3):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return stores.rows_of_the_other()


def told(answer, asked=None):
    """What an answer says, byte for byte, but for the request's own id; and for a text that was asked for, which it may repeat."""
    headers = sorted((name.lower(), value) for name, value in answer.headers.items() if name.lower() not in OF_THE_MOMENT | {"etag", "content-length"})
    return answer.status_code, headers, re.sub(rf"(?<!\w){re.escape(str(asked))}(?!\w)", "ASKED", answer.text) if asked else answer.text


@pytest.mark.parametrize("operation", WITH_IDS, ids=str)
def test_a_foreign_id_and_none_are_answered_alike(stores, rows_before, operation):
    own, other = ids_for(operation, stores.own_ids), ids_for(operation, stores.other_ids)
    if operation.method == "GET":
        answer = operation.ask(stores.platform, stores.own.bearer, own)
        assert answer.status_code == 200, f"the store's own: {answer}"
    for name in operation.parameters:
        nobodys = NOBODYS_ID if operation.is_number(name) else NOBODYS_TEXT
        assert other[name] != own[name]
        answers = [told(operation.ask(stores.platform, stores.own.bearer, {**own, name: given}, own), None if operation.is_number(name) else given)
                   for given in (other[name], nobodys)]
        assert answers[0] == answers[1], name
        if operation.is_number(name):
            status, _, text = answers[0]
            body = json.loads(text)
            assert status == 404 and body["code"] in ("not_found", "charge_not_found") and set(body) <= {"message", "code", "status", "errors"}, text
    answers = [told(operation.ask(stores.platform, stores.own.bearer, {**own, **{name: ids[name] for name in operation.parameters}}, own))
               for ids in (other, {name: NOBODYS_ID if operation.is_number(name) else NOBODYS_TEXT for name in operation.parameters})]
    assert answers[0] == answers[1] or not all(map(operation.is_number, operation.parameters))


@pytest.mark.parametrize("operation", READS, ids=str)
def test_what_a_store_reads_is_its_own(stores, operation):
    """No id of the other store is in what it is told."""
    answer = operation.ask_whole(stores.own, ids_for(operation, stores.own_ids))
    assert answer.status_code == 200, answer
    found = []

    def look(value):
        if isinstance(value, list):
            for item in value:
                look(item)
        elif isinstance(value, dict):
            for name, item in value.items():
                if stores.other_ids.get(OTHER_NAMES.get(name, name)) == item and isinstance(item, int) and name.endswith("_id"):
                    found.append((name, item))
                if name != "sample":                                        # of a webhook topic: nobody's
                    look(item)

    for text in answer.text.splitlines() if "ndjson" in answer.headers["Content-Type"] else [answer.text]:
        look(json.loads(text))
    assert not found


def test_nothing_of_the_other_store_has_changed(stores, rows_before):
    assert stores.rows_of_the_other() == rows_before


# ---- who may not ask at all -------------------------------------------------------------------------------------------

def is_bare(answer, status, code):
    """The error and nothing else."""
    assert set(is_error(answer, status, code)) == {"message", "code", "status"}


@pytest.fixture(scope="module")
def without_scope(owner, stores):
    """For each scope an app on the own store that holds all others."""
    made = {}

    def shop(scope):
        if scope not in made:
            made[scope] = owner.open_shop(scopes=[one for one in SCOPES if one != scope], store_id=stores.own.store_id)
        return made[scope]

    return shop


@pytest.mark.parametrize("operation", SCOPED, ids=str)
def test_without_its_scope(stores, without_scope, operation):
    for scope in operation.scopes:
        shop = without_scope(scope)
        for credentials in (shop.bearer, shop.client):
            for ids in (stores.own_ids, stores.other_ids):
                is_bare(operation.ask(stores.platform, credentials, ids_for(operation, ids)), 403, "insufficient_scope")


@pytest.fixture(scope="module")
def uninstalled(owner, stores):
    shop = owner.open_shop(store_id=stores.own.store_id)
    stores.platform.call("auth.installations.end", installation_id=shop.installation_id)
    return shop


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_after_an_uninstall(stores, uninstalled, operation):
    ids = ids_for(operation, stores.own_ids)
    is_bare(operation.ask(stores.platform, uninstalled.bearer, ids), 401, "invalid_token")
    is_bare(operation.ask(stores.platform, uninstalled.client, ids), 401, "not_installed")


@pytest.fixture(scope="module", params=["suspended", "frozen"])
def inactive(owner, stores, request):
    shop = owner.open_shop()
    stores.platform.call("auth.stores.set_status", store_id=shop.store_id, status=request.param)
    return shop


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_in_a_store_that_is_not_active(stores, inactive, operation):
    for credentials in (inactive.bearer, inactive.client):
        is_bare(operation.ask(stores.platform, credentials, ids_for(operation, stores.own_ids)), 403, "store_inactive")


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_with_the_credentials_of_another_store(stores, operation):
    """Client credentials name the store: one that the app is not installed on is refused, whether it exists or not."""
    ids = ids_for(operation, stores.own_ids)
    answers = [operation.ask(stores.platform, {**stores.own.client, "X-Store-Id": str(number)}, ids) for number in (stores.other.store_id, 2**40)]
    for answer in answers:
        is_bare(answer, 401, "not_installed")
    assert answers[0].content == answers[1].content
