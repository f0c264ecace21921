"""What others make of the document: linters find no error in it, and generators make clients of it that compile.

The tools come from npm by a lock file (tools/), into a directory of their own; nothing that they bring is run on the way.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
GEN = Path(os.environ.get("GEN", HERE.parents[1] / "build" / "gen"))
DOCUMENT = GEN / "openapi.json"
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "CI": "1"}


class Tools:
    def __init__(self, directory):
        assert shutil.which("node") and shutil.which("npm"), "node and npm are needed: services/sxctl/packages.sh build"
        self.directory = directory
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / "tools" / name, directory)
        self.run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", path="")
        shutil.copy(DOCUMENT, directory / "openapi.json")

    def run(self, name, *arguments, path="node_modules/.bin/"):
        done = subprocess.run([str(self.directory / path / name) if path else name, *arguments], cwd=self.directory, text=True, check=False,
                              capture_output=True, timeout=600, env={**os.environ, **QUIET})
        assert done.returncode == 0, f"{name}: {done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def compiles(self, *files):
        self.run("tsc", "--noEmit", "--strict", "--skipLibCheck", "false", "--target", "es2022", "--module", "esnext", "--moduleResolution",
                 "bundler", "--lib", "es2022,dom,dom.iterable", *files)


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    return Tools(tmp_path_factory.mktemp("tools"))


def test_redocly_finds_no_error(tools):
    said = json.loads(tools.run("redocly", "lint", "openapi.json", "--extends", "recommended", "--format", "json", "--max-problems", "10000"))
    assert said["totals"]["errors"] == 0


def test_spectral_finds_no_error(tools):
    (tools.directory / ".spectral.yaml").write_text('extends: ["spectral:oas"]\n')
    said = json.loads(tools.run("spectral", "lint", "openapi.json", "--quiet", "--format", "json", "--fail-severity", "error"))
    assert [each for each in said if each["severity"] == 0] == []


def test_a_broken_document_is_found(tools):
    """The linters look: an answer without a description is an error to both."""
    broken = json.loads(DOCUMENT.read_text())
    del broken["paths"]["/livez"]["get"]["responses"]["200"]["description"]
    (tools.directory / "broken.json").write_text(json.dumps(broken))
    for command in (["redocly", "lint", "broken.json", "--extends", "recommended"], ["spectral", "lint", "broken.json", "--fail-severity", "error"]):
        with pytest.raises(AssertionError):
            tools.run(*command)


USE = '''
import { ordersList } from "./hey/sdk.gen";
import type { paths } from "./schema";
type Orders = paths["/api/apps/v1/orders"]["get"]["responses"]["200"]["content"]["application/json"];
export const first = (orders: Orders): number | undefined => orders.data[0]?.order_id;
export const limited = async () => (await ordersList({ query: { limit: 2 }, headers: { "If-None-Match": "x" } })).data?.data[0]?.grand_total;
'''


def test_generated_clients_compile(tools):
    tools.run("openapi-typescript", "openapi.json", "-o", "schema.ts")
    tools.run("openapi-ts", "-i", "openapi.json", "-o", "hey", "-c", "@hey-api/client-fetch")
    (tools.directory / "use.ts").write_text(USE)
    tools.compiles("use.ts")
    (tools.directory / "misuse.ts").write_text(USE.replace("order_id", "no_such_field"))
    with pytest.raises(AssertionError, match="no_such_field"):
        tools.compiles("misuse.ts")
