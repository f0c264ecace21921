"""What the README tells a new reader to paste, pasted: on a fresh platform, in the README's order."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from .browser import Browser, redirected

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def block(heading, number=0):
    """The shell commands in one section."""
    section = re.search(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##+ )", README, re.M | re.S).group(1)
    return re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S)[number]


class Reader:
    """A shell in a clone: `var` is the platform's home. Commands go to its port instead of 8080."""

    def __init__(self, platform, clone):
        self.platform, self.clone = platform, clone
        platform.sxctl("demo", platform.url(), timeout=300)
        (clone / "var").symlink_to(platform.home)
        self.demo = json.loads((platform.home / "demo.json").read_text())

    def paste(self, commands):
        commands = commands.replace("127.0.0.1:8080", f"127.0.0.1:{self.platform.ports[0].number}")
        result = subprocess.run(["sh", "-c", commands], cwd=self.clone, env={"PATH": os.environ["PATH"]}, text=True,
                                capture_output=True, timeout=60, check=False)
        assert result.returncode == 0 and result.stderr == "", result.stderr
        return result.stdout


@pytest.fixture
def reader(make_platform, tmp_path):
    return Reader(make_platform(), tmp_path)


def test_orders_with_the_demo_token(reader):
    token, read = block("Two commands", 1), block("Two commands", 2)
    assert len(json.loads(reader.paste(token))["data"]) == 2
    made = json.loads(reader.paste(token.splitlines()[0] + "\n" + read))
    assert made["data"]["grand_total"] == 500


def test_a_custom_app_in_three_calls(reader):
    app, orders = [json.loads(text) for text in re.findall(r"\{\"data\".*?\"status\":20[01]\}",
                                                          reader.paste(block("A credential of your own")))]
    assert app["data"]["client_secret"] and app["data"]["store_id"] == 1
    assert orders["pagination"]["total"] == 240 and len(orders["data"]) == 2


def test_an_app_of_a_new_developer_comes_onto_a_store(reader):
    text = reader.paste(block("An app for any store"))
    address = re.search(r"http://127\.0\.0\.1:\d+(/api/apps/oauth/authorize\S+)", text).group(1)
    merchant = reader.demo["merchant"]
    browser = Browser(reader.platform)
    browser.open(address)
    browser.submit(identifier=merchant["email"], password=merchant["password"])
    place, fields = redirected(browser.submit("install"))
    assert place == "http://127.0.0.1:3000/oauth/callback" and fields["state"] == "x"
    app = json.loads(re.search(r"^\{\"data\".*\}$", text, re.M).group())["data"]
    variables = f"client_id={app['clientId']} client_secret={app['clientSecret']} callback={place}\n"
    pair = json.loads(reader.paste(variables + block("An app for any store", 1).replace("sx_ac_…", fields["code"])))
    assert pair["access_token"].startswith("sx_at_") and pair["scope"] == "read:orders"


def test_a_charge_is_paid_with_the_sandbox(reader):
    first = block("Two commands", 1).splitlines()[0]
    charge = json.loads(reader.paste(first + "\n" + block("Money")))["data"]
    page = f"/1/settings/apps/billing/{charge['charge_id']}"
    assert f"127.0.0.1:8080{page}" in README
    browser = Browser(reader.platform)
    browser.open(page)
    browser.submit(identifier=reader.demo["merchant"]["email"], password=reader.demo["merchant"]["password"])
    browser.submit("approve")
    place, fields = redirected(browser.submit("pay"))
    assert (place, fields) == ("https://app.example/done", {"payment": "success", "charge_id": str(charge["charge_id"])})


CHAPTER = "Developers' apps and the marketplace"


def answers(text):
    """What several commands printed behind each other: the data of each, or the error."""
    found, decoder = [], json.JSONDecoder()
    while text.strip():
        answer, end = decoder.raw_decode(text.lstrip())
        found.append(answer.get("data", answer))
        text = text.lstrip()[end:]
    return found


def variable(name):
    """The line by which an earlier chapter sets it."""
    return next(line for line in README.splitlines() if line.startswith(f"{name}=")) + "\n"


def test_a_developers_app_is_described_shared_and_listed(reader):
    tokens = variable("developer_token") + variable("merchant")
    made, apps, overview = answers(reader.paste(tokens + block(CHAPTER)))
    assert [item["app_id"] for item in apps["items"]][0] == made["app_id"] and made["clientSecret"].startswith("sx_secret_")
    assert overview["installations"]["active"] == 2
    [planned] = answers(reader.paste(tokens + block(CHAPTER, 1)))
    kept = json.loads((reader.clone / "app.json").read_text())
    assert planned == {"dry_run": True, "changes": [], "manifest": kept} and kept["redirect_urls"]
    [member] = answers(reader.paste(tokens + block(CHAPTER, 2)))
    assert (member["email"], member["role"]) == (reader.demo["merchant"]["email"], "viewer")
    listed, found, app = answers(reader.paste(tokens + block(CHAPTER, 3)))
    assert listed == {"app_id": 1, "is_listed": 1} and [item["app_id"] for item in found["items"]] == [1] and app["name"] == "Order Desk"


def test_an_app_is_reviewed(make_platform, tmp_path):
    reader = Reader(make_platform(settings={"SX_REVIEW_REQUIRED": 1}), tmp_path)
    tokens = variable("developer_token") + variable("merchant")
    _, before, _ = answers(reader.paste(tokens + block(CHAPTER, 3)))
    version, queue, shown, decided = answers(reader.paste(tokens + block(CHAPTER, 4)))
    assert version["version"] == 1 and [(item["app_id"], item["version"]) for item in queue["items"]] == [(1, 1)]
    assert shown["manifest"]["name"] == "Order Desk" and decided["status"] == "approved"
    _, after, app = answers(reader.paste(tokens + block(CHAPTER, 3)))
    assert [[item["app_id"] for item in found["items"]] for found in (before, after)] == [[], [1]] and app["name"] == "Order Desk"
