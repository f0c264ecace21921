"""The guides: guides/NUMBER-NAME.md, Markdown with commands and programs that tests/docs/test_guides.py runs.

What a fenced block is, its first line says:

    sh                a reader pastes it into a shell, one block after the other
    json, text        what the block before it printed; "…" stands for anything
    LANGUAGE FILE     a file that the reader makes, and a later block runs

A guide begins with its title and a paragraph that says what for.
"""

import os
import re
from html import escape

import markdown

from pages import page, style

GUIDES = "/api/docs/guides"
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)
PASTED = ("sh", "text", "json")                         # all others are files


class Block:
    def __init__(self, language, file, code):
        self.language, self.file, self.code = language, file, code

    def html(self):
        caption = f"<figcaption><code>{escape(self.file)}</code></figcaption>" if self.file else ""
        kind, label = {"sh": (' class="paste"', "Commands"), "json": ("", "Output"), "text": ("", "Output")}.get(
            self.language, (' class="paste"', f"File {escape(self.file or '')}"))
        return (f'<figure>{caption}<pre{kind} tabindex="0" role="region" aria-label="{label}">'
                f"<code>{escape(self.code.rstrip())}</code></pre></figure>")


class Guide:
    def __init__(self, name, text):
        self.name, self.path = name, f"{GUIDES}/{name}"
        self.title, self.lead, self.rest = re.fullmatch(r"# ([^\n]+)\n\n((?:[^\n]+\n)+)\n(.*)", text, re.S).groups()
        self.lead = " ".join(self.lead.split())
        self.blocks = [Block(*parts) for parts in FENCE.findall(text)]
        self.prose = " ".join(FENCE.sub("", text).split())

    def body(self):
        count = iter(range(len(self.blocks)))
        text = FENCE.sub(lambda _: f"\nBLOCK{next(count)}END\n", self.rest)
        made = markdown.Markdown(extensions=["tables", "toc"], output_format="html")
        html = made.convert(text)
        html = re.sub(r"<p>BLOCK(\d+)END</p>", lambda place: self.blocks[int(place.group(1))].html(), html)
        html = html.replace("<table>", '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>')
        html = html.replace("</table>", "</table></div>")
        here = "".join(f'<li><a href="#{token["id"]}">{token["name"]}</a></li>' for token in made.toc_tokens)
        return (f'<h1>{escape(self.title)}</h1>\n<p class="lead">{markdown.markdown(self.lead)[3:-4]}</p>\n'
                f'<nav class="here" aria-label="On this page"><ul>{here}</ul></nav>\n{html}')


def read_guides(folder):
    """In the order of their numbers."""
    for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        name = re.fullmatch(r"\d+-([a-z-]+)\.md", file)
        if name:
            with open(os.path.join(folder, file), encoding="utf-8") as source:
                yield Guide(name.group(1), source.read())


def guide_files(root):
    """Everything under /api/docs/guides, and the style of all pages."""
    guides = list(read_guides(os.path.join(root, "proto", "guides")))
    if not guides:
        return
    yield style()
    items = "".join(f'<li><a href="{guide.path}">{escape(guide.title)}</a><br>{markdown.markdown(guide.lead)[3:-4]}</li>\n'
                    for guide in guides)
    lead = "Short, and true: every command and every program in them is run by the platform's own tests."
    yield page(GUIDES, "Guides", lead, f'<h1>Guides</h1>\n<p class="lead">{lead}</p>\n<ul>\n{items}</ul>')
    for number, guide in enumerate(guides):
        before = [(guides[number - 1].path, f"← {guides[number - 1].title}")] if number else []
        after = [(other.path, f"{other.title} →") for other in guides[number + 1:number + 2]]
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", lambda found: found.group(1) or "", guide.lead)
        yield page(guide.path, guide.title, plain, guide.body(), before + [(GUIDES, "All guides")] + after)
