"""Build the kernel of the bench, user-mode Linux from Debian's own source, unless it is there already.

    python -m vm.kernel         in the folder tests; `make vm-test` does it when it is due

It is made from ``um.config`` (kept as ``make savedefconfig`` writes it: UML_PCI_OVER_VIRTIO gives it the bus without
which there is no video) and has gpio-sim, vivid, vimc and softdog; v4l2loopback is built beside it. Five minutes on
two idle cores, 10 MB in build/vm; `make vm-tools` installs what it needs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vm.machine import BUILD, LINUX

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIG = Path(__file__).resolve().with_name("um.config")
MODULES = BUILD / "modules"
SOURCES = {
    "linux-source-6.1": Path("/usr/src/linux-source-6.1.tar.xz"),
    "v4l2loopback-source": Path("/usr/src/v4l2loopback.tar.bz2"),
}
"""Debian packages, and what each holds."""
PROGRAMS = ("gcc", "make", "flex", "bison", "bc", "depmod", "xz", "bzip2")


def find() -> Path:
    """Return the kernel, built where configuration or source has changed.

    Where Debian's source is not installed, one that was built from this configuration is taken as it is.
    """
    note = BUILD / "linux.key"
    there = note.read_text(encoding="ascii") if LINUX.exists() and MODULES.is_dir() and note.exists() else ""
    versions = [_version(package) for package in SOURCES]
    configured = hashlib.sha256(CONFIG.read_bytes()).hexdigest()[:16]
    key = " ".join((configured, *versions))
    if there == key or (there.startswith(configured) and not all(versions)):
        return LINUX
    _build()
    note.write_text(key, encoding="ascii")
    return LINUX


def _build() -> None:
    check_programs(*PROGRAMS, packages=[package for package, archive in SOURCES.items() if not archive.exists()])
    print("making build/vm/linux: five minutes on two idle cores", file=sys.stderr)
    work = BUILD / "kernel-work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for archive in SOURCES.values():
        _run("tar", "-xf", archive, "-C", work)
    (source,) = work.glob("linux-source-*")
    out = work / "out"
    out.mkdir()
    shutil.copy(CONFIG, out / ".config")
    make = ("make", "-C", source, f"O={out}", "ARCH=um")
    _run(*make, "olddefconfig")
    _run(*make, f"-j{os.cpu_count()}")
    _run(*make, f"INSTALL_MOD_PATH={work}", "modules_install")
    loopback = work / "modules" / "v4l2loopback"
    _run(*make, f"M={loopback}", "modules")
    (modules,) = (work / "lib" / "modules").iterdir()
    for link in ("build", "source"):
        (modules / link).unlink(missing_ok=True)
    (modules / "extra").mkdir()
    shutil.copy(loopback / "v4l2loopback.ko", modules / "extra")
    shutil.rmtree(MODULES, ignore_errors=True)
    shutil.move(modules.parent, MODULES)
    shutil.move(out / "linux", LINUX)
    shutil.rmtree(work)


def check_programs(*names: str, packages: Sequence[str] = ()) -> None:
    """Say in one line what is missing here, and end."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [*(name for name in names if shutil.which(name, path=path) is None), *packages]
    if missing:
        raise SystemExit(f"vm: missing here: {', '.join(missing)}; `make vm-tools` installs it")


def _version(package: str) -> str:
    """Return the version of an installed Debian package, empty where there is none, or no Debian."""
    try:
        asked = subprocess.run(
            ["dpkg-query", "--show", "--showformat=${Version}", package],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
            text=True,
        )
    except FileNotFoundError:
        return ""
    return asked.stdout if asked.returncode == 0 else ""


def _run(*command: str | Path) -> None:
    """Run a program of the build; its output is kept beside, and named where it fails."""
    log = BUILD / "kernel.log"
    with log.open("ab") as out:
        done = subprocess.run(command, stdout=out, stderr=out, check=False)
    if done.returncode != 0:
        raise SystemExit(f"vm: {' '.join(map(str, command))}: exits with {done.returncode}; see {log}")


if __name__ == "__main__":
    print(find())
