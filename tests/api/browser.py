"""A browser as far as forms need one: cookies by host, redirects, and the forms of a page. No script runs in it."""

from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit


class Forms(HTMLParser):
    """The forms of a page with their fields, and all of its text."""

    def __init__(self, page):
        super().__init__()
        self.forms, self.words, self.tags = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag == "form":
            self.forms.append({"action": attrs.get("action"), "method": attrs.get("method"), "fields": {}, "buttons": []})
        elif tag == "input" and self.forms:
            self.forms[-1]["fields"][attrs["name"]] = attrs.get("value", "")
        elif tag == "button" and self.forms and attrs.get("name"):
            self.forms[-1]["buttons"].append((attrs["name"], attrs["value"]))

    def handle_data(self, data):
        self.words.append(data.strip())

    @property
    def text(self):
        return " ".join(word for word in self.words if word)


class Browser:
    """One person's. `page` is what it shows: the last answer that was no redirect within the platform."""

    def __init__(self, platform, gateway=1, **headers):
        self.platform, self.gateway, self.headers, self.cookies, self.page = platform, gateway, headers, {}, None

    def send(self, method, path, fields=None, **headers):
        headers = {**self.headers, **headers}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if fields is not None:
            body = urlencode(fields)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        answer = self.platform.request(method, path, gateway=self.gateway, headers=headers, body=body)
        for text in answer.headers.get_all("Set-Cookie") or []:
            for name, morsel in SimpleCookie(text).items():
                self.cookies[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[name]
        self.page = answer
        return answer

    def open(self, path, fields=None, method="GET"):
        """Follows redirects as long as they stay on the platform."""
        answer = self.send(method, path, fields)
        while answer.status_code in (302, 303) and answer.headers["Location"].startswith("/"):
            answer = self.send("GET", answer.headers["Location"])
        return answer

    @property
    def forms(self):
        return Forms(self.page.text)

    def submit(self, button=None, **fields):
        """The page's form, with what a person fills in and the button pressed."""
        form = self.forms.forms[0]
        pressed = [pair for pair in form["buttons"] if pair[1] == button]
        assert button is None or pressed, form["buttons"]
        return self.open(form["action"], {**form["fields"], **dict(pressed), **fields}, form["method"].upper())


def redirected(answer):
    """Where an answer sends the browser: the address without its query, and the query's fields."""
    assert answer.status_code in (302, 303), answer
    parts = urlsplit(answer.headers["Location"])
    return f"{parts.scheme}://{parts.netloc}{parts.path}", dict(parse_qsl(parts.query))
