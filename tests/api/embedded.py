"""An app with a page in the merchant dashboard, a merchant who opens it, and the app's own frontend and backend."""

import base64
import hashlib
import hmac
from urllib.parse import parse_qsl, urlsplit

from .credentials import accepted
from .shop import PASSWORD, Owner

EMBED = "/api/apps/session/embed-params"
TOKEN = "/api/apps/session/session-token"
VERIFY = "/api/apps/session/verify"
JWKS = "/.well-known/jwks.json"


class Merchant(Owner):
    """Signed in, with a store that has an embedded app installed."""

    def __init__(self, platform, app_url="https://app.example/embed", **flags):
        super().__init__(platform, **flags)
        self.token = accepted(platform.post("/api/auth/login", {"email": self.email, "password": PASSWORD}))["token"]
        self.shop = self.install(app_url)

    def install(self, app_url="https://app.example/embed", **options):
        return self.open_shop(app=self.make_app(app_url=app_url), **options)

    @property
    def headers(self):
        return {"x-auth-token": self.token}

    def embed(self, shop=None, **options):
        shop = shop or self.shop
        return self.platform.get(f"{EMBED}?app_id={shop.app_id}&store_id={shop.store_id}", headers=self.headers, **options)

    def session(self, shop=None, **options):
        """A fresh session token's answer."""
        shop = shop or self.shop
        return self.platform.post(TOKEN, {"app_id": shop.app_id, "store_id": shop.store_id}, headers=self.headers, **options)

    def session_token(self, shop=None):
        return accepted(self.session(shop))["session_token"]

    def choose(self, algorithm, shop=None):
        shop = shop or self.shop
        return self.platform.request("PUT", f"/api/apps/{shop.app_id}/session-algorithm", headers=self.headers,
                                     json_body={"algorithm": algorithm})


def verify(shop, token, **fields):
    """As the app's backend asks."""
    body = {"session_token": token, "client_id": shop.client_id, "client_secret": shop.client_secret, **fields}
    return shop.platform.post(VERIFY, {name: value for name, value in body.items() if value is not None})


def frontend_parameters(url, key):
    """What an app's frontend reads from its address; asserts that the platform has signed it."""
    parameters = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    given = [value for name, value in parameters if name == "hmac"]
    assert len(given) == 1
    signed = "&".join(f"{name}={value}" for name, value in sorted(
        [pair for pair in parameters if pair[0] != "hmac"], key=lambda pair: pair[0]))
    assert given[0] == hmac.new(key.encode(), signed.encode(), hashlib.sha256).hexdigest(), signed
    return parameters


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
