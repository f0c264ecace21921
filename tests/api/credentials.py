"""What the tests of auth share: answers, tokens of every family, and JWTs good and bad."""

import base64
import hashlib
import hmac
import json
import time

STORE = "/api/apps/v1/store"            # needs read:store
ORDERS = "/api/apps/v1/orders"          # needs read:orders


def refused(answer, status, code):
    body = answer.json()
    assert (answer.status_code, body["code"], body["status"]) == (status, code, status), answer.text
    return body


def accepted(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def part(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def jwt(key, claims, header=None):
    signed = f"{part(header or {'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    return f"{signed}.{part(hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest())}"


def session_token(shop, key=None, **claims):
    now = int(time.time())
    claims = {"aud": shop.client_id, "sub": str(shop.store_id), "sid": shop.installation_id, "app_id": shop.app_id, "gen": 1,
              "iat": now, "exp": now + 600, **claims}
    return jwt(key or shop.session_signing_key, {name: value for name, value in claims.items() if value is not None})


def me(platform, token):
    return platform.get("/api/auth/me", headers={"x-auth-token": token})


def introspect(platform, audience, **credential):
    """Asks auth as the gateway does; audience: 1 app, 2 merchant, 3 developer, 4 admin."""
    caller = {"audience": 5, "service": "gateway"}
    return platform.rpc().call("auth.identity.introspect", {"audience": audience, **credential}, caller=caller)
