"""What a push shows while it lasts, on a terminal and without one; and that a passphrase is never shown."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from push_progress import Bar

from edge.bundle import factory_directory

ROOT = Path(__file__).parent.parent.parent
WORDS = "six plain words in a row"
SPAWN = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
"""Runs a command at a terminal of its own, whose other side is this program's input and output."""


def _drawn(*sent: int) -> list[str]:
    """Return what a terminal is shown, line by line as it is drawn."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8", newline="") as stream:
        bar = Bar("stage 1 of 2", 2, 500_000, stream)
        for more_bytes in sent:
            bar.sent(more_bytes)
        bar.answered()
        bar.close()
    shown = b"".join(iter(lambda: _some_of(ours), b"")).decode()
    os.close(ours)
    return shown.split("\r")[1:]


def _some_of(terminal: int) -> bytes:
    """Return what is there, which may be a part; nothing at the end: Linux says EIO once the other side is closed."""
    try:
        return os.read(terminal, 10_000)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""


def test_a_terminal_is_shown_a_bar() -> None:
    """One line that is drawn again and again, from nothing to all, and that is gone at the end."""
    drawn = [line.removesuffix("\x1b[K") for line in _drawn(250_000, 500_000, 900_000)]
    assert f"stage 1 of 2 [{'.' * 30}]   0%  0.0 of 1.0 MB, 0 of 2 flaps done" == drawn[0]
    assert f"stage 1 of 2 [{'#' * 7}{'.' * 23}]  25%  0.2 of 1.0 MB, 0 of 2 flaps done" == drawn[1]
    assert f"stage 1 of 2 [{'#' * 30}] 100%  1.0 of 1.0 MB, 1 of 2 flaps done" == drawn[-2]
    assert ("", False) == (drawn[-1], any("\n" in line for line in drawn))


def test_a_log_has_one_line_a_stage() -> None:
    """Without a terminal nothing is drawn; the one line says what was sent and how many have answered."""
    stream = io.StringIO()
    bar = Bar("stage 1 of 2", 2, 500_000, stream)
    for _ in range(100):
        bar.sent(10_000)
    bar.answered()
    bar.answered()
    assert "" == stream.getvalue()
    bar.close()
    assert [True] == [line.startswith("stage 1 of 2: 1.0 of 1.0 MB, 2 of 2 flaps done after ")
                      for line in stream.getvalue().splitlines()]  # fmt: skip


def _at_a_terminal(home: Path, *answers: str) -> tuple[int, str]:
    """Push to a store at a terminal, typing an answer whenever asked; return status and all that was shown."""
    command = [sys.executable, "-c", SPAWN, sys.executable, str(ROOT / "tools" / "push_model.py"),
               str(factory_directory()), "--via", f"file:{home}/shop", "--home", str(home / "owner")]  # fmt: skip
    shown, left = b"", list(answers)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while byte := process.stdout.read(1):
            shown += byte
            if left and shown.endswith((b"or more): ", b"same again: ", b"keys: ", b"key: ")):
                process.stdin.write(left.pop(0).encode() + b"\n")
                process.stdin.flush()
    return process.returncode, shown.decode()


@pytest.mark.parametrize(
    ("answers", "status", "says"),
    [((WORDS, WORDS), 0, "Back them up now"), ((WORDS, "other words than these"), 2, "the two passphrases differ")],
)
def test_a_passphrase_is_asked_for_twice_and_never_shown(
    tmp_path: Path, answers: tuple[str, str], status: int, says: str
) -> None:
    """At a terminal the passphrase of new keys is typed twice without echo; two that differ make nothing."""
    done, shown = _at_a_terminal(tmp_path, *answers)
    assert (status, True) == (done, says in shown), shown
    assert [] == [words for words in answers if words in shown]
    assert (status == 0) == (tmp_path / "owner" / "repository" / "metadata" / "1.root.json").exists()
