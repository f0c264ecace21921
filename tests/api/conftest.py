"""Who else there is on the shared platform: a merchant and a developer, signed in; an app to be installed by OAuth."""

import pytest

from .credentials import accepted
from .oauth import Install
from .shop import PASSWORD, Owner


@pytest.fixture
def merchant(platform):
    account = Owner(platform)
    answer = platform.post("/api/auth/login", {"email": account.email, "password": PASSWORD})
    account.token = accepted(answer)["token"]
    return account


@pytest.fixture
def developer(platform):
    account = Owner(platform, is_developer=True)
    answer = platform.post("/api/v1/auth/login", {"identifier": account.email, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    account.token = answer.json()["data"]["accessToken"]
    return account


@pytest.fixture
def install(platform, owner):
    return Install(platform, owner)
