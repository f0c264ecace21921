"""The pages for people under /api/docs: guides and errors. Every link leads to something that is served, nothing on them runs or
comes from elsewhere, and they are sent packed, once."""

import gzip
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

import pytest

from .chromium import Chromium

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "proto"))
from guides import read_guides                                              # noqa: E402 pylint: disable=wrong-import-position

STARTS = ("/api/docs/guides", "/api/docs/errors")
POLICY = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
LOADING = {"img", "script", "iframe", "object", "embed", "audio", "video", "source", "form", "base", "style", "svg"}


class Page(HTMLParser):
    """What a page is made of: its tags in order, and its text by the tag it stands in."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.inside = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if self.inside:
            self.texts.setdefault(self.inside[-1], []).append(data)

    def all(self, *names):
        return [attrs for tag, attrs in self.tags if tag in names]

    def links(self):
        return [attrs["href"] for attrs in self.all("a", "link")]

    def ids(self):
        return {attrs["id"] for _, attrs in self.tags if "id" in attrs}


@pytest.fixture(scope="module")
def pages(platform):
    """Everything that is reached by following links from the guides and the errors: path to page."""
    found, waiting = {}, list(STARTS)
    while waiting:
        path = waiting.pop()
        if path in found or not path.startswith(STARTS):
            continue
        answer = platform.get(path)
        assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8", path
        found[path] = Page(answer.text)
        waiting += [urldefrag(link).url for link in found[path].links() if link.startswith("/")]
    return found


def test_there_are_guides_and_errors(pages):
    assert len([path for path in pages if path.startswith("/api/docs/guides/")]) == 8
    assert len([path for path in pages if path.startswith("/api/docs/errors/")]) > 40


def test_a_guide_is_all_on_its_page(pages):
    """As its Markdown has it, and no mark of Markdown is left."""
    for guide in read_guides(ROOT / "proto" / "guides"):
        page = pages[guide.path]
        assert "```" not in guide.prose and "~~~" not in guide.prose, guide.name     # a block that is none
        prose = " ".join(text for tag, texts in page.texts.items() if tag not in ("code", "title") for text in texts)
        assert not re.search(r"```|\*\*|##|\]\(|\| -|BLOCK", prose), guide.name
        assert len(page.all("h2")) == len(re.findall("^## ", guide.rest, re.M)) > 2 and len(page.all("pre")) == len(guide.blocks), guide.name
        code = "".join(page.texts["code"])
        assert all(block.code.rstrip() in code for block in guide.blocks), guide.name
        assert len(page.all("table")) == len(re.findall(r"^\| --- ", guide.rest, re.M)), guide.name
        assert "".join(page.texts["h1"]) == guide.title and f"{guide.title} · SeloraX" == "".join(page.texts["title"])


def test_every_link_leads_to_something(pages, platform):
    served, broken = {}, []
    for path, page in pages.items():
        for link in page.links():
            target, mark = urldefrag(link)
            if link == "data:,":
                continue
            target = target or path
            if not target.startswith("/"):
                broken.append(f"{path}: {link} leads elsewhere")
                continue
            if target not in served:
                served[target] = target in pages or platform.get(target).status_code == 200
            if not served[target]:
                broken.append(f"{path}: {link}")
            if mark and target in pages and mark not in pages[target].ids():
                broken.append(f"{path}: {link} has no such place")
    assert not broken, "\n".join(broken)


def test_nothing_runs_and_nothing_comes_from_elsewhere(pages, platform):
    for path, page in pages.items():
        assert not page.all(*LOADING), path
        assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name in ("style", "src", "srcset")], path
        assert [attrs["href"] for attrs in page.all("link")] == ["data:,", "/api/docs/pages.css"], path
        headers = platform.get(path).headers
        assert headers["Content-Security-Policy"] == POLICY and headers["X-Content-Type-Options"] == "nosniff"
        assert (headers["X-Frame-Options"], headers["Referrer-Policy"]) == ("DENY", "no-referrer")
    sheet = platform.get("/api/docs/pages.css")
    assert sheet.headers["Content-Type"] == "text/css; charset=utf-8" and "url(" not in sheet.text and "@import" not in sheet.text
    assert "prefers-color-scheme: dark" in sheet.text


def test_they_are_made_for_keyboards_and_screen_readers(pages):
    for path, page in pages.items():
        assert page.all("html") == [{"lang": "en"}] and len(page.all("title", "h1", "main")) == 3, path
        assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta"), path
        assert page.all("a")[0] == {"class": "skip", "href": "#content"} and page.all("main")[0]["id"] == "content", path
        assert all(attrs.get("aria-label") for attrs in page.all("nav")), path
        assert len({attrs["aria-label"] for attrs in page.all("nav")}) == len(page.all("nav")), path
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1 and all(deeper <= level + 1 for level, deeper in zip(levels, levels[1:])), (path, levels)
        for attrs in page.all("pre"):                                       # what may scroll is reached by the keyboard, and has a name
            assert attrs["tabindex"] == "0" and attrs["role"] == "region" and attrs["aria-label"], path
        marks = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
        assert len(marks) == len(set(marks)), path


def contrast(first, second):
    """WCAG 2, 1.4.3."""
    def light(colour):
        parts = [int(colour[place:place + 2], 16) / 255 for place in (1, 3, 5)]
        return sum(weight * (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)
                   for weight, part in zip((0.2126, 0.7152, 0.0722), parts))
    darker, lighter = sorted((light(first), light(second)))
    return (lighter + 0.05) / (darker + 0.05)


def test_their_colours_can_be_read(platform):
    looks = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", look)) for look in re.findall(r":root \{(.*?)\}", platform.get("/api/docs/pages.css").text, re.S)]
    assert len(looks) == 2
    for look in looks:
        for ink in ("text", "quiet", "link"):
            for paper in ("ground", "raised"):
                assert contrast(look[ink], look[paper]) >= 4.5, (ink, paper, look)


@pytest.mark.parametrize("dark", [False, True])
def test_they_fit_a_phone(pages, platform, dark):
    """Nothing but code and tables, in frames of their own, is wider than it; and the browser had nothing to refuse."""
    paths = ["/api/docs/guides", "/api/docs/errors", "/api/docs/errors/insufficient_scope"] + [path for path in pages if "/guides/" in path]
    with Chromium() as chromium:
        tab = chromium.tab()
        tab.ask("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True)
        tab.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        for path in paths:
            tab.open(platform.url(path))
            assert tab.ask("Page.getLayoutMetrics")["cssContentSize"]["width"] <= 360, path
        assert not tab.complaints
        assert {urlsplit(url).netloc for _, url in tab.requests if not url.startswith("data:")} == {urlsplit(platform.url()).netloc}


# ---- how they are sent -----------------------------------------------------------------------------------------------

SENT = ["/api/docs/guides", "/api/docs/guides/webhooks", "/api/docs/pages.css", "/api/docs/openapi.json", "/api/docs/openapi.yaml",
        "/api/v1/apps/manifest-schema"]


def get(platform, path, encoding=None, **headers):
    return platform.get(path, headers={**({"Accept-Encoding": encoding} if encoding is not None else {}), **headers})


@pytest.mark.parametrize("path", SENT)
def test_they_are_packed_for_those_who_take_it(platform, path):
    plain, packed = get(platform, path), get(platform, path, "gzip, deflate, br")
    assert "Content-Encoding" not in plain.headers and packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content and len(packed.content) < len(plain.content) / 2
    assert plain.headers["ETag"] != packed.headers["ETag"]
    for answer, encoding in ((plain, None), (packed, "gzip")):
        assert answer.headers["Vary"] == "Accept-Encoding" and answer.headers["Cache-Control"] == "public, no-cache"
        same = get(platform, path, encoding, **{"If-None-Match": answer.headers["ETag"]})
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", answer.headers["ETag"])
        assert same.headers["Vary"] == "Accept-Encoding"
    other = get(platform, path, None, **{"If-None-Match": packed.headers["ETag"]})
    assert other.status_code == 200 and other.content == plain.content
    head = platform.request("HEAD", path, headers={"Accept-Encoding": "gzip"})
    assert head.content == b"" and head.headers["Content-Length"] == str(len(packed.content))


@pytest.mark.parametrize("encoding, packed", [
    ("gzip", True), ("GZip", True), ("x-gzip", True), ("br;q=1.0, gzip;q=0.8, *;q=0.1", True), ("*", True), ("deflate , gzip ; q=0.001", True),
    ("gzip;q=1.000", True), ("", False), ("identity", False), ("br", False), ("gzip;q=0", False), ("gzip; Q=0.000", False), ("*;q=0", False),
    ("gzip;q=0, *", False), ("*, gzip;q=0", False), ("gzipped", False), ("identity;q=1, *;q=0", False), (",,;,", False)])
def test_who_takes_it(platform, encoding, packed):
    answer = get(platform, "/api/docs/guides", encoding)
    assert answer.status_code == 200 and (answer.headers["Content-Encoding"] == "gzip") == packed


@pytest.mark.parametrize("path", ["/api/docs/guides/", "/api/docs/guides/nothing", "/api/docs/guide", "/api/docs/guides/webhook",
                                  "/api/docs/guides/webhooksx", "/api/docs/guides/%77ebhooks/x", "/api/docs/pages.cs", "/api/docs/guides/../pages.css"])
def test_what_is_not_there(platform, path):
    answer = platform.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_they_are_only_read(platform):
    answer = platform.post("/api/docs/guides", {})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
