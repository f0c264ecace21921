"""The operator's program, against the whole platform."""

import json
import os
import re


def caller(shop, scopes="read:orders write:orders"):
    return json.dumps({"audience": 1, "app_id": shop.app_id, "store_id": shop.store_id,
                       "installation_id": shop.installation_id, "scopes": scopes})


def test_an_internal_operation_is_called(platform):
    answer = platform.sxctl("call", "auth.accounts.find", '{"email": "nobody@example.com"}', check=False)
    assert answer.returncode == 1 and answer.stdout == ""
    assert json.loads(answer.stderr)["code"] == "not_found"


def test_an_operation_with_a_route_answers_as_over_http(platform, shop):
    made = platform.sxctl("call", "store-data.orders.create", '{"body": {"items": [{"name": "Tea", "price": 10.50, "quantity": 2}]}}',
                          "--as", caller(shop))
    order = json.loads(made.stdout)["data"]
    assert (order["grand_total"], order["store_id"]) == (21, shop.store_id)
    listed = json.loads(platform.sxctl("call", "store-data.orders.list", '{"query": {"limit": "1", "page": "abc"}}', "--as",
                                       caller(shop)).stdout)
    assert listed == shop.get("/api/apps/v1/orders?limit=1").json()


def test_a_request_may_have_any_number_of_members(platform, shop):
    for count in (0, 13, 14, 15, 16, 17, 200):         # msgpack writes the heads of maps in different sizes
        arguments = {"query": {"limit": 1}, **{f"ignored_{number}": number for number in range(count)}}
        listed = platform.sxctl("call", "store-data.orders.list", json.dumps(arguments), "--as", caller(shop))
        assert json.loads(listed.stdout)["status"] == 200


def test_its_arguments_are_checked_like_those_of_http(platform, shop):
    for operation, arguments, field in (
            ("store-data.orders.get", {"path": {"order_id": "x"}}, "order_id"),
            ("store-data.orders.get", {}, "order_id"),
            ("store-data.orders.create", {"body": {"items": [{"name": "Tea", "price": 1.005, "quantity": 2}]}}, "items[0].price"),
            ("store-data.orders.create", {"body": {"items": []}}, "items"),
            ("store-data.orders.create", {}, "body")):
        answer = platform.sxctl("call", operation, json.dumps(arguments), "--as", caller(shop), check=False)
        assert answer.returncode == 1
        error = json.loads(answer.stderr)
        assert (error["code"], error["errors"][0]["field"]) == ("validation_error", field), answer.stderr


def test_a_key_is_taken(platform, shop):
    arguments = ("call", "store-data.orders.create", '{"body": {"items": [{"name": "Tea", "price": 1, "quantity": 1}]}}', "--as",
                 caller(shop), "--key", "sxctl-1")
    assert platform.sxctl(*arguments).stdout == platform.sxctl(*arguments).stdout


def test_what_is_no_json_is_said(platform):
    for json_text in ("{", "[1]", "{} {}", '{"a": 1, "a": 2}'):
        answer = platform.sxctl("call", "auth.accounts.find", json_text, check=False)
        assert answer.returncode == 1 and answer.stderr.startswith("sxctl: ")


def test_arguments_come_from_standard_input(platform):
    """So that a secret is in no list of processes and no shell's history."""
    answer = platform.sxctl("call", "auth.accounts.find", "-", stdin='{"email": "nobody@example.com"}\n', check=False)
    assert answer.returncode == 1 and json.loads(answer.stderr)["code"] == "not_found"
    for text in ("", "{", "[1]", "{}\0", " " * 20_000_000):
        answer = platform.sxctl("call", "auth.accounts.find", "-", stdin=text, check=False)
        assert answer.returncode == 1 and answer.stderr.startswith("sxctl: "), text[:10]


def test_who_shows_every_pool(platform):
    text = platform.sxctl("who").stdout
    assert "gateway-1.ipc" in text
    for pool in ("auth", "auth-aside", "store-data"):
        assert re.search(rf"^  {pool} +[1-9]\d* workers, +\d+ idle, +\d+ queued$", text, re.MULTILINE), text


def test_metrics_of_any_process(platform):
    for pool in ("auth", "auth-aside", "store-data"):
        assert "sx_calls_total" in json.loads(platform.sxctl("call", f"{pool}.metrics.read").stdout)


def test_settings_are_the_readmes_table(platform):
    lines = platform.sxctl("settings").stdout.splitlines()
    assert lines[0] == "| setting | default | meaning |"
    assert any(line.startswith("| `SX_HOME` |") for line in lines)


def test_a_wrong_command_shows_the_right_ones(platform):
    for arguments in ((), ("nothing",), ("call",), ("keys",), ("who", "else"), ("call", "a.b", "{}", "{}"),
                      ("call", "a.b", "{}", "--key"), ("call", "--what", "a.b"), ("demo", "url", "else")):
        answer = platform.sxctl(*arguments, check=False)
        assert answer.returncode == 1 and "usage: sxctl" in answer.stderr
    assert "SX_WORKERS" in platform.sxctl("--help").stdout


def test_an_admin_is_made_and_can_log_in(platform):
    name = f"admin-{os.urandom(4).hex()}@platform.example"
    made = platform.sxctl("create-admin", "Site \"Admin\"", name, stdin="a long enough password\n")
    assert "is an administrator" in made.stdout
    session = platform.post("/api/auth/login", {"identifier": name, "password": "a long enough password"}).json()["data"]
    assert session["account"]["is_admin"] == 1
    short = platform.sxctl("create-admin", "X", f"x{name}", stdin="short\n", check=False)
    assert short.returncode == 1 and "password" in short.stderr
