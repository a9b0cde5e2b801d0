"""The other end of the control socket: a reply, or one line about why there is none."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from answering import AnsweringDaemon

from edge.adapters.control_client import ask
from edge.adapters.control_lines import reply_line
from edge.errors import InputError
from edge.messages import Command, CommandKind, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = Command(CommandKind.LOCK)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[AnsweringDaemon]:
    """A daemon that listens."""
    listening = AnsweringDaemon(tmp_path / "control.sock")
    yield listening
    listening.close()


def test_a_command_has_its_reply(daemon: AnsweringDaemon) -> None:
    """The command arrives, and the reply is what was sent."""
    daemon.will_say(reply_line(Reply(ok=True, says="locked")))
    assert (Reply(ok=True, says="locked"), [LOCK]) == (ask(daemon.path, LOCK), daemon.heard)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the daemon hung up without an answer"),
        (b'{"ok": true', "the daemon hung up without an answer"),
        (b"hello\n", "is not JSON, or not all of it"),
        (b'{"ok": true}\n', "is not a table of ok, says, status"),
    ],
)
def test_what_is_no_reply_is_one_line(daemon: AnsweringDaemon, data: bytes, says: str) -> None:
    """Silence, half a line and nonsense each name the socket and what came."""
    daemon.will_say(data)
    with pytest.raises(InputError, match=says) as caught:
        ask(daemon.path, LOCK)
    assert str(caught.value).startswith(f"{daemon.path}: ")


def test_a_daemon_that_hangs_is_one_line(daemon: AnsweringDaemon) -> None:
    """One who takes no connection out of the queue is waited for no longer than was said."""
    with pytest.raises(InputError, match=r"the daemon did not answer within 0\.01 s"):
        ask(daemon.path, LOCK, patience_s=0.01)


@pytest.mark.parametrize("left", ["nothing", "a socket", "a directory"])
def test_no_daemon_is_one_line(tmp_path: Path, left: str) -> None:
    """Without a socket, and with one that a dead daemon has left, the line says that nobody listens."""
    path = tmp_path / "none" / "control.sock" if left == "nothing" else tmp_path / "control.sock"
    if left == "a socket":
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(str(path))
    if left == "a directory":
        path.mkdir()
    with pytest.raises(InputError, match=r"control\.sock: no daemon listens there"):
        ask(path, LOCK)
