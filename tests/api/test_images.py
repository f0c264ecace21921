"""Images of products: what is taken, what is not, and how it is served."""

import hashlib
import os
import re
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from . import client, goods
from .client import is_error
from .multipart import BOUNDARY, GIF, JPEG, PNG, WEBP, body, image, part, upload
from .raw import Raw

MIB = 1024 * 1024


@pytest.fixture
def product(shop):
    return shop.post("/api/apps/v1/products", {"name": "Framed"}).json()["data"]["product_id"]


def keys_of(answer):
    assert answer.status_code == 201, answer
    return [entry["stored_key"] for entry in answer.json()["data"]]


def files_of(shop):
    """What is kept of the store, and what was left beside it."""
    root = shop.platform.home / "assets"
    return sorted(str(path.relative_to(root)) for path in root.glob(f"stores/{shop.store_id}/**/*") if path.is_file()), [
        path for path in root.glob(".new/*")]


def path_of(product, image_id=None):
    return f"/api/apps/v1/products/{product}/images" + (f"/{image_id}" if image_id else "")


def listed(shop, product):
    answer = shop.get(path_of(product))
    assert answer.status_code == 200, answer
    return answer.json()["data"]


def fetch(shop, key):
    """Without a record: images are large, and tell the contract's tests nothing."""
    return client.ask(shop.platform.ports[0].number, "GET", f"/assets/{key}", {}).content


@pytest.mark.parametrize("start, extension, kind", [
    (PNG, "png", "image/png"), (JPEG, "jpg", "image/jpeg"), (GIF, "gif", "image/gif"), (WEBP, "webp", "image/webp")])
def test_taken_and_served(shop, product, start, extension, kind):
    data = image(start)
    answer = upload(shop, product, data)
    [key] = keys_of(answer)
    assert key == f"stores/{shop.store_id}/products/{product}/{hashlib.sha256(data).hexdigest()}.{extension}"
    [told] = answer.json()["data"]
    assert told == {"image_id": told["image_id"], "product_id": product, "stored_key": key, "content_type": kind, "size": 1000,
                    "created_at": told["created_at"]}
    assert listed(shop, product) == [told]
    served = shop.platform.get(f"/assets/{key}")
    assert (served.status_code, served.content, served.headers["Content-Type"]) == (200, data, kind)
    assert served.headers["X-Content-Type-Options"] == "nosniff"
    assert served.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert served.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    again = shop.platform.get(f"/assets/{key}", headers={"If-None-Match": served.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = shop.platform.request("HEAD", f"/assets/{key}")
    assert (head.status_code, head.headers["Content-Length"]) == (200, "1000")


def test_many_files_keep_their_order(shop, product):
    files = [image(size=100 + n) for n in range(10)]
    keys = keys_of(upload(shop, product, *files))
    assert [hashlib.sha256(data).hexdigest() in key for data, key in zip(files, keys)] == [True] * 10
    assert files_of(shop) == (sorted(keys), [])
    assert keys_of(upload(shop, product, files[3], files[3])) == [keys[3]] * 2         # the same file is the same key
    assert goods.run(shop.platform, "select count(*), sum(size) from product_image where product_id = %s", product) == [
        (10, sum(map(len, files)))]


def test_a_key_in_a_variant(shop, product):
    sku = shop.get(f"/api/apps/v1/products/{product}").json()["data"]["variants"][0]["sku_id"]
    [key] = keys_of(upload(shop, product, image()))
    answer = shop.put(f"/api/apps/v1/products/{product}/variants/{sku}", {"images": key})
    assert answer.json()["data"]["images"] == key


def test_the_largest(shop, product):
    data = image(size=5 * MIB)
    [key] = keys_of(upload(shop, product, data))
    assert fetch(shop, key) == data
    keys = keys_of(upload(shop, product, *[image(size=5 * MIB) for _ in range(3)]))
    assert len(set(keys)) == 3


@pytest.mark.parametrize("size", [5 * MIB + 1, 6 * MIB])
def test_too_large_a_file(shop, product, size):
    found = is_error(upload(shop, product, image(), image(size=size)), 413, "payload_too_large")
    assert "files[1]" in found["message"]
    assert files_of(shop) == ([], [])


def test_too_large_a_body(shop, product):
    with Raw(shop.platform) as raw:
        raw.send(f"POST /api/apps/v1/products/{product}/images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shop.access_token}\r\n"
                 f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {16 * MIB + 1}\r\n\r\n")
        assert raw.answer()[0] == 413
    with Raw(shop.platform) as raw:                # in chunks nobody has announced how much it will be
        raw.send(f"POST /api/apps/v1/products/{product}/images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shop.access_token}\r\n"
                 f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(4):
            data = part(image(size=5 * MIB))
            raw.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        assert raw.send("0\r\n\r\n").answer()[0] == 413
    assert files_of(shop) == ([], [])


def test_eleven_files(shop, product):
    found = is_error(upload(shop, product, *[image(size=64) for _ in range(11)]), 400, "validation_error")
    assert found["errors"][0]["field"] == "files"
    assert files_of(shop) == ([], [])


HTML = b"<!doctype html><script>alert(1)</script>" + b" " * 100
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>" + b" " * 100


@pytest.mark.parametrize("data", [HTML, SVG, b"x", b"%PDF-1.7" + b" " * 100, PNG, b"RIFF\x10\x00\x00\x00WAVEfmt " + b" " * 64,
                                  b"GIF88a" + b" " * 64, b"\0" * 64, b"\n" + PNG + b" " * 64, b"PK\x03\x04" + b" " * 64])
def test_what_is_no_image(shop, product, data):
    """Whatever its name and the client say it is; and then none of the others is kept either."""
    found = is_error(upload(shop, product, image(), data), 400, "validation_error")
    assert found["errors"][0]["field"] == "files[1]"
    assert files_of(shop) == ([], [])


def test_names_lead_nowhere(shop, product):
    data = image()
    for name in ("../../../../etc/passwd", "/etc/passwd", "a.html", "x.svg", "..", "a\\..\\b.png", "শাড়ি.png", "a%2e%2e%2f.png", ""):
        [key] = keys_of(upload(shop, product, raw=body(part(data, file_name=name, kind="text/html"))))
        assert re.fullmatch(rf"stores/{shop.store_id}/products/{product}/[0-9a-f]{{64}}\.png", key)
    assert len(files_of(shop)[0]) == 1


def test_a_boundary_inside_a_file(shop, product):
    """What looks like one and is none, at the borders of what travels together."""
    for filler in (0, 1, 2, 32700, 32760, 65530):
        data = PNG + b"\r\n--" + b"x" * filler + b"\r\n--" + BOUNDARY.encode()[:-1] + b"\r\n\r\n--\r\n" + b"\r" * 9
        [key] = keys_of(upload(shop, product, data))
        assert shop.platform.get(f"/assets/{key}").content == data


BAD_BODIES = {
    "nothing": b"", "no parts": body(), "no boundary at all": b"hello" * 100, "only a line": b"\r\n",
    "another boundary": body(part(PNG + b"x" * 64, boundary="other"), boundary="other"),
    "another name": body(part(PNG + b"x" * 64, name="file")), "names that only look like it": body(part(PNG + b"x" * 64, name="files[]")),
    "no name": f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\n".encode() + PNG + b"x" * 64 + b"\r\n" + body(),
    "no headers": f"--{BOUNDARY}\r\n\r\n".encode() + PNG + b"x" * 64 + b"\r\n" + body(),
    "empty files": body(part(b""), part(b"")),
    "cut in a file": part(PNG + b"x" * 64), "cut in a head": body(part(PNG + b"x" * 64))[:40],
    "cut before the end": part(PNG + b"x" * 64)[:-2],
    "a head that is too long": f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"\r\nX-A: {"a" * 70000}\r\n\r\n'.encode()
    + PNG + b"x" * 64 + b"\r\n" + body(),
    "a NUL in the name": body(part(PNG + b"x" * 64, name="fil\0es")),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bodies_that_are_none(shop, product, name):
    answer = upload(shop, product, raw=BAD_BODIES[name])
    is_error(answer, 400, "validation_error")
    assert files_of(shop) == ([], [])
    assert len(keys_of(upload(shop, product, image()))) == 1


def test_other_fields_have_no_effect(shop, product):
    one, other = image(), image()
    keys = keys_of(upload(shop, product, raw=b"before the first\r\n" + body(
        part(b"x" * 300000, name="note"), part(b""), part(one), part(HTML, name="thumb"), part(other, file_name="b.png"), part(b""))))
    assert [hashlib.sha256(data).hexdigest() in key for data, key in zip((one, other), keys)] == [True, True] and len(keys) == 2


@pytest.mark.parametrize("kind, status, code", [
    ("multipart/form-data", 400, "bad_request"), ("multipart/form-data; boundary=", 400, "bad_request"),
    ("multipart/form-data; boundary=x", 400, "bad_request"), ('multipart/form-data; boundary="x"', 400, "bad_request"),
    ('multipart/form-data; boundary=""', 400, "bad_request"), (f"multipart/form-data; boundary={'x' * 71}", 400, "bad_request"),
    ("multipart/mixed; boundary=x", 415, "unsupported_media_type"), ("application/json", 415, "unsupported_media_type"),
    ("image/png", 415, "unsupported_media_type")])
def test_types_of_bodies(shop, product, kind, status, code):
    found = is_error(upload(shop, product, image(), **{"Content-Type": kind}), status, code)
    if code == "bad_request":
        assert "boundary" in found["message"] and "2 to 70 characters" in found["message"]


def test_parts_are_for_images_only(shop):
    answer = shop.request("POST", "/api/apps/v1/products", body=body(part(image())),
                          headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
    is_error(answer, 415, "unsupported_media_type")


def test_a_body_in_chunks(shop, product):
    """Cut anywhere: in boundaries, in heads."""
    data = [image(size=5000), JPEG + os.urandom(70)]
    whole = body(*map(part, data))
    answer = shop.request("POST", f"/api/apps/v1/products/{product}/images", body=(whole[at:at + 7] for at in range(0, len(whole), 7)),
                          headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
    assert [shop.platform.get(f"/assets/{key}").content for key in keys_of(answer)] == data


def test_a_client_that_goes_away(platform, shop, product):
    whole = body(part(image(size=200000)))
    with Raw(platform) as raw:
        raw.send(f"POST /api/apps/v1/products/{product}/images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shop.access_token}\r\n"
                 f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(whole)}\r\n\r\n")
        raw.send(whole[:100000])
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))    # gone with a reset
    assert len(keys_of(upload(shop, product, image()))) == 1
    assert len(files_of(shop)[0]) == 1


def test_keys_and_products_of_others(owner, shop, product):
    other = owner.open_shop()
    for number in (product, 2**60):
        is_error(upload(other, number, image()), 404, "not_found")
    assert files_of(other) == ([], [])
    is_error(upload(owner.open_shop(["read:products"]), product, image()), 403, "insufficient_scope")


def test_an_idempotency_key(shop, product):
    one, other = image(), image()
    first = upload(shop, product, one, other, **{"Idempotency-Key": "k"})
    again = upload(shop, product, one, other, **{"Idempotency-Key": "k"})
    assert first.content == again.content and again.headers["Idempotent-Replayed"] == "true"
    is_error(upload(shop, product, one + other, **{"Idempotency-Key": "k"}), 409, "idempotency_conflict")


def test_at_most_250(shop, product):
    """However many come at once; deleting some makes room."""
    goods.run(shop.platform, "insert into product_image (store_id, product_id, stored_key, size, created_at) select %s, %s, 'k' || n || '.png', 1, "
              "now() from generate_series(1, 245) as n", shop.store_id, product)
    found = is_error(upload(shop, product, *[image(size=64) for _ in range(6)]), 409, "conflict")
    assert "DELETE" in found["message"]
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: upload(shop, product, image(size=64), image(size=64)).status_code, range(8)))
    assert sorted(codes) == [201] * 2 + [409] * 6 and len(listed(shop, product)) == 249
    ids = [entry["image_id"] for entry in listed(shop, product)]
    assert ids == sorted(ids)
    assert shop.delete(path_of(product, ids[0])).status_code == 200
    assert len(keys_of(upload(shop, product, image(size=64), image(size=64)))) == 2
    is_error(upload(shop, product, image(size=64)), 409, "conflict")


# ---- deleting --------------------------------------------------------------------------------------------------------


def test_deleted_with_its_file(shop, product):
    files = [image(size=100 + n) for n in range(3)]
    keys = keys_of(upload(shop, product, *files))
    first, second, third = listed(shop, product)
    assert shop.get(path_of(product, second["image_id"])).json()["data"] == second
    answer = shop.delete(path_of(product, second["image_id"]))
    assert answer.json() == {"data": {"image_id": second["image_id"]}, "message": "Image deleted", "status": 200}
    assert listed(shop, product) == [first, third]
    assert files_of(shop) == (sorted(keys[:1] + keys[2:]), [])
    is_error(shop.platform.get(f"/assets/{keys[1]}"), 404, "not_found")
    for path in (path_of(product, second["image_id"]), path_of(product, 2**60)):
        is_error(shop.get(path), 404, "not_found")
        is_error(shop.delete(path), 404, "not_found")
    [again] = upload(shop, product, files[1]).json()["data"]
    assert again["stored_key"] == keys[1] and again["image_id"] > third["image_id"]
    assert shop.platform.get(f"/assets/{keys[1]}").content == files[1]


def test_a_file_that_cannot_be_removed(shop, product):
    """The image is deleted, and nobody is shown what is left."""
    [key] = keys_of(upload(shop, product, image()))
    place = shop.platform.home / "assets" / key
    place.unlink()
    (place / "in the way").mkdir(parents=True)
    [entry] = listed(shop, product)
    assert shop.delete(path_of(product, entry["image_id"])).status_code == 200
    assert listed(shop, product) == []
    is_error(shop.platform.get(f"/assets/{key}"), 404, "not_found")
    (place / "in the way").rmdir()
    place.rmdir()


def test_taken_out_of_the_variants(shop, product):
    """Of this product's, and of nothing else; orders keep what they have."""
    keys = keys_of(upload(shop, product, *[image() for _ in range(3)]))
    base = f"/api/apps/v1/products/{product}"
    whole = shop.get(base).json()["data"]["variants"][0]["sku_id"]
    url = "https://example.com/" + keys[1]
    shop.put(f"{base}/variants/{whole}", {"images": f"{keys[0]}, {keys[1]} ,{url},{keys[1]}", "quantity": 5})
    made = [shop.post(f"{base}/variants", {"price": 1, "images": images, "variant_name": name}).json()["data"]["sku_id"]
            for name, images in (("only", keys[1]), ("none", keys[0]), ("like it", keys[1] + "x"))]
    count = len(goods.events(shop))
    shown = {entry["stored_key"]: entry["image_id"] for entry in listed(shop, product)}
    assert shop.delete(path_of(product, shown[keys[1]])).status_code == 200
    after = {variant["sku_id"]: variant["images"] for variant in shop.get(base).json()["data"]["variants"]}
    assert after == {whole: f"{keys[0]},{url}", made[0]: None, made[1]: keys[0], made[2]: keys[1] + "x"}
    [(topic, event)] = goods.events(shop)[count:]
    assert topic == "product.updated" and {v["sku_id"]: v["images"] for v in event["changed"]["variants"]["new"]} == {
        whole: after[whole], made[0]: None}
    assert {v["sku_id"] for v in event["changed"]["variants"]["old"]} == {whole, made[0]}
    assert shop.delete(path_of(product, shown[keys[2]])).status_code == 200           # nobody shows it: nothing to tell
    assert len(goods.events(shop)) == count + 1


def test_images_of_others(owner, shop, product):
    keys_of(upload(shop, product, image()))
    [mine] = listed(shop, product)
    other = owner.open_shop()
    theirs = other.post("/api/apps/v1/products", {"name": "Theirs"}).json()["data"]["product_id"]
    second = shop.post("/api/apps/v1/products", {"name": "Second"}).json()["data"]["product_id"]
    for who, where in ((other, product), (other, theirs), (shop, second)):
        is_error(who.delete(path_of(where, mine["image_id"])), 404, "not_found")
        is_error(who.get(path_of(where, mine["image_id"])), 404, "not_found")
    is_error(other.get(path_of(product)), 404, "not_found")
    assert listed(other, theirs) == [] and listed(shop, second) == []
    reader = owner.open_shop(["read:products"], store_id=shop.store_id)
    assert listed(reader, product) == [mine]
    is_error(reader.delete(path_of(product, mine["image_id"])), 403, "insufficient_scope")
    is_error(shop.delete(path_of(product, mine["image_id"]), headers={"If-Match": '"0123456789abcdef0123456789abcdef"'}), 412,
             "precondition_failed")
    shop.delete(f"/api/apps/v1/products/{product}")
    for answer in (shop.get(path_of(product)), shop.delete(path_of(product, mine["image_id"]))):
        is_error(answer, 404, "not_found")


def test_uploaded_and_deleted_at_once(shop, product):
    """The same file, again and again: what is listed is served, and what is not has no file."""
    data = image()
    stop = time.monotonic() + 4

    def work(number):
        while time.monotonic() < stop:
            if number % 2:
                assert upload(shop, product, data).status_code == 201
            for entry in listed(shop, product) if not number % 2 else []:
                assert shop.delete(path_of(product, entry["image_id"])).status_code in (200, 404)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    kept = [entry["stored_key"] for entry in listed(shop, product)]
    assert files_of(shop) == (kept, [])
    [key] = keys_of(upload(shop, product, data))
    assert fetch(shop, key) == data


def test_what_is_not_served(shop, product):
    [key] = keys_of(upload(shop, product, image()))
    name = key.rpartition("/")[2]
    base = f"/assets/stores/{shop.store_id}/products/{product}"
    for path in (f"{base}/{'0' * 64}.png", f"{base}/{name[:-4]}.jpg", f"{base}/{name[:-4]}", f"{base}/{name}.html", f"{base}/{name.upper()}",
                 f"{base}/..%2f{product}%2f{name}", f"{base}/%2e%2e", f"{base}/.new", f"{base}/{name}%00.png", f"{base}x/{name}",
                 f"/assets/stores/{shop.store_id}/products/{product + 1}/{name}", f"/assets/stores/0/products/{product}/{name}",
                 f"/assets/stores/{2**63}/products/{product}/{name}", "/assets/stores/1/products/1/../../../../secrets/master.key",
                 "/assets", "/assets/", f"{base}/", f"{base}/{name}/", f"{base}/{'a' * 300}"):
        assert shop.platform.get(path).status_code in (400, 404), path
    is_error(shop.platform.request("PUT", f"/assets/{key}", body=b"x"), 405, "method_not_allowed")
    (shop.platform.home / "assets" / key).unlink()
    is_error(shop.platform.get(f"/assets/{key}"), 404, "not_found")
    [key] = keys_of(upload(shop, product, image()))
    goods.run(shop.platform, "delete from product_image where store_id = %s", shop.store_id)
    is_error(shop.platform.get(f"/assets/{key}"), 404, "not_found")          # a file that a crash has left


def test_a_full_disk_is_no_image(shop, product):
    """Where the bytes cannot be kept nothing is said to be: the place of the product is taken by a file."""
    root = shop.platform.home / "assets" / "stores" / str(shop.store_id) / "products"
    root.mkdir(parents=True, exist_ok=True)
    (root / str(product)).write_bytes(b"")
    is_error(upload(shop, product, image()), 503, "service_unavailable")
    assert goods.run(shop.platform, "select count(*) from product_image where product_id = %s", product) == [(0,)]
    (root / str(product)).unlink()
