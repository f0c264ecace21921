"""Somebody who follows a guide: pastes its commands into one shell, makes its files, and compares what comes out.

    with Reader(platform, directory) as reader:
        reader.follow(guide)

What a guide shows is compared exactly, but for what no two runs share: "…" stands for anything, as a member of an object
for any further members, and ids, times and secrets are compared by their form.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time

from api.platform import Port

FORMS = [r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", r"sx_[a-z]+_[0-9a-f]{32,64}", r"whsec_[0-9a-f]{64}", r"[0-9a-f]{64}",
         r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"eyJ[\w-]+\.[\w-]+\.[\w-]+"]
PLACE = re.compile(r"(?<=127\.0\.0\.1:)\d+|(?<=PORT=)\d+|(?<=PORT', )\d+")


class Different(AssertionError):
    pass


def same_form(shown, came):
    """Two secrets, or two times: not equal, but of one kind."""
    return any(re.fullmatch(form, shown) and re.fullmatch(form, came) for form in FORMS)


def like(shown, came):
    """Whether a text came as it is shown; every … stands for some of it."""
    return re.fullmatch(".*".join(re.escape(part) for part in shown.split("…")), came, re.S) is not None


def compare(shown, came, where="answer"):
    if shown == "…" and not isinstance(came, (dict, list)):
        return
    if isinstance(shown, dict) and isinstance(came, dict):
        more = shown.get("…") == "…"
        names = {name for name in shown if name != "…"}
        if not (names <= set(came) if more else names == set(came)):
            raise Different(f"{where} has {sorted(came)}, shown are {sorted(shown)}")
        for name in names:
            is_id = name.endswith("_id") and isinstance(shown[name], int)
            if is_id and isinstance(came[name], int):
                continue
            compare(shown[name], came[name], f"{where}.{name}")
    elif isinstance(shown, list) and isinstance(came, list):
        more = shown[-1:] == ["…"]
        count = len(shown) - more
        if not (count <= len(came) if more else count == len(came)):
            raise Different(f"{where} has {len(came)} items, shown are {count}")
        for number in range(count):
            compare(shown[number], came[number], f"{where}[{number}]")
    elif isinstance(shown, str) and isinstance(came, str):
        if not same_form(shown, came) and not like(shown, came):
            raise Different(f"{where} is {came!r}, shown is {shown!r}")
    elif type(shown) is not type(came) or shown != came:
        raise Different(f"{where} is {came!r}, shown is {shown!r}")


class Reader:
    """A shell in a clone whose `var` is the platform's home. Ports that a guide names are free ones here."""

    def __init__(self, platform, directory, **known):
        self.platform, self.directory, self.known = platform, directory, known
        self.ports, self.held, self.count, self.printed = {"8080": platform.ports[0].number}, [], 0, ""
        (directory / "var").symlink_to(platform.home)
        environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "LANG": "C.UTF-8"}
        self.shell = subprocess.Popen([shutil.which("sh")], cwd=directory, env=environment, stdin=subprocess.PIPE, text=True,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.shell.pid, signal.SIGKILL)                           # with the servers that a guide started
        self.shell.communicate()
        for port in self.held:
            port.release()

    def port(self, number):
        if number not in self.ports:
            self.held.append(Port())
            self.ports[number] = self.held[-1].number
        return self.ports[number]

    def here(self, text):
        """As it is on this machine."""
        text = PLACE.sub(lambda found: str(self.port(found.group())), text)
        for shown, value in self.known.items():
            text = text.replace(shown, value)
        return text

    def paste(self, code, seconds=60):
        """What it printed; anything on standard error and any status but 0 is a failure."""
        self.count += 1
        place = self.directory / f".block{self.count}"
        place.with_suffix(".sh").write_text(self.here(code))
        self.shell.stdin.write(f". ./{place.name}.sh >{place.name}.out 2>{place.name}.err </dev/null\n"
                               f"echo $? >{place.name}.half; mv {place.name}.half {place.name}.status\n")
        self.shell.stdin.flush()
        deadline = time.monotonic() + seconds
        while not place.with_suffix(".status").exists():
            assert self.shell.poll() is None and time.monotonic() < deadline, f"does not end:\n{code}"
            time.sleep(0.02)
        self.printed, problems = place.with_suffix(".out").read_text(), place.with_suffix(".err").read_text()
        status = place.with_suffix(".status").read_text().strip()
        assert status == "0" and not problems, f"status {status}\n{code}\n{self.printed}\n{problems}"
        return self.printed

    def check(self, block):
        """That the last paste printed what stands in the block."""
        shown = self.here(block.code)
        try:
            if block.language == "json":
                compare(json.loads(shown), json.loads(self.printed))
            elif not like(shown.strip(), self.printed.strip()):
                raise Different(f"printed:\n{self.printed}\nshown:\n{shown}")
        except (Different, json.JSONDecodeError) as error:
            raise AssertionError(f"{error}\n\n{self.printed}") from None

    def follow(self, guide, before=None):
        """All its blocks. before(reader, block) is asked in front of each."""
        shown = True
        for block in guide.blocks:
            if before:
                before(self, block)
            if block.language in ("json", "text"):
                assert not shown, f"{guide.name}: an output that belongs to no command:\n{block.code}"
                self.check(block)
                shown = True
                continue
            assert shown or not self.printed, f"{guide.name}: prints what is not shown:\n{self.printed}"
            if block.language == "sh":
                self.paste(block.code)
                shown = False
            else:
                assert block.file, f"{guide.name}: a program without a name:\n{block.code}"
                (self.directory / block.file).write_text(self.here(block.code))
                used = any(block.file in other.code for other in guide.blocks if other.language == "sh")
                assert used, f"{guide.name}: {block.file} is never run"
        assert shown or not self.printed, f"{guide.name}: prints what is not shown:\n{self.printed}"
