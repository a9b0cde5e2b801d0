"""A Debian root for arm64 and the aarch64 wheels of a lock file, fetched on this machine without running either.

Packages are extracted and not configured, so nothing of theirs runs and neither root rights nor binfmt_misc are
needed. What is there is used again until its list of packages, or the lock file, is another one. All of it lies under
build/vm/arm.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "vm" / "arm"
SUITE = "bookworm"
HOOKS = Path("/usr/share/mmdebstrap/hooks/merged-usr")
PYTHON = ("python3", "libstdc++6", "libgcc-s1", "ca-certificates")
PLATFORMS = ("manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in (17, 27, 28, 31, 34, 35, 36)))
"""What bookworm's C library, 2.36, can load; pip takes these words one by one and knows no order among them."""
MARKER = re.compile(r" ; [^\\]*(?=\\)")


class MissingError(Exception):
    """What this machine lacks, in one line that says how to get it."""


def program(name: str) -> str:
    """Return the path of a program.

    Raises:
        MissingError: it is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise MissingError(f"{name} is not installed; say make aarch64-tools")
    return found


def root(name: str, packages: Sequence[str], mirror: Sequence[str] = ()) -> Path:
    """Return a directory with these packages of Debian arm64 and all they depend on, extracted.

    Args:
        name: the directory under build/vm/arm.
        packages: as apt takes them.
        mirror: lines of sources.list in place of the suite's usual ones.

    Raises:
        MissingError: mmdebstrap is not installed, or could not have a package.
    """
    made = BUILD / name
    wanted = _digest(SUITE, *packages, *mirror)
    if _is(made, wanted):
        return made
    mmdebstrap, archive = program("mmdebstrap"), BUILD / f"{name}.tar"
    print(f"{name}: Debian {SUITE} arm64 with {', '.join(packages)} ...", flush=True)
    _empty(made)
    options = ("--quiet", "--arch=arm64", "--variant=extract", f"--hook-dir={HOOKS}", f"--include={','.join(packages)}")
    ran = subprocess.run([mmdebstrap, *options, SUITE, archive, *mirror], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        said = [line for line in ran.stderr.splitlines() if line.startswith("E:")]
        raise MissingError(f"{name}: mmdebstrap: {said[0] if said else f'status {ran.returncode}'}")
    # A tar in between: without root rights mmdebstrap cannot leave a directory that this user may read and remove.
    subprocess.run(["tar", "--extract", "--file", archive, "--directory", made, "--exclude=./dev/*"], check=True)
    archive.unlink()
    return _finished(made, wanted)


def wheels(tag: str) -> Path:
    """Return a directory with everything of requirements/runtime-``tag``.txt for aarch64, by its hashes.

    Raises:
        CalledProcessError: pip could not have one of them; it has said which.
    """
    lock = ROOT / "requirements" / f"runtime-{tag}.txt"
    return installed(f"wheels-{tag}", lock, tag)


def installed(name: str, lock: Path, tag: str) -> Path:
    """Return a directory with the aarch64 wheels of a lock file, installed for Python ``tag`` (``py311``)."""
    made = BUILD / name
    wanted = _digest(lock.read_text(encoding="utf-8"))
    if _is(made, wanted):
        return made
    print(f"{name}: the aarch64 wheels of {lock.relative_to(ROOT)} ...", flush=True)
    _empty(made)
    pip("install", "--target", str(made), tag=tag, lock=lock)
    return _finished(made, wanted)


def fetched(tag: str) -> tuple[int, int]:
    """Fetch every wheel of requirements/runtime-``tag``.txt for aarch64 and install none; return fetched and wanted."""
    lock = ROOT / "requirements" / f"runtime-{tag}.txt"
    place = BUILD / f"fetched-{tag}"
    _empty(place)
    pip("download", "--dest", str(place), tag=tag, lock=lock)
    return len(list(place.glob("*.whl"))), len(re.findall("^[^# ]+==", lock.read_text(encoding="utf-8"), re.MULTILINE))


def pip(command: str, *options: str, tag: str, lock: Path) -> None:
    """Run pip for aarch64 and another Python, with hashes and wheels only.

    Markers are taken out first: the lock was made by the Python it is for, and pip asks the one that runs it.
    """
    plain = BUILD / f"{lock.stem}.without-markers.txt"
    plain.write_text(MARKER.sub(" ", lock.read_text(encoding="utf-8")), encoding="utf-8")
    version = f"{tag[2]}.{tag[3:]}"
    asked = ("--python-version", version, "--implementation", "cp", "--only-binary=:all:", "--no-deps")
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    own = (sys.executable, "-m", "pip", "--quiet", "--quiet", "--disable-pip-version-check")
    subprocess.run([*own, command, *options, *asked, *platforms, "--require-hashes", "-r", plain], check=True)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _is(made: Path, wanted: str) -> bool:
    stamp = made.with_suffix(".made")
    return stamp.is_file() and stamp.read_text(encoding="ascii") == wanted


def _empty(made: Path) -> None:
    made.with_suffix(".made").unlink(missing_ok=True)
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)


def _finished(made: Path, wanted: str) -> Path:
    made.with_suffix(".made").write_text(wanted, encoding="ascii")
    return made
