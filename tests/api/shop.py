"""Credentials to test with, made through the same internal operations an operator uses.

    shop = Owner(platform).open_shop(scopes=["read:orders"])
    shop.get("/api/apps/v1/orders")            # as its app, by bearer token
"""

import itertools
import os

RESOURCES = ["orders", "products", "customers", "inventory", "discounts", "store", "analytics", "metafields",
             "shipping"]
SCOPES = [f"{verb}:{what}" for what in RESOURCES for verb in ("read", "write")] + ["billing"]
PASSWORD = "correct horse battery staple"
numbers = itertools.count(1)


class Owner:
    """One account that owns stores (as a merchant) and apps (as a developer)."""

    def __init__(self, platform, **flags):
        self.platform = platform
        self.email = f"owner-{os.urandom(6).hex()}@shop.example"
        self.password = PASSWORD
        account = platform.call("auth.accounts.create", name="Test Owner", email=self.email, password=PASSWORD, **flags)
        self.account_id = account["account_id"]

    def open_store(self, name=None):
        name = name or f"Store {next(numbers)}"
        store_id = self.platform.call("auth.stores.create", owner_account_id=self.account_id, name=name)["store_id"]
        self.platform.call(
            "store-data.stores.create", store_id=store_id, name=name, email="shop@shop.example", phone="+8801711000000",
            currency="BDT", address="12 Mirpur Road, Dhaka", domain="shop.example", language="bn")
        return store_id

    def make_app(self, scopes=None, **fields):
        return self.platform.call(
            "auth.apps.create", owner_account_id=self.account_id, name=f"App {os.urandom(6).hex()}",
            redirect_urls=["https://app.example/callback"], requested_scopes=scopes or SCOPES, **fields)

    def open_shop(self, scopes=None, store_id=None, app=None):
        store_id = store_id or self.open_store()
        app = app or self.make_app(scopes)
        grant = self.platform.call("auth.installations.create", app_id=app["app_id"], store_id=store_id)
        shop = Shop(self.platform, store_id, app, grant)
        shop.owner = self
        return shop


class Shop:
    """One store as one installed app sees it."""

    def __init__(self, platform, store_id, app, grant):
        self.platform, self.store_id = platform, store_id
        self.app_id, self.client_id, self.client_secret = app["app_id"], app["client_id"], app["client_secret"]
        self.session_signing_key = app["session_signing_key"]
        self.installation_id = grant["installation_id"]
        self.access_token, self.refresh_token = grant["access_token"], grant["refresh_token"]

    @property
    def bearer(self):
        return {"Authorization": f"Bearer {self.access_token}"}

    @property
    def client(self):
        return {"X-Client-Id": self.client_id, "X-Client-Secret": self.client_secret, "X-Store-Id": str(self.store_id)}

    def request(self, method, path, *, headers=None, **options):
        return self.platform.request(method, path, headers={**self.bearer, **(headers or {})}, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, json_body=None, **options):
        return self.request("POST", path, json_body=json_body, **options)

    def put(self, path, json_body=None, **options):
        return self.request("PUT", path, json_body=json_body, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)
