"""The control socket: who may speak, who is dropped, and that nothing anybody says holds up a tick."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins import PATIENCE_S

from edge.adapters.control import ADDRESS_BYTES, CLIENTS, SocketControl, reachable
from edge.adapters.control_lines import LINE_BYTES
from edge.errors import ConfigError, HardwareError
from edge.messages import CommandKind, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STATUS = b'{"command": "status"}\n'
LOCK = b'{"command": "lock"}\n'
DONE = Reply(ok=True, says="done")


class Client:
    """Somebody who speaks; nothing it does waits."""

    def __init__(self, path: Path) -> None:
        """Connect."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        with reachable(path) as (address, _):
            self.socket.connect(address)

    def say(self, data: bytes) -> None:
        """Send; one who was dropped speaks to nobody."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def heard(self) -> list[dict[str, Any]]:
        """Return the replies that have come since the last call."""
        data = b""
        try:
            while piece := self.socket.recv(65536):
                data += piece
        except (BlockingIOError, ConnectionResetError):
            pass
        return [json.loads(line) for line in data.splitlines()]

    def dropped(self) -> bool:
        """Return whether the daemon has hung up, once all replies are read."""
        try:
            return self.socket.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True


class House:
    """A socket that is listened to, and those who speak to it."""

    def __init__(self, path: Path) -> None:
        """Listen."""
        self.path = path
        self.control = SocketControl(path)
        self._clients: list[Client] = []

    def client(self) -> Client:
        """Connect another client."""
        self._clients.append(Client(self.path))
        return self._clients[-1]

    def tick(self) -> list[CommandKind]:
        """Poll once, answer everything, and return what was said."""
        requests = self.control.poll()
        for request in requests:
            self.control.answer(request, DONE)
        return [request.command.kind for request in requests]

    def close(self) -> None:
        """Close everything."""
        for client in self._clients:
            client.socket.close()
        self.control.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house that listens."""
    opened = House(tmp_path / "control.sock")
    yield opened
    opened.close()


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_only_owner_and_group_may_speak(tmp_path: Path, umask: int) -> None:
    """The socket file has mode 0660 whatever the umask is."""
    before = os.umask(umask)
    try:
        house = House(tmp_path / "control.sock")
    finally:
        os.umask(before)
    mode = stat.S_IMODE(house.path.stat().st_mode)
    house.close()
    assert 0o660 == mode


def test_a_command_is_heard_and_answered_in_one_tick(house: House) -> None:
    """A client that connects and speaks between two ticks has its reply after the next."""
    client = house.client()
    client.say(LOCK)
    assert ([CommandKind.LOCK], [{"ok": True, "says": "done", "status": None}]) == (house.tick(), client.heard())


def test_two_clients_hear_each_their_own_reply(house: House) -> None:
    """Replies go where the command came from."""
    one, other = house.client(), house.client()
    one.say(STATUS)
    other.say(LOCK)
    requests = house.control.poll()
    for request in requests:
        house.control.answer(request, Reply(ok=True, says=request.command.kind))
    assert (["status"], ["lock"]) == tuple([reply["says"] for reply in who.heard()] for who in (one, other))


def test_a_line_may_come_in_pieces(house: House) -> None:
    """Half a line is nothing yet; its other half makes it a command."""
    client = house.client()
    client.say(LOCK[:9])
    before = house.tick()
    client.say(LOCK[9:])
    assert ([], [CommandKind.LOCK]) == (before, house.tick())


def test_one_line_a_tick_and_none_is_lost(house: House) -> None:
    """Who says much at once is heard line by line, in order, one a tick."""
    client = house.client()
    client.say(STATUS * 60 + LOCK)
    said = [house.tick() for _ in range(61)]
    assert ([[CommandKind.STATUS]] * 60 + [[CommandKind.LOCK]], 61) == (said, len(client.heard()))


def test_a_client_gone_mid_line_has_said_nothing(house: House) -> None:
    """A command whose line was never ended is not obeyed."""
    client = house.client()
    client.say(LOCK.rstrip(b"\n"))
    client.socket.close()
    assert ([], [], 0) == (house.tick(), house.tick(), len(house.control._clients))


def test_a_line_left_open_is_refused_to_one_who_still_listens(house: House) -> None:
    """Who ends the connection and not the line is told that nothing was done."""
    client = house.client()
    client.say(LOCK.rstrip(b"\n"))
    client.socket.shutdown(socket.SHUT_WR)
    said = house.tick() + house.tick()
    assert ([], ["the line was not ended: nothing was done"]) == (said, [reply["says"] for reply in client.heard()])


def test_one_who_has_said_all_hears_one_reply_and_no_more(house: House) -> None:
    """``echo … | socat``: a command, the end of the connection, one reply, and the line is closed."""
    client = house.client()
    client.say(LOCK)
    client.socket.shutdown(socket.SHUT_WR)
    said = house.tick() + house.tick()
    assert ([CommandKind.LOCK], 1, True) == (said, len(client.heard()), client.dropped())


def test_one_gone_before_the_answer_troubles_nobody(house: House) -> None:
    """A reply to a client that has hung up in the meantime goes nowhere, and the other is still heard."""
    gone, other = house.client(), house.client()
    gone.say(STATUS)
    requests = house.control.poll()
    gone.socket.close()
    house.control.answer(requests[0], DONE)
    other.say(LOCK)
    assert [CommandKind.LOCK] == house.tick()


@pytest.mark.parametrize("length", [LINE_BYTES, LINE_BYTES + 1])
def test_a_line_too_long_is_refused_and_its_client_dropped(house: House, length: int) -> None:
    """A line of the longest length is read; one byte more is refused, and whoever sent it is dropped."""
    client = house.client()
    client.say(LOCK[:-1].ljust(length) + b"\n" + LOCK)
    house.tick()
    replies = client.heard()
    expected = (LINE_BYTES == length, length > LINE_BYTES, 1)
    assert expected == (replies[0]["ok"], client.dropped(), len(replies))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"", "is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"[]", '[] is not an object such as {"command": "status"}'),
        (b"{}", "command: None is not one of status, unlock, lock, unlock_panic, mode, let_in, clear, promote"),
        (b'{"command": "live"}', "command: 'live' is not one of status, unlock, lock,"),
        (b'{"command": "unlok"}', "label; did you mean unlock?"),
        (b'{"command": "lock", "for_s": 3}', "for_s: no such key (known here: command)"),
        (b'{"command": "mode"}', "mode: None is not one of in_and_out, in_only, out_only, locked"),
        (b'{"command": "mode", "mode": "open"}', "mode: 'open' is not one of in_and_out,"),
        (b'{"command": "let_in", "cat": 3}', "cat: 3 is not the name of a cat"),
        (b'{"command": "let_in", "cat": "\\u001b[2J"}', "cat: '\\x1b[2J' is not the name of a cat"),
        (b'{"command": "let_in", "for_s": 3601}', "for_s: 3601 is not a number from 10 to 3600"),
        (b'{"command": "let_in", "for_s": NaN}', "for_s: nan is not a number from 10 to 3600"),
        (b'{"command": "let_in", "for_s": true}', "for_s: True is not a number from 10 to 3600"),
        (b"[" * 1000, "is not JSON: "),
        (b"\xff", "is not JSON: 'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_what_is_no_command_is_one_line_of_refusal_and_nothing_done(house: House, line: bytes, says: str) -> None:
    """Bad JSON, an unknown word or key and a value out of bounds are told to the client, who may go on."""
    client = house.client()
    client.say(line + b"\n" + LOCK)
    said = house.tick()
    refusals = client.heard()
    assert ([], 1, False, True) == (said, len(refusals), refusals[0]["ok"], says in refusals[0]["says"])
    assert [CommandKind.LOCK] == house.tick()


def test_one_who_does_not_listen_is_dropped_and_holds_nothing_up(house: House) -> None:
    """Replies that nobody reads fill the client's buffer; then it is dropped, and the other is heard as before."""
    deaf, other = house.client(), house.client()
    house.tick()
    for _ in range(1000):  # of 30 kB each: far more than any socket's buffer holds
        deaf.say(STATUS)
        for request in house.control.poll():
            house.control.answer(request, Reply(ok=True, says="x" * 30_000))
    other.say(LOCK)
    assert (1, [CommandKind.LOCK]) == (len(house.control._clients), house.tick())


def test_half_a_reply_is_the_last(house: House) -> None:
    """A client whose buffer takes only a part of a reply is dropped: what follows would be read as its other half."""
    client = house.client()
    client.say(STATUS)
    house.control.answer(house.control.poll()[0], Reply(ok=True, says="x" * 1_000_000))
    assert 0 == len(house.control._clients)


def test_the_newest_is_heard_however_many_hang_on(house: House) -> None:
    """With every place taken, the client that has been silent longest makes room, and the panic lock is heard."""
    idle = [house.client() for _ in range(CLIENTS)]
    while len(house.control._clients) < CLIENTS:
        house.tick()
    idle[0].say(STATUS)
    house.tick()
    owner = house.client()
    owner.say(LOCK)
    said = house.tick()
    assert ([CommandKind.LOCK], CLIENTS) == (said, len(house.control._clients))
    assert (1, False, True) == (len(idle[0].heard()), idle[0].dropped(), idle[1].dropped())


def test_a_socket_of_the_dead_is_replaced(tmp_path: Path) -> None:
    """The file that a killed daemon left behind stops nobody from listening there."""
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
        dead.listen()
    house = House(path)
    client = house.client()
    client.say(LOCK)
    said = house.tick()
    house.close()
    assert [CommandKind.LOCK] == said


def test_a_socket_of_the_living_is_refused(house: House) -> None:
    """A second daemon is told in one line, and the first goes on hearing."""
    with pytest.raises(ConfigError, match="another daemon listens there; stop it first"):
        SocketControl(house.path)
    client = house.client()
    client.say(LOCK)
    assert [CommandKind.LOCK] == house.tick()


def test_a_living_daemon_that_hangs_is_no_dead_one(tmp_path: Path) -> None:
    """A listener whose queue is full refuses the second daemon as one that answers does."""
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as hanging:
        hanging.bind(str(path))
        hanging.listen(0)
        waiting = Client(path)
        with pytest.raises(ConfigError, match="another daemon listens there"):
            SocketControl(path)
        waiting.socket.close()


def test_of_two_daemons_started_together_one_is_refused(tmp_path: Path) -> None:
    """Looking for a living daemon and taking its place is one step: nobody slips in between."""
    path, directory = tmp_path / "control.sock", os.open(tmp_path, os.O_RDONLY)
    with ThreadPoolExecutor(1) as second, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as first:
        fcntl.flock(directory, fcntl.LOCK_EX)
        starting = second.submit(SocketControl, path)
        first.bind(str(path))
        first.listen()
        os.close(directory)
        with pytest.raises(ConfigError, match="another daemon listens there"):
            starting.result(PATIENCE_S)


@pytest.mark.parametrize("what", ["file", "link", "directory"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, what: str) -> None:
    """A file, link or directory in the socket's place is refused in one line and is still there afterwards."""
    path = tmp_path / "control.sock"
    {"file": path.touch, "link": lambda: path.symlink_to("x"), "directory": path.mkdir}[what]()
    with pytest.raises(ConfigError, match=r"control\.path: .*: is there and is no socket"):
        SocketControl(path)
    assert [path] == list(tmp_path.iterdir())


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """Where there can be no socket, the path and the reason are named."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"control\.path: .*/file/control\.sock: cannot listen there: "):
        SocketControl(tmp_path / "file" / "control.sock")


def test_a_path_longer_than_a_sockets_name_is_reached_all_the_same(tmp_path: Path) -> None:
    """A deep state directory is no reason to have no socket."""
    house = House(tmp_path / ("d" * ADDRESS_BYTES) / "control.sock")
    client = house.client()
    client.say(LOCK)
    said = house.tick()
    house.close()
    assert ([CommandKind.LOCK], False) == (said, house.path.exists())


def test_closing_hangs_up_and_takes_the_file_away(house: House) -> None:
    """After closing there is no file and no client; closing again does not take a successor's file away."""
    client = house.client()
    house.tick()
    house.control.close()
    gone = not house.path.exists()
    successor = SocketControl(house.path)
    house.control.close()
    there = house.path.exists()
    successor.close()
    assert (True, True, True) == (gone, client.dropped(), there)


def test_one_that_cannot_hear_says_so(house: House) -> None:
    """A listener that has gone is a HardwareError, not silence."""
    house.control._listener.close()
    with pytest.raises(HardwareError, match="nobody can be heard"):
        house.control.poll()


SAYINGS = (STATUS, LOCK, b"\n", b"\r\n", b'{"command": ', b'"let_in", "for_s": 60}\n', b"[" * 1100)
TALK = st.lists(
    st.tuples(st.integers(0, 2), st.none() | st.binary(max_size=300) | st.sampled_from(SAYINGS)), max_size=40
)
"""Who says what; None: hangs up, and another takes the place."""


def _in_bounds(house: House) -> bool:
    """Return whether nobody can make the daemon wait, and nobody has made it hold more than a line."""
    clients = house.control._clients.values()
    waits = any(client._socket.getblocking() for client in clients)
    return not waits and all(len(client._held) <= LINE_BYTES + 1 for client in clients)


@given(talk=TALK)
def test_anything_may_be_said(tmp_path_factory: pytest.TempPathFactory, talk: list[tuple[int, bytes | None]]) -> None:
    """Whatever bytes come, no poll raises or can wait, little is held, and a line has one reply, never two."""
    house = House(tmp_path_factory.mktemp("any") / "control.sock")
    clients, said = [house.client() for _ in range(3)], [b""] * 3
    for who, data in talk:
        if data is None:
            clients[who].socket.close()
            clients[who], said[who] = house.client(), b""
        else:
            clients[who].say(data)
            said[who] += data
        house.tick()
        assert _in_bounds(house)
    for _ in range(sum(data.count(b"\n") for data in said) + 1):
        house.tick()
    for client, data in zip(clients, said, strict=True):
        replies, lines = len(client.heard()), data.count(b"\n")
        # Only a line too long ends a connection from this side: it and what follows it have one reply together.
        assert replies <= lines + 1 if client.dropped() else lines == replies
    house.close()
