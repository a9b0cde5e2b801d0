"""The control socket: a Unix stream socket that the daemon owns, one JSON object a line (`control_lines`). Floor 5.

Whoever may open the socket file may speak: it belongs to the daemon's user and group and has mode 0660. Nothing a
client does costs a tick more than a few system calls. Every socket is non-blocking; a poll takes at most
``ACCEPTS_PER_POLL`` new clients and one line from each; a client holds at most ``LINE_BYTES`` + 1 bytes here, the rest
waits in the kernel's own bounded buffer until the client itself has to wait. Where there are too many clients, the one
that has been silent longest makes room, so that the owner's panic lock is heard however many hang on.

A socket file outlives its process. One that nobody listens to is replaced; looking and replacing are done under a lock
of the directory (flock(2)), so that of two daemons started together one is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from typing import TYPE_CHECKING

from edge.adapters.control_lines import LINE_BYTES, command_of, reply_line
from edge.errors import ConfigError, HardwareError, InputError
from edge.messages import Reply, Request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLIENTS = 8
ACCEPTS_PER_POLL = 4
"""Fewer than ``CLIENTS``, so that whoever is let in by a poll is also heard by it."""

ADDRESS_BYTES = 107
"""The longest name of a Unix socket on Linux, unix(7): 108 bytes with the zero that ends it."""


class SocketControl:
    """The control socket; implements ``ports.Control``."""

    def __init__(self, path: Path) -> None:
        """Listen at ``path``; its directory is made where it is missing.

        Raises:
            ConfigError: another daemon listens there, or the path cannot be used.
        """
        self._path = path
        self._clients: dict[int, _Client] = {}  # silent longest first
        self._next = 0
        with contextlib.ExitStack() as undo:
            self._listener = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            self._listener.setblocking(False)
            self._listen()
            undo.pop_all()

    def poll(self) -> tuple[Request, ...]:
        """Return at most one command from each client; what is none is answered here."""
        self._welcome()
        heard = (self._hear(number, client) for number, client in tuple(self._clients.items()))
        return tuple(request for request in heard if request is not None)

    def answer(self, request: Request, reply: Reply) -> None:
        """Send the reply as one line; a client whose buffer is full, or who is gone, is dropped."""
        self._tell(request.client, reply)

    def close(self) -> None:
        """Hang up on everybody and remove the socket file."""
        if self._listener.fileno() < 0:
            return
        for number in tuple(self._clients):
            self._drop(number)
        self._listener.close()
        with contextlib.suppress(OSError):  # what cannot be removed is replaced by the next start
            self._path.unlink()

    def _listen(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with reachable(self._path) as (address, directory):
                fcntl.flock(directory, fcntl.LOCK_EX)
                _clear_away(self._path, address)
                self._listener.bind(address)
                self._path.chmod(0o660)  # before listen(): nobody gets in under the permissions it was made with
                self._listener.listen(CLIENTS)
        except OSError as error:
            raise ConfigError(f"control.path: {self._path}: cannot listen there: {error.strerror or error}") from error

    def _welcome(self) -> None:
        for _ in range(ACCEPTS_PER_POLL):
            try:
                accepted, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                raise HardwareError(f"control.path: {self._path}: nobody can be heard: {error.strerror}") from error
            accepted.setblocking(False)
            if len(self._clients) == CLIENTS:
                self._drop(next(iter(self._clients)))
            self._clients[self._next] = _Client(accepted)
            self._next += 1

    def _hear(self, number: int, client: _Client) -> Request | None:
        try:
            line = client.line()
        except _HangUpError as last:
            if last.args:
                self._tell(number, Reply(ok=False, says=str(last)))
            self._drop(number)
            return None
        if line is None:
            return None
        self._clients[number] = self._clients.pop(number)
        try:
            return Request(number, command_of(line))
        except InputError as error:
            self._tell(number, Reply(ok=False, says=str(error)))
            return None

    def _tell(self, number: int, reply: Reply) -> None:
        client = self._clients.get(number)
        if client is not None and not client.tell(reply_line(reply)):
            self._drop(number)

    def _drop(self, number: int) -> None:
        client = self._clients.pop(number, None)
        if client is not None:
            client.close()


class _HangUpError(Exception):
    """A client is gone or is to go; with a text, that is its last reply."""


class _Client:
    """One connection and what it has said without ending the line."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._held = b""

    def line(self) -> bytes | None:
        """Return the next line without its end; None while there is none.

        Raises:
            _HangUpError: it hung up, or its line is too long.
        """
        if b"\n" not in self._held:
            self._held += self._received()
        line, end, rest = self._held.partition(b"\n")
        if len(line) > LINE_BYTES:
            raise _HangUpError(f"a line is longer than {LINE_BYTES} bytes: nothing was done, and the rest is not read")
        if not end:
            return None
        self._held = rest
        return line

    def _received(self) -> bytes:
        try:
            data = self._socket.recv(LINE_BYTES + 1 - len(self._held))
        except BlockingIOError:
            return b""
        except OSError as error:
            raise _HangUpError from error
        if data:
            return data
        raise _HangUpError("the line was not ended: nothing was done") if self._held else _HangUpError

    def tell(self, line: bytes) -> bool:
        """Send a line; return False for one who is gone or whose buffer has no room for all of it."""
        try:
            return self._socket.send(line) == len(line)
        except OSError:
            return False

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the address of a socket file and its directory's descriptor, which lives as long as the context.

    A path too long for the name of a socket is reached through that descriptor; else the address is the path.

    Raises:
        OSError: the directory cannot be opened.
    """
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        short = len(os.fsencode(path)) <= ADDRESS_BYTES
        yield (str(path) if short else f"/proc/self/fd/{directory}/{path.name}"), directory
    finally:
        os.close(directory)


def _clear_away(path: Path, address: str) -> None:
    """Remove the socket file of a daemon that is dead.

    Raises:
        ConfigError: the daemon lives, or the file is no socket.
        OSError: it cannot be looked at or removed.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"control.path: {path}: is there and is no socket; choose another path")
    if _anybody_at(address):
        raise ConfigError(f"control.path: {path}: another daemon listens there; stop it first, or choose another path")
    path.unlink()


def _anybody_at(address: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            return False
        except BlockingIOError:
            return True  # it listens, and more wait than it has taken
    return True
