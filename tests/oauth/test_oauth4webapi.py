"""A client library that knows nothing of this platform installs an app: oauth4webapi, from npm, used unchanged.

The library is fetched into a temporary directory; what it needs is node and npm (services/sxctl/packages.sh).
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from api.oauth import Install
from api.shop import Owner

LIBRARY = "oauth4webapi@3.8.8"
FLOW = Path(__file__).with_name("flow.mjs")


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    """The script beside the library, where node finds it."""
    place = tmp_path_factory.mktemp("oauth4webapi")
    assert shutil.which("node") and shutil.which("npm"), "node and npm are needed: services/sxctl/packages.sh test"
    (place / "package.json").write_text('{"private": true}')
    fetched = subprocess.run(["npm", "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", LIBRARY],
                             cwd=place, capture_output=True, text=True, check=False, timeout=300)
    assert fetched.returncode == 0, f"npm could not fetch {LIBRARY}:\n{fetched.stderr[-2000:]}"
    return Path(shutil.copy(FLOW, place))


class Backend:
    """The running script."""

    def __init__(self, script):
        self.process = subprocess.Popen(["node", script.name], cwd=script.parent, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def tell(self, **value):
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("method", ["basic", "post"])
def test_oauth4webapi_goes_the_whole_way(platform, flow, method):
    install = Install(platform, Owner(platform))
    with Backend(flow) as backend:
        backend.tell(**install.credentials, issuer=platform.url(), method=method, redirect_uri=install.redirect_uri,
                     scope="read:orders read:store", store_id=str(install.store_id))
        address = backend.hear()["authorize"]
        assert address.startswith(platform.url())
        install.sign_in()
        install.browser.open(address.removeprefix(platform.url()))
        backend.tell(callback=install.browser.submit("install").headers["Location"])
        seen = backend.hear()
    assert seen["first"]["token_type"] == "bearer" and seen["first"]["scope"] == "read:orders read:store"
    assert seen["second"]["refresh_token"] != seen["first"]["refresh_token"] and seen["used"] == 200
    assert seen["before"]["active"] is True and seen["before"]["client_id"] == install.app["client_id"]
    assert seen["after"]["active"] is False
    assert (seen["refusal"]["error"], seen["refusal"]["status"]) == ("invalid_grant", 400) and seen["refusal"]["description"]
