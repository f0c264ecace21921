"""`docker compose up` for real: the README's commands, scaling, the edge, crashes. One after the other, in this order."""

import http.client
import json
import secrets
import subprocess
import time

import pytest

from containers import SERVICES, Containers, ask, burst, run, wait_until

ORDERS = "/api/apps/v1/orders?limit=2"


@pytest.fixture(scope="module")
def containers():
    made = Containers()
    started = time.monotonic()
    made.compose("build")
    built = time.monotonic()
    print(f"\nimages built in {built - started:.0f} s")
    try:
        made.up("demo", "gateway", "auth", "billing", "developer-apps", "store-data", "webhooks")
        print(f"up in {time.monotonic() - built + wait_until(made.is_ready, 120, 'not ready'):.0f} s")
        yield made
    finally:
        made.down()


@pytest.fixture(scope="module")
def demo(containers):
    return containers.demo()


@pytest.fixture(scope="module")
def bearer(demo):
    return {"Authorization": "Bearer " + demo["access_token"]}


def test_the_three_commands(containers, demo, bearer):
    client = {"X-Client-Id": demo["client_id"], "X-Client-Secret": demo["client_secret"], "X-Store-Id": str(demo["store_id"])}
    for path, headers in ((ORDERS, bearer), ("/api/apps/v1/products?limit=2", client), ("/api/apps/v1/store", bearer)):
        status, body, _ = ask(containers.port, path, headers)
        answer = json.loads(body)
        assert status == 200 and answer["status"] == 200 and answer["data"], body
        if "limit" in path:
            assert len(answer["data"]) == 2 and answer["pagination"]["limit"] == 2
    assert demo["base_url"] == f"http://127.0.0.1:{containers.port}"


def test_nobody_is_root_and_images_are_small_and_hold_no_secrets(containers):
    base = int(run(["docker", "image", "inspect", "-f", "{{.Size}}", "debian:bookworm-slim"]))
    for service in SERVICES:
        container = containers.ids(service)[0]
        assert containers.inspect(container, ".Config.User") == "selorax"
        assert run(["docker", "exec", container, "id", "-u"]).strip() == "10001"
        image = f"selorax/{service}"
        own = int(run(["docker", "image", "inspect", "-f", "{{.Size}}", image])) - base
        print(f"{image}: {own / 1e6:.0f} MB on top of Debian")
        assert own < 40e6
        found = run(["docker", "run", "--rm", image, "sh", "-c", "ls -A /secrets; find / -xdev -name '*.key' -o -name '*.secret' "
                     "-o -name '*.password' 2>/dev/null || true"])
        assert found == ""


def test_a_service_sees_only_its_own_secrets(containers):
    listing = {service: set(run(["docker", "exec", containers.ids(service)[0], "ls", "/secrets"]).split()) for service in SERVICES}
    for service, names in listing.items():
        assert {name for name in names if name.endswith(".secret")} == {service + ".secret"}
    assert "master.key" not in listing["gateway"] and "database.password" not in listing["gateway"]


def test_roles_have_their_limits_and_their_own_schema_only(containers):
    postgres = containers.ids("postgres")[0]

    def sql(role, text, host="/var/run/postgresql", check=True):
        return run(["docker", "exec", postgres, "psql", "-At", "-h", host, "-U", role, "-d", "selorax", "-c", text], check).strip()
    for role, foreign in (("auth", "store_data"), ("store_data", "auth")):
        assert sql(role, "show statement_timeout") == "1900ms"
        assert sql(role, "show lock_timeout") == "1500ms"
        assert sql(role, "show idle_in_transaction_session_timeout") == "2s"
        assert sql(role, f"select has_schema_privilege('{foreign}', 'usage')") == "f"
    assert sql("postgres", "select count(*) from pg_authid where rolname = 'postgres' and rolpassword is not null") == "0"
    assert sql("postgres", "select count(*) from pg_authid where rolname in ('auth', 'auth_owner', 'store_data', 'store_data_owner') "
               "and rolpassword like 'SCRAM-SHA-256$%'") == "4"


def test_three_replicas_share_the_requests(containers, bearer):
    containers.up("store-data", store_data=3)
    wait_until(lambda: len(containers.who()["store-data"]) == 3, 30, "three replicas are not connected")
    assert burst(containers.port, ORDERS, bearer) == {200: 384}
    counts = containers.who()["store-data"]
    print(f"store-data: {counts}")
    assert len(counts) == 3 and all(count >= 20 for count in counts.values())


def test_two_auth_processes_share_the_requests(containers):
    containers.up("auth", "store-data", auth=2, store_data=3)
    wait_until(lambda: len(containers.who()["auth"]) == 2, 30, "two replicas are not connected")
    unknown = [{"Authorization": "Bearer sx_at_" + secrets.token_hex(32)} for _ in range(384)]
    assert burst(containers.port, ORDERS, lambda number: unknown[number]) == {401: 384}
    counts = containers.who()["auth"]
    print(f"auth: {counts}")
    assert len(counts) == 2 and all(count >= 20 for count in counts.values())


def test_two_developer_apps_processes_share_the_requests(containers, demo):
    containers.up("developer-apps", "auth", "store-data", auth=2, developer_apps=2, store_data=3)
    wait_until(lambda: len(containers.who()["developer-apps"]) == 2, 30, "two replicas are not connected")
    developer = {"Authorization": "Bearer " + demo["developer"]["access_token"]}
    assert burst(containers.port, "/api/v1/apps", developer) == {200: 384}
    counts = containers.who()["developer-apps"]
    print(f"developer-apps: {counts}")
    assert len(counts) == 2 and all(count >= 20 for count in counts.values())


def test_the_master_key_is_exchanged(containers, demo):
    """The README's command. What is sealed opens before and after, in every process: a session token takes the app's key."""
    place = ["run", "--rm", "--no-deps", "-T", "secrets"]
    keys = [f"/all/{name}/master.key" for name in ("vault", "auth", "billing", "developer-apps", "store-data", "webhooks")]

    def session_tokens():
        headers = {"x-auth-token": demo["merchant"]["token"], "Content-Type": "application/json"}
        body = json.dumps({"app_id": demo["app_id"], "store_id": demo["store_id"]})
        return {ask(containers.port, "/api/apps/session/session-token", headers, method="POST", body=body)[0] for _ in range(16)}

    def digests():
        return {line.split()[0] for line in containers.compose(*place, "sha256sum", *keys).splitlines()}
    [before] = digests()
    assert session_tokens() == {200}
    said = containers.compose("run", "--rm", "-T", "-e", "SX_GATEWAY=gateway:5570", "-e", "SX_KEYS=/all/operator", "secrets",
                              "sxctl", "rotate-master-key", "--wait", "5", *keys)
    assert "the old key opens nothing any more" in said
    [after] = digests()
    assert after != before and session_tokens() == {200}
    containers.compose("restart", "-t", "10", "auth")           # read from the files again
    wait_until(lambda: len(containers.who().get("auth", {})) == 2, 30, "auth is not back")
    wait_until(containers.is_ready, 30, "not ready")
    assert session_tokens() == {200}


def test_up_again_changes_nothing(containers, demo):
    before = {service: containers.ids(service) for service in SERVICES}
    started = time.monotonic()
    containers.up("demo", "gateway", "auth", "billing", "developer-apps", "store-data", "webhooks", auth=2, developer_apps=2, store_data=3)
    print(f"up again in {time.monotonic() - started:.1f} s")
    assert {service: containers.ids(service) for service in SERVICES} == before
    fresh = containers.demo()           # the master key's exchange has ended the developer's token, and up has renewed it
    assert {**fresh, "developer": None} == {**demo, "developer": None}
    token = {"Authorization": "Bearer " + fresh["developer"]["access_token"]}
    assert ask(containers.port, "/api/v1/auth/me", token)[0] == 200


def test_edge_in_front_of_two_gateways(containers, bearer):
    containers.up("edge", "gateway", "auth", "billing", "developer-apps", "store-data", "webhooks", port="0", gateway=2, auth=2,
                  developer_apps=2, store_data=3)
    gateways = containers.ids("gateway")
    assert len(gateways) == 2
    for port in map(containers.published, gateways):
        wait_until(lambda: containers.is_ready(port), 60, "a gateway is not ready")
    edge = containers.edge_port
    wait_until(lambda: reaches_both(edge, bearer), 30, "the edge does not reach both gateways")
    assert burst(edge, ORDERS, bearer, tls=True) == {200: 384}
    served = [sum('"operation":"store-data.orders.list"' in line for line in containers.log(gateway)) for gateway in gateways]
    print(f"requests by gateway: {served}; by store-data process: {containers.who()['store-data']}")
    assert min(served) >= 50
    status, body, _ = ask(edge, "/livez", tls=True)
    assert status == 200


def reaches_both(edge, bearer):
    """Whether answers come from two gateways: their request ids begin differently."""
    try:
        return len({ask(edge, ORDERS, bearer, tls=True)[2].get("X-Request-Id", "").split("-")[0] for _ in range(6)} - {""}) == 2
    except OSError:
        return False


def test_gateways_count_together(containers, bearer):
    remaining = [int(ask(containers.edge_port, ORDERS, bearer, tls=True)[2]["RateLimit-Remaining"]) for _ in range(20)]
    steps = [before - after for before, after in zip(remaining, remaining[1:])]
    assert sum(step != 1 for step in steps) <= 1, remaining         # one window may have ended


def test_clients_cannot_choose_their_address(containers, bearer):
    """What stands in X-Forwarded-For counts nowhere but from the edge, which replaces it. Its address is looked up by its name."""
    gateways = containers.ids("gateway")
    edges = json.loads(containers.inspect(containers.ids("edge")[0], "json .NetworkSettings.Networks"))
    edge_address = [one["IPAddress"] for one in edges.values()][0]

    def logged_address(port, tls):
        name = "forged-" + secrets.token_hex(4)
        ask(port, ORDERS, {**bearer, "X-Forwarded-For": "203.0.113.9", "X-Request-Id": name}, tls)
        found = []

        def is_logged():                # the line is written after the answer, and Docker takes its time with it
            found[:] = [json.loads(line)["address"] for gateway in gateways for line in containers.log(gateway) if name in line]
            return bool(found)
        wait_until(is_logged, 5, "the request is not in the log")
        assert len(found) == 1 and found != ["203.0.113.9"]
        return found[0]
    assert logged_address(containers.published(gateways[0]), False) != edge_address
    wait_until(lambda: edge_address not in {logged_address(containers.edge_port, True) for _ in range(6)}, 5, "the edge is not believed")


def test_what_is_killed_comes_back(containers, bearer):
    """Within seconds, by Docker's restart policy, and without a hand. Nothing but the documented answers meanwhile."""
    for service in [*SERVICES, "edge", "postgres"]:
        container = containers.ids(service)[0]
        restarts = int(containers.inspect(container, ".RestartCount"))
        kill = "kill -QUIT 1" if service == "postgres" else "kill -9 -1"    # nobody inside can kill -9 the process 1
        killing = subprocess.Popen(["docker", "exec", container, "sh", "-c", kill], stderr=subprocess.DEVNULL)
        statuses = {}

        def whole():
            restarted = int(containers.inspect(container, ".RestartCount")) > restarts
            try:
                seen = burst(containers.edge_port, ORDERS, bearer, connections=16, rounds=4, tls=True)
            except (OSError, http.client.HTTPException):
                assert service == "edge"
                return False
            for status, count in seen.items():
                statuses[status] = statuses.get(status, 0) + count
            return restarted and set(seen) == {200}
        took = wait_until(whole, 30, f"{service} has not come back")
        killing.wait()
        print(f"{service} killed: back after {took:.1f} s, answers meanwhile {statuses}")
        assert set(statuses) <= {200, 503, 504}, statuses
    wait_until(lambda: reaches_both(containers.edge_port, bearer), 30, "the edge does not reach both gateways")


def test_logs_are_json_lines_without_secrets(containers, demo):
    hidden = [demo["access_token"], demo["refresh_token"], demo["client_secret"], demo["session_signing_key"],
              demo["merchant"]["password"], demo["merchant"]["token"]]
    lines = 0
    for service in [*SERVICES, "auth-migrate", "billing-migrate", "developer-apps-migrate", "store-data-migrate", "webhooks-migrate", "edge"]:
        for container in containers.ids(service):
            for line in containers.log(container):
                assert {"time", "level", "process", "event"} <= set(json.loads(line)), line
                lines += 1
    for service in [*SERVICES, "edge", "postgres", "roles", "secrets", "demo"]:
        for container in containers.ids(service):
            text = "\n".join(containers.log(container))
            assert not any(secret in text for secret in hidden)
    print(f"{lines} lines of log, all JSON")


def test_everything_is_healthy(containers):
    for service in [*SERVICES, "edge", "postgres"]:
        for container in containers.ids(service):
            wait_until(lambda: containers.inspect(container, ".State.Health.Status") == "healthy", 60, f"{service} is not healthy")


def test_data_survives_down_and_up(containers, bearer):
    demo, before = containers.demo(), ask(containers.edge_port, ORDERS, bearer, tls=True)[1]
    containers.compose("down")
    containers.up("demo", "gateway", "auth", "billing", "developer-apps", "store-data", "webhooks")
    wait_until(containers.is_ready, 120, "not ready")
    assert containers.demo() == demo
    assert ask(containers.port, ORDERS, bearer)[1] == before
