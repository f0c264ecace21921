"""The demo data (`sxctl demo`, which `make up` runs each time): what it says works on the next day as well."""

import json
import os

import pytest

from .credentials import accepted, bearer, me
from .oauth import TOKEN

ORDERS = "/api/apps/v1/orders?limit=2"
DAY = 86400


class Demo:
    def __init__(self, platform):
        self.platform = platform
        self.load()

    def load(self):
        """As `make up` does it; what it says on the way."""
        said = self.platform.sxctl("demo", self.platform.url(), timeout=300).stderr
        self.json = json.loads((self.platform.home / "demo.json").read_text())
        return said

    def works(self):
        """README's curl, the merchant, the developer, the admin."""
        token = self.json["developer"]["access_token"]
        return [self.platform.get(ORDERS, headers=bearer(self.json["access_token"])).status_code,
                me(self.platform, self.json["merchant"]["token"]).status_code,
                self.platform.get("/api/v1/auth/me", headers=bearer(token)).status_code,
                me(self.platform, self.json["admin"]["token"]).status_code]


@pytest.fixture
def demo(make_platform):
    return Demo(make_platform())


def test_the_next_day_the_demo_works_again(demo):
    first = demo.json
    assert demo.works() == [200] * 4
    assert demo.load() == "" and demo.json == first           # nothing has ended
    demo.platform.set_clock(3700)
    assert demo.works() == [200, 200, 401, 200]
    demo.load()
    assert demo.works() == [200] * 4 and demo.json["access_token"] == first["access_token"]
    demo.platform.set_clock(25 * 3600)
    assert demo.works() == [401] * 4
    demo.load()
    assert demo.works() == [200] * 4
    same = [name for name in first if name not in ("access_token", "refresh_token", "merchant", "developer", "admin")]
    assert {name: demo.json[name] for name in same} == {name: first[name] for name in same}
    demo.platform.set_clock(400 * DAY)                         # the refresh token has ended too
    demo.load()
    assert demo.works() == [200] * 4
    assert os.stat(demo.platform.home / "demo.json").st_mode & 0o777 == 0o600


def test_whatever_ended_it(demo):
    demo.platform.call("auth.installations.end", installation_id=demo.json["installation_id"])
    demo.platform.call("auth.sessions.revoke", token=demo.json["merchant"]["token"])
    demo.load()
    assert demo.works() == [200] * 4
    store = demo.json["store_id"]
    demo.platform.call("auth.stores.set_status", store_id=store, status="suspended")
    before = demo.json
    assert demo.load() == "" and demo.json == before          # the token is good, the store is not
    demo.platform.call("auth.stores.set_status", store_id=store, status="active")
    assert demo.works() == [200] * 4


def test_a_refresh_token_that_its_reader_has_used(demo):
    body = {name: demo.json[name] for name in ("client_id", "client_secret", "refresh_token")}
    accepted(demo.platform.post(TOKEN, {**body, "grant_type": "refresh_token"}))
    demo.platform.set_clock(25 * 3600)
    demo.load()
    assert demo.works() == [200] * 4


def test_what_cannot_be_renewed_is_said_and_the_rest_is(demo):
    path = demo.platform.home / "demo.json"
    text = path.read_text()
    path.write_text(text.replace(demo.json["merchant"]["password"], "another password", 1))
    demo.platform.set_clock(25 * 3600)
    assert "the merchant's token has ended, and" in demo.load()
    assert demo.works() == [200, 401, 200, 200]
    path.write_text("{")
    answer = demo.platform.sxctl("demo", demo.platform.url(), check=False)
    assert answer.returncode == 1 and "demo.json" in answer.stderr and path.read_text() == "{"
