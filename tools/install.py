"""Install catflap on a Raspberry Pi, upgrade it, go back, and remove it. Run by root with the system's own Python.

    make install             build this checkout's release, try it, switch to it; a second run changes nothing
    make install RELEASE=previous
    make uninstall           remove it; pictures, journal, models and configuration stay
    python3 -B tools/install.py --paths     every path that is touched

Nothing of the running flap changes before the new release is built and has passed its trial; then one rename switches.
What does not come up is switched back. Standard library only: no environment exists yet when this runs.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from install_machine import InstallError, ThisMachine, at, done, says, write
from install_places import (
    BOOT_CONFIG,
    BOOT_FILE,
    BOOT_LINE,
    CONFIG,
    CURRENT,
    HOME,
    JOURNAL_IN_MEMORY,
    LINKS,
    PACKAGES,
    PI_MARK,
    PI_PACKAGES,
    PREVIOUS,
    SERVICES,
    SOURCE,
    STATE,
    TOUCHED,
    UNITS,
)
from install_release import LOCKS, NEEDED_BYTES, Parts, build, named, prune, smoke, wanted, whole
from install_switch import NotRunningError, Switch, links, state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from install_machine import Machine
    from install_release import Release

FINDING, USAGE = 1, 2


@dataclass(frozen=True)
class Wishes:
    """What was asked for, and who asks on what."""

    any_machine: bool = False
    boot_line: bool = False
    volatile_journal: bool = False
    wheels: str = ""
    source: Path = SOURCE
    euid: int = field(default_factory=os.geteuid)
    hardware: str = field(default_factory=platform.machine)

    @property
    def asked(self) -> tuple[str, ...]:
        """The links that are made only when somebody asks for them, and was."""
        return (JOURNAL_IN_MEMORY,) if self.volatile_journal else ()


def say(text: str) -> None:
    """Say one step."""
    print(f"catflap: {text}", flush=True)


def install(machine: Machine, wishes: Wishes) -> int:
    """Install or upgrade; 0, or 1 where a first installation is there and its daemon does not run.

    Raises:
        InstallError: why not. What was there before is there still, and runs if it ran.
    """
    python = check(machine, wishes)
    release = wanted(python, wishes.source)
    if release == named(machine, CURRENT) and _in_place(machine, release, wishes):
        say(f"{release.name} is installed already; nothing was changed")
        return 0
    _no_strangers(machine)
    try:
        if not whole(machine, release):
            build(machine, release, Parts(wishes.source, LOCKS[python], wishes.wheels), say)
        smoke(machine, release, say)
        return _put_in_place(machine, release, wishes)
    except InstallError:
        prune(machine, say)  # one that failed is a third of a gigabyte of somebody's card
        raise


def go_back(machine: Machine, wishes: Wishes) -> int:
    """Switch to the release before; said once more, it is this one again.

    Raises:
        InstallError: why not; the current one stays.
    """
    _check_root(wishes)
    release = named(machine, PREVIOUS)
    if release is None:
        raise InstallError(f"{PREVIOUS}: there is no release before this one to go back to")
    smoke(machine, release, say)
    return _put_in_place(machine, release, wishes)


def uninstall(machine: Machine, wishes: Wishes) -> int:
    """Stop and remove everything that was installed; what the flap recorded and what its owner wrote stays."""
    _check_root(wishes)
    if not at(machine, HOME).exists():
        say("catflap is not installed; nothing was changed")
        return 0
    if machine.live:
        done(machine, "systemctl", "stop", *reversed(UNITS))
        say(f"stopped {', '.join(UNITS)}")
    _unlink(machine)
    shutil.rmtree(at(machine, HOME))
    say(f"removed {HOME}")
    if machine.live:
        done(machine, "systemctl", "daemon-reload")
        machine.run(("systemctl", "try-reload-or-restart", "ssh.service"))
    _boot_line_left(machine)
    say(f"left: {STATE} (pictures, journal, models), {CONFIG}, the accounts catflap, catflap-link, catflap-push")
    return 0


def check(machine: Machine, wishes: Wishes) -> tuple[int, int]:
    """Check what can be checked before anything is done; return the version of the machine's Python.

    Raises:
        InstallError: what is missing, and what to do.
    """
    _check_root(wishes)
    if wishes.hardware != "aarch64" and not wishes.any_machine:
        raise InstallError(f"this is {wishes.hardware}; a flap is a 64-bit Raspberry Pi, aarch64; or say --any-machine")
    python = _python(machine)
    missing = [name for name in packages(machine) if not _has(machine, name)]
    if missing:
        raise InstallError(f"Debian packages are missing: {' '.join(missing)}; say: sudo make apt")
    free = shutil.disk_usage(machine.root).free
    if free < NEEDED_BYTES:
        raise InstallError(f"the disk has {free // 10**6} MB left; a release needs {NEEDED_BYTES // 10**6} MB")
    say(f"checked: Python {python[0]}.{python[1]}, {free // 10**6} MB free, {' '.join(packages(machine))}")
    return python


def packages(machine: Machine) -> tuple[str, ...]:
    """Name the Debian packages that the machine must have; picamera2 and lgpio are Raspberry Pi OS's alone."""
    return (*PACKAGES, *(PI_PACKAGES if at(machine, PI_MARK).exists() else ()))


def _check_root(wishes: Wishes) -> None:
    if wishes.euid != 0:
        raise InstallError("must be run by root: say it with sudo")


def _python(machine: Machine) -> tuple[int, int]:
    text = done(machine, "python3", "-c", "import sys; print(*sys.version_info[:2])").split()
    version = (int(text[0]), int(text[1]))
    if version not in LOCKS:
        known = " or ".join(f"{major}.{minor}" for major, minor in LOCKS)
        raise InstallError(f"python3 is {version[0]}.{version[1]}; the requirements are locked for {known}")
    return version


def _has(machine: Machine, package: str) -> bool:
    said = machine.run(("dpkg-query", "--show", "--showformat=${db:Status-Status}", package))
    return said.status == 0 and said.output.strip() == "installed"


def _no_strangers(machine: Machine) -> None:
    """Refuse to replace what somebody else put where a link is to be."""
    for one in LINKS:
        place = at(machine, one.path)
        ours = place.is_symlink() and str(place.readlink()) == one.target
        if not ours and (place.exists() or place.is_symlink()):
            raise InstallError(f"{one.path}: is there and is not this installer's; move it away first")


def _in_place(machine: Machine, release: Release, wishes: Wishes) -> bool:
    linked = all(says(machine, one.path) == one.target for one in links(machine, release, wishes.asked))
    line = _has_boot_line(machine) or not wishes.boot_line
    return linked and line and at(machine, CONFIG).exists() and not _boot_file_differs(machine, release)


def _put_in_place(machine: Machine, release: Release, wishes: Wishes) -> int:
    """Do everything after the trial: first what only adds, then the switch."""
    done(machine, "systemd-sysusers", f"{release.share}/systemd/catflap.sysusers")
    say("the accounts catflap, catflap-link and catflap-push are there")
    sample = _sample(machine, release)
    _boot(machine, release, wishes)
    switch = Switch(machine, release, wishes.asked, say)
    try:
        switch.make(start=switch.old is None and not sample)
    except NotRunningError as error:
        if switch.old not in (None, release):
            raise
        say(f"installed, but {error}; `catflap doctor` says what is wrong")
        return FINDING
    prune(machine, say)
    _last_words(machine, release, sample=sample)
    return 0


def _sample(machine: Machine, release: Release) -> bool:
    """Put the example configuration in place where there is none; say whether it was."""
    place = at(machine, CONFIG)
    if place.exists():
        return False
    place.parent.mkdir(parents=True, exist_ok=True)
    write(machine, CONFIG, at(machine, f"{release.share}/catflap.toml").read_bytes())
    say(f"put the example configuration at {CONFIG}: make it yours")
    return True


def _boot_file_differs(machine: Machine, release: Release) -> bool:
    place, wanted_is = at(machine, BOOT_FILE), at(machine, f"{release.share}/config.txt.fragment").read_bytes()
    return place.parent.is_dir() and not (place.exists() and place.read_bytes() == wanted_is)


def _boot(machine: Machine, release: Release, wishes: Wishes) -> None:
    """Place the boot fragment. config.txt is its owner's: one line more, and only if asked for."""
    if not at(machine, BOOT_FILE).parent.is_dir():
        say(f"{Path(BOOT_FILE).parent}: is not there, so this is no Raspberry Pi OS; no boot fragment was placed")
        return
    if _boot_file_differs(machine, release):
        write(machine, BOOT_FILE, at(machine, f"{release.share}/config.txt.fragment").read_bytes())
        say(f"placed {BOOT_FILE}; it counts from the next boot on")
    if _has_boot_line(machine):
        return
    if wishes.boot_line:
        config = at(machine, BOOT_CONFIG)
        before = config.read_bytes() if config.exists() else b""
        write(machine, BOOT_CONFIG, before.rstrip(b"\n") + f"\n\n[all]\n{BOOT_LINE}\n".encode())
        say(f"added to {BOOT_CONFIG}: {BOOT_LINE}")
    else:
        say(f"add this line at the end of {BOOT_CONFIG}, below [all], and reboot:  {BOOT_LINE}")


def _has_boot_line(machine: Machine) -> bool:
    """Whether config.txt reads the fragment, and whatever model it is: the line must stand under [all] or no filter."""
    config, section = at(machine, BOOT_CONFIG), "[all]"
    for line in config.read_text(encoding="utf-8", errors="replace").splitlines() if config.exists() else ():
        if line.startswith("["):
            section = line.strip()
        elif line.strip() == BOOT_LINE and section == "[all]":
            return True
    return False


def _boot_line_left(machine: Machine) -> None:
    at(machine, BOOT_FILE).unlink(missing_ok=True)
    if _has_boot_line(machine):
        say(f"take this line out of {BOOT_CONFIG} now; what it reads is gone:  {BOOT_LINE}")


def _unlink(machine: Machine) -> None:
    for one in LINKS:
        if says(machine, one.path) == one.target:
            at(machine, one.path).unlink()
            say(f"removed {one.path}")


def _last_words(machine: Machine, release: Release, *, sample: bool) -> None:
    say(f"{release.name} is installed")
    if sample:
        say(f"next: edit {CONFIG}, see what `catflap doctor` says, then: sudo systemctl start {' '.join(SERVICES)}")
    elif machine.live and state(machine, SERVICES[0]) != "active":
        say(f"{SERVICES[0]} was stopped and stays so; to start it: sudo systemctl start {' '.join(SERVICES)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says."""
    parsed = _parser().parse_args(arguments)
    machine = ThisMachine(parsed.root.resolve())
    wishes = Wishes(parsed.any_machine, parsed.boot_line, parsed.volatile_journal, parsed.wheels)
    if parsed.paths or parsed.packages:
        rows = [f"{path}\t{why}" for path, why in TOUCHED] if parsed.paths else packages(machine)
        print("\n".join(rows))
        return 0
    os.umask(0o022)  # what is installed is read by accounts that are not root
    act = uninstall if parsed.uninstall else go_back if parsed.back else install
    try:
        return act(machine, wishes)
    except InstallError as error:
        print(f"catflap: {error}", file=sys.stderr)
    except OSError as error:
        print(f"catflap: {error.filename or 'the disk'}: {error.strerror or error}", file=sys.stderr)
    return USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="install.py", description="Install catflap from this checkout.")
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--back", action="store_true", help="switch to the release before this one")
    act.add_argument("--uninstall", action="store_true", help="remove it; pictures and configuration stay")
    act.add_argument("--paths", action="store_true", help="print every path that is touched, and why")
    act.add_argument("--packages", action="store_true", help="print the Debian packages that are needed")
    parser.add_argument("--boot-line", action="store_true", help=f"add the line {BOOT_LINE!r} to {BOOT_CONFIG}")
    parser.add_argument("--volatile-journal", action="store_true", help="the system's log in memory: spares the card")
    parser.add_argument("--any-machine", action="store_true", help="install on what is no 64-bit Raspberry Pi, too")
    parser.add_argument("--wheels", default="", metavar="DIR", help="take the requirements from here only")
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="into a system that lies in DIR")
    return parser


if __name__ == "__main__":
    sys.exit(main())
