"""One version of catflap in a directory of its own: built, and tried, before anything leads to it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from install_machine import InstallError, at, done, says, write
from install_places import CONFIG, CONTENTS, CURRENT, PREVIOUS, RELEASES, SHARE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from install_machine import Machine

LOCKS = {(3, 11): "runtime-py311.txt", (3, 13): "runtime-py313.txt"}
"""Bookworm's Python and Trixie's. The requirements are locked for these two."""
NEEDED_BYTES = 600_000_000
"""Measured: a release takes 326 MB on Python 3.11 and 304 MB on 3.13; its wheels, 95 MB, lie beside it meanwhile."""
MARK = "release.json"
"""Written last: a directory without it was cut off and does not count."""
SKIPPED = frozenset({"__pycache__"})

_GOLDEN = """
import sys
from edge import bundle, trying
said = trying.try_bundle(bundle.factory_directory(), trying.DeviceBudget())
print(f"the factory's model answers as it should: {said.why}" if said.ok else said.why)
sys.exit(not said.ok)
"""


@dataclass(frozen=True, slots=True)
class Release:
    """A version, as its directory is named: ``0.1.0-1a2b3c4d``."""

    name: str

    @property
    def path(self) -> str:
        """Its directory."""
        return f"{RELEASES}/{self.name}"

    @property
    def share(self) -> str:
        """Its files that are no Python."""
        return f"{self.path}/{SHARE}"


def wanted(python: tuple[int, int], source: Path) -> Release:
    """Name the release that the checkout makes on this Python: its version, and eight digits of what goes into it.

    Raises:
        InstallError: a part of the checkout is missing.
    """
    digest = hashlib.sha256(f"Python {python}".encode())
    for path in _files(source):
        data = path.read_bytes()
        digest.update(f"\0{path.relative_to(source)}\0{len(data)}\0".encode() + data)
    version = re.search(r'^__version__ = "([\w.+-]+)"$', (source / "edge/__init__.py").read_text(), re.MULTILINE)
    if version is None:
        raise InstallError(f"{source}/edge/__init__.py: has no __version__")
    return Release(f"{version[1]}-{digest.hexdigest()[:8]}")


def _files(source: Path) -> Iterator[Path]:
    for part in CONTENTS:
        place = source / part
        if not place.exists():
            raise InstallError(f"{place}: is missing; install from a whole checkout")
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (path for path in found if path.is_file() and not SKIPPED & set(path.parts))


def named(machine: Machine, link: str) -> Release | None:
    """Return the release that ``current`` or ``previous`` leads to, if it is whole."""
    target = says(machine, link)
    release = None if target is None else Release(target.rpartition("/")[2])
    return release if release is not None and whole(machine, release) else None


def whole(machine: Machine, release: Release) -> bool:
    """Whether a release was built to its end."""
    return (at(machine, release.path) / MARK).is_file()


@dataclass(frozen=True, slots=True)
class Parts:
    """What a release is made of: the checkout, its locked requirements by name, and a folder of wheels or nothing."""

    source: Path
    lock: str
    wheels: str


def build(machine: Machine, release: Release, parts: Parts, say: Callable[[str], None]) -> None:
    """Build a release in its own directory; what was left there by a build that was cut off goes first.

    Raises:
        InstallError: something could not be had or made; the directory is gone again.
    """
    place = at(machine, release.path)
    shutil.rmtree(place, ignore_errors=True)
    try:
        say(f"building {release.path}: an environment that sees the system's packages (picamera2, lgpio)")
        done(machine, "python3", "-m", "venv", "--system-site-packages", release.path)
        _take(parts.source, place / "source")
        _fill(machine, release, parts, say)
        _share(place / "source", place / SHARE)
        shutil.rmtree(place / "source")
        machine.sync()
        write(machine, f"{release.path}/{MARK}", json.dumps({"format": 1, "name": release.name}).encode() + b"\n")
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _take(source: Path, copy: Path) -> None:
    """Copy the checkout's parts into the release: setuptools writes where it reads, and a checkout is not ours."""
    for path in _files(source):
        target = copy / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _fill(machine: Machine, release: Release, parts: Parts, say: Callable[[str], None]) -> None:
    source, wheels = f"{release.path}/source", f"{release.path}/wheels"
    pip = (f"{release.path}/bin/python3", "-m", "pip", "--no-cache-dir", "--disable-pip-version-check", "install",
           "--quiet", "--no-warn-script-location")  # fmt: skip
    offered: tuple[str, ...] = ()
    if parts.wheels:
        shutil.copytree(parts.wheels, at(machine, wheels))
        offered = ("--no-index", "--find-links", wheels)
    say(f"installing requirements/{parts.lock}, every file by its hash{parts.wheels and f', from {parts.wheels}'}")
    hashed = ("--require-hashes", "--only-binary", ":all:", "--requirement", f"{source}/requirements/{parts.lock}")
    done(machine, *pip, *offered, *hashed)
    shutil.rmtree(at(machine, wheels), ignore_errors=True)
    say("installing catflap itself")
    done(machine, *pip, "--no-deps", "--no-index", "--no-build-isolation", source)


def _share(source: Path, share: Path) -> None:
    """Lay down what the system's links lead to. The factory's bundle is there already: the wheel brings it."""
    shutil.copytree(source / "systemd", share / "systemd", dirs_exist_ok=True)
    shutil.copyfile(source / "firmware/boot/config.txt.fragment", share / "config.txt.fragment")
    shutil.copyfile(source / "docs/catflap.toml", share / "catflap.toml")


def smoke(machine: Machine, release: Release, say: Callable[[str], None]) -> None:
    """Try a release where it lies: it starts, takes the owner's configuration, and its model answers as it should.

    Raises:
        InstallError: it does not; what it said.
    """
    catflap = f"{release.path}/bin/catflap"
    configured = CONFIG if at(machine, CONFIG).exists() else f"{release.share}/catflap.toml"
    version = done(machine, catflap, "--version").strip()
    done(machine, catflap, "config", "check", "--config", configured)
    golden = done(machine, f"{release.path}/bin/python3", "-P", "-c", _GOLDEN).strip()
    say(f"tried it: {version}; {configured} is accepted; {golden}")
    _sshd_agrees(machine, f"{release.share}/systemd/sshd_catflap.conf")


def _sshd_agrees(machine: Machine, conf: str) -> None:
    """Have sshd read its part before it counts: an sshd that does not start locks the owner out."""
    if machine.live and at(machine, "/usr/sbin/sshd").exists():
        done(machine, "/usr/sbin/sshd", "-t", "-f", conf)


def prune(machine: Machine, say: Callable[[str], None]) -> None:
    """Remove every release but the current one and the one before."""
    kept = {target.rpartition("/")[2] for link in (CURRENT, PREVIOUS) if (target := says(machine, link))}
    releases = at(machine, RELEASES)
    for place in sorted(releases.iterdir() if releases.is_dir() else ()):
        if place.name not in kept:
            shutil.rmtree(place)
            say(f"removed the old release {place.name}")
