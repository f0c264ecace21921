"""Between hosts: TCP with CURVE keys. Who has no key is not heard; who has one is that name and no other (decision 12)."""

import shutil
import subprocess

import pytest
import zmq

from api.platform import Platform, Port, as_user, give
from rpc.gateway import HEADER, READY


@pytest.fixture(scope="module")
def remote():
    """A platform whose processes find each other by TCP."""
    port = Port()
    endpoint = f"127.0.0.1:{port.number}"
    platform = Platform(gateways=1, services={"auth": 1, "store-data": 1}, settings={"SX_WORKERS": "2"})
    platform.settings.update(SX_KEYS=str(platform.home / "keys"), SX_GATEWAY=endpoint)
    for process in platform.processes.values():
        process.environment.update(platform.settings)
    platform["gateway-1"].environment["SX_RPC_LISTEN"] = f"tcp://{endpoint}"
    platform.endpoint = f"tcp://{endpoint}"
    platform.sxctl("keys", str(platform.home / "keys"))
    with platform:
        yield platform
    port.release()


def sxctl(platform, keys, *arguments):
    return subprocess.run([platform.home / "bin" / "sxctl", *arguments], env={**platform.settings, "SX_KEYS": str(keys)},
                          capture_output=True, text=True, timeout=30, check=False, **as_user())


@pytest.fixture
def keys(remote, tmp_path_factory):
    """A copy of the keys to spoil."""
    copy = remote.home / tmp_path_factory.mktemp("keys").name
    shutil.copytree(remote.home / "keys", copy)
    give(copy)
    for file in copy.iterdir():
        give(file)
    return copy


def test_the_platform_runs_over_tcp(remote):
    assert remote.get("/readyz").status_code == 200
    who = remote.sxctl("who").stdout
    assert remote.endpoint in who and "store-data" in who
    assert not list((remote.home / "run").glob("gateway-*.ipc"))


def test_secret_keys_are_for_their_owner_only(remote):
    for file in (remote.home / "keys").glob("*.secret"):
        assert file.stat().st_mode & 0o077 == 0


def test_keys_that_exist_are_kept(remote):
    before = {file.name: file.read_bytes() for file in (remote.home / "keys").iterdir()}
    remote.sxctl("keys", str(remote.home / "keys"))
    assert {file.name: file.read_bytes() for file in (remote.home / "keys").iterdir()} == before


def test_an_unknown_key_is_not_heard(remote, keys):
    for kind in ("public", "secret"):
        (keys / f"operator.{kind}").unlink()
    assert sxctl(remote, keys, "keys", str(keys)).returncode == 0
    assert sxctl(remote, keys, "who").returncode == 1
    assert any(line["event"] == "peer_refused" for line in remote["gateway-1"].log_lines())


def test_a_services_key_is_no_operators(remote, keys):
    for kind in ("public", "secret"):
        shutil.copy(keys / f"store-data.{kind}", keys / f"operator.{kind}")
    answer = sxctl(remote, keys, "call", "auth.accounts.find", '{"email": "nobody@example.com"}')
    assert answer.returncode == 1 and '"forbidden"' in answer.stderr
    # What it says of itself does not count either.
    caller = ("--as", '{"audience": 5, "service": "operator"}')
    assert '"forbidden"' in sxctl(remote, keys, "call", "auth.accounts.find", '{"email": "nobody@example.com"}', *caller).stderr


def test_a_services_key_does_not_serve_as_another(remote, keys):
    def key(name, kind):
        return (keys / f"{name}.{kind}").read_bytes().strip()

    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.curve_serverkey, socket.curve_publickey = key("gateway", "public"), key("store-data", "public")
    socket.curve_secretkey = key("store-data", "secret")
    socket.connect(remote.endpoint)
    before = sum(line["event"] == "ready_refused" for line in remote["gateway-1"].log_lines())
    socket.send_multipart([HEADER.pack(b"SXR1", READY, 0, 0, 0, 0, 0), b"auth", b"\x80"])
    assert not socket.poll(500)
    assert sum(line["event"] == "ready_refused" for line in remote["gateway-1"].log_lines()) == before + 1
    socket.close()
