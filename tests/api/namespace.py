"""A network of its own for a test: what leaves a process there is seen packet by packet, and names are what the test says.

`run_inside("api.target_packets")` runs that module's main in a new network and mount namespace and answers the JSON it prints
last. Where the machine allows no such namespace the test says `not run`. Inside: an internet that ends at our own listeners
(Wire), a name server (Names), and files put over others (cover).
"""

import ctypes
import ipaddress
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
A, CNAME, AAAA = 1, 5, 28
SYN, ACK, DNS = 0x02, 0x10, (53).to_bytes(2, "big")


def run_inside(module, seconds=120):
    """What the module's main prints last, as JSON."""
    who = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    unshare = ["unshare", *who, "--net", "--mount", "--propagation", "private"]
    probe = [*unshare, sys.executable, "-m", "api.namespace"]
    quiet = {"cwd": TESTS, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "check": False}
    if not shutil.which("unshare") or not shutil.which("ip") or subprocess.run(probe, timeout=60, **quiet).returncode != 0:
        pytest.skip("not run")
    done = subprocess.run([*unshare, sys.executable, "-m", module], timeout=seconds, **quiet)
    assert done.returncode == 0, done.stderr[-8000:]
    return json.loads(done.stdout.splitlines()[-1])


def cover(path, text):
    """Inside: the file has this text, for whoever is inside."""
    mine = Path("/tmp") / f"sx-cover-{os.getpid()}-{Path(path).name}"
    mine.write_text(text)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(str(mine).encode(), str(Path(path).resolve()).encode(), None, 4096, None) != 0:   # MS_BIND
        raise OSError(ctypes.get_errno(), f"cannot cover {path}")
    mine.unlink()


def ip(*words):
    subprocess.run(["ip", *words], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


class Wire:
    """Every packet: all addresses of IPv4 and IPv6 are this machine's own here, so that packets for anywhere pass the loopback
    device, and what listens on all addresses stands for the whole internet. `dialled`: where the first packet of a connection
    went, as (address, port); `datagrams`: the same of UDP, without the name server's answers."""

    def __init__(self):
        self.dialled, self.datagrams, self.lock = set(), set(), threading.Lock()
        ip("link", "set", "lo", "up")
        ip("route", "add", "local", "default", "dev", "lo")
        ip("-6", "route", "add", "local", "default", "dev", "lo")
        self.loopback = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.loopback.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self.loopback.bind(("lo", 3))
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        while True:
            self.look(self.loopback.recv(65536))

    def look(self, packet):
        if packet[0] >> 4 == 4:
            protocol, target, rest = packet[9], packet[16:20], packet[(packet[0] & 15) * 4:]
        elif packet[0] >> 4 == 6:
            protocol, target, rest = packet[6], packet[24:40], packet[40:]
        else:
            return
        if protocol not in (socket.IPPROTO_TCP, socket.IPPROTO_UDP) or len(rest) < 8:
            return
        seen = (str(ipaddress.ip_address(target)), int.from_bytes(rest[2:4], "big"))
        with self.lock:
            if protocol == socket.IPPROTO_UDP and rest[:2] != DNS:
                self.datagrams.add(seen)
            elif protocol == socket.IPPROTO_TCP and rest[13] & (SYN | ACK) == SYN:
                self.dialled.add(seen)

    def take(self):
        """What was seen so far, and forgets it."""
        with self.lock:
            seen, self.dialled, self.datagrams = (self.dialled, self.datagrams), set(), set()
        return seen


class Names:
    """The name server of this network. `zone`: name to a list of addresses, ("=", other name), None for no answer at all, or a
    function of how often the name was asked for before. `asked`: the names, each with how often."""

    def __init__(self, zone, otherwise):
        self.zone, self.otherwise, self.asked = zone, otherwise, {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        cover("/etc/resolv.conf", "nameserver 127.0.0.1\nsearch corp\noptions timeout:2 attempts:1\n")
        cover("/etc/nsswitch.conf", "hosts: files dns\n")
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, client = self.socket.recvfrom(4096)
            answer = self.answer(query)
            if answer:
                self.socket.sendto(answer, client)

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
            at += query[at] + 1
        kind, name = int.from_bytes(query[at + 1:at + 3], "big"), ".".join(labels)
        count = self.asked[name] = self.asked.get(name, 0) + (kind == A)
        found = self.zone.get(name, self.otherwise)
        if callable(found):
            found = found(count)
        if found is None:
            return None
        records = self.records(found, kind)
        head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(records), 0, 0)
        return head + query[12:at + 5] + b"".join(records)

    def records(self, found, kind):
        def record(type_, data):
            return b"\xc0\x0c" + struct.pack(">HHIH", type_, 1, 0, len(data)) + data
        if found and found[0] == "=":
            target = b"".join(bytes([len(label)]) + label.encode() for label in found[1].split(".")) + b"\0"
            addresses = self.records(self.zone[found[1]], kind)
            return [record(CNAME, target)] + [target + each[2:] for each in addresses]
        addresses = [ipaddress.ip_address(each) for each in found]
        return [record(kind, each.packed) for each in addresses if kind == (A if each.version == 4 else AAAA)]


def main():
    """Whether all that is needed can be had."""
    wire = Wire()
    Names({}, ["10.0.0.1"])
    assert socket.getaddrinfo("any.example", 443)
    targets = {("10.9.9.9", 443), ("127.9.9.9", 443), ("8.8.8.8", 443), ("fd07::7", 443), ("2001:db8::1", 443)}
    for address, port in targets:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.settimeout(0.2)
            probe.connect_ex((address, port))
    time.sleep(0.2)
    assert targets <= wire.take()[0]


if __name__ == "__main__":
    main()
