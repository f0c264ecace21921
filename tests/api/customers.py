"""What the tests about customers share."""

CUSTOMERS = "/api/apps/v1/customers"
FIELDS = {"user_id", "store_id", "name", "email", "phone", "address_json", "is_guest", "created_at", "updated_at",
          "total_orders", "total_spent"}


def make(shop, **fields):
    answer = shop.post(CUSTOMERS, {"name": "Nusrat Jahan", **fields})
    assert answer.status_code == 201, answer
    return answer.json()["data"]


def listed(shop, **query):
    answer = shop.get(CUSTOMERS, params=query)
    assert answer.status_code == 200, answer
    return answer.json()


def verify(shop):
    counted = shop.platform.call("store-data.customers.verify", store_id=shop.store_id)
    assert counted["ok"] is True, counted
    return counted
