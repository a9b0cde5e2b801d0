"""A program of the arm64 root under qemu's user emulation, called by name: no root rights, no binfmt_misc, no chroot.

``qemu-aarch64 -L ROOT`` finds the root's loader and libraries; Python finds its own by PYTHONHOME. A child that the
program starts itself would be executed by this machine's kernel, which cannot: programs that start children are called
here once a child instead.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from arm64_root import BUILD, PYTHON, ROOT, program, root, wheels

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_S = 3600.0
CPU = "cortex-a72"


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended, what it wrote, and the instructions it had executed at each of its marks and at its end."""

    status: int
    output: str
    complaint: str
    marks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Emulated:
    """The root's Python with the wheels of the lock and this checkout."""

    python: Path
    environment: tuple[str, ...]
    before: tuple[str, ...]

    def run(self, arguments: Sequence[str], *, cpu: str = CPU, count: bool = False) -> Ran:
        """Run Python with these arguments in the repository's root.

        Raises:
            MissingError: qemu-aarch64 is not installed, or gcc where instructions are counted.
            TimeoutExpired: it took longer than ``LONGEST_S``.
        """
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / "marks"
            counting = ("-plugin", f"file={plugin()},out={file}") if count else ()
            settings = [word for setting in self.environment for word in ("-E", setting)]
            command = [*self.before, "-cpu", cpu, *counting, *settings, str(self.python), *arguments]
            ran = _run(command, {})
            marks = file.read_text(encoding="ascii").split() if count else ()
        return Ran(ran.returncode, ran.stdout, ran.stderr, tuple(map(int, marks)))


@dataclass(frozen=True, slots=True)
class Native:
    """This machine's Python with the same checkout."""

    python: Path
    environment: tuple[str, ...]

    def run(self, arguments: Sequence[str]) -> Ran:
        """Run Python with these arguments in the repository's root."""
        ran = _run([str(self.python), *arguments], dict(setting.split("=", 1) for setting in self.environment))
        return Ran(ran.returncode, ran.stdout, ran.stderr)


def machines(native_python: str) -> tuple[Native, Emulated]:
    """Return this machine and the emulated one, made ready."""
    own, site = root("root", PYTHON), wheels("py311")
    common = ("OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1", "PYTHONHASHSEED=0")
    house = f"{ROOT}:{ROOT / 'tools'}"
    settings = (
        *common,
        f"PYTHONHOME={own / 'usr'}",
        f"PYTHONPYCACHEPREFIX={BUILD / 'pycache'}",
        f"PYTHONPATH={house}:{site}",
    )
    before = (program("qemu-aarch64"), "-L", str(own))
    emulated = Emulated(own / "usr" / "bin" / "python3.11", settings, before)
    return Native(Path(native_python), (*common, f"PYTHONPATH={house}")), emulated


def plugin() -> Path:
    """Return the compiled ``insn_count.c``.

    Raises:
        MissingError: there is no gcc.
    """
    source, made = ROOT / "tools" / "insn_count.c", BUILD / "libinsn_count.so"
    if not made.is_file() or made.stat().st_mtime < source.stat().st_mtime:
        flags = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC")
        subprocess.run([program("gcc"), *flags, "-o", made, source], check=True)
    return made


def _run(command: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST_S
    )
