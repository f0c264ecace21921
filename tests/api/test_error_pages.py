"""The pages of error codes and the Postman collection: complete, and true of the platform that serves them."""

import html
import json
import re
from pathlib import Path

import pytest

CODES = json.loads((Path(__file__).resolve().parents[2] / "proto" / "common.json").read_text(encoding="utf-8"))["x-errors"]
ERRORS = "/api/docs/errors"


@pytest.mark.parametrize("code", sorted(CODES))
def test_the_page_of_a_code(platform, code):
    answer = platform.get(f"{ERRORS}/{code}")
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
    for part in ("Cause", "What to do", "Example"):
        assert f"<h2>{part}</h2>" in answer.text
    example = json.loads(html.unescape(re.search(r"<code>(\{.*?\})</code></pre>", answer.text, re.S).group(1)))
    assert (example["code"], example["status"]) == (code, CODES[code]["status"])


def test_all_codes_lead_to_their_pages(platform):
    assert set(re.findall(rf'href="{ERRORS}/([a-z_]+)"', platform.get(ERRORS).text)) == set(CODES)
    assert platform.get(f"{ERRORS}/no_such_code").status_code == 404


def test_the_document_leads_to_the_pages(platform):
    links = set(re.findall(rf"\]\({ERRORS}/([a-z_]+)\)", platform.get("/api/docs/openapi.json").text))
    assert links and links <= set(CODES)


def test_a_refusal_is_what_its_page_shows(platform):
    refused = platform.get("/api/apps/v1/orders").json()
    shown = platform.get(f"{ERRORS}/{refused['code']}").text
    assert html.escape(json.dumps(refused["message"])) in shown


# ---- Postman ----


def requests_of(items):
    for item in items:
        yield from requests_of(item["item"]) if "item" in item else [item]


def test_the_collection_has_every_operation(platform):
    collection, document = platform.get("/api/docs/postman.json").json(), platform.get("/api/docs/openapi.json").json()
    assert collection["info"]["schema"].endswith("/collection/v2.1.0/collection.json")
    assert [folder["name"] for folder in collection["item"]] == [group["name"] for group in document["x-tagGroups"]]
    found = {(each["request"]["method"].lower(), re.sub(r":(\w+)", r"{\1}", "/" + "/".join(each["request"]["url"]["path"])))
             for each in requests_of(collection["item"])}
    assert found == {(method, path) for path, item in document["paths"].items() for method in item}


def send(platform, request, variables):
    """As Postman does it: variables put in, what is disabled left out."""
    def filled(text):
        return re.sub(r"\{\{(\w+)\}\}", lambda found: variables[found.group(1)], text)

    headers = {each["key"]: filled(each["value"]) for each in request["header"] if not each.get("disabled")}
    if request["auth"]["type"] == "bearer":
        headers["Authorization"] = "Bearer " + filled(request["auth"]["bearer"][0]["value"])
    path = "/" + "/".join(request["url"]["path"])
    for each in request["url"]["variable"]:
        path = path.replace(f":{each['key']}", variables.get(each["key"]) or each["value"])
    return platform.request(request["method"], path, headers=headers, body=request.get("body", {}).get("raw"))


def test_the_collection_works(platform, shop):
    collection = platform.get("/api/docs/postman.json").json()
    by_name = {each["name"]: each for each in requests_of(collection["item"])}
    variables = {each["key"]: each["value"] for each in collection["variable"]}
    variables["access_token"] = shop.access_token
    made = send(platform, by_name["Place an order"]["request"], variables)
    assert made.status_code == 201, made.text
    variables["order_id"] = str(made.json()["data"]["order_id"])
    for name in ("List orders", "One order with its items"):
        assert send(platform, by_name[name]["request"], variables).status_code == 200
    assert json.loads(by_name["List orders"]["response"][0]["body"])["status"] == 200
