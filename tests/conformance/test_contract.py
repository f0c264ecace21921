"""What the tests exchanged with the platform, held against the served document.

Runs last, over the recording of tests/api (tests/api/recording.py). An answer that breaks its schema, a status that the
document does not list for the operation, and an operation that no test ever called fail here. So an endpoint without a
test cannot pass, and neither can one whose description is not true.
"""

import collections
import json
import os
import re
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import pytest

from api import recording

ROOT = Path(__file__).resolve().parents[2]
METHODS = ("get", "post", "put", "patch", "delete")


def exact(text):
    """JSON with exact numbers: 1460.1 is a multiple of 0.01, which no double is."""
    return json.loads(text, parse_float=Decimal)


GEN = Path(os.environ.get("GEN", ROOT / "build" / "gen"))
DOCUMENT = exact((GEN / "openapi.json").read_text(encoding="utf-8"))
PROTOCOL_ERRORS = {str(status) for status in DOCUMENT["x-protocol-errors"]}


def routes():
    """(method, pattern, template), the ones with fewer parameters first."""
    found = []
    for template, item in DOCUMENT["paths"].items():
        pattern = re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template)) + "$")
        found += [(method, pattern, template) for method in METHODS if method in item]
    return sorted(found, key=lambda route: route[2].count("{"))


ROUTES = routes()


def operation_of(line):
    """The template and the operation that an exchange was for; HEAD counts as GET. None for unknown paths."""
    method = {"head": "get"}.get(line["method"].lower(), line["method"].lower())
    path = line["path"].split("?")[0]
    for known, pattern, template in ROUTES:
        if known == method and pattern.match(path):
            return f"{method} {template}", DOCUMENT["paths"][template][method]
    return None, None


def read_recording():
    lines = []
    for file in sorted(recording.directory().glob("*.jsonl")):
        lines += [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return lines


LINES = read_recording()
HTTP = [line for line in LINES if line["kind"] == "http"]
CALLS = collections.defaultdict(list)
for each in HTTP:
    CALLS[operation_of(each)[0]].append(each)
RPC = [line for line in LINES if line["kind"] == "rpc"]


def internal_operations():
    operations = json.loads((ROOT / "proto" / "internal.json").read_text(encoding="utf-8"))["operations"]
    # The gateway itself is their only caller: every request and every lease goes through them.
    return {name: node for name, node in operations.items() if node["x-callers"] != ["gateway"]}


def follow(node):
    while "$ref" in node:
        target = DOCUMENT
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


VALIDATORS = {}


def complaint(schema, value):
    """The first thing that is wrong with a value, or None."""
    key = id(schema)
    if key not in VALIDATORS:
        resolver = jsonschema.RefResolver("", DOCUMENT)
        VALIDATORS[key] = jsonschema.Draft202012Validator(schema, resolver=resolver, format_checker=FORMATS)
    error = jsonschema.exceptions.best_match(VALIDATORS[key].iter_errors(value))
    return error and f"{error.json_path}: {error.message[:300]}"


FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("date-time")
def is_timestamp(value):
    """ISO 8601, UTC, with milliseconds (contract 0.3)."""
    return not isinstance(value, str) or bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value))


def is_page(line):
    """HTML: of the routes whose errors are pages too (contract K.1)."""
    operation = operation_of(line)[1]
    kind = next((value for key, value in line["headers"].items() if key.lower() == "content-type"), "").split(";")[0]
    return kind == "text/html" and operation is not None and any(
        kind in follow(response).get("content", {}) for response in operation["responses"].values())


def is_lines(line):
    """NDJSON, which has no envelope; its errors are JSON as everywhere."""
    kind = next((value for key, value in line["headers"].items() if key.lower() == "content-type"), "").split(";")[0]
    return kind == "application/x-ndjson"


def check(line):
    """What is wrong with one exchange, or None."""
    name, operation = operation_of(line)
    status = str(line["status"])
    if operation is None:
        return check_error(line)
    if status not in operation["responses"]:
        return check_error(line) if status in PROTOCOL_ERRORS else f"{name} answers {status}, which is not documented"
    response = follow(operation["responses"][status])
    for header in response.get("headers", {}):
        optional = header in ("ETag", "Idempotent-Replayed")
        if not optional and header.lower() not in {key.lower() for key in line["headers"]}:
            return f"{name} answers {status} without {header}"
    if status == "304" or line["method"] == "HEAD":
        return None if not line["body"] else f"{name}: {status} with a body"
    content = response.get("content", {})
    kind = next((value for key, value in line["headers"].items() if key.lower() == "content-type"), "").split(";")[0]
    if kind not in content:
        return f"{name} answers {status} as {kind}, documented: {', '.join(content)}"
    if kind != "application/json":
        return None
    problem = complaint(content[kind]["schema"], exact(line["body"]))
    return problem and f"{name} answers {status}: {problem}"


def check_error(line):
    """Any path, any error: the envelope of the family (contract K.1)."""
    if line["method"] in ("HEAD", "OPTIONS") or line["status"] < 400:
        return None
    if is_page(line):
        return None
    family = "DeveloperError" if unquote(line["path"]).startswith("/api/v1/") else "Error"
    try:
        body = exact(line["body"])
    except json.JSONDecodeError:
        return f"{line['method']} {line['path'][:80]} answers {line['status']} with a body that is no JSON"
    problem = complaint(DOCUMENT["components"]["schemas"][family], body)
    return problem and f"{line['method']} {line['path'][:80]} answers {line['status']}: {problem}"


def test_something_was_recorded():
    assert HTTP, f"no traffic in {recording.directory()}: run tests/api first"


def test_every_answer_is_as_documented():
    problems = collections.defaultdict(list)
    for line in HTTP:
        problem = check(line)
        if problem:
            problems[problem].append(line["test"])
    text = "\n".join(f"{problem}\n    {len(tests)} times, first in {tests[0]}" for problem, tests in problems.items())
    assert not problems, f"\n{text}"


def test_body_status_equals_http_status():
    wrong = []
    for line in HTTP:
        bodiless = line["method"] in ("HEAD", "OPTIONS") or line["status"] == 304 or is_lines(line)
        if line["path"].startswith("/api/apps/") and not bodiless and not is_page(line):
            if exact(line["body"]).get("status") != line["status"]:
                wrong.append(f"{line['test']}: {line['method']} {line['path'][:80]} {line['status']}")
    assert not wrong, "\n".join(wrong[:10])


def test_every_answer_has_the_platforms_headers():
    missing = collections.Counter()
    for line in HTTP:
        names = {name.lower() for name in line["headers"]}
        for header in ("x-request-id", "x-selorax-api-version", "x-content-type-options"):
            if header not in names:
                missing[f"{line['method']} {line['path'].split('?')[0][:60]} {line['status']} lacks {header}"] += 1
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("name", [f"{method} {template}" for method, _, template in ROUTES])
def test_every_operation_was_called_with_success(name):
    assert CALLS[name], f"no test ever called {name}"
    assert any(200 <= line["status"] < 400 for line in CALLS[name]), f"{name} never succeeded"


@pytest.mark.parametrize("name", [f"{method} {template}" for method, _, template in ROUTES])
def test_the_errors_of_every_operation_were_seen(name):
    """The documented 4xx that a client can cause by itself: each must have been answered at least once."""
    method, template = name.split(" ")
    documented = {status for status in DOCUMENT["paths"][template][method]["responses"]
                  if status in ("400", "401", "403", "404", "409")}
    seen = {str(line["status"]) for line in CALLS[name]}
    assert documented <= seen, f"{name} never answered {', '.join(sorted(documented - seen))}"


# What may stand in the document although no test of this very operation ever met it, and why. All else was seen.
UNSEEN = {
    "304": "one comparison of tags in the gateway, before which no service is asked differently; tried on lists, resources and pages",
    "413": "the gateway refuses by the operation's limit, which the generator checks; tried for every kind of body",
    "415": "the gateway refuses by the operation's kinds of body; tried for every kind",
    "429": "the limiter knows classes, not operations; tried for every class",
    "500": "a fault of the platform, which no client can cause; tried with faults put in",
    "502": "a process killed at the right moment; tried under load, with operations that write",
    "503": "a service that is away; tried under load and one service at a time",
    "504": "a deadline; tried with services that are stopped",
}
BY_CHANCE = {"502", "504"}      # the same tests may meet 503 instead: the process was lost before it had the request


def test_a_status_that_was_never_seen_has_a_reason():
    """All of them, each with its reason, are then in build/gen/unseen.txt."""
    unseen, met = [], set()
    for method, _, template in ROUTES:
        name = f"{method} {template}"
        seen = {str(line["status"]) for line in CALLS[name]}
        met |= seen
        unseen += [(name, status) for status in DOCUMENT["paths"][template][method]["responses"] if status not in seen]
    (GEN / "unseen.txt").write_text("".join(f"{name} {status}: {UNSEEN.get(status)}\n" for name, status in unseen))
    assert all(status in UNSEEN for _, status in unseen), [each for each in unseen if each[1] not in UNSEEN]
    never = set(UNSEEN) - met - BY_CHANCE
    assert not never, f"never met in any operation, so nothing was tried: {sorted(never)}"


def test_every_answer_has_an_example_and_every_example_is_valid():
    problems = []
    for method, _, template in ROUTES:
        for status, response in DOCUMENT["paths"][template][method]["responses"].items():
            content = follow(response).get("content", {})
            # The documents themselves, and pages, are no examples.
            if not any(kind == "application/json" for kind in content) or template.startswith("/api/docs/"):
                continue
            node = content["application/json"]
            examples = [each["value"] for each in node.get("examples", {}).values()] + [node[word] for word in ("example",) if word in node]
            if not examples and not (template == "/readyz" and status == "503"):
                problems.append(f"{method} {template} {status} has no example")
            problems += [f"{method} {template} {status}: {problem}" for problem in (complaint(node["schema"], example) for example in examples) if problem]
        for body in DOCUMENT["paths"][template][method].get("requestBody", {}).get("content", {}).values():
            if "example" not in body:
                continue
            resolver = jsonschema.RefResolver("", DOCUMENT)                 # times may be sent in other forms than they are answered in
            problem = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(body["schema"], resolver=resolver).iter_errors(body["example"]))
            problems += [f"{method} {template}: its body: {problem.message}"] if problem else []
    assert not problems, "\n".join(problems)


def test_examples_that_are_text_can_be_read():
    """Of streams whole lines with something in them; no bytes of an image or of a packed page."""
    problems = []
    for method, _, template in ROUTES:
        for status, response in DOCUMENT["paths"][template][method]["responses"].items():
            for kind, node in follow(response).get("content", {}).items():
                shown, name = node.get("example"), f"{method} {template} {status}"
                if kind == "application/x-ndjson":
                    lines = (shown or "").splitlines()
                    problems += [f"{name}: {line[:80]}" for line in lines if not isinstance(exact(line), dict)] if lines else [f"{name} has no example"]
                elif isinstance(shown, str) and re.search("[^\n\t\x20-\x7e\xa0-\ufffc]", shown):
                    problems.append(f"{name}: {shown[:40]!r}")
    assert not problems, "\n".join(problems)


def test_everything_is_described():
    """Also to who reads nothing but the document: what an operation does, its scopes and rate class, what each parameter is, and a
    body that was taken wherever one must be sent; files are none to show."""
    missing = []
    for method, _, template in ROUTES:
        node, name = DOCUMENT["paths"][template][method], f"{method} {template}"
        said, _, conditions = node["description"].rpartition("\n\n")
        if not node["summary"] or not said:
            missing.append(f"{name}: says not what it does")
        scopes = {scope for requirement in node["security"] for scopes in requirement.values() for scope in scopes}
        if not all(f"`{scope}`" in conditions for scope in scopes) or (node["x-rate"] != "exempt") != (f"Rate class `{node['x-rate']}`" in conditions):
            missing.append(f"{name}: says not what it takes")
        missing += [f"{name}: {parameter['name']}" for parameter in map(follow, node.get("parameters", [])) if not parameter.get("description")]
        body = node.get("requestBody", {})
        missing += [f"{name}: a body as {kind}" for kind, content in body.get("content", {}).items()
                    if body.get("required") and kind != "multipart/form-data" and "example" not in content]
    assert not missing, "\n".join(missing)


def test_every_topic_is_in_the_document():
    """As the platform lists them, with the samples it sends."""
    listed = [exact(line["body"])["data"] for line in CALLS["get /api/apps/v1/webhooks/topics"] if line["status"] == 200]
    assert listed and {topic["topic"] for topic in listed[-1]} == set(DOCUMENT["webhooks"])
    for topic in listed[-1]:
        assert DOCUMENT["webhooks"][topic["topic"]]["post"]["requestBody"]["content"]["application/json"]["example"]["data"] == topic["sample"]


@pytest.mark.parametrize("name", sorted(internal_operations()))
def test_every_internal_operation_was_called(name):
    calls = [line for line in RPC if line["operation"] == name]
    assert any(line["status"] == 200 for line in calls), f"no test ever called {name} with success"


def internal_reply(node):
    """The reply's schema with its references made part of the document's own components."""
    internal = exact((ROOT / "proto" / "internal.json").read_text(encoding="utf-8"))
    for name, schema in internal["components"]["schemas"].items():
        DOCUMENT["components"]["schemas"].setdefault(name, schema)
    return node["reply"]


@pytest.mark.parametrize("name", sorted(internal_operations()))
def test_internal_answers_are_as_documented(name):
    schema = internal_reply(internal_operations()[name])
    for line in RPC:
        if line["operation"] == name and line["status"] == 200:
            problem = complaint(schema, line["reply"])
            assert problem is None, f"{name} ({line['test']}): {problem}"
