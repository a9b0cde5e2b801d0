"""What every way in owes the loop."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from stand_ins import clock_at_1000_s

from edge.adapters.absent import AbsentControl
from edge.adapters.control import SocketControl
from edge.adapters.control_lines import reply_of
from edge.adapters.sim import parse_scene
from edge.adapters.sim.control import JoinedControl, SimControl
from edge.messages import CommandKind, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edge.ports import Control

MANY = 100
LARGEST_POLL = 16


class Rig(Protocol):
    """A control, and the owner who will say something when told to."""

    @property
    def control(self) -> Control:
        """What the loop listens to."""

    def speak(self) -> None:
        """Say everything that was prepared."""

    def replies(self) -> list[Reply]:
        """Return what the owner was answered so far."""

    def close(self) -> None:
        """Close what the rig opened."""


class SocketRig:
    """A real socket and one client."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        """Listen, and connect."""
        self._path = folder / "control.sock"
        self._words = words
        self.control: Control = SocketControl(self._path)
        self._client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._client.setblocking(False)
        self._client.connect(str(self._path))

    def speak(self) -> None:
        """Send every command."""
        self._client.sendall("".join(json.dumps({"command": word}) + "\n" for word in self._words).encode())

    def replies(self) -> list[Reply]:
        """Read what has come."""
        try:
            data = self._client.recv(1_000_000)
        except BlockingIOError:
            return []
        return [reply_of(line, self._path) for line in data.splitlines()]

    def close(self) -> None:
        """Close both ends."""
        self._client.close()
        self.control.close()


class ScriptRig:
    """A scene's script on a clock that stands until the owner speaks."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        """Write the script."""
        entries: list[dict[str, Any]] = [{"at_s": 5, "command": word} for word in words]
        self._clock = clock_at_1000_s()
        self._script = SimControl(parse_scene({"command": entries}, "test", folder), self._clock)
        self.control: Control = self._script

    def speak(self) -> None:
        """Let the time come."""
        self._clock.advance(5.0)

    def replies(self) -> list[Reply]:
        """Return what the script heard."""
        return [reply for _, reply in self._script.replies]

    def close(self) -> None:
        """Close it."""
        self.control.close()


class JoinedRig(ScriptRig):
    """The same beside another way in, where nobody speaks."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        """Join them."""
        super().__init__(folder, words)
        self.control = JoinedControl(AbsentControl(), self._script)


@pytest.fixture(params=[SocketRig, ScriptRig, JoinedRig])
def owner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[list[str]], Rig]]:
    """Return what makes an owner who will say these words."""
    opened: list[Rig] = []

    def prepare(words: list[str]) -> Rig:
        opened.append(request.param(tmp_path, words))
        return opened[-1]

    yield prepare
    for rig in opened:
        rig.close()


def test_silence_is_nothing_at_once(owner: Callable[[list[str]], Rig]) -> None:
    """While nobody speaks a poll is an empty tuple, and closing may be repeated."""
    control = owner(["lock"]).control
    heard = [control.poll(), control.poll()]
    control.close()
    control.close()
    assert [(), ()] == heard


def test_nothing_is_ever_said_where_there_is_no_way_in() -> None:
    """The absent control is silent and may be closed twice."""
    control = AbsentControl()
    control.close()
    control.close()
    assert () == control.poll()


def test_what_is_said_comes_out_once_and_its_reply_goes_back(owner: Callable[[list[str]], Rig]) -> None:
    """A command is one request of one poll, and what is answered is what the owner hears."""
    rig = owner(["lock"])
    rig.speak()
    requests = rig.control.poll()
    rig.control.answer(requests[0], Reply(ok=True, says="locked"))
    assert ([CommandKind.LOCK], ()) == ([entry.command.kind for entry in requests], rig.control.poll())
    assert [Reply(ok=True, says="locked")] == rig.replies()


def test_much_said_at_once_comes_out_in_order_and_in_portions(owner: Callable[[list[str]], Rig]) -> None:
    """However much is said, a poll gives a bounded number, none is lost, and their order is kept."""
    words = ["lock", "unlock_panic", "status", "clear"] * (MANY // 4)
    rig = owner(words)
    rig.speak()
    portions = [rig.control.poll() for _ in range(MANY)]
    said = [str(request.command.kind) for portion in portions for request in portion]
    assert (words, True) == (said, max(map(len, portions)) <= LARGEST_POLL)


def test_requests_are_told_apart_even_when_they_say_the_same(owner: Callable[[list[str]], Rig]) -> None:
    """Each request is one of its own: two equal commands have two replies."""
    rig = owner(["status", "status"])
    rig.speak()
    for index in range(2):
        for request in rig.control.poll():
            rig.control.answer(request, Reply(ok=True, says=str(index)))
    assert 2 == len(rig.replies())
