"""Pages for people who build on the platform, as HTML that works without a script: one frame around all of them."""

import os
from html import escape

from files import PAGE, File

HOME = os.path.dirname(os.path.abspath(__file__))
STYLE = "/api/docs/pages.css"
# Nothing runs on these pages, and nothing comes from elsewhere.
POLICY = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PLACES = [("/api/docs", "Explorer"), ("/api/docs/guides", "Guides"), ("/api/docs/errors", "Errors"),
          ("/api/docs/openapi.json", "OpenAPI document")]


def style():
    with open(os.path.join(HOME, "pages.css"), encoding="utf-8") as file:
        return File(STYLE, "text/css; charset=utf-8", file.read())


def link(path, text, here):
    inside = here.startswith(path + "/") and path != PLACES[0][0]
    current = ' aria-current="page"' if path == here else ' aria-current="true"' if inside else ""
    return f'<li><a href="{escape(path)}"{current}>{escape(text)}</a></li>'


def page(path, title, description, body, footer=()):
    """A File. body: HTML with its own h1; footer: further (path, text) at the end."""
    places = "".join(link(place, text, path) for place, text in PLACES)
    ends = "".join(link(place, text, path) for place, text in footer)
    return File(path, PAGE, f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} · SeloraX</title>
<meta name="description" content="{escape(description)}">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{STYLE}">
</head>
<body>
<a class="skip" href="#content">To the text</a>
<header><nav aria-label="Documentation"><ul>{places}</ul></nav></header>
<main id="content" tabindex="-1">
{body}
</main>
{f'<footer><nav aria-label="Further reading"><ul>{ends}</ul></nav></footer>' if ends else ''}
</body>
</html>
""", POLICY)
