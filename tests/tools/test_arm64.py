"""What the emulated Pi is made of, as far as it can be said without one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import arm64_root
import pytest

TOOLS = Path(arm64_root.__file__).parent


def test_a_lock_for_another_python_is_read_whole() -> None:
    """Markers are taken out of a lock file before pip of this Python reads it; hashes and versions stay."""
    locked = 'numpy==2.2.4 ; python_version >= "3.12" \\\n    --hash=sha256:aa\n    # via tuf\ntuf==7.0.1 \\\n'
    plain = "numpy==2.2.4 \\\n    --hash=sha256:aa\n    # via tuf\ntuf==7.0.1 \\\n"
    assert plain == arm64_root.MARKER.sub(" ", locked)


def test_what_is_missing_is_named_with_its_remedy() -> None:
    """A program that is not installed is one line that says what installs it."""
    with pytest.raises(arm64_root.MissingError, match=r"^no-such-program is not installed; say make aarch64-tools$"):
        arm64_root.program("no-such-program")


def test_the_plugin_compiles_without_a_warning(tmp_path: Path) -> None:
    """The plugin declares what it uses of qemu itself, and the compiler has nothing to say about it."""
    flags = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
    made = subprocess.run(["gcc", *flags, "-o", tmp_path / "out.so", TOOLS / "insn_count.c"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert (0, "") == (made.returncode, made.stderr)
