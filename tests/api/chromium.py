"""A real browser: Chromium without a window, spoken to over a pipe (Chrome DevTools Protocol), so that no port is opened.

    with Chromium() as chromium:
        tab = chromium.tab()                       # its own cookies, and no script runs in it
        tab.open(platform.url("/1/settings/apps/billing/1"))
        tab.fill("identifier", "merchant@shop.example")
        tab.press("button")
        tab.url, tab.text, tab.requests

Nothing but 127.0.0.1 has an address for it. Its profile is a temporary directory.
"""

import collections
import contextlib
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from .browser import Forms
from .platform import USER, as_user, give

PROGRAMS = ["chromium-headless-shell", "chromium", "google-chrome"]
WAIT_S = 30
FLAGS = ["--headless", "--remote-debugging-pipe", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-proxy-server",
         "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-breakpad", "--disable-extensions", "--no-first-run", "--no-pings", "--password-store=basic", "--window-size=1000,900"]
# It reads from 3 and writes to 4, whatever their numbers are here.
LAUNCH = ("import fcntl, os, sys; ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]; "
          "os.dup2(ends[0], 3); os.dup2(ends[1], 4); os.execv(sys.argv[3], sys.argv[3:])")


def program():
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert found, f"no Chromium: `services/sxctl/packages.sh test` installs it on Debian; elsewhere install one of {', '.join(PROGRAMS)}"
    return found


def has_namespaces():
    """Whether its sandbox has what it needs. Containers do not give that; and run by root, as in one, it goes without as well, but becomes
    a user who may do little."""
    return not USER and subprocess.run(["unshare", "--user", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0


class Chromium:
    def __enter__(self):
        self.home = give(Path(tempfile.mkdtemp(prefix="sx-chromium-")))
        try:
            self.begin()
        except BaseException:
            self.end()
            raise
        return self

    def begin(self):
        self.numbers, self.unread, self.answers, self.events = itertools.count(1), b"", {}, collections.defaultdict(list)
        theirs_in, self.to = os.pipe()
        self.back, theirs_out = os.pipe()
        flags = FLAGS + [f"--user-data-dir={self.home}/profile"] + ([] if has_namespaces() else ["--no-sandbox", "--no-zygote"])
        with open(self.home / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["/usr/bin/python3", "-c", LAUNCH, str(theirs_in), str(theirs_out), program(), *flags], pass_fds=(theirs_in, theirs_out),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home, start_new_session=True, **as_user(),
                env={"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "TMPDIR": str(self.home)})
        os.close(theirs_in)
        os.close(theirs_out)
        self.version = self.ask("Browser.getVersion")["product"]

    def __exit__(self, *_):
        self.end()

    def end(self):
        if hasattr(self, "process"):
            os.close(self.to)                                               # it ends when nobody speaks to it any more
            os.close(self.back)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def tail(self):
        return (self.home / "log").read_text(errors="replace")[-2000:]

    # -- the protocol: JSON, each message ended by a zero byte --

    def read(self, until):
        """What has come, at least one piece of it."""
        left = until - time.monotonic()
        came = left > 0 and select.select([self.back], [], [], left)[0]
        assert came, f"Chromium is silent: {self.tail()}"
        piece = os.read(self.back, 1 << 16)
        assert piece, f"Chromium has ended: {self.tail()}"
        *messages, self.unread = (self.unread + piece).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self.answers[message["id"]] = message
            else:
                self.events[message.get("sessionId")].append((message["method"], message["params"]))

    def ask(self, method, session=None, **params):
        number, until = next(self.numbers), time.monotonic() + WAIT_S
        message = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while number not in self.answers:
            self.read(until)
        answer = self.answers.pop(number)
        assert "result" in answer, f"{method}: {answer.get('error')}"
        return answer["result"]

    def tab(self, scripts=False):
        return Tab(self, scripts)


class Tab:
    """A page and its history, as one person sees it. No script runs, unless asked for, so whatever works here works without."""

    def __init__(self, chromium, scripts=False):
        self.chromium = chromium
        context = chromium.ask("Target.createBrowserContext")["browserContextId"]
        target = chromium.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        self.target = target
        self.session = chromium.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "DOM", "Log"):
            self.ask(f"{domain}.enable")
        self.ask("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.seen = 0

    def ask(self, method, **params):
        return self.chromium.ask(method, session=self.session, **params)

    def events(self, *methods):
        return [params for method, params in self.chromium.events[self.session] if method in methods]

    def loaded(self, act):
        """The page that `act` leads to, complete."""
        before, until = len(self.events("Page.loadEventFired")), time.monotonic() + WAIT_S
        act()
        try:
            while len(self.events("Page.loadEventFired")) == before:
                self.chromium.read(until)
        except AssertionError as problem:
            raise AssertionError(f"no page comes: {self.complaints}") from problem

    def close(self):
        self.chromium.ask("Target.closeTarget", targetId=self.target)

    # -- what a person does --

    def open(self, url):
        self.loaded(lambda: self.ask("Page.navigate", url=url))

    def back(self, steps=1):
        history = self.ask("Page.getNavigationHistory")
        entry = history["entries"][history["currentIndex"] - steps]
        self.loaded(lambda: self.ask("Page.navigateToHistoryEntry", entryId=entry["id"]))

    def find(self, selector):
        root = self.ask("DOM.getDocument", depth=0)["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        assert node, f"no {selector} in {self.text}"
        return node

    def fill(self, name, text):
        self.ask("DOM.focus", nodeId=self.find(f"input[name={name}]"))
        self.ask("Input.dispatchKeyEvent", type="keyDown", key="a", commands=["selectAll"])
        self.ask("Input.insertText", text=text)

    def press(self, selector):
        """With the mouse, in the middle of what is seen of it."""
        node = self.find(selector)
        self.ask("DOM.scrollIntoViewIfNeeded", nodeId=node)
        corners = self.ask("DOM.getBoxModel", nodeId=node)["model"]["content"]
        place = {"x": sum(corners[::2]) / 4, "y": sum(corners[1::2]) / 4, "button": "left", "clickCount": 1}

        def click():
            for what in ("mousePressed", "mouseReleased"):
                self.ask("Input.dispatchMouseEvent", type=what, **place)

        self.loaded(click)

    # -- what a person sees, and what the browser did for it --

    @property
    def url(self):
        history = self.ask("Page.getNavigationHistory")
        return history["entries"][history["currentIndex"]]["url"]

    @property
    def page(self):
        root = self.ask("DOM.getDocument", depth=0)["root"]["nodeId"]
        return Forms(self.ask("DOM.getOuterHTML", nodeId=root)["outerHTML"])

    @property
    def text(self):
        return self.page.text

    @property
    def requests(self):
        """(kind, URL) of everything that it asked for."""
        return [(params["type"], params["request"]["url"]) for params in self.events("Network.requestWillBeSent")]

    @property
    def complaints(self):
        """What it refused to do, as its console says it."""
        return [params["entry"]["text"] for params in self.events("Log.entryAdded")]
