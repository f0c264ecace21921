"""Session tokens that need no shared secret (ES256): the key set, rotation, and forgeries between the two algorithms. The app's
side is PyJWT with its JWKS client, used unchanged."""

import base64
import hashlib
import hmac
import time

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from .credentials import STORE, accepted, bearer, introspect, jwt, part, refused, session_token
from .embedded import JWKS, TOKEN, Merchant, frontend_parameters, verify
from .rpc import RpcError

ROTATE = "auth.session_keys.rotate"


def key_set(platform):
    answer = platform.get(JWKS)
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "public, max-age=300"
    return {key["kid"]: key for key in answer.json()["keys"]}


def kid_of(token):
    return pyjwt.get_unverified_header(token)["kid"]


def read_by_app(platform, shop, token):
    """As an app without any shared secret does it."""
    key = pyjwt.PyJWKClient(platform.url(JWKS)).get_signing_key_from_jwt(token)
    return pyjwt.decode(token, key.key, algorithms=["ES256"], audience=shop.client_id, issuer="selorax")


@pytest.fixture(scope="module")
def seller(platform):
    merchant = Merchant(platform)
    assert accepted(merchant.choose("ES256")) == {"app_id": merchant.shop.app_id, "algorithm": "ES256"}
    return merchant


def test_an_app_that_shares_no_secret(platform, seller):
    shop, data = seller.shop, accepted(seller.embed())
    token = data["session_token"]
    claims = read_by_app(platform, shop, token)
    assert (int(claims["sub"]), claims["sid"], claims["app_id"], claims["gen"]) == (shop.store_id, shop.installation_id, shop.app_id, 1)
    assert claims["exp"] - claims["iat"] == 600
    for _ in range(2):
        assert accepted(platform.get(STORE, headers=bearer(token)))["store_id"] == shop.store_id
    assert accepted(verify(shop, token))["installation_id"] == shop.installation_id
    frontend_parameters(data["iframe_url"], shop.session_signing_key)
    assert "session_keys:1" in introspect(platform, 1, kind="bearer", token=token)["tags"]


def test_the_key_set_holds_public_halves_only(platform, seller):
    keys = key_set(platform)
    assert kid_of(seller.session_token()) in keys
    for key in keys.values():
        assert set(key) == {"kty", "crv", "use", "alg", "kid", "x", "y"}


def test_the_private_half_is_sealed(platform, seller):
    for kid, public, private in platform.postgres.rows("select kid, public_key, private_key from auth.session_key"):
        assert len(public) == 64 and len(private) > 32 + 28, kid
        x, y = (int.from_bytes(public[at:at + 32], "big") for at in (0, 32))
        for at in range(len(private) - 31):
            number = int.from_bytes(private[at:at + 32], "big")
            try:
                found = ec.derive_private_key(number, ec.SECP256R1()).public_key().public_numbers()
            except ValueError:
                continue
            assert (found.x, found.y) != (x, y)


def test_who_may_choose(platform, seller):
    stranger = Merchant(platform)
    refused(stranger.choose("HS256", seller.shop), 404, "not_found")
    path = f"/api/apps/{10**12}/session-algorithm"
    refused(platform.request("PUT", path, headers=seller.headers, json_body={"algorithm": "HS256"}), 404, "not_found")
    for algorithm in ("none", "RS256", "es256", "", None, 1, ["ES256"]):
        refused(seller.choose(algorithm), 400, "validation_error")
    refused(platform.request("PUT", path, headers=seller.headers, json_body={}), 400, "validation_error")
    refused(platform.request("PUT", path, json_body={"algorithm": "HS256"}), 401, "missing_token")
    rows = platform.postgres.rows("select action, actor_account_id from auth.audit where app_id = %s and action like %s",
                                  (seller.shop.app_id, "app.session_algorithm%"))
    assert rows == [("app.session_algorithm_set_ES256", seller.account_id)]


def test_the_choice_takes_effect_at_once(platform, seller):
    shop = seller.install()
    before = seller.session_token(shop)
    assert platform.get(STORE, headers=bearer(before)).status_code == 200
    assert platform.call("auth.apps.set_session_algorithm", app_id=shop.app_id, algorithm="ES256")["algorithm"] == "ES256"
    refused(platform.get(STORE, headers=bearer(before)), 401, "invalid_token")
    refused(verify(shop, before), 401, "invalid_token")
    after = seller.session_token(shop)
    assert platform.get(STORE, headers=bearer(after)).status_code == 200
    accepted(seller.choose("HS256", shop))
    refused(platform.get(STORE, headers=bearer(after)), 401, "invalid_token")
    refused(verify(shop, after), 401, "invalid_token")
    assert verify(shop, before).status_code == 200
    with pytest.raises(RpcError) as error:
        platform.call("auth.apps.set_session_algorithm", app_id=10**12, algorithm="ES256")
    assert error.value.code == "not_found"


# ---- forgeries -------------------------------------------------------------------------------------------------------


def es256(key, claims, header):
    """A token as another signer would make it."""
    signed = f"{part(header)}.{part(claims)}"
    r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{part(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def public_forms(platform, kid):
    """The platform's public key in each form in which somebody might take it for a secret."""
    key = key_set(platform)[kid]
    x, y = (base64.urlsafe_b64decode(key[name] + "=") for name in "xy")
    public = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {"pem": pem, "pem stripped": pem.strip(), "der": der, "x and y": x + y, "point": b"\4" + x + y, "x": x, "kid": kid.encode()}


def confused(key, claims, kid):
    signed = f"{part({'alg': 'HS256', 'kid': kid})}.{part(claims)}"
    return f"{signed}.{part(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


def test_forged_signatures(platform, seller):
    shop, other, now = seller.shop, seller.install(), int(time.time())
    own = ec.generate_private_key(ec.SECP256R1())
    good = seller.session_token()
    head, body, signature = good.split(".")
    kid, raw = kid_of(good), base64.urlsafe_b64decode(signature + "==")
    numbers = own.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", "x": part(numbers.x.to_bytes(32, "big")), "y": part(numbers.y.to_bytes(32, "big"))}
    claims = {"iss": "selorax", "aud": shop.client_id, "sub": str(shop.store_id), "sid": shop.installation_id, "app_id": shop.app_id,
              "gen": 1, "iat": now, "exp": now + 600}
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    tokens = {
        "another key pair": es256(own, claims, {"alg": "ES256", "kid": kid}), "a key pair in the header": es256(own, claims, {
            "alg": "ES256", "kid": kid, "jwk": jwk}), "a key set in the header": es256(own, claims, {
                "alg": "ES256", "kid": kid, "jku": "http://127.0.0.1:1/jwks.json", "x5u": "http://127.0.0.1:1/x"}),
        "an unknown kid": es256(own, claims, {"alg": "ES256", "kid": "0" * 32}), "no kid": es256(own, claims, {"alg": "ES256"}),
        "a kid that is a path": es256(own, claims, {"alg": "ES256", "kid": "../../dev/null"}),
        "a kid that is SQL": es256(own, claims, {"alg": "ES256", "kid": "' or true --"}), "a kid that is a number": es256(own, claims, {
            "alg": "ES256", "kid": 1}),
        "no kid, ours": f"{part({'alg': 'ES256', 'typ': 'JWT'})}.{body}.{signature}", "signature of zeros": f"{head}.{body}.{part(bytes(64))}",
        "signature of ones": f"{head}.{body}.{part(b'%c' % 255 * 64)}", "signature in DER": f"{head}.{body}.{part(der)}",
        "halves exchanged": f"{head}.{body}.{part(raw[32:] + raw[:32])}", "a byte more": f"{head}.{body}.{part(raw + b'0')}",
        "a byte less": f"{head}.{body}.{part(raw[:-1])}", "half of it": f"{head}.{body}.{part(raw[:32])}", "no signature": f"{head}.{body}.",
        "alg none": f"{part({'alg': 'none', 'kid': kid})}.{body}.", "alg none, with it": f"{part({'alg': 'none', 'kid': kid})}.{body}.{signature}",
        "alg ES384": f"{part({'alg': 'ES384', 'kid': kid})}.{body}.{signature}", "alg ES256K": es256(own, claims, {"alg": "ES256K", "kid": kid}),
        "another app's claims": f"{head}.{part({**claims, 'app_id': other.app_id, 'aud': other.client_id})}.{signature}",
        "HS256 with the app's key": session_token(shop), "HS256 with the app's key and our kid": jwt(
            shop.session_signing_key, claims, {"alg": "HS256", "kid": kid}),
    }
    for name, key in public_forms(platform, kid).items():
        tokens[f"key confusion: {name}"] = confused(key, claims, kid)
    for name, token in tokens.items():
        for answer in (platform.get(STORE, headers=bearer(token)), verify(shop, token)):
            assert (answer.status_code, answer.json().get("code")) == (401, "invalid_token"), f"{name}: {answer.text}"
    assert verify(shop, good).status_code == 200


def test_a_good_token_is_good_for_its_own_app_only(platform, seller):
    other = seller.install(store_id=seller.shop.store_id)
    accepted(seller.choose("ES256", other))
    token = seller.session_token()
    refused(verify(other, token), 401, "invalid_token")
    with pytest.raises(pyjwt.InvalidAudienceError):
        read_by_app(platform, other, token)
    refused(platform.get("/api/auth/me", headers={"x-auth-token": token}), 401, "missing_auth")


@pytest.mark.parametrize("what", ["signing key", "uninstall", "reinstall", "app off", "suspended"])
def test_a_token_dies_with_what_it_rests_on(platform, seller, what):
    shop = seller.install()
    accepted(seller.choose("ES256", shop))
    token = seller.session_token(shop)
    assert platform.get(STORE, headers=bearer(token)).status_code == 200
    code = (401, "invalid_token")
    if what == "signing key":                       # it has not signed the token, but ends what was made before it
        platform.call("auth.apps.rotate_signing_key", app_id=shop.app_id)
        assert verify(shop, seller.session_token(shop)).status_code == 200
    elif what == "uninstall":
        platform.call("auth.installations.end", installation_id=shop.installation_id)
    elif what == "reinstall":
        platform.call("auth.installations.create", app_id=shop.app_id, store_id=shop.store_id)
    elif what == "app off":
        platform.call("auth.apps.set_status", app_id=shop.app_id, is_active=False)
    else:
        platform.call("auth.stores.set_status", store_id=shop.store_id, status="suspended")
        code = (403, "store_inactive")
    refused(platform.get(STORE, headers=bearer(token)), *code)
    refused(verify(shop, token), *(code if what != "app off" else (401, "invalid_client")))


# ---- rotation, on platforms of their own: it concerns all apps ---------------------------------------------------------


def test_a_rotation_that_nobody_notices(make_platform):
    platform = make_platform()
    seller = Merchant(platform)
    assert key_set(platform) == {}                                               # nobody has asked for one yet
    accepted(seller.choose("ES256"))
    shop, first = seller.shop, seller.session_token()
    fresh = platform.call(ROTATE)
    assert fresh["number"] == 2 and set(key_set(platform)) == {kid_of(first), fresh["kid"]}
    assert kid_of(seller.session_token()) == kid_of(first)                       # known, but not used yet
    platform.set_clock(890)
    last = seller.session_token()
    assert kid_of(last) == kid_of(first)
    platform.set_clock(910)
    after = seller.session_token()
    assert kid_of(after) == fresh["kid"] and set(key_set(platform)) == {kid_of(first), fresh["kid"]}
    for token in (last, after):
        assert platform.get(STORE, headers=bearer(token)).status_code == 200
        assert verify(shop, token).status_code == 200
    refused(verify(shop, first), 401, "invalid_token")                           # as old as it is
    platform.set_clock(1510)
    assert set(key_set(platform)) == {fresh["kid"]}
    refused(verify(shop, last), 401, "invalid_token")
    assert kid_of(seller.session_token()) == fresh["kid"]


def test_two_rotations_in_a_row(make_platform):
    platform = make_platform()
    seller = Merchant(platform)
    assert platform.call(ROTATE)["number"] == 1                                  # the first signs from now on
    accepted(seller.choose("ES256"))
    first = kid_of(seller.session_token())
    second, third = platform.call(ROTATE)["kid"], platform.call(ROTATE)["kid"]
    assert list(key_set(platform)) == [third, second, first]
    platform.set_clock(905)
    token = seller.session_token()
    assert kid_of(token) in (second, third) and verify(seller.shop, token).status_code == 200
    platform.set_clock(910 + 900)
    assert kid_of(seller.session_token()) == third
    assert [row[0] for row in platform.postgres.rows("select action from auth.audit where target = 'session_key' order by audit_id")] \
        == ["session_key.rotated"] * 3


def test_a_key_that_became_known_ends_at_once(make_platform):
    platform = make_platform(gateways=2, services={"auth": 2, "store-data": 1})
    seller = Merchant(platform)
    accepted(seller.choose("ES256"))
    shop, token, pending = seller.shop, seller.session_token(), platform.call(ROTATE)["kid"]
    old = kid_of(token)
    for gateway in (1, 2) * 2:
        assert platform.get(STORE, headers=bearer(token), gateway=gateway).status_code == 200
    assert platform.get(STORE, headers=shop.bearer).status_code == 200
    fresh = platform.call(ROTATE, at_once=True)["kid"]
    for gateway in (1, 2):
        refused(platform.get(STORE, headers=bearer(token), gateway=gateway), 401, "invalid_token")
    refused(verify(shop, token), 401, "invalid_token")
    assert list(key_set(platform)) == [fresh] and fresh not in (old, pending)
    again = seller.session_token()
    assert kid_of(again) == fresh and platform.get(STORE, headers=bearer(again), gateway=2).status_code == 200
    assert platform.get(STORE, headers=shop.bearer).status_code == 200           # nothing else was taken back


def test_a_sealed_key_that_cannot_be_opened(make_platform):
    platform = make_platform()
    seller = Merchant(platform)
    accepted(seller.choose("ES256"))
    token = seller.session_token()
    platform.call(ROTATE, at_once=True)
    # The other row's private half does not open here: it is sealed for its own kid.
    platform.postgres.rows("update auth.session_key set private_key = (select private_key from auth.session_key where number = 1) "
                           "where number = 2")
    refused(seller.session(), 500, "auth_error")
    refused(platform.post(TOKEN, {"installation_id": seller.shop.installation_id}, headers=seller.headers), 500, "auth_error")
    refused(verify(seller.shop, token), 401, "invalid_token")
    platform.call(ROTATE, at_once=True)
    assert verify(seller.shop, seller.session_token()).status_code == 200
