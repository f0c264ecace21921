"""What the README says is so: its table of settings, its commands, the files its tour names."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_settings_table_is_the_programs_own():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SX_")}
    made = subprocess.run([ROOT / "build" / "release" / "bin" / "sxctl", "settings"], env=environment, capture_output=True, text=True,
                          check=True).stdout
    stands = re.search(r"<!-- settings:.*?-->\n(.*?)<!-- /settings -->", README, re.S).group(1)
    assert stands.strip() == made.strip(), "run `sxctl settings` and put its table into README.md"


def test_named_commands_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for line in re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M):
        targets.update(line.split())
    named = set(re.findall(r"`make ([a-z-]+)", README)) | set(re.findall(r"^make ([a-z-]+)", README, re.M))
    assert named and not named - targets, named - targets


def test_tour_names_files_that_are_there():
    tour = README.split("## The code, in reading order")[1]
    missing = []
    for words in re.findall(r"`([^`]+)`", tour):
        place = ROOT / words
        if "/" in words and not place.exists():
            missing.append(words)
    assert not missing, missing


def test_top_level_is_the_agreed_layout():
    tracked = subprocess.run(["git", "ls-tree", "--name-only", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    extra = {name for name in tracked.stdout.split() if not name.startswith(".")} - \
        {"services", "libshared", "proto", "tests", "compose.yaml", "Makefile", "README.md", "LICENSE"}
    assert not extra
