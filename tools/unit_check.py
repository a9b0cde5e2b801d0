"""Runs the units under a real systemd and tries what they promise: a line for each, exit status 1 if one is broken.

A Debian root is booted in a container (tools/nspawn.py) with this working tree and its environment seen read-only. The
daemon is the real one in front of the simulated night; the rest is as installed: accounts, directories, sandboxes.
What needs devices is the business of tests/vm. Needs root, systemd-container and mmdebstrap.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nspawn import Container, debian_root, missing

ROOT = Path(__file__).resolve().parent.parent
SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}
"""Raspberry Pi OS by its Python; the environment's compiled packages must be of the same."""
PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3", "python3-venv", "procps", "acl")
SEEN, SITE = "/mnt/catflap", "/mnt/site"
BIN = "/opt/catflap/current/bin"
SCRIPTS = {"catflap": "edge.cli", "catflap-update": "edge.update"}
SIMULATED = f"[Service]\nExecStart=\nExecStart={BIN}/catflap run --simulate\n"
MOCK = """[pins]
factory = "mock"
bolt = 17
[camera]
kind = "video"
source = "/dev/video0"
[door]
identity = "any_cat"
"""
"""A configuration whose bolt is gpiozero's own mock pin: what ``catflap rest`` says of it can be read."""
READY_S, DEATH_S = 60.0, 60.0
WATCHDOG_S = (9.0, 13.0)
"""When a stopped daemon is killed: WatchdogSec of the unit, and what the machine adds."""

EVERYBODY = {
    "memory both writable and executable": False,
    "write /etc/catflap": False,
    "write /usr": False,
    "read the configuration": True,
    "read the secrets' directory": False,
    "read a file of group catflap": True,
    "see more devices than the usual": [],
}
MAY: dict[str, dict[str, object]] = {
    "catflap": EVERYBODY | {
        "internet socket": False, "unix socket": True, "netlink socket": True, "ask whether the clock is set": True,
        "write /run/catflap": True, "write the state": True, "write the inbox": True, "read a file of group gpio": True,
        "credentials": [],
    },
    "catflap-link": EVERYBODY | {
        "internet socket": True, "unix socket": True, "netlink socket": False, "ask whether the clock is set": False,
        "write /run/catflap": False, "write the state": False, "write the inbox": True,
        "read a file of group gpio": False, "see the daemon": False, "open the daemon's memory": False,
        "speak on the control socket": True, "credentials": ["models_access"],
    },
    "catflap-update": EVERYBODY | {
        "internet socket": False, "unix socket": False, "netlink socket": False, "ask whether the clock is set": False,
        "write /run/catflap": False, "write the state": True, "write the inbox": True,
        "read a file of group gpio": False, "see the daemon": False, "open the daemon's memory": False,
        "speak on the control socket": False, "credentials": [],
    },
}  # fmt: skip
"""What each service may do, as tools/unit_probe.py names it."""


@dataclass
class Board:
    """What was found, a line each."""

    broken: list[str] = field(default_factory=list)

    def say(self, rule: str, ok: bool, detail: str = "") -> None:
        """Print one line."""
        if not ok:
            self.broken.append(rule)
        print(f"{'ok    ' if ok else 'BROKEN'}  {rule}" + (f": {detail}" if detail else ""), flush=True)


class Check:
    """The checks, in the order in which they build on one another."""

    def __init__(self, machine: Container, board: Board) -> None:
        """Take a booted container."""
        self._machine, self._board = machine, board

    def everything(self) -> None:
        """Run all of them."""
        for step in (
            self.installed, self.ready, self.control, self.sandboxes, self.trial, self.stopped_dead, self.killed,
            self.told_to_stop, self.pushed, self.link, self.storm,
        ):  # fmt: skip
            step()

    # --- the checks ------------------------------------------------------------------------------------------------

    def installed(self) -> None:
        """Accounts, directories and unit files are taken as they are, and a second time without a change."""
        self._must(
            f"python3 -m venv --without-pip --system-site-packages {BIN.removesuffix('/current/bin')}/releases/1"
        )
        self._must("ln -s releases/1 /opt/catflap/current")
        self._must(f"printf '{SEEN}\\n{SITE}\\n' > $(echo /opt/catflap/current/lib/python3*/site-packages)/catflap.pth")
        for name, module in SCRIPTS.items():
            script = f"#!{BIN}/python\\nimport sys\\nfrom {module} import main\\nsys.exit(main())\\n"
            self._must(f"printf '{script}' > {BIN}/{name}; chmod 755 {BIN}/{name}; ln -s {BIN}/{name} /usr/local/bin/")
        self._must(f"cp {SEEN}/systemd/*.service {SEEN}/systemd/*.path /etc/systemd/system/")
        self._must(f"cp {SEEN}/systemd/catflap.sysusers /usr/lib/sysusers.d/catflap.conf")
        self._must(f"cp {SEEN}/systemd/catflap.tmpfiles /usr/lib/tmpfiles.d/catflap.conf")
        self._expect("systemd-sysusers makes the accounts", "systemd-sysusers", status=0)
        self._must("mkdir -p /etc/catflap")
        self._must(f"cat > /etc/catflap/catflap.toml <<'END'\n{MOCK}END")
        for again in ("", " again, silently"):
            self._expect(f"systemd-tmpfiles makes the directories{again}", "systemd-tmpfiles --create catflap.conf", "")
        self._expect(
            "systemd-analyze verify has nothing to say",
            "systemd-analyze verify --man=no --recursive-errors=no /etc/systemd/system/catflap*",
            "",
        )
        self._drop_in("catflap", "simulate", SIMULATED)

    def ready(self) -> None:
        """The daemon becomes ready in its full sandbox, and the model decides a visit in it."""
        ran = self._machine.run("systemctl start catflap", READY_S)
        detail = "" if ran.status == 0 else self._log()
        self._board.say("the daemon is READY under its full sandbox", ran.status == 0, detail)
        ok, passed_s, _ = self._machine.until("journalctl -u catflap -o cat | grep -c verdict.:..admit", "1", 60)
        self._board.say("the model decides a visit with writable code forbidden", ok, f"after {passed_s:.0f} s")

    def control(self) -> None:
        """The control socket hears the group catflap and nobody else."""
        self._must("ln -sf $(echo /run/catflap/var/night-*/control.sock) /run/catflap/control.sock")
        say = "timeout 20 catflap door status --socket $(echo /run/catflap/var/night-*/control.sock)"
        for user, group, heard in (
            ("catflap-link", "catflap", True),
            ("catflap-push", "catflap-push", False),
            ("nobody", "nogroup", False),
        ):
            ran = self._machine.run(f"setpriv --reuid={user} --regid={group} --groups={group} sh -c '{say}'")
            verb = "is heard" if heard else "is not heard"
            self._board.say(
                f"{user} in group {group} {verb} on the control socket", (ran.status == 0) == heard, ran.output[:120]
            )

    def sandboxes(self) -> None:
        """Each unit's sandbox lets its process do what it must, and no more."""
        self._must("install -o root -g gpio -m 640 /dev/null /srv/of-group-gpio")
        self._must("install -o root -g catflap -m 640 /dev/null /var/lib/catflap/of-group-catflap")
        self._must("umask 077; echo Bearer none > /etc/catflap/credentials/models/access")
        pid = self._show("MainPID")
        for unit, may in MAY.items():
            found = self._probe(unit, pid)
            wrong = {what: found.get(what) for what, allowed in may.items() if found.get(what) != allowed}
            self._board.say(
                f"the sandbox of {unit} is what it is meant to be",
                not wrong,
                ", ".join(f"{k}: {v}" for k, v in wrong.items()),
            )

    def trial(self) -> None:
        """The update service can try a bundle in its own sandbox: child process, limits, runtime, golden patches."""
        factory = f"{SEEN}/models/factory"
        script = "/srv/try.py"
        self._must(
            f"printf 'from pathlib import Path\\nfrom edge.trying import DeviceBudget, try_bundle\\n"
            f'print(try_bundle(Path("{factory}"), DeviceBudget(latency_p95_ms=1e4)))\\n\' > {script}'
        )
        said = self._instead("catflap-update", script)
        self._board.say("a bundle can be tried in the update service's sandbox", "Tried(ok=True" in said, said[-300:])

    def stopped_dead(self) -> None:
        """A daemon that was SIGSTOPped is killed by the watchdog, its bolt is rested, and it comes back."""
        self._dies("a stopped daemon is killed by the watchdog", "STOP", WATCHDOG_S)

    def killed(self) -> None:
        """After kill -9 the bolt is rested and the daemon comes back."""
        self._dies("after kill -9 the daemon comes back", "KILL", (0.0, 5.0))

    def told_to_stop(self) -> None:
        """A stop ends in order, with the bolt rested, and the daemon stays down."""
        since = self._now()
        ran = self._machine.run("systemctl stop catflap", DEATH_S)
        state = self._show("ActiveState"), self._show("Result"), self._show("SubState", "catflap-later")
        self._board.say(
            "systemctl stop ends in order and nothing brings it back",
            (ran.status, *state) == (0, "inactive", "success", "dead"),
            str(state),
        )
        self._rested("after systemctl stop", since)

    def pushed(self) -> None:
        """A push wakes the update service, its answer can be read by the pusher, and a push meanwhile is not lost."""
        self._must("systemctl start catflap-update.path")
        as_push = "setpriv --reuid=catflap-push --regid=catflap-push --clear-groups"
        ran = self._machine.run(
            f"""printf '{{"format":1,"act":"status","bytes":0,"wait_s":0}}\\n' | {as_push} catflap receive"""
        )
        self._board.say(
            "the push account can tell how the flap stands",
            '"said":"standing"' in ran.output.replace(" ", ""),
            ran.output[:200],
        )
        arrives = (
            f"{as_push} sh -c 'umask 022; cd /var/lib/catflap/incoming && rm -f answer.json &&"
            " mkdir -p metadata targets && echo {} > metadata/.new && mv metadata/.new metadata/timestamp.json'"
        )
        for again in ("the first push", "a second push"):
            pushed = self._machine.run(arrives)
            ok, passed_s, said = self._machine.until(
                f"{as_push} cat /var/lib/catflap/incoming/answer.json | cut -c-20", '{"status": "refused"', 60
            )
            self._board.say(
                f"{again} wakes the update service, which answers",
                ok and pushed.status == 0,
                f"after {passed_s:.1f} s" if ok else f"{pushed.output} {said} " + self._log("catflap-update"),
            )
            self._machine.until("systemctl show -P ActiveState catflap-update", "inactive", 30)
        self._expect(
            "a refused push is no failure of the service", "systemctl show -P Result catflap-update", "success"
        )

    def link(self) -> None:
        """The network side becomes ready in its sandbox."""
        ran = self._machine.run("systemctl start catflap-link", READY_S)
        self._board.say(
            "catflap-link is READY under its full sandbox",
            ran.status == 0,
            "" if ran.status == 0 else self._log("catflap-link"),
        )

    def storm(self) -> None:
        """A daemon that cannot start is tried six times, rests, is tried again, and nothing reboots."""
        boot = self._machine.run("cat /proc/1/stat | cut -d' ' -f22").output
        self._drop_in("catflap", "storm", "[Service]\nExecStart=\nExecStart=/bin/false\nRestartSec=0.2\n")
        self._drop_in("catflap-later", "storm", "[Service]\nExecStart=\nExecStart=/bin/sleep 5\n")
        self._must("systemctl reset-failed")
        since = self._now()
        self._machine.run("systemctl start catflap")
        ok, _, said = self._machine.until("systemctl is-active catflap-later", "activating", 60)
        starts = self._machine.run(
            f"journalctl -u catflap -o cat --since '{since}' | grep -c 'code=exited, status=1'"
        ).output
        self._board.say(
            "a daemon that cannot start is tried six times, then rests",
            ok and starts == "6",
            f"{starts} starts, later is {said}; {self._show('Result')}",
        )
        self._must("rm /run/systemd/system/catflap.service.d/storm.conf; systemctl daemon-reload")
        ok, passed_s, _ = self._machine.until("systemctl is-active catflap", "active", 60)
        self._board.say(
            "it is tried again after the pause, and runs",
            ok,
            f"after {passed_s:.1f} s" if ok else self._log("catflap-later"),
        )
        now = self._machine.run("cat /proc/1/stat | cut -d' ' -f22").output
        self._board.say("nothing was rebooted for it", boot == now)

    # --- means -----------------------------------------------------------------------------------------------------

    def _dies(self, rule: str, signal: str, within_s: tuple[float, float]) -> None:
        since, before, begun_s = self._now(), self._show("NRestarts"), float(self._machine.run("date +%s.%N").output)
        self._machine.run(f"systemctl kill --kill-whom=main -s {signal} catflap")
        self._machine.until(f"systemctl show -P NRestarts catflap | grep -vx {before} | wc -l", "1", DEATH_S)
        back, _, state = self._machine.until("systemctl show -P SubState catflap", "running", READY_S)
        said = f"journalctl -u catflap -o short-unix --since '{since}'"
        exited, rested, again = (
            float(self._machine.run(f"{said} | grep -m1 '{words}' | cut -d' ' -f1").output or "nan") - begun_s
            for words in ("Main process exited", "catflap rest", "Started catflap")
        )
        self._board.say(
            rule,
            back and within_s[0] <= exited <= within_s[1],
            f"dead after {exited:.1f} s, bolt rested at {rested:.1f} s, READY again at {again:.1f} s ({state})",
        )
        self._rested(f"after {signal}", since)

    def _rested(self, when: str, since: str) -> None:
        said = self._machine.run(f"journalctl -u catflap -o cat --since '{since}' | grep 'catflap rest'").output
        self._board.say(f"ExecStopPost rests the bolt {when}", "GPIO 17: driven low through mock" in said, said[:200])

    def _probe(self, unit: str, pid: str) -> dict[str, Any]:
        """Run the probe in a unit's sandbox."""
        said = self._instead(unit, f"{SEEN}/tools/unit_probe.py {pid}")
        line = next((line for line in said.splitlines() if line.startswith("PROBE ")), None)
        if line is None:
            print(said[-2000:])
            return {}
        found: dict[str, Any] = json.loads(line.removeprefix("PROBE "))
        return found

    def _instead(self, unit: str, script: str) -> str:
        """Run a Python script in a copy of a unit that differs in its program only; return what it said."""
        lines = (ROOT / "systemd" / f"{unit}.service").read_text(encoding="utf-8").splitlines()
        own = ("ExecStart=", "ExecStopPost=", "Type=", "WatchdogSec=", "Restart=", "OnFailure=", "Condition", "Success")
        kept = [line for line in lines if not line.startswith(own)]
        at = kept.index("[Service]") + 1
        kept[at:at] = ["Type=oneshot", f"ExecStart={BIN}/python {script}", "RuntimeDirectoryPreserve=yes"]
        text = "\n".join(kept)
        self._must(f"cat > /run/systemd/system/probe-{unit}.service <<'END'\n{text}\nEND")
        self._must("systemctl daemon-reload")
        since = self._now()
        self._machine.run(f"systemctl start probe-{unit}", READY_S)
        return self._machine.run(f"journalctl -u probe-{unit} -o cat --since '{since}'").output

    def _drop_in(self, unit: str, name: str, text: str) -> None:
        where = f"/run/systemd/system/{unit}.service.d"
        self._must(f"mkdir -p {where}; cat > {where}/{name}.conf <<'END'\n{text}END\nsystemctl daemon-reload")

    def _must(self, command: str) -> None:
        ran = self._machine.run(command)
        if ran.status != 0:
            raise RuntimeError(f"{command}: {ran.output}")

    def _expect(self, rule: str, command: str, output: str | None = None, status: int | None = None) -> None:
        ran = self._machine.run(command)
        ok = (output is None or ran.output == output) and (status is None or ran.status == status)
        self._board.say(rule, ok, "" if ok else ran.output[:400])

    def _show(self, key: str, unit: str = "catflap") -> str:
        return self._machine.run(f"systemctl show -P {key} {unit}").output

    def _now(self) -> str:
        return self._machine.run("date '+%F %T.%6N'").output

    def _log(self, unit: str = "catflap") -> str:
        return self._machine.run(f"journalctl -u {unit} -o cat | tail -15").output


def main() -> int:
    """Check once; 2 where this machine cannot."""
    parser = argparse.ArgumentParser(description="Try the units under a real systemd in a container.")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "build" / "unit-check", help="where the Debian root is kept"
    )
    work = parser.parse_args().work
    suite = SUITES.get(sys.version_info[:2])
    if suite is None or missing() or os.geteuid() != 0:
        need = "root, Python 3.11 or 3.13, systemd-nspawn (systemd-container) and mmdebstrap"
        print(f"unit-check: needs {need}; not here: {', '.join(missing()) or 'root or that Python'}", file=sys.stderr)
        return 2
    site = Path(sys.prefix) / "lib" / f"python3.{sys.version_info[1]}" / "site-packages"
    root = debian_root(work, suite, PACKAGES)
    board = Board()
    with Container(root, ((ROOT, SEEN), (site, SITE)), work / "console.log") as machine:
        print(
            f"{machine.run('. /etc/os-release; echo $PRETTY_NAME, $(systemctl --version | head -1)').output}",
            flush=True,
        )
        Check(machine, board).everything()
    print(f"{len(board.broken)} broken" + "".join(f"\n  {rule}" for rule in board.broken))
    return 1 if board.broken else 0


if __name__ == "__main__":
    sys.exit(main())
