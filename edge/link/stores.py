"""Plain stores that a TUF repository is read from: a directory, and a web server over TLS.

A store needs no trust: what comes out of it is verified by the update service. What is bounded here is what it can
cost: the length of a file, and the time for all that is asked in one round, whatever the store does to draw it out.
"""

from __future__ import annotations

import http.client
import io
import os
import ssl
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from edge.errors import CatflapError, ConfigError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

SILENCE_S = 10.0
"""A server that says nothing for this long is hung up on."""
PIECE_BYTES = 65_536
CREDENTIALS, ACCESS = "CREDENTIALS_DIRECTORY", "models_access"
"""Where systemd puts a unit's credentials (systemd.exec(5), ``LoadCredential=``), and the name of ours."""
MAX_ACCESS_CHARACTERS = 4096

_ABSENT = frozenset({http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE, http.HTTPStatus.FORBIDDEN})
"""S3 says 403 for what is not there to whoever may not list (GetObject, "Permissions"); python-tuf takes it so too."""


class StoreError(CatflapError):
    """The store's keeper must act, or the network's: it cannot be reached, or what it gives fits no repository."""


class Store(Protocol):
    """Where files are read by name."""

    @property
    def shown(self) -> str:
        """Its address, as it may be logged."""

    def read(self, name: str, most_bytes: int, limit: Limit) -> bytes | None:
        """Return a file's content, None where there is no such file.

        Raises:
            StoreError: it cannot be had, is longer than ``most_bytes``, or not here within the limit.
        """


@dataclass(frozen=True, slots=True)
class Limit:
    """Until when a round may last, and who is told that it goes on."""

    patience_s: float
    alive: Callable[[], None]
    monotonic_s: Callable[[], float] = time.monotonic
    end_s: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin."""
        object.__setattr__(self, "end_s", self.monotonic_s() + self.patience_s)

    def left_s(self) -> float:
        """Return the seconds that are left, and say that the process is alive.

        Raises:
            TimeoutError: none are.
        """
        left_s = self.end_s - self.monotonic_s()
        if left_s <= 0:
            raise TimeoutError(f"was not all here within {self.patience_s:g} s")
        self.alive()
        return left_s


@dataclass(frozen=True, slots=True)
class Access:
    """What lets the flap read, shown in no message: a query behind each address, or the header ``Authorization``."""

    query: str = field(default="", repr=False)
    authorization: str = field(default="", repr=False)


def access_from(environment: Mapping[str, str]) -> Access:
    """Read the credential, where systemd gave one; a text that begins with ``?`` is a query.

    Raises:
        ConfigError: it is not one line of printable ASCII.
    """
    directory = environment.get(CREDENTIALS, "")
    path = Path(directory) / ACCESS
    if not directory or not path.exists():
        return Access()
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"credential {ACCESS}: cannot be read") from error  # the error's text may hold some of it
    if not text.isprintable() or not 0 < len(text) <= MAX_ACCESS_CHARACTERS or (text[0] == "?" and " " in text):
        raise ConfigError(f"credential {ACCESS}: is not one line of 1 to {MAX_ACCESS_CHARACTERS} printable characters")
    return Access(query=text) if text.startswith("?") else Access(authorization=text)


def open_store(address: str, access: Access) -> Store:
    """Return the store at an address that the configuration has checked."""
    parts = urlsplit(address)
    return FolderStore(Path(unquote(parts.path))) if parts.scheme == "file" else HttpsStore(address, access)


class FolderStore:
    """A directory, such as a mounted share."""

    def __init__(self, directory: Path) -> None:
        """Touch nothing yet."""
        self._directory = directory

    @property
    def shown(self) -> str:
        """The directory."""
        return f"file:{self._directory}"

    def read(self, name: str, most_bytes: int, limit: Limit) -> bytes | None:
        """Read a plain file; a pipe or a device would never end."""
        try:
            handle = os.open(self._directory / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            if not self._directory.is_dir():
                raise StoreError(f"{self.shown}: there is no such directory; is it mounted?") from None
            return None
        except OSError as error:
            raise StoreError(f"{self.shown}: {name}: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise StoreError(f"{self.shown}: {name}: is not a plain file")
        with os.fdopen(handle, "rb") as file:
            return _read(file.read, most_bytes, limit, f"{self.shown}: {name}")


class HttpsStore:
    """A folder on a web server whose certificate the system believes. No redirection is followed, no proxy asked."""

    def __init__(self, address: str, access: Access, context: ssl.SSLContext | None = None) -> None:
        """Take the folder's address; ``context`` says which servers are believed, as the system does by default."""
        self._parts = urlsplit(address)
        self._access = access
        self._context = context or ssl.create_default_context()

    @property
    def shown(self) -> str:
        """The address; a permission is no part of it."""
        return f"https://{self._parts.netloc}{self._parts.path.rstrip('/')}"

    def read(self, name: str, most_bytes: int, limit: Limit) -> bytes | None:
        """GET a file."""
        where = f"{self.shown}: {name}"
        connection = _Connection(self._parts.netloc, self._context, limit)
        try:
            return self._get(connection, name, most_bytes, where)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise StoreError(f"{where}: {_said(error)}") from error
        finally:
            connection.hang_up()

    def _get(self, connection: _Connection, name: str, most_bytes: int, where: str) -> bytes | None:
        path = f"{self._parts.path.rstrip('/')}/{quote(name)}{self._access.query}"
        connection.request("GET", path, headers=self._headers())
        answer = connection.getresponse()
        if answer.status in _ABSENT:
            return None
        if answer.status != http.HTTPStatus.OK:
            raise StoreError(f"{where}: the server answers {answer.status} {answer.reason!r:.40}")
        data = _read(answer.read1, most_bytes, connection.limit, where)
        if answer.length:
            raise StoreError(f"{where}: ended {answer.length} bytes early")
        return data

    def _headers(self) -> dict[str, str]:
        headers = {"Cache-Control": "no-cache", "User-Agent": "catflap"}
        return {**headers, "Authorization": self._access.authorization} if self._access.authorization else headers


class _Connection(http.client.HTTPSConnection):
    """One connection of which every read ends with the round: http.client alone would read headers for ever."""

    def __init__(self, host: str, context: ssl.SSLContext, limit: Limit) -> None:
        super().__init__(host, timeout=SILENCE_S, context=context)
        self.limit = limit
        self._inner: socket.socket | None = None

    def connect(self) -> None:
        self.timeout = min(SILENCE_S, self.limit.left_s())
        super().connect()
        self._inner = self.sock
        self.sock: Any = _Bounded(self._inner, self.limit)

    def hang_up(self) -> None:
        self.close()
        if self._inner is not None:
            self._inner.close()


@dataclass(frozen=True, slots=True)
class _Bounded:
    """What http.client uses of a socket, each wait no longer than what is left of the round."""

    inner: socket.socket
    limit: Limit

    def sendall(self, data: bytes) -> None:
        self.inner.settimeout(min(SILENCE_S, self.limit.left_s()))
        self.inner.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reads(self.inner, self.limit))

    def close(self) -> None:
        """Leave it open: http.client closes while the answer is still to be read; ``hang_up`` is what closes."""


class _Reads(io.RawIOBase):
    def __init__(self, inner: socket.socket, limit: Limit) -> None:
        self._inner = inner
        self._limit = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - as typeshed has it
        self._inner.settimeout(min(SILENCE_S, self._limit.left_s()))
        return self._inner.recv_into(buffer)


def _read(read: Callable[[int], bytes], most_bytes: int, limit: Limit, where: str) -> bytes:
    """Read to the end, or to the byte that is one too many."""
    found = bytearray()
    try:
        while piece := read(min(PIECE_BYTES, most_bytes + 1 - len(found))):
            found += piece
            if len(found) > most_bytes:
                raise StoreError(f"{where}: is longer than {most_bytes} bytes")
            limit.left_s()
    except OSError as error:
        raise StoreError(f"{where}: {_said(error)}") from error
    return bytes(found)


def _said(error: Exception) -> str:
    """Return what an error says, never the address that was asked for: it may hold a permission."""
    if isinstance(error, http.client.InvalidURL | ValueError) and not isinstance(error, OSError):
        return "the address or its permission holds a character that no address may"
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200] or type(error).__name__
