"""What holds for every route of the contract, asked of each: a new one is covered when it is described."""

import json
import os
import re
from pathlib import Path

import pytest

from .client import is_error
from .shop import PASSWORD, Owner

GEN = Path(os.environ.get("GEN", Path(__file__).resolve().parents[2] / "build" / "gen"))
DOCUMENT = json.loads((GEN / "openapi.json").read_text(encoding="utf-8"))
METHODS = ("get", "post", "put", "patch", "delete")
FRAGMENTS = [json.loads(file.read_text(encoding="utf-8")) for file in (Path(__file__).resolve().parents[2] / "proto").glob("*.json")]
# How large a body each takes (proto/README.md).
BODY_LIMITS = {operation["operationId"]: operation.get("x-body-limit", 1 << 20) for fragment in FRAGMENTS for item in fragment.get("paths", {}).values()
               for method, operation in item.items() if method in METHODS}


def routes():
    """(method, path, operation) with 1 for every path parameter; pages of the documentation are there or not, so theirs is the example's."""
    for path, item in sorted(DOCUMENT["paths"].items()):
        for method in METHODS:
            if method in item:
                known = {node["name"]: node["example"] for node in item[method].get("parameters", []) if path.startswith("/api/docs/") and "example" in node}
                yield method.upper(), re.sub(r"\{([^}]*)\}", lambda found, known=known: known.get(found.group(1), "1"), path), item[method]


def name_of(route):
    return f"{route[0]} {route[1]}"


ALL = list(routes())
GUARDED = [route for route in ALL if route[2]["security"]]
OF_APPS = [route for route in GUARDED if "appToken" in route[2]["security"][0]]
SCOPED = [route for route in OF_APPS if route[2]["security"][0]["appToken"]]
WITH_BODY = [route for route in ALL if "application/json" in route[2].get("requestBody", {}).get("content", {})]


def body_of(route):
    """A body where one is needed: what is wrong with it must not be looked at before who sends it."""
    return {"json_body": {}} if "requestBody" in route[2] else {}


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
def test_nobody_comes_in_without_a_credential(platform, route):
    method, path, _ = route
    code = "UNAUTHORIZED" if path.startswith("/api/v1/") else "missing_token"
    is_error(platform.request(method, path, **body_of(route)), 401, code)


@pytest.mark.parametrize("route", OF_APPS, ids=name_of)
def test_client_credentials_need_a_store(platform, shop, route):
    method, path, _ = route
    headers = {name: value for name, value in shop.client.items() if name != "X-Store-Id"}
    is_error(platform.request(method, path, headers=headers, **body_of(route)), 400, "missing_store_id")


@pytest.fixture(scope="module")
def other_scopes(owner):
    """For each scope an app that holds all others, made when it is first asked for."""
    every = sorted({scope for route in SCOPED for scope in route[2]["security"][0]["appToken"]} | {"billing"})
    made = {}

    def without(scope):
        if scope not in made:
            made[scope] = owner.open_shop(scopes=[other for other in every if other != scope])
        return made[scope]

    return without


@pytest.mark.parametrize("route", SCOPED, ids=name_of)
def test_each_scope_is_needed(other_scopes, route):
    method, path, operation = route
    for scope in operation["security"][0]["appToken"]:
        is_error(other_scopes(scope).request(method, path, **body_of(route)), 403, "insufficient_scope")


@pytest.mark.parametrize("route", OF_APPS, ids=name_of)
def test_a_token_of_another_family_is_refused(platform, merchant, developer, route):
    method, path, _ = route
    for token in (merchant.token, developer.token):
        answer = platform.request(method, path, headers={"Authorization": f"Bearer {token}"}, **body_of(route))
        is_error(answer, 401, "missing_auth")


@pytest.fixture
def credentials(platform, shop, merchant, developer):
    """The headers of somebody who may come in, by the name of the scheme."""
    admin = Owner(platform, is_admin=True)
    token = platform.post("/api/auth/login", {"email": admin.email, "password": PASSWORD}).json()["data"]["token"]
    return {"appToken": shop.bearer, "merchantToken": {"x-auth-token": merchant.token}, "adminToken": {"x-auth-token": token},
            "developerToken": {"Authorization": f"Bearer {developer.token}"}}


@pytest.mark.parametrize("route", WITH_BODY, ids=name_of)
def test_a_body_must_be_json(platform, credentials, route):
    method, path, operation = route
    headers = credentials[next(iter(operation["security"][0]))] if operation["security"] else {}
    upper = path.startswith("/api/v1/")
    for body, kind, status, code in (("{", "application/json", 400, "invalid_json"),
                                     ("{}", "text/plain", 415, "unsupported_media_type"),
                                     ("{" + " " * BODY_LIMITS[operation["operationId"]] + "}", "application/json", 413, "payload_too_large")):
        answer = platform.request(method, path, headers={**headers, "Content-Type": kind}, body=body)
        is_error(answer, status, code.upper() if upper else code)


@pytest.mark.parametrize("route", ALL, ids=name_of)
def test_other_methods_are_answered_with_those_allowed(platform, route):
    path = route[1]
    served = {method for method, other, _ in ALL if other == path}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - served:
        answer = platform.request(method, path)
        is_error(answer, 405, "METHOD_NOT_ALLOWED" if path.startswith("/api/v1/") else "method_not_allowed")
        assert served <= {word.strip() for word in answer.headers["Allow"].split(",")}


@pytest.mark.parametrize("route", ALL, ids=name_of)
def test_every_path_answers_preflights(platform, route):
    method, path, _ = route
    answer = platform.request("OPTIONS", path, headers={
        "Origin": "https://shop.example", "Access-Control-Request-Method": method})
    assert answer.status_code == 200
    if "text/html" in json.dumps(route[2]):             # a page: no script of another origin may read it
        assert "Access-Control-Allow-Methods" not in answer.headers and method in answer.headers["Allow"]
    else:
        assert method in answer.headers["Access-Control-Allow-Methods"]
