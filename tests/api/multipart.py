"""Bodies in parts, also such as no client should send, and files that are images as far as their first bytes go."""

import os

from . import client

BOUNDARY = "----part-7MA4YWxkTrZu0gW"
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff\xe0"
GIF = b"GIF89a"
WEBP = b"RIFF\x10\x00\x00\x00WEBPVP8 "


def image(start=PNG, size=1000):
    """Bytes that no other image has."""
    return start + os.urandom(size - len(start))


def part(data, name="files", file_name="a.png", kind="image/png", boundary=BOUNDARY):
    return (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n'
            f"Content-Type: {kind}\r\n\r\n").encode() + data + b"\r\n"


def body(*parts, boundary=BOUNDARY):
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


def upload(shop, product_id, *files, raw=None, **headers):
    """The files as parts named `files`; or `raw`, a body made elsewhere. Large ones are not recorded (recording.py)."""
    data = raw if raw is not None else body(*map(part, files))
    path = f"/api/apps/v1/products/{product_id}/images"
    headers = {**shop.bearer, "Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **headers}
    if len(data) > 1000000:
        return client.ask(shop.platform.ports[0].number, "POST", path, headers, data)
    return shop.platform.request("POST", path, body=data, headers=headers)
