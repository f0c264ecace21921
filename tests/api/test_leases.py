"""The interleavings of protocols 5, from auth's side: fake gateways join, renew, fall silent, and somebody revokes.

A gateway that no test process speaks for is a row that never acks, as a stopped or killed one is.
"""

import random
import threading
import time

import pytest

from .platform import Platform
from .rpc import RpcError

WAIT_S = 1.0                            # INVALIDATE_WAIT_MS


@pytest.fixture(scope="module")
def two():
    """Two auth processes; the one real gateway joins like any other."""
    with Platform(services={"auth": 2, "store-data": 1}) as platform:
        yield platform


@pytest.fixture
def store(two):
    """A store to revoke something of: auth's own row is enough."""
    email = f"lease-{random.getrandbits(40)}@a.example"
    account = two.call("auth.accounts.create", name="Lease", email=email, password="long enough")
    return two.call("auth.stores.create", owner_account_id=account["account_id"], name="Lease")["store_id"]


@pytest.fixture(autouse=True)
def silence_of_earlier_tests(two):
    yield
    two.postgres.rows("delete from auth.gateway where id between 1 and 1000000")


def as_gateway(platform, operation, **body):
    return platform.rpc().call(operation, body, caller={"audience": 5, "service": "gateway"})


def join(platform):
    gateway_id = random.randrange(1, 1000000)
    return gateway_id, as_gateway(platform, "auth.identity.join", gateway_id=gateway_id)["version"]


def renew(platform, gateway_id, since):
    return as_gateway(platform, "auth.identity.renew", gateway_id=gateway_id, since=since)


def revoke(platform, store_id):
    """Answers how long it took."""
    started = time.monotonic()
    platform.call("auth.stores.set_status", store_id=store_id, status="suspended")
    return time.monotonic() - started


def version(platform):
    return platform.postgres.rows("select v from auth.identity_version")[0][0]


def test_a_revocation_is_acked_by_the_gateways_that_are_there(two, store):
    """And that makes it fast."""
    assert min(revoke(two, store) for _ in range(3)) < 0.3


def test_a_renewal_brings_the_tags_since_the_last_one(two, store):
    gateway_id, since = join(two)
    assert renew(two, gateway_id, since) == {"version": since, "tags": []}
    worker = threading.Thread(target=revoke, args=(two, store))
    worker.start()
    time.sleep(0.2)                     # committed; the revoker waits for our ack, which does not come
    assert renew(two, gateway_id, since) == {"version": since + 1, "tags": [[since + 1, f"store:{store}"]]}
    assert renew(two, gateway_id, since + 1) == {"version": since + 1, "tags": []}
    worker.join()


def test_a_silent_gateway_is_waited_for_once_and_must_join_again(two, store):
    gateway_id, since = join(two)
    assert WAIT_S <= revoke(two, store) < WAIT_S + 1
    with pytest.raises(RpcError) as error:
        renew(two, gateway_id, since)
    assert error.value.code == "not_found"
    assert min(revoke(two, store) for _ in range(3)) < 0.3
    assert as_gateway(two, "auth.identity.join", gateway_id=gateway_id)["version"] == version(two)


def test_a_gateway_that_renews_but_cannot_be_told_keeps_its_lease(two, store):
    """Its row stays, because its beat moved; the answer comes when a lease from before the commit has ended."""
    gateway_id, since = join(two)
    took = []
    worker = threading.Thread(target=lambda: took.append(revoke(two, store)))
    worker.start()
    while worker.is_alive():
        since = renew(two, gateway_id, since)["version"]
        time.sleep(0.25)
    worker.join()
    assert WAIT_S <= took[0] < WAIT_S + 1
    assert renew(two, gateway_id, since)["tags"] == []


def test_a_gateway_that_joins_during_a_revocation_either_counts_or_knows(two, store):
    """The revoking transaction is held open before its commit: the join waits for it and answers with its version."""
    before = version(two)
    revoker = two.postgres.connect("auth")
    revoker.autocommit = False
    cursor = revoker.cursor()
    cursor.execute("update auth.identity_version set v = v + 1")
    joined = []
    worker = threading.Thread(target=lambda: joined.append(join(two)))
    worker.start()
    time.sleep(0.5)
    assert not joined
    revoker.commit()
    worker.join(5)
    assert joined[0][1] == before + 1
    revoker.close()


def test_a_revocation_waits_for_a_join_under_way(two, store):
    """The other order: the join's transaction is open, so the revocation's version comes after it and its row is seen."""
    joiner = two.postgres.connect("auth")
    joiner.autocommit = False
    cursor = joiner.cursor()
    cursor.execute("select v from auth.identity_version for share")
    cursor.execute("insert into auth.gateway (id, joined_at) values (77, now())")
    took = []
    worker = threading.Thread(target=lambda: took.append(revoke(two, store)))
    worker.start()
    time.sleep(0.5)
    assert worker.is_alive()
    joiner.commit()
    worker.join(5)
    assert took[0] >= 0.5 + WAIT_S      # it waited for the joiner's transaction, then for its ack
    assert two.postgres.rows("select count(*) from auth.gateway where id = 77") == [(0,)]
    joiner.close()


def test_versions_are_in_the_order_of_the_commits(two, store):
    """What a snapshot with version v shows includes everything up to v: no version below v is still to come."""
    stop, gaps = threading.Event(), []

    def watch():
        with two.postgres.connect("auth") as connection, connection.cursor() as cursor:
            seen = 0
            while not stop.is_set():
                cursor.execute("select v, (select count(*) from auth.invalidation where v > %s and v <= now.v) "
                               "from auth.identity_version as now", (seen,))
                at, count = cursor.fetchone()
                if seen and count != at - seen:
                    gaps.append((seen, at, count))
                seen = at

    def hammer():
        for _ in range(15):
            two.call("auth.stores.set_status", store_id=store, status=random.choice(["suspended", "active", "frozen"]))

    watcher, hammers = threading.Thread(target=watch), [threading.Thread(target=hammer) for _ in range(4)]
    watcher.start()
    for thread in hammers:
        thread.start()
    for thread in hammers:
        thread.join()
    stop.set()
    watcher.join()
    assert not gaps


def test_a_gateway_that_is_too_far_behind_or_ahead_must_join(two):
    gateway_id, since = join(two)
    two.postgres.rows("update auth.identity_version set v = v + 5000")
    for stale in (since, since + 5001):
        with pytest.raises(RpcError) as error:
            renew(two, gateway_id, stale)
        assert error.value.code == "not_found"
    assert renew(two, gateway_id, since + 5000)["tags"] == []


def test_old_invalidations_are_trimmed(two, store):
    two.postgres.rows("update auth.identity_version set v = (v / 1024 + 10) * 1024 - 1")
    now = version(two)
    two.postgres.rows("insert into auth.invalidation select now.v - back, 'store:1' from auth.identity_version as now, "
                      "unnest(array[9000, 8000]) as back")
    revoke(two, store)
    rows = {row for row, in two.postgres.rows("select v from auth.invalidation where v > %s - 9500", (now,))}
    assert now + 1 in rows and now - 8000 in rows and now - 9000 not in rows


def test_an_introspection_is_as_new_as_its_version(two, store):
    """The version in an answer is read in the same snapshot as the rest."""
    seen = as_gateway(two, "auth.identity.renew", gateway_id=join(two)[0], since=version(two))["version"]
    assert seen == version(two)


def test_revoking_works_without_any_gateways_row(two, store):
    two.postgres.rows("delete from auth.gateway")
    assert revoke(two, store) < 0.5
