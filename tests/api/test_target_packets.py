"""Nothing is dialled that leads inside (contract K.4, Targets): looked at on the wire, with SX_DEV=0 and names of our own making."""

import ipaddress

import pytest

from .namespace import run_inside
from .target_packets import FORBIDDEN, PUBLIC, SIX, ZONE, tricks

# What Python's own table does not say: tunnels, translators, a cloud's metadata.
MORE = [ipaddress.ip_network(text) for text in ("168.63.129.16/32", "192.0.0.0/24", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/23", "2002::/16",
                                                "::/96", "::ffff:0:0/96", "fec0::/10", "224.0.0.0/3", "ff00::/8")]


def is_forbidden(address, port):
    address = ipaddress.ip_address(address)
    inside = not address.is_global or any(address in network for network in MORE if network.version == address.version)
    return inside or (port != 443 and port < 1024)


@pytest.fixture(scope="module")
def seen():
    return run_inside("api.target_packets", 300)


def test_the_judge():
    assert all(is_forbidden(address, 443) for address in FORBIDDEN)
    assert is_forbidden(PUBLIC, 22) and not is_forbidden(PUBLIC, 443) and not is_forbidden(SIX, 8443)


def test_the_api_takes_none_of_them(seen):
    lists = tricks()
    assert set(seen["said"]) == set(lists["unclear"] + lists["inside"]) and len(seen["said"]) > 120
    assert {url: code for url, code in seen["said"].items() if code != "validation_error"} == {}


@pytest.mark.parametrize("run", ["first", "second"])
def test_no_connection_is_tried(seen, run):
    assert set(seen[run]["attempts"]) == set(seen["urls"])
    dialled = {(address, port) for address, port in seen[run]["dialled"]
               if not (address == "127.0.0.1" and port in seen["own"])}
    assert {target for target in dialled if is_forbidden(*target)} == set()
    assert {(PUBLIC, 443), (SIX, 443), (PUBLIC, 8443)} <= dialled            # the others were seen
    assert {tuple(target) for target in seen[run]["datagrams"]} == {("127.0.0.1", 53)}


def test_every_name_was_looked_up(seen):
    names = [name for name in ZONE if name.endswith(".example")]
    assert set(names) <= set(seen["asked"])
    assert all(seen["asked"][name] == 2 for name in names if name.startswith("rebinding"))
    for name in names:
        if name.startswith("leads-inside") or name.startswith("alias"):
            assert seen["second"]["attempts"][f"https://{name}/"] == [None, "the host's address is not public"], name


def test_rebinding_is_refused_the_second_time(seen):
    for number in range(1, 5):
        url = f"https://rebinding{number}.example/"
        assert seen["first"]["attempts"][url] == [200, None] and seen["second"]["attempts"][url] == [None, "the host's address is not public"]


def test_what_is_fine_arrives(seen):
    for url in ("https://public.example/", "https://six.example/", "https://app.example:443/", "https://mixed.example/"):
        assert seen["second"]["attempts"][url] == [200, None], url
    assert seen["good"] == [True, True]
    assert {address for host, address in seen["received"]} <= {"::ffff:" + PUBLIC, SIX}


def test_redirects_are_an_answer_and_not_followed(seen):
    for number in range(1, 6):
        assert seen["second"]["attempts"][f"https://redirect.example/{number}"] == [307, None]


def test_certificates_are_checked(seen):
    received = {host for host, _ in seen["received"]}
    for name in ("self-signed", "expired", "wrong"):
        status, error = seen["second"]["attempts"][f"https://{name}.example/"]
        assert status is None and "certificate" in error.lower(), error
        assert f"{name}.example" not in received
