"""The inbox: where a push lies until the update service has looked at it, and the words it comes with. Floor 3.

A request is one line of JSON and, for a push, exactly as many bytes as that line says: a plain tar of a TUF repository.
Nothing here is believed: names, counts and sizes are bounded, and the updater verifies every byte afterwards. What
arrives is written beside the inbox's files and put in place in the order that consistent snapshots are made for
(TUF specification 1.0, section 6.2): targets, versioned metadata, ``timestamp.json`` last. Before that last rename a
reader finds the old repository whole, after it the new one, whenever the power goes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge.answers import ANSWER
from edge.codec import from_json, to_json
from edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from edge.files import Files

    Entry = tuple[str, Callable[[], bytes]]
    """A file's name, and how its content is had once the name has been found good."""

FORMAT = 1
"""Of requests and replies."""

METADATA, TARGETS, TIMESTAMP = "metadata", "targets", "timestamp.json"
ARRIVING, LOCK = ".arriving", ".lock"
BOUND = "adopted_root"
"""In the directory of trust: the root as it was adopted. TUF's client replaces its own as keys are rotated."""

MAX_REQUEST_BYTES = 1024
MAX_WAIT_S = 600.0
MAX_STREAM_BYTES = 48_000_000
"""A bundle's five files of 16 MB at most would be more; what ships has less than one, and the Pi's card is slow."""
MAX_FILES = 300
"""Two hundred and fifty-six roots, which is how many rotations a TUF client follows, and what is beside them."""
RESERVE_BYTES = 64_000_000
"""What a push leaves free for journal and spool."""
UMASK = 0o007
"""Of whoever fills the inbox: two accounts do, the push account and the link's, and each clears up after the other."""

_BLOCK = 512
_NAME = re.compile(
    r"metadata/(timestamp|[1-9][0-9]{0,8}\.(root|targets|snapshot))\.json|targets/[0-9a-f]{64}\.[a-z0-9][a-z0-9._+-]{0,90}\.tar"
)


class Act(StrEnum):
    """What a request asks for."""

    STATUS = "status"
    PUSH = "push"


class Said(StrEnum):
    """What the flap says to a request."""

    STANDING = "standing"
    ACCEPTED = "accepted"
    ON_TRIAL = "on_trial"
    REFUSED = "refused"
    SILENT = "silent"
    BUSY = "busy"
    NOT_TAKEN = "not_taken"


@dataclass(frozen=True, slots=True)
class Request:
    """The first line. ``bytes`` follow it; ``wait_s`` is how long to wait for the update service's answer."""

    format: int
    act: Act
    bytes: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class Held:
    """What a slot holds: ``sha256`` is of its manifest."""

    slot: str
    model_id: str
    version: str
    sha256: str
    since: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a flap stands: the fingerprint of the root it was bound to, and what is in its slots.

    A champion of None is the factory's bundle. ``thrown_out`` is the last that was, and ``why`` says when and why.
    """

    root: str
    champion: Held | None
    trial: Held | None
    previous: Held | None
    thrown_out: Held | None
    why: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The last line of the flap's output."""

    said: Said
    why: str
    standing: Standing | None = None


class Stream(Protocol):
    """Where bytes come from, such as ``sys.stdin.buffer``."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""


def fingerprint(root: bytes) -> str:
    """Return what people compare of a ``root.json``: 128 bits of its SHA-256, in groups of four digits."""
    digits = hashlib.sha256(root).hexdigest()[:32]
    return " ".join(digits[i : i + 4] for i in range(0, 32, 4))


def bound_to(trust: Path) -> str:
    """Return the fingerprint of the root that this flap was bound to; empty where it was not, or none may know."""
    try:
        return fingerprint((trust / BOUND).read_bytes())
    except OSError:
        return ""


def request_line(request: Request) -> bytes:
    """Return the first line of what is sent to the flap."""
    return to_json(request) + b"\n"


def read_request(stream: Stream) -> Request:
    """Read the first line.

    Raises:
        InputError: it is not a request, or asks for more than is allowed.
    """
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = stream.read(1)
        if not byte or len(line) >= MAX_REQUEST_BYTES:
            raise InputError(f"the request: is not one line of at most {MAX_REQUEST_BYTES} bytes")
        line += byte
    request = from_json(Request, bytes(line), Path("the request"))
    _require(request.format == FORMAT, f"the request: format: {request.format} is not {FORMAT}")
    _require(
        0 <= request.bytes <= MAX_STREAM_BYTES, f"the request: bytes: {request.bytes} is not 0 to {MAX_STREAM_BYTES}"
    )
    _require(0 <= request.wait_s <= MAX_WAIT_S, f"the request: wait_s: {request.wait_s:g} is not 0 to {MAX_WAIT_S:g}")
    return request


class Inbox:
    """The inbox directory. One process at a time fills it: see `held`."""

    def __init__(self, directory: Path, files: Files) -> None:
        """Take ``directory``, made if need be, on the disk ``files``."""
        self.directory = directory
        self._files = files

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the inbox, or yield False where another process does. The kernel lets go of it when a process dies.

        Raises:
            OSError: the directory cannot be written.
        """
        self._made(self.directory)
        handle = os.open(self.directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660)
        try:
            yield _locked(handle)
        finally:
            os.close(handle)

    def take(self, stream: Stream, length: int) -> int:
        """Take ``length`` bytes of tar; the caller holds the inbox. What is not taken whole leaves it as it was.

        Return the version that the new timestamp says it has; nobody has verified it.

        Raises:
            InputError: the stream is not what a push may be, ended early, or there is no room for it.
            OSError: the disk failed; the inbox is the old one or the new one.
        """
        return self.fill(_entries(_Counted(stream, length)), length)

    def fill(self, entries: Iterable[Entry], length: int) -> int:
        """Take a repository file by file, ``length`` bytes in all or fewer; the caller holds the inbox.

        Nothing is asked for under a name that is none of a repository's. Whatever an entry raises passes, and leaves
        the inbox as it was. Return the version that the new timestamp says it has; nobody has verified it.

        Raises:
            InputError: the files are not what a push may be, or there is no room for them.
            OSError: the disk failed; the inbox is the old one or the new one.
        """
        free = self._files.free_bytes(self.directory)
        _require(
            free >= 2 * length + RESERVE_BYTES, f"the disk has {free // 10**6} MB left; too little to take a push in"
        )
        self._clear_arriving()
        try:
            names = self._arrive(entries)
            version = version_of(self._files.read(self.directory / ARRIVING / METADATA / TIMESTAMP))
        except BaseException:
            self._clear_arriving()
            raise
        self._put_in_place(names)
        return version

    def timestamp(self) -> bytes | None:
        """Return the timestamp that lies here, or None where there is none."""
        try:
            return self._files.read(self.directory / METADATA / TIMESTAMP)
        except FileNotFoundError:
            return None

    def answer(self) -> bytes | None:
        """Return what the update service answered to what lies here, or None where it has not yet."""
        try:
            return self._files.read(self.directory / ANSWER)
        except FileNotFoundError:
            return None

    def _arrive(self, entries: Iterable[Entry]) -> tuple[str, ...]:
        arriving = self.directory / ARRIVING
        for part in (METADATA, TARGETS):
            self._files.make_directory(arriving / part)
        names: list[str] = []
        for name, content in entries:
            _require(_NAME.fullmatch(name) is not None, f"the push: {name[:80]!r}: is no name of a repository's file")
            _require(name not in names, f"the push: {name}: comes twice")
            _require(len(names) < MAX_FILES, f"the push: has more than {MAX_FILES} files")
            self._files.write(arriving / name, content())
            names.append(name)
        _require(f"{METADATA}/{TIMESTAMP}" in names, f"the push: has no {METADATA}/{TIMESTAMP}")
        return tuple(names)

    def _put_in_place(self, names: tuple[str, ...]) -> None:
        files, here = self._files, self.directory
        for part in (METADATA, TARGETS):
            self._made(here / part)
        if ANSWER in files.names(here):
            files.remove_file(here / ANSWER)  # it was about the push before
            files.sync_directory(here)
        commit = f"{METADATA}/{TIMESTAMP}"
        for name in names:
            if name != commit:
                files.rename(here / ARRIVING / name, here / name)
        for part in (TARGETS, METADATA):
            self._sync(part)
        files.rename(here / ARRIVING / commit, here / commit)
        self._sync(METADATA)
        self._clear_arriving()
        for part in (METADATA, TARGETS):
            for name in files.names(here / part):
                if f"{part}/{name}" not in names:
                    files.remove_file(here / part / name)

    def _made(self, directory: Path) -> None:
        """Make a directory that is missing, so that it lasts. One that is there may lie where we may only pass."""
        try:
            self._files.names(directory)
        except FileNotFoundError:
            self._files.make_directory(directory)
            self._files.sync_directory(directory.parent)

    def _sync(self, part: str) -> None:
        """Let what was renamed last: a name is sure to have moved once both directories are on the disk (fsync(2))."""
        self._files.sync_directory(self.directory / part)
        self._files.sync_directory(self.directory / ARRIVING / part)

    def _clear_arriving(self) -> None:
        arriving = self.directory / ARRIVING
        if ARRIVING not in self._files.names(self.directory):
            return
        for part in self._files.names(arriving):
            for name in self._files.names(arriving / part):
                self._files.remove_file(arriving / part / name)
            self._files.remove_directory(arriving / part)
        self._files.remove_directory(arriving)


class _Counted:
    """A stream that must hold exactly so many bytes."""

    def __init__(self, stream: Stream, length: int) -> None:
        self._stream = stream
        self._length = length
        self.left = length

    def exactly(self, size: int) -> bytes:
        _require(size <= self.left, f"the push: a file in it goes beyond its {self._length} bytes")
        found = bytearray()
        while len(found) < size:
            some = self._stream.read(size - len(found))
            _require(
                bool(some), f"the push: ended after {self._length - self.left + len(found)} of {self._length} bytes"
            )
            found += some
        self.left -= size
        return bytes(found)


def _entries(stream: _Counted) -> Iterator[Entry]:
    """Yield each file; the caller reads it before the next. Only plain headers: no extension is ever followed."""
    while stream.left:
        block = stream.exactly(min(_BLOCK, stream.left))
        if not any(block):
            _require(not any(stream.exactly(stream.left)), "the push: has data after its end")
            return
        name, size = _header(block)
        yield name, partial(_padded, stream, size)


def _padded(stream: _Counted, size: int) -> bytes:
    data = stream.exactly(size)
    stream.exactly(-size % _BLOCK)
    return data


def _header(block: bytes) -> tuple[str, int]:
    try:
        info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise InputError(f"the push: is not a plain tar: {error}") from error
    _require(info.type == tarfile.REGTYPE, f"the push: {info.name[:80]!r}: is not a plain file")
    _require(info.size >= 0, f"the push: {info.name}: has no size")
    return info.name, info.size


def version_of(timestamp: bytes) -> int:
    """Return the version that a timestamp says it has.

    Raises:
        InputError: it says none.
    """
    try:
        version = json.loads(timestamp)["signed"]["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"the push: {METADATA}/{TIMESTAMP}: has no version") from error
    _require(type(version) is int, f"the push: {METADATA}/{TIMESTAMP}: its version is no whole number")
    return int(version)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InputError(otherwise)
