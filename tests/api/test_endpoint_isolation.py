"""Endpoints of one owner that hang have no more requests under way than one owner may have (delivery.h), and what is healthy is
served while they still hang. Nothing of theirs is lost. Many such owners: test_webhook_floods.py.
"""

import threading

import pytest

from .hooks import Sink, event, log_of, publish, subscribe
from .shop import Owner
from .test_uninstall import until

MANY, OF_NEW_OWNER, OF_KNOWN_OWNER, OF_ENDPOINT = 100, 8, 19, 64


class Holding(Sink):
    """Answers when `release` is set. `most`: how many requests stood there at once."""

    def __init__(self):
        super().__init__()
        self.release, self.standing, self.most = threading.Event(), 0, 0

    def take(self, path, headers, body):
        with self.changed:
            self.standing += 1
            self.most = max(self.most, self.standing)
            self.changed.notify_all()
        self.release.wait(30)
        with self.changed:
            self.standing -= 1
        return super().take(path, headers, body)

    def wait_standing(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: self.standing >= count, 20), self.standing


@pytest.fixture(scope="module")
def roomy_platform():
    from .platform import Platform
    with Platform() as platform:
        yield platform


@pytest.fixture
def shops(roomy_platform):
    made = [Owner(roomy_platform).open_shop() for _ in range(2)]
    until(lambda: all(log_of(roomy_platform, shop.installation_id) for shop in made), 60)
    return made


def outcomes(platform, *shops):
    return platform.postgres.rows("select a.subscription_id, a.response_status from webhooks.attempt as a join webhooks.subscription as s "
                                  "using (subscription_id) where s.store_id = any (%s)", ([shop.store_id for shop in shops],))


def test_more_hang_than_one_owner_may_have_under_way(roomy_platform, shops):
    owner, good = Owner(roomy_platform), shops[1]
    app = owner.make_app()
    bad = [owner.open_shop(app=app) for _ in range(4)]
    with Holding() as holding, Sink() as sink:
        for number in range(MANY):
            subscribe(bad[number % 4], f"{holding.url}/{number}")
        subscribe(good, sink.url)
        publish(roomy_platform, *[event(shop.store_id) for shop in bad])
        holding.wait_standing(OF_NEW_OWNER)
        for number in range(1, 6):
            publish(roomy_platform, event(good.store_id, resource_id=number))
            sink.wait(number, 10)
        assert outcomes(roomy_platform, *bad) == [] and holding.most == OF_NEW_OWNER
        holding.release.set()
        until(lambda: len(outcomes(roomy_platform, *bad)) >= MANY, 60)
        until(lambda: not roomy_platform.postgres.rows("select 1 from webhooks.waiting where subscription_id > 0 limit 1"), 60)
        assert {status for _, status in outcomes(roomy_platform, *bad)} == {200}
        assert len({path for path, _, _ in holding.requests}) == MANY


def test_one_app_with_ten_that_hang(roomy_platform, shops):
    bad, good = shops
    with Holding() as holding, Sink() as sink:
        for number in range(10):
            subscribe(bad, f"{holding.url}/{number}")
        subscribe(good, sink.url)
        publish(roomy_platform, *[event(bad.store_id, resource_id=number) for number in range(50)])
        holding.wait_standing(OF_NEW_OWNER)
        publish(roomy_platform, *[event(good.store_id, resource_id=number) for number in range(50)])
        sink.wait(50, 10)
        assert holding.most == OF_NEW_OWNER and outcomes(roomy_platform, bad) == []
        holding.release.set()
        until(lambda: len(outcomes(roomy_platform, bad)) == 500, 60)


def test_one_that_was_fast_and_hangs_now(roomy_platform, shops):
    bad, good = shops
    with Holding() as holding, Sink() as sink:
        holding.release.set()
        subscribe(bad, holding.url)
        subscribe(good, sink.url)
        publish(roomy_platform, *[event(bad.store_id, resource_id=number) for number in range(200)])
        until(lambda: len(outcomes(roomy_platform, bad)) == 200)
        holding.most = 0
        holding.release.clear()
        publish(roomy_platform, *[event(bad.store_id, resource_id=number) for number in range(200)])
        holding.wait_standing(OF_KNOWN_OWNER)
        publish(roomy_platform, *[event(good.store_id, resource_id=number) for number in range(50)])
        sink.wait(50, 10)
        assert holding.most <= OF_ENDPOINT and len(outcomes(roomy_platform, bad)) == 200
        holding.release.set()
        until(lambda: len(outcomes(roomy_platform, bad)) == 400, 60)
