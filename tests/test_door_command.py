"""``catflap door``: what is said, what is printed, and with what status it ends."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from answering import AnsweringDaemon

from edge.adapters.control_lines import reply_line
from edge.cli import main
from edge.messages import Command, CommandKind, Mode, Reply, Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DONE = Reply(ok=True, says="done")
REFUSED = Reply(ok=False, says="no cat is called Otto\nhere")
WELL = Status("watching", Mode.IN_AND_OUT, False, None, None, 0.0, None, "student", None)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[AnsweringDaemon]:
    """A daemon that listens."""
    listening = AnsweringDaemon(tmp_path / "control.sock")
    yield listening
    listening.close()


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["status"], Command(CommandKind.STATUS)),
        (["unlock"], Command(CommandKind.UNLOCK)),
        (["lock"], Command(CommandKind.LOCK)),
        (["unlock-panic"], Command(CommandKind.UNLOCK_PANIC)),
        (["mode", "out_only"], Command(CommandKind.MODE, mode=Mode.OUT_ONLY)),
        (["let-in"], Command(CommandKind.LET_IN, for_s=300.0)),
        (["let-in", "Mimi", "--for", "10m"], Command(CommandKind.LET_IN, cat="Mimi", for_s=600.0)),
        (["let-in", "--for", "90"], Command(CommandKind.LET_IN, for_s=90.0)),
        (["let-in", "--for", "1h"], Command(CommandKind.LET_IN, for_s=3600.0)),
        (["clear"], Command(CommandKind.CLEAR)),
    ],
)
def test_each_word_is_its_command(daemon: AnsweringDaemon, words: list[str], command: Command) -> None:
    """What is written on the command line is what the daemon hears."""
    daemon.will_say(reply_line(DONE))
    status = main(["door", *words, "--socket", str(daemon.path)])
    assert (0, [command]) == (status, daemon.heard)


@pytest.mark.parametrize(
    ("reply", "status", "line"),
    [
        (DONE, 0, "done"),
        (REFUSED, 1, "no cat is called Otto here"),
        (
            Reply(True, "", WELL),
            0,
            "door watching; mode in_and_out; coil at 0% of its heat; model student; no verdict yet",
        ),
        (
            Reply(True, "", replace(WELL, door="fault", fault="the pin broke")),
            1,
            "FAULT: the pin broke; door fault; mode in_and_out; coil at 0% of its heat; model student; no verdict yet",
        ),
    ],
)
def test_a_reply_is_one_line_and_a_status(
    daemon: AnsweringDaemon, capsys: pytest.CaptureFixture[str], reply: Reply, status: int, line: str
) -> None:
    """Done is 0; a refusal and a latched fault are findings, 1; each is one line whatever is in it."""
    daemon.will_say(reply_line(reply))
    ended = main(["door", "status", "--socket", str(daemon.path)])
    assert (status, f"{line}\n") == (ended, capsys.readouterr().out)


def test_json_is_the_reply_as_it_came(daemon: AnsweringDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` prints one object, the daemon's own."""
    line = reply_line(Reply(True, "", WELL))
    daemon.will_say(line)
    main(["door", "status", "--json", "--socket", str(daemon.path)])
    assert json.loads(line) == json.loads(capsys.readouterr().out)


def test_the_socket_is_the_configured_one(daemon: AnsweringDaemon, tmp_path: Path) -> None:
    """Without ``--socket`` the configuration says where the daemon listens."""
    daemon.will_say(reply_line(DONE))
    assert 0 == main(["door", "lock", "--config", str(_config(tmp_path, str(daemon.path)))])


def _config(tmp_path: Path, socket_path: str) -> Path:
    path = tmp_path / "catflap.toml"
    text = f"[control]\npath = '{socket_path}'\n[pins]\nbolt = 17\n[door]\nidentity = 'any_cat'\n"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["lock"], "no daemon listens there; is catflap running?"),
        (["mode", "shut"], "mode: 'shut' is not one of in_and_out, in_only, out_only, locked"),
        (["let-in", "--for", "2h"], "for_s: 7200.0 is not a number from 10 to 3600"),
        (["let-in", "<Mimi>"], "cat: '<Mimi>' is not the name of a cat"),
    ],
)
def test_what_cannot_be_said_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    """A daemon that is not there and a value that is not allowed are each said in one line."""
    status = main(["door", *words, "--socket", str(tmp_path / "control.sock")])
    lines = capsys.readouterr().err.splitlines()
    assert (2, 1, True, True) == (status, len(lines), lines[0].startswith("catflap: "), lines[0].endswith(says))


def test_a_daemon_that_takes_no_commands_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty ``control.path`` is named as the reason."""
    path = _config(tmp_path, "")
    status = main(["door", "lock", "--config", str(path)])
    expected = f"catflap: {path}: control.path: is empty, so this daemon takes no commands\n"
    assert (2, expected) == (status, capsys.readouterr().err)


@pytest.mark.parametrize("time", ["soon", "-5m", "5 m", "1d", ""])
def test_a_time_that_is_none_is_a_usage_error(time: str) -> None:
    """``--for`` takes seconds, minutes or hours."""
    with pytest.raises(SystemExit) as ended:
        main(["door", "let-in", f"--for={time}"])
    assert 2 == ended.value.code
