#!/usr/bin/python3
"""`make bench`: runs every part and ends with what has missed its bound (tests/README.md).

A part is an executable file beside this one, with a platform of its own. One that misses or breaks keeps none of the others
from running; the exit status is not 0 then. Names of parts as arguments run only those.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARTS = sorted(path.stem for path in HERE.glob("*.py") if os.access(path, os.X_OK) and path.stem != "run")


def run(part):
    """What has missed in this part."""
    print(f"== {part}", flush=True)
    started, missed, last = time.monotonic(), [], ""
    with subprocess.Popen([HERE / f"{part}.py"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
            if line.startswith("  MISS "):
                missed.append(line.split("MISS ", 1)[1].strip())
    if process.returncode != 0 and not missed:
        missed = [f"broke off: {last}"]
    print(f"== {part}: {time.monotonic() - started:.0f} s, {len(missed)} missed", flush=True)
    return missed


def main():
    chosen = sys.argv[1:] or PARTS
    unknown = set(chosen) - set(PARTS)
    if unknown:
        print(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    missed = [(part, what) for part in chosen for what in run(part)]
    print(f"== {len(chosen)} parts, {len(missed)} missed")
    for part, what in missed:
        print(f"  MISS {part}: {what}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
