"""An emulated Raspberry Pi 3B with a Debian kernel, and in its memory the flap's pins and nothing else.

No disk, no init system, no busybox: the kernel unpacks an archive of Python, numpy, gpiozero, lgpio and this checkout,
and starts ``tools/pi_guest.py``. The device tree is Debian's with what the Pi's own firmware adds: the board's
revision, which gpiozero reads, and a seed, without which there is no randomness before the first program runs and
Python does not start. Everything lies under build/vm/arm.
"""

from __future__ import annotations

import compileall
import json
import lzma
import os
import py_compile
import selectors
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arm64_root import BUILD, PYTHON, ROOT, SUITE, installed, program, root, wheels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEBIAN = "http://deb.debian.org/debian"
BACKPORTS = (f"deb {DEBIAN} {SUITE} main", f"deb {DEBIAN} {SUITE}-backports main")
REVISION = "a02082"
"""A Pi 3 Model B, 1 GB. Source: Raspberry Pi documentation, "New-style revision codes in use"."""
PACKAGES = ("numpy", "numpy.libs", "gpiozero", "gpiozero-*.dist-info", "colorzero", "structlog")
SITE = "usr/local/lib/python3.11/dist-packages"
"""Where Debian's Python looks by itself."""
NEEDLESS = (
    "test",
    "lib2to3",
    "idlelib",
    "turtledemo",
    "tkinter",
    "distutils",
    "ensurepip",
    "pydoc_data",
    "dist-packages",
)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel with the device tree of the board and its watchdog's driver."""

    version: str
    image: Path
    tree: Path
    watchdog: Path


def kernels() -> tuple[Kernel, Kernel]:
    """Return Debian's kernel and the newer one of its backports.

    Raises:
        MissingError: a program is not installed, or a package could not be had.
    """
    return (
        _kernel(root("kernel", ["linux-image-arm64"])),
        _kernel(root("kernel-backports", [f"linux-image-arm64/{SUITE}-backports"], BACKPORTS)),
    )


def _kernel(place: Path) -> Kernel:
    image = next((place / "boot").glob("vmlinuz-*"))
    version = image.name.removeprefix("vmlinuz-")
    tree = BUILD / f"{version}.dtb"
    shutil.copyfile(place / f"usr/lib/linux-image-{version}/broadcom/bcm2837-rpi-3-b.dtb", tree)
    fdtput = program("fdtput")
    subprocess.run([fdtput, "--create", tree, "/system"], check=True)
    subprocess.run([fdtput, "--type", "x", tree, "/system", "linux,revision", REVISION], check=True)
    subprocess.run([fdtput, "--type", "x", tree, "/chosen", "rng-seed", *["5eed5eed"] * 16], check=True)
    drivers = place / f"usr/lib/modules/{version}/kernel/drivers"
    return Kernel(version, image, tree, next(drivers.glob("watchdog/bcm2835_wdt.ko*")))


def archive(kernel: Kernel) -> Path:
    """Return the archive that this kernel unpacks into memory, made anew from this checkout."""
    tree = BUILD / "board"
    shutil.rmtree(tree, ignore_errors=True)
    _python(tree)
    (tree / "etc/catflap").mkdir(parents=True)
    packed = kernel.watchdog.read_bytes()
    module = lzma.decompress(packed) if kernel.watchdog.suffix == ".xz" else packed
    (tree / "etc/catflap/bcm2835_wdt.ko").write_bytes(module)
    shutil.copyfile(ROOT / "docs/catflap.toml", tree / "etc/catflap/catflap.toml")
    guest = (ROOT / "tools/pi_guest.py").read_text(encoding="utf-8")
    (tree / "init").write_text(f"#!/usr/bin/python3.11\n{guest}", encoding="utf-8")
    (tree / "init").chmod(0o755)
    # Compiling a hundred modules takes the emulated processor minutes; bytecode of another Python it ignores.
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(tree, maxlevels=20, quiet=2, stripdir=tree, prependdir="/", invalidation_mode=unchecked)
    made = BUILD / f"{kernel.version}.cpio"
    names = b"\0".join(os.fsencode(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    with made.open("wb") as out:
        command = [program("cpio"), "--create", "--null", "--format=newc", "--quiet", "--owner=0:0"]
        subprocess.run(command, cwd=tree, input=names, stdout=out, check=True)
    return made


def _python(tree: Path) -> None:
    """Put in Debian's Python, the few wheels that the pins need, and the flap."""
    debian = root("root", PYTHON)
    for name in ("lib", "lib64", "bin", "sbin"):
        if (debian / name).is_symlink():
            (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
            (tree / name).symlink_to(f"usr/{name}")
    without = shutil.ignore_patterns(*NEEDLESS, "__pycache__", "perl*", "gconv")
    shutil.copytree(debian / "usr/lib", tree / "usr/lib", symlinks=True, ignore=without, dirs_exist_ok=True)
    shutil.copy2(debian / "usr/bin/python3.11", tree / "usr/bin/python3.11")
    site = tree / SITE
    lgpio = installed("wheels-pins", ROOT / "requirements/pins-py311.txt", "py311")
    shutil.copytree(lgpio, site)
    for pattern in PACKAGES:
        for package in wheels("py311").glob(pattern):
            shutil.copytree(package, site / package.name, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    shutil.copytree(ROOT / "edge", site / "edge", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("run", "tmp", "dev", "proc", "sys"):
        (tree / name).mkdir()


def watch(kernel: Kernel, packed: Path, words: str, deadline_s: float) -> Iterator[dict[str, Any]]:
    """Start the board and yield what its program says, until the caller has had enough.

    Args:
        kernel: which one it runs.
        packed: its ``archive``.
        words: more of the kernel's command line.
        deadline_s: so long at most.

    Raises:
        TimeoutError: it was still running then; the last of its console is in the message.
    """
    console = f"earlycon console=ttyAMA0,115200 loglevel=4 panic=1 {words}"
    command = [program("qemu-system-aarch64"), "-M", "raspi3b", "-accel", "tcg,thread=multi", "-display", "none"]
    command += ["-monitor", "none", "-serial", "stdio", "-serial", "null", "-append", console]
    command += ["-kernel", str(kernel.image), "-dtb", str(kernel.tree), "-initrd", str(packed)]
    board = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield from (json.loads(line[5:]) for line in _lines(board, deadline_s) if line.startswith("PINS "))
    finally:
        board.kill()
        board.wait()


def _lines(board: subprocess.Popen[bytes], deadline_s: float) -> Iterator[str]:
    """Yield the console line by line."""
    until, held, last = time.monotonic() + deadline_s, b"", ""
    if board.stdout is None:
        return
    with selectors.DefaultSelector() as selector:
        selector.register(board.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, until - time.monotonic())):
            some = os.read(board.stdout.fileno(), 65_536)
            if not some:
                raise TimeoutError(f"the board ended by itself; its last line: {last}")
            *whole, held = (held + some).split(b"\n")
            for line in whole:
                last = line.decode(errors="replace").strip()
                if "Kernel panic" in last:
                    raise TimeoutError(f"the board's kernel stopped: {last}")
                yield last
    raise TimeoutError(f"the board was not through after {deadline_s:g} s; its last line: {last}")
