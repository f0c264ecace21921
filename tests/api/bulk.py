"""Bulk imports and exports for tests: NDJSON in and out, and waiting for a job."""

import json
import time

from .platform import VARIANT

NDJSON = {"Content-Type": "application/x-ndjson"}
WAIT_S = 180 if VARIANT == "asan" else 60


def lines_of(values):
    """Values as NDJSON; text and bytes go as they are."""
    def line(value):
        if isinstance(value, bytes):
            return value
        return value.encode() if isinstance(value, str) else json.dumps(value, ensure_ascii=False).encode()

    return b"".join(line(value) + b"\n" for value in values)


def upload(shop, resource, body, **options):
    return shop.request("POST", f"/api/apps/v1/bulk/{resource}", body=body, headers=NDJSON, timeout=WAIT_S, **options)


def start(shop, resource, body):
    """The job that was made for these lines."""
    answer = upload(shop, resource, body if isinstance(body, bytes) else lines_of(body))
    assert answer.status_code == 202, answer
    return answer.json()["data"]


def job(shop, job_id):
    answer = shop.get(f"/api/apps/v1/bulk/jobs/{job_id}")
    assert answer.status_code == 200, answer
    return answer.json()["data"]


def wait(shop, job_id, until=("completed",), look_s=0.05):
    deadline = time.monotonic() + WAIT_S
    while True:
        seen = job(shop, job_id)
        if seen["status"] in until:
            return seen
        assert seen["status"] in ("queued", "running"), seen
        assert time.monotonic() < deadline, seen
        time.sleep(look_s)


def stream(shop, path):
    """All lines of an export or of results."""
    answer = shop.get(path, timeout=WAIT_S)
    assert answer.status_code == 200, answer
    assert answer.headers["Content-Type"].split(";")[0] == "application/x-ndjson"
    assert answer.content == b"" or answer.content.endswith(b"\n")
    return [json.loads(line) for line in answer.content.splitlines()]


def results(shop, job_id, after=None):
    return stream(shop, f"/api/apps/v1/bulk/jobs/{job_id}/results" + (f"?after={after}" if after is not None else ""))


def export(shop, resource, after=None):
    return stream(shop, f"/api/apps/v1/bulk/{resource}/export" + (f"?after={after}" if after is not None else ""))


def run(shop, resource, body):
    """Imports the lines; the finished job and its results."""
    done = wait(shop, start(shop, resource, body)["job_id"])
    found = results(shop, done["job_id"])
    assert done["lines_done"] == done["lines_total"] == len(found)
    assert done["succeeded"] == sum(each["status"] == "succeeded" for each in found)
    assert done["failed"] == sum(each["status"] == "failed" for each in found)
    return done, found


def product(number, **fields):
    return {"name": f"Thing {number}", "variants": [{"price": 10 + number % 90, "quantity": 5}], **fields}


def customer(number, **fields):
    return {"name": f"Customer {number}", "phone": f"+88018{number:08d}", **fields}


def order(number, **fields):
    return {"items": [{"name": f"Card {number}", "price": 100, "quantity": 1}], "note": f"order {number}", **fields}
