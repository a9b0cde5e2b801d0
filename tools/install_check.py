"""Installs catflap on a real Debian under a real systemd, and does to it what an owner may: a line for each rule.

Bookworm (Python 3.11) and Trixie (3.13) roots are made by mmdebstrap and booted in a container (tools/nspawn.py); the
installer, pip, the locked requirements, accounts, sshd and units are the real ones, and the daemon is the real one in
front of the simulated night, because a container has no devices. Exit status 1: a rule is broken; 2: this machine
cannot try it. Needs root, systemd-container and mmdebstrap.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from install_places import CONTENTS, CURRENT, HOME, LINKS, PACKAGES, SERVICES, TOUCHED
from nspawn import Container, debian_root, missing
from pages import replaced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nspawn import Ran

ROOT = Path(__file__).resolve().parent.parent
SUITES = {"bookworm": "3.11", "trixie": "3.13"}
DEBIAN = ("systemd", "systemd-sysv", "dbus", "udev", "python3", "ca-certificates", "openssh-client", *PACKAGES)
SEEN, WHEELS = "/mnt/catflap", "/mnt/wheels"
LINUX = ("2_36", "2_34", "2_31", "2_28", "2_27", "2_17")
"""Wheels for these versions of glibc run on Bookworm, which has 2.36; pip is told of each by name."""
STEP_S = 900.0
CONFIG = """\
[pins]
factory = "mock"
bolt = 17
[camera]
kind = "video"
source = "/dev/video0"
[door]
identity = "any_cat"
"""
SIMULATED = "[Service]\nExecStart=\nExecStart=/opt/catflap/current/bin/catflap run --simulate\n"
WITHOUT_LINK = "[Service]\nType=exec\nExecStart=\nExecStart=/usr/bin/sleep infinity\n"
"""For a version that has no `catflap link` yet: the unit's sandbox is tried all the same."""
CHURN = ("/var/log/", "/var/lib/systemd/", "/var/lib/dbus/", "/etc/machine-id", "/var/cache/", "/etc/.pwd.lock")
"""What a running Debian, or the tools that make accounts, write by themselves."""
ACCOUNTS = tuple(f"/etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow"))
"""What systemd-sysusers keeps of the files before."""
MOST_EXPOSED = {"catflap": 1.0, "catflap-link": 1.5, "catflap-update": 1.0, "catflap-later": 1.0}
"""What `systemd-analyze security` may say at most, of 10."""
DIES = "\n\n_whole = simulate\n\n\ndef simulate(arguments: argparse.Namespace) -> int:\n    {}\n"
"""Appended to the program of a version whose daemon is to fail; --version and `config check` still work."""
BAD_VERSIONS = {
    "0.3.0": ("a daemon that does not start", "raise SystemExit(3)"),
    "0.4.0": ("a daemon that says READY and dies five seconds later",
              "import time; SystemdHeartbeat().ready(); time.sleep(5); raise SystemExit(3)"),
    "0.5.0": ("a daemon that says READY and hangs",
              "import time; SystemdHeartbeat().ready(); time.sleep(3600); return 0"),
}  # fmt: skip
OWNER = """
import json
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root
root = Metadata(Root(consistent_snapshot=True))
keys = [CryptoSigner.generate_ed25519() for _ in range(4)]
for role, key in zip(("root", "timestamp", "snapshot", "targets"), keys):
    root.signed.add_key(key.public_key, role)
root.sign(keys[0])
said = open("/root/push.pub").read().split()
print(json.dumps({"format": 1, "root": root.to_bytes().decode(), "push_key": " ".join([*said[:2], "me@pc"])}))
"""


@dataclass
class Board:
    """What was found, a line each."""

    rows: list[tuple[bool, str]] = field(default_factory=list)

    def say(self, rule: str, ok: bool, detail: str = "") -> None:
        """Print one line; the detail is for what is broken."""
        self.rows.append((ok, rule))
        print(f"{'ok    ' if ok else 'BROKEN'}  {rule}" + ("" if ok or not detail else f": {detail}"), flush=True)

    @property
    def broken(self) -> int:
        """How many rules are."""
        return sum(not ok for ok, _ in self.rows)


class Check:
    """The life of one flap, in the order in which it is lived."""

    def __init__(self, machine: Container, board: Board) -> None:
        """Take a booted container."""
        self._machine, self._board = machine, board

    def everything(self) -> None:
        """Live it."""
        for step in (
            self.first, self.configured, self.pushes, self.again, self.upgrade, self.failed_upgrades, self.damaged,
            self.back, self.removed,
        ):  # fmt: skip
            step()

    def first(self) -> None:
        """Install on a Debian that knows nothing of catflap."""
        self._must("find / -xdev \\( -type f -o -type l \\) | sort > /run/before; touch /run/mark")
        ran = self._install()
        self._say("make install on a fresh system", ran.status == 0, ran)
        self._only_listed("it wrote nothing but the listed paths", ran)
        sample = self._machine.run(f"cmp {SEEN}/docs/catflap.toml /etc/catflap/catflap.toml")
        self._say("the example configuration is in place", sample.status == 0, sample)
        state = self._machine.run(f"systemctl is-active {SERVICES[0]}")
        self._say("with the example configuration nothing is started", state.output == "inactive", state)
        enabled = self._machine.run("systemctl is-enabled catflap.service catflap-link.service catflap-update.path")
        self._say("every boot starts it", set(enabled.output.split()) <= {"enabled", "linked"}, enabled)
        self._expect("systemd finds no mistake in the units it was linked to", "systemd-analyze verify --man=no "
                     "--recursive-errors=no /etc/systemd/system/catflap.service", "")  # fmt: skip
        for name, most in MOST_EXPOSED.items():
            self._expect(
                f"{name}'s exposure, as systemd-analyze counts it, is at most {most}",
                f"systemd-analyze security --offline=true --threshold={round(most * 10)}"
                f" /etc/systemd/system/{name}.service >/dev/null && echo yes",
                "yes",
            )

    def configured(self) -> None:
        """The owner writes a configuration and starts the flap."""
        self._must(f"cat > /etc/catflap/catflap.toml <<'END'\n{CONFIG}END")
        self._drop_in("catflap.service", SIMULATED)
        if self._machine.run("catflap link --help").status != 0:
            self._drop_in("catflap-link.service", WITHOUT_LINK)
        ran = self._machine.run(f"systemctl start {' '.join(SERVICES)}", 180)
        self._say("the services start, the daemon says READY", ran.status == 0, ran)
        self._say("they run", self._running(), self._journal())

    def pushes(self) -> None:
        """The flap is bound to an owner, and the push account may run its one command and no other."""
        self._must("ssh-keygen -q -t ed25519 -N '' -f /root/push; systemctl start ssh")
        self._must(
            f"cat > /root/owner.py <<'END'\n{OWNER}\nEND\n{CURRENT}/bin/python3 /root/owner.py > /root/owner.json"
        )
        self._must("catflap adopt < /root/owner.json > /root/adopted")
        owner = self._machine.run("stat -c %U /var/lib/catflap/trust/root.json /var/lib/catflap/trust/adopted_root")
        self._say("what root binds, the update service may replace", owner.output.split() == ["catflap"] * 2, owner)
        ask = 'echo \'{"format": 1, "act": "status", "bytes": 0, "wait_s": 0.0}\''
        ssh = "timeout 60 ssh -o StrictHostKeyChecking=no -o BatchMode=yes -i /root/push catflap-push@127.0.0.1"
        for what, asked in (
            ("what it is asked for", "catflap receive"),
            ("whatever it is asked for", "cat /etc/passwd"),
        ):
            ran = self._machine.run(f"{ask} | {ssh} {asked}")
            known = self._machine.run("cat /root/adopted").output.split('"')[3]
            self._say(f"over SSH the push account answers {what}, with the root", known in ran.output, ran)
        refused = self._machine.run(f"{ssh.replace('catflap-push@', 'catflap@')} true")
        self._say("no other account of ours lets anybody in", refused.status == 255, refused)
        self._must("install -o catflap -g catflap -m 640 /etc/hostname /var/lib/catflap/journal.sqlite")
        speak = self._machine.run("runuser -u catflap-push -- cat /var/lib/catflap/journal.sqlite")
        self._say("the push account cannot read the journal", speak.status != 0, speak)

    def again(self) -> None:
        """The same checkout once more."""
        pid = self._pid()
        self._must("sleep 1.1; touch /run/mark")
        ran = self._install()
        self._say("a second run says that nothing was changed", "nothing was changed" in ran.output, ran)
        found = self._machine.run(f"find {HOME} /etc /usr -xdev -cnewer /run/mark | grep -v /etc/.pwd.lock")
        self._say("and nothing was; the daemon is the same process", (found.output, pid) == ("", self._pid()), found)

    def upgrade(self) -> None:
        """A new version comes."""
        self._must("mkdir -p /var/lib/catflap/spool; echo mouse > /var/lib/catflap/spool/picture")
        self._checkout("0.2.0", "")
        ran = self._install("/root/0.2.0")
        runs = self._running() and self._version() == "catflap 0.2.0"
        self._say("an upgrade runs the new version", ran.status == 0 and runs, ran)
        kept = self._machine.run("cat /var/lib/catflap/spool/picture /etc/catflap/catflap.toml")
        self._say("state and configuration are as they were", kept.output == f"mouse\n{CONFIG.strip()}", kept)
        self._only_listed("an upgrade wrote nothing but the listed paths", kept)

    def failed_upgrades(self) -> None:
        """Versions come that do not run."""
        for version, (what, body) in BAD_VERSIONS.items():
            self._checkout(version, DIES.format(body))
            ran = self._install(f"/root/{version}")
            self._old_runs(f"{what}: the old version runs, and the last line says so", ran, "0.2.0 is current again")

    def damaged(self) -> None:
        """Versions come that must not even be switched to."""
        self._checkout("0.6.0", "")
        pid = self._pid()
        self._must("printf x | dd of=/root/0.6.0/models/factory/model.tflite bs=1 seek=4096 conv=notrunc 2>&1")
        ran = self._install("/root/0.6.0")
        self._old_runs("a model with one byte changed: refused before the switch", ran, "model.tflite", pid)
        self._must("sed -i 's/--hash=sha256:[0-9a-f]\\{8\\}/--hash=sha256:00000000/' /root/0.6.0/requirements/*.txt")
        ran = self._install("/root/0.6.0")
        self._old_runs("requirements whose hashes are not those: refused before the switch", ran, "pip", pid)
        self._must("echo 'bolt_colour = \"red\"' >> /etc/catflap/catflap.toml")
        self._checkout("0.7.0", "")
        ran = self._install("/root/0.7.0")
        self._old_runs(
            "a configuration that the new version does not take: refused, by its key", ran, "bolt_colour", pid
        )
        self._must(f"cat > /etc/catflap/catflap.toml <<'END'\n{CONFIG}END")
        left = self._machine.run(f"ls {HOME}/releases | wc -l")
        self._say("two releases are kept", int(left.output) <= 3, left)

    def back(self) -> None:
        """The owner wants the version before."""
        ran = self._install(SEEN, "--back")
        version = self._version()
        self._say("RELEASE=previous runs the version before", self._running() and version == "catflap 0.1.0", ran)

    def removed(self) -> None:
        """The owner removes it."""
        ran = self._install(SEEN, "--uninstall")
        self._say("make uninstall", ran.status == 0, ran)
        self._must("find / -xdev \\( -type f -o -type l \\) | sort > /run/after")
        more = self._machine.run("comm -13 /run/before /run/after").output.splitlines()
        mine = ("/root/", "/var/lib/catflap/", "/etc/catflap/", "/etc/ssh/ssh_host", *CHURN, *ACCOUNTS)
        strangers = [path for path in more if not path.startswith(mine)]
        self._board.say("nothing of it is left but state and configuration", not strangers, " ".join(strangers[:9]))
        kept = self._machine.run("cat /var/lib/catflap/spool/picture")
        self._say("the pictures are there", kept.output == "mouse", kept)
        units = self._machine.run("systemctl list-units --all --no-legend 'catflap*'; ps -u catflap -o args=")
        self._say("nothing of it runs, and systemd has forgotten it", "/opt/catflap" not in units.output, units)

    def _install(self, source: str = SEEN, *options: str) -> Ran:
        command = f"python3 -B {source}/tools/install.py --any-machine --wheels {WHEELS}"
        return self._machine.run(" ".join((command, *options)), STEP_S)

    def _checkout(self, version: str, appended: str) -> None:
        """Make a checkout of another version in the container, with ``appended`` to what starts the daemon."""
        place = f"/root/{version}"
        self._must(f"mkdir {place} && cd {SEEN} && cp -r --parents {' '.join(CONTENTS)} tools/install*.py {place}")
        self._must(f"sed -i 's/^__version__ = .*/__version__ = \"{version}\"/' {place}/edge/__init__.py")
        self._must(f"sed -i 's/^version = .*/version = \"{version}\"/' {place}/pyproject.toml")
        self._must(f"cat >> {place}/edge/commands/night.py <<'END'\n{appended}\nEND")

    def _only_listed(self, rule: str, ran: Ran) -> None:
        found = self._machine.run("find / -xdev \\( -type f -o -type l \\) -cnewer /run/mark").output.splitlines()
        listed = (*(path for path, _ in TOUCHED), *CHURN, *ACCOUNTS, "/root/", "/etc/ssh/ssh_host")
        strangers = [path for path in found if not path.startswith(listed)]
        ok = ran.status == 0 and not strangers and len(found) > len(LINKS)
        self._board.say(rule, ok, " ".join(strangers[:9]))

    def _old_runs(self, rule: str, ran: Ran, said: str, pid: str = "") -> None:
        runs = self._running() and self._version() == "catflap 0.2.0"
        same = pid in ("", self._pid())
        words = re.sub(r"-[0-9a-f]{8}\b", "", ran.output.splitlines()[-1])
        self._say(rule, runs and same and ran.status == 2 and said in words, ran)

    def _running(self) -> bool:
        states = self._machine.run(f"systemctl is-active {' '.join(SERVICES)}").output.split()
        return states == ["active"] * len(SERVICES)

    def _version(self) -> str:
        """Ask for it as root, who must leave nothing in the system's Python that the installer would be blamed for."""
        return self._machine.run("PYTHONDONTWRITEBYTECODE=1 catflap --version").output

    def _pid(self) -> str:
        return self._machine.run(f"systemctl show -P MainPID {SERVICES[0]}").output

    def _journal(self) -> Ran:
        return self._machine.run("journalctl -u 'catflap*' -o cat | tail -9")

    def _drop_in(self, unit: str, text: str) -> None:
        where = f"/run/systemd/system/{unit}.d"
        self._must(f"mkdir -p {where}; cat > {where}/try.conf <<'END'\n{text}END\nsystemctl daemon-reload")

    def _must(self, command: str) -> None:
        ran = self._machine.run(command, STEP_S)
        if ran.status != 0:
            raise RuntimeError(f"{command}: {ran.output}")

    def _expect(self, rule: str, command: str, output: str) -> None:
        ran = self._machine.run(command)
        self._say(rule, ran.output == output, ran)

    def _say(self, rule: str, ok: bool, ran: Ran) -> None:
        self._board.say(rule, ok, f"status {ran.status}: {ran.output[-1500:]}")


def fetched(work: Path, python: str) -> Path:
    """Return a folder with the wheels of the locked requirements for a Python, fetched where it is not there."""
    tag = f"py{python.replace('.', '')}"
    lock = (ROOT / "requirements" / f"runtime-{tag}.txt").read_text(encoding="utf-8")
    where = work / f"wheels-{tag}"
    machine = platform.machine()
    platforms = [f"--platform=manylinux_{glibc}_{machine}" for glibc in LINUX] + [f"--platform=manylinux2014_{machine}"]
    abis = [f"--abi={abi}" for abi in (f"cp{python.replace('.', '')}", "abi3", "none")]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as unmarked:  # markers ask the Python that runs this
        unmarked.write(re.sub(r" ; python_version [<>=]+ \"[\d.]+\"", "", lock))
        unmarked.flush()
        command = [
            *(
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--require-hashes",
                "--only-binary=:all:",
            ),
            *(f"--python-version={python}", "--implementation=cp", *abis, *platforms),
            *("--requirement", unmarked.name, "--dest", str(where)),
        ]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return where


def check(work: Path, suite: str) -> tuple[str, Board]:
    """Live one flap's life on a release of Debian; return what the system calls itself, and what was found."""
    wheels = fetched(work, SUITES[suite])
    root = debian_root(work, suite, DEBIAN)
    board = Board()
    with Container(root, ((ROOT, SEEN), (wheels, WHEELS)), work / f"{suite}.console.log") as machine:
        about = machine.run(
            ". /etc/os-release; echo $PRETTY_NAME, $(systemctl --version | head -1), $(python3 --version)"
        )
        print(about.output, flush=True)
        Check(machine, board).everything()
    return about.output, board


def page(found: Sequence[tuple[str, Board]]) -> str:
    """Return the part of docs/install.md that says what was tried."""
    head = ["| rule | " + " | ".join(about.split(",")[0] for about, _ in found) + " |", "|---|" + "---|" * len(found)]
    rules = list(dict.fromkeys(rule for _, board in found for _, rule in board.rows))
    said = [{rule: ok for ok, rule in board.rows} for _, board in found]
    rows = [
        f"| {rule} | " + " | ".join("holds" if one.get(rule) else "**broken**" for one in said) + " |" for rule in rules
    ]
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    where = f"On {platform.machine()}, in containers of kernel {platform.release()}, {day}:"
    return "\n".join((where, "", *(f"- {about}" for about, _ in found), "", *head, *rows))


def wanted(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Install catflap on a real Debian under a real systemd.")
    parser.add_argument("suites", nargs="*", type=_suite, metavar="SUITE", help=f"of {', '.join(SUITES)}; or all")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "install-check", help="where the roots are kept")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write what was found into this page")
    return parser.parse_args(arguments)


def _suite(name: str) -> str:
    """Take a suite's name: argparse's own ``choices`` refuses the empty list that "*" allows."""
    if name not in SUITES:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(SUITES)}")
    return name


def main() -> int:
    """Check the releases that were named; 2 where this machine cannot."""
    options = wanted(None)
    if missing() or os.geteuid() != 0:
        need = ", ".join(missing()) or "root"
        print(f"install-check: needs root, systemd-container and mmdebstrap; not here: {need}", file=sys.stderr)
        return 2
    found = [check(options.work, suite) for suite in options.suites or SUITES]
    broken = sum(board.broken for _, board in found)
    print(f"{sum(len(board.rows) for _, board in found)} rules tried, {broken} broken")
    if options.write and not broken:
        options.write.write_text(replaced(options.write.read_text(), "install", page(found)), encoding="utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
