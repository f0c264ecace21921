"""Webhooks as a test uses them: events made from outside, subscriptions, and what a delivery must look like."""

import base64
import hashlib
import hmac
import json
import time
import uuid

from .receiver import Receiver
from .rpc import RpcError

HOOKS = "/api/apps/v1/webhooks"


class Sink(Receiver):
    """An endpoint: every delivery with its parsed body, in the order of arrival."""

    def bodies(self, count, seconds=20):
        return [json.loads(body) for _, _, body in self.wait(count, seconds)]


def event(store_id, topic="order.created", resource_id=1, data=None, resource_type=None, created_us=None):
    """One as an outbox hands it over."""
    return {"event_id": str(uuid.uuid4()), "topic": topic, "store_id": store_id,
            "resource_type": resource_type or topic.partition(".")[0], "resource_id": resource_id,
            "created_us": created_us or time.time_ns() // 1000, "data": json.dumps(data or {"order_id": resource_id})}


def publish(platform, *events):
    """As an outbox does: what is 503 is said again. Whoever holds the log of an installation at that moment makes it so."""
    until = time.monotonic() + 20
    while True:
        try:
            return platform.call("webhooks.events.publish", events=list(events))
        except RpcError as error:
            if error.status != 503 or time.monotonic() > until:
                raise
        time.sleep(0.2)


def subscribe(shop, url, topic="order.created", **fields):
    until = time.monotonic() + 20
    answer = shop.post(HOOKS, {"event_topic": topic, "target_url": url, **fields})
    while answer.status_code == 503 and time.monotonic() < until:           # word of the installation is on its way
        time.sleep(0.2)
        answer = shop.post(HOOKS, {"event_topic": topic, "target_url": url, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def log_of(platform, installation_id):
    """The installation's log: number, event id, topic."""
    return platform.postgres.rows("select seq, event_id, topic from webhooks.log where installation_id = %s order by seq", (installation_id,))


def waiting(platform, subscription_id):
    return platform.postgres.rows("select topic, resource_id, attempt from webhooks.waiting where subscription_id = %s order by delivery_id",
                                  (subscription_id,))


def signature(secret, timestamp, body):
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def standard_signature(secret, identifier, timestamp, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, f"{identifier}.{timestamp}.".encode() + body, hashlib.sha256).digest()).decode()
