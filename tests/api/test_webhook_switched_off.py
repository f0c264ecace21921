"""What the developer hears of a subscription that the platform has switched off (contract K.4): one for every store, one of a store."""

import json

from .hooks import Sink, event, log_of, publish, signature, subscribe, waiting
from .test_uninstall import until
from .test_webhook_people import Developer, said


def test_one_for_every_store_that_is_switched_off_is_told_to_the_developer(platform):
    """By an event of no store, to the app's other subscriptions for every store and to nobody else; as any delivery it can be sent again."""
    dev, rival = Developer(platform), Developer(platform)
    with Sink() as sink:
        bad = dev.make(sink.url + "/bad")
        told = dev.make(sink.url + "/told", "webhook.disabled", fields=["subscription_id", "reason", "installation_id"])
        dev.make(sink.url + "/all", "webhook.disabled", signature_profile="standard-webhooks")
        rival.make(sink.url + "/rival", "webhook.disabled")
        one = subscribe(dev.shops[1], sink.url + "/one", "webhook.disabled")
        sink.answers = {"/bad": 410, "/told": 500}
        publish(platform, event(dev.shops[0].store_id))
        until(lambda: {"/told", "/all"} <= {path for path, _, _ in list(sink.requests)})
        off = dev.ask("GET", f"/subscriptions/{bad['subscription_id']}").json()["data"]
        assert (off["is_active"], off["disabled_reason"]) == (0, "the endpoint answered 410 Gone")
        [body] = [json.loads(body) for path, _, body in sink.requests if path == "/all"]
        assert (body["event_topic"], body["store_id"]) == ("webhook.disabled", 0)
        assert body["data"] == {"subscription_id": bad["subscription_id"], "installation_id": None, "app_id": dev.app["app_id"],
                                "event_topic": "order.created", "target_url": sink.url + "/bad", "reason": off["disabled_reason"],
                                "disabled_at": off["disabled_at"]}
        page = {"subscription_id": told["subscription_id"]}
        until(lambda: dev.ask("GET", "/deliveries", params=page).json()["data"]["items"][0]["status"] == "retrying")
        sink.answers = {}
        for count in (2, 3):                                                      # one that waits, then one that is over
            delivery = dev.ask("GET", "/deliveries", params=page).json()["data"]["items"][0]
            assert said(dev.ask("POST", f"/deliveries/{delivery['delivery_id']}/retry"), "Delivery queued", 202)["event_id"] == body["event_id"]
            until(lambda: [path for path, _, _ in list(sink.requests)].count("/told") == count)  # pylint: disable=cell-var-from-loop
            until(lambda: waiting(platform, told["subscription_id"]) == [])
        _, headers, text = [each for each in sink.requests if each[0] == "/told"][-1]
        assert json.loads(text) == {**body, "data": {name: body["data"][name] for name in ("subscription_id", "reason", "installation_id")}}
        assert headers["X-SeloraX-Signature"] == signature(told["signing_secret"], headers["X-SeloraX-Timestamp"], text)
        for shop in dev.shops:                                                    # it is none of theirs
            assert "webhook.disabled" not in [topic for _, _, topic in log_of(platform, shop.installation_id)]
        assert waiting(platform, one["subscription_id"]) == [] and not {"/one", "/rival"} & {path for path, _, _ in sink.requests}
        back = dev.ask("PATCH", f"/subscriptions/{bad['subscription_id']}", {"is_active": True}).json()["data"]
        assert (back["is_active"], back["failure_count"], back["disabled_reason"]) == (1, 0, None)


def test_one_of_a_store_that_is_switched_off_is_told_to_the_developer_as_well(platform):
    dev = Developer(platform)
    with Sink() as sink:
        dev.make(sink.url + "/all", "webhook.disabled")
        sub = subscribe(dev.shops[1], sink.url + "/bad")
        sink.answers = {"/bad": 410}
        publish(platform, event(dev.shops[1].store_id))
        until(lambda: "/all" in [path for path, _, _ in list(sink.requests)])
        [body] = [json.loads(body) for path, _, body in sink.requests if path == "/all"]
        assert (body["store_id"], body["data"]["subscription_id"]) == (dev.shops[1].store_id, sub["subscription_id"])


def test_the_last_one_that_is_switched_off_is_told_to_nobody(platform):
    """It was the one to tell; the others of the app go on."""
    dev = Developer(platform)
    with Sink() as sink:
        last, goes_on = dev.make(sink.url + "/last", "webhook.disabled"), dev.make(sink.url + "/on")
        sink.answers = {"/last": 410}
        dev.ask("POST", f"/subscriptions/{last['subscription_id']}/test")
        until(lambda: dev.ask("GET", f"/subscriptions/{last['subscription_id']}").json()["data"]["is_active"] == 0)
        publish(platform, event(dev.shops[0].store_id))
        until(lambda: "/on" in [path for path, _, _ in list(sink.requests)])
        until(lambda: waiting(platform, last["subscription_id"]) == [] == waiting(platform, goes_on["subscription_id"]))
        assert [path for path, _, _ in sink.requests].count("/last") == 1
