"""The explorer at /api/docs: the viewer that npm brought (services/gateway/explorer, proto/README.md says which and why) and the
page around it. Nothing of it comes from elsewhere than the gateway, and its policy lets nothing else happen."""

import json
import os

from files import FOREVER, PAGE, File

# No script or style stands in the page itself; "try it" asks the gateway the page came from, and nobody else.
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
          "form-action 'none'; frame-ancestors 'none'")
OWN = {"explorer.js": "text/javascript; charset=utf-8", "explorer.css": "text/css; charset=utf-8"}
VIEWER = {"swagger-ui-bundle.js": "text/javascript; charset=utf-8", "swagger-ui.css": "text/css; charset=utf-8"}
# Whoever passes the viewer on passes these on (Apache License 2.0, section 4); the bundle names its own by this very name.
TERMS = ("LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt")


def read(*steps):
    with open(os.path.join(*steps), "rb") as file:
        return file.read()


def explorer_files(place, viewer):
    """place: services/gateway/explorer; a contract without one, as tests have, gets none. viewer: where `npm ci` was run for its
    lock file."""
    if not os.path.isdir(place):
        return
    package = os.path.join(viewer, "node_modules", "swagger-ui-dist")
    version = json.loads(read(package, "package.json"))["version"]
    page = read(place, "index.html").decode().replace("VERSION", version)
    yield File("/api/docs", PAGE, page, POLICY)
    yield File("/api/docs/", PAGE, page, POLICY)
    for name, kind in OWN.items():
        yield File(f"/api/docs/{name}", kind, read(place, name))
    for name, kind in VIEWER.items():
        yield File(f"/api/docs/viewer/{version}/{name}", kind, read(package, name), caching=FOREVER)
    for name in TERMS:
        yield File(f"/api/docs/viewer/{version}/{name}", "text/plain; charset=utf-8", read(package, name), caching=FOREVER)
