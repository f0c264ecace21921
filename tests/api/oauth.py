"""An app that is installed by OAuth, and the merchant who installs it (contract C.1)."""

import base64
import hashlib
import os
from urllib.parse import urlencode

from .browser import Browser, redirected
from .shop import PASSWORD

AUTHORIZE = "/api/apps/oauth/authorize"
TOKEN = "/api/apps/oauth/token"
REVOKE = "/api/apps/oauth/revoke"
INTROSPECT = "/api/apps/oauth/introspect"
CALLBACK = "https://app.example/callback"


def challenge_of(verifier):
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class Install:
    """One owner, one store, one app that is not on it yet."""

    def __init__(self, platform, owner, scopes=("read:orders", "read:store"), redirect_urls=(CALLBACK,), **more):
        self.platform, self.owner = platform, owner
        self.store_id = owner.open_store()
        self.app = platform.call("auth.apps.create", owner_account_id=owner.account_id, name=f"App {os.urandom(4).hex()}",
                                 redirect_urls=list(redirect_urls), requested_scopes=list(scopes), **more)
        self.credentials = {"client_id": self.app["client_id"], "client_secret": self.app["client_secret"]}
        self.scope, self.redirect_uri = ",".join(scopes), redirect_urls[0]
        self.browser = Browser(platform)

    def query(self, **changes):
        fields = {"client_id": self.app["client_id"], "redirect_uri": self.redirect_uri, "scope": self.scope,
                  "state": "xyz 1&2", "store_id": self.store_id, **changes}
        return {name: value for name, value in fields.items() if value is not None}

    def address(self, **changes):
        return f"{AUTHORIZE}?{urlencode(self.query(**changes))}"

    def sign_in(self, browser=None, owner=None, **changes):
        browser, owner = browser or self.browser, owner or self.owner
        browser.open(self.address(**changes))
        return browser.submit(identifier=owner.email, password=PASSWORD)

    def ask(self, **changes):
        """What a signed-in merchant sees."""
        if "sx_oauth" not in self.browser.cookies:
            return self.sign_in(**changes)
        return self.browser.open(self.address(**changes))

    def code(self, **changes):
        answer = self.ask(**changes)
        assert answer.status_code == 200, answer
        place, fields = redirected(self.browser.submit("install"))
        assert place == changes.get("redirect_uri", self.redirect_uri).split("?")[0]
        return fields["code"]

    def token(self, **fields):
        return self.platform.post(TOKEN, {**self.credentials, **fields})

    def exchange(self, code=None, **fields):
        return self.token(grant_type="authorization_code", code=code or self.code(), redirect_uri=self.redirect_uri,
                          **fields)

    def refresh(self, refresh_token, **fields):
        return self.token(grant_type="refresh_token", refresh_token=refresh_token, **fields)

    def works(self, access_token):
        answer = self.platform.get("/api/apps/v1/store", headers={"Authorization": f"Bearer {access_token}"})
        assert answer.status_code in (200, 401), answer
        return answer.status_code == 200

    def is_active(self, token, **credentials):
        answer = self.platform.post(INTROSPECT, {**self.credentials, **credentials, "token": token})
        assert answer.status_code == 200, answer
        return answer.json()["active"]
