"""A page for each error code: what it means, what to do, how it looks, and which operations answer it."""

import json
from html import escape

import markdown
from pages import page

PLACE = "/api/docs/errors"


def who_answers(document):
    """Code to operations, as (method, path, link into the explorer)."""
    found = {}
    for operation in document.contract.operations:
        if not operation.path or "tags" not in operation.node:
            continue
        link = f"/api/docs#/{operation.node['tags'][0]}/{operation.id}".replace(" ", "%20")
        for codes in document.standard_errors(operation).values():
            for code in codes:
                found.setdefault(code, []).append((operation.method.upper(), operation.path, link))
    return found


def body(code, node, examples, operations):
    shown = examples.error(code, "Error")
    family = any(path.startswith("/api/v1/") for _, path, _ in operations)
    upper = f"<p>Under <code>/api/v1/</code> the code is <code>{code.upper()}</code>.</p>\n" if family else ""
    rows = "\n".join(f'<li><a href="{escape(link)}"><code>{method} {escape(path)}</code></a></li>' for method, path, link in operations)
    where = f"<details><summary>{len(operations)} operations</summary>\n<ul>\n{rows}\n</ul>\n</details>" if operations else \
        "<p>Any path: it is HTTP's own.</p>"
    return (f"<h1><code>{code}</code></h1>\n<p class=\"lead\">Status {node['status']}. {escape(node['message'])}.</p>\n"
            f"<h2>Cause</h2>\n<p>{markdown.markdown(node['meaning'])[3:-4]}.</p>\n<h2>What to do</h2>\n{markdown.markdown(node['mend'])}\n"
            f"<h2>Example</h2>\n<figure><pre tabindex=\"0\" role=\"region\" aria-label=\"Answer\"><code>"
            f"{escape(json.dumps(shown, ensure_ascii=False, indent=2, default=float))}</code></pre></figure>\n{upper}"
            f"<h2>Where</h2>\n{where}")


def error_files(document):
    """/api/docs/errors and one page below it for each code."""
    codes, operations = document.common["x-errors"], who_answers(document)
    rows = "\n".join(f'<tr><td>{node["status"]}</td><td><a href="{PLACE}/{code}"><code>{code}</code></a></td><td>{escape(node["meaning"])}</td></tr>'
                     for code, node in sorted(codes.items(), key=lambda each: (each[1]["status"], each[0])))
    lead = "Every error is JSON with message, code and status; the code is what a program decides by."
    yield page(PLACE, "Errors", lead, f'<h1>Errors</h1>\n<p class="lead">{lead}</p>\n<table>\n<thead><tr><th>Status</th><th>Code</th>'
               f"<th>Cause</th></tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>")
    for code, node in codes.items():
        yield page(f"{PLACE}/{code}", code, node["message"], body(code, node, document.examples, operations.get(code, [])), [(PLACE, "All errors")])
