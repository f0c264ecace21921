"""The queue of deliveries: what a step costs does not depend on how many wait, for one subscription or for a thousand, although the
plans are made while next to nothing waits and PostgreSQL has counted no more."""

import json

import pytest

from .hooks import log_of, subscribe
from .plans import Plans, buffers, nodes
from .test_uninstall import until

FEW, MANY, SUBSCRIPTIONS = 200, 40_000, 1_000
BATCH, HOLDER, NOW, FAR = 100, 4711, "2100-01-02", "2100-01-01"


class Queues:
    def __init__(self, owner, directory):
        shop = owner.open_shop()
        self.connection = shop.platform.postgres.connect()
        self.app_id = shop.app_id
        self.run("set search_path = webhooks")
        self.run("insert into suspended_app (app_id, is_suspended, version) values (%s, false, 1)", self.app_id)
        until(lambda: log_of(shop.platform, shop.installation_id))
        self.few, self.many = [subscribe(shop, "http://127.0.0.1:9/")["subscription_id"] for _ in range(2)]
        self.run("update queue set holder = %s, held_until = 'infinity' where subscription_id in (%s, %s)", HOLDER, self.few, self.many)
        self.run("vacuum analyze waiting")
        self.put(self.few, FEW)
        self.plans = Plans(shop.platform, directory, "webhooks")
        self.costs()                                        # the plans are made now
        self.put(self.many, MANY)
        self.run("insert into queue (subscription_id, due_at, waits_for_app) select -n, %s, %s from generate_series(1, %s) as n", FAR,
                 self.app_id + 10**9, SUBSCRIPTIONS)        # another app's, as far as waiting for one goes
        self.run("insert into waiting (subscription_id, event_id, event_at, topic, resource_type, resource_id, next_at, created_at) "
                 "select -n %% %s - 1, gen_random_uuid(), now(), 'order.created', 'order', n, %s, now() from generate_series(1, %s) as n",
                 SUBSCRIPTIONS, FAR, MANY)

    def run(self, sql, *arguments):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, arguments)
            return cursor.fetchall() if cursor.description else []

    def put(self, subscription_id, count):
        self.run("insert into waiting (subscription_id, event_id, event_at, topic, resource_type, resource_id, next_at, created_at) "
                 "select %s, gen_random_uuid(), now(), 'order.created', 'order', n, %s, now() from generate_series(1, %s) as n",
                 subscription_id, FAR, count)

    def arguments(self, subscription_id):
        """What the statements are given for a batch of that one."""
        ids = [delivery_id for delivery_id, in self.run("select delivery_id from waiting where subscription_id = %s order by 1 limit %s",
                                                        subscription_id, BATCH)]
        results = [{"n": n, "id": delivery_id, "s": subscription_id, "state": ("success", "retrying")[n % 10 == 0], "next_at": "2100-01-03",
                    "attempt": 1, "attempt_id": "00000000-0000-4000-8000-000000000000", "at": "now", "headers": {}, "status": 200,
                    "answer": "", "error": None, "ms": 1, "gone": False} for n, delivery_id in enumerate(ids)]
        return {"WAITING_LOAD": (json.dumps([{"s": subscription_id, "n": BATCH, "x": ids[:10]}]), NOW),
                "WAITING_PARK": ("{%s}" % ",".join(map(str, ids)),),
                "ATTEMPTS_NOTE": (json.dumps(results), HOLDER, NOW, 10, "off"),
                "QUEUE_RELEASE": (json.dumps([{"s": subscription_id, "v": 0}]), HOLDER),
                "QUEUE_CLAIM": (HOLDER, NOW, 16), "QUEUE_RENEW": (HOLDER, "{%d}" % subscription_id),
                "ENDPOINTS_READ": ("{%d}" % subscription_id,), "APP_REINSTATED": (self.app_id, NOW, 5000)}

    def costs(self, subscription_id=None):
        return {name: self.plans.explain(name, *arguments) for name, arguments in self.arguments(subscription_id or self.few).items()}

    def clean(self):
        self.run("delete from waiting where subscription_id = any (%s) or subscription_id between %s and -1", [self.few, self.many], -SUBSCRIPTIONS)
        self.run("delete from queue where subscription_id < 0")
        self.run("update queue set holder = null, held_until = null where holder = %s", HOLDER)


@pytest.fixture(scope="module")
def queues(owner, tmp_path_factory):
    made = Queues(owner, tmp_path_factory.mktemp("plans"))
    yield made
    made.clean()


def test_a_step_costs_the_same_however_many_wait(queues):
    few, many = queues.costs(), queues.costs(queues.many)
    for name, plan in many.items():
        assert not [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"], name
        assert buffers(plan) <= 2 * buffers(few[name]) + 100, (name, buffers(plan), buffers(few[name]))


def test_claims_come_by_the_index_of_what_is_due(queues):
    plan = queues.plans.explain("QUEUE_CLAIM", HOLDER, NOW, 16)
    assert "queue_due" in {node.get("Index Name") for node in nodes(plan)}
    assert buffers(plan) < 400                              # sixteen rows are changed, of a thousand that are due
