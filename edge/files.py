"""The few disk operations a durable store is made of, as a port, and the real disk behind it. Floor 1.

Small on purpose: a test that cuts the power at every one of these calls has cut it at every write there is.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

LOCK_POLL_S = 0.02


class Files(Protocol):
    """A disk. Every method raises OSError as the system call does."""

    def write(self, path: Path, data: bytes) -> None:
        """Write a whole file and return when its content is on the disk; its *name* needs ``sync_directory``."""

    def read(self, path: Path) -> bytes:
        """Return a file's content."""

    def make_directory(self, path: Path) -> None:
        """Create a directory and its parents; one that is already there is left as it is."""

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file or a directory in one step; durable after ``sync_directory`` of both parents."""

    def remove_file(self, path: Path) -> None:
        """Remove a file."""

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""

    def sync_directory(self, path: Path) -> None:
        """Return when the names in a directory are on the disk."""

    def names(self, path: Path) -> tuple[str, ...]:
        """Return the names in a directory, sorted."""

    def size_bytes(self, path: Path) -> int:
        """Return a file's length."""

    def free_bytes(self, path: Path) -> int:
        """Return how much of the file system that holds ``path`` may still be written without special rights."""

    def locked(self, path: Path, wait_s: float) -> AbstractContextManager[None]:
        """Hold a lock between processes, kept in the file ``path``; it ends with the process that holds it.

        BlockingIOError is the OSError of a lock that somebody else still holds after ``wait_s``.
        """


class DiskFiles:
    """The real disk."""

    def write(self, path: Path, data: bytes) -> None:
        """Write and fsync through one descriptor: a later one may not be told of a failed write-back."""
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def read(self, path: Path) -> bytes:
        """Return a file's content."""
        return path.read_bytes()

    def make_directory(self, path: Path) -> None:
        """Create a directory and its parents."""
        path.mkdir(parents=True, exist_ok=True)

    def rename(self, source: Path, target: Path) -> None:
        """Rename in one step."""
        source.rename(target)

    def remove_file(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        path.rmdir()

    def sync_directory(self, path: Path) -> None:
        """Fsync the directory itself, as fsync(2) asks for."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def names(self, path: Path) -> tuple[str, ...]:
        """Return the names in a directory, sorted."""
        return tuple(sorted(os.listdir(path)))  # noqa: PTH208 - names are wanted, not paths

    def size_bytes(self, path: Path) -> int:
        """Return a file's length."""
        return path.stat().st_size

    def free_bytes(self, path: Path) -> int:
        """Return the free bytes of the file system; ``f_bavail`` leaves root's reserve out."""
        state = os.statvfs(path)
        return state.f_bavail * state.f_frsize

    @contextmanager
    def locked(self, path: Path, wait_s: float) -> Iterator[None]:
        """Hold flock(2) on the file, which is made where it is missing and never removed."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660)
        try:
            _lock(descriptor, time.monotonic() + wait_s)
            yield
        finally:
            os.close(descriptor)


def _lock(descriptor: int, until_s: float) -> None:
    # flock knows no time limit but a signal's, which a library may not take for itself.
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until_s:
                raise
            time.sleep(LOCK_POLL_S)
        else:
            return


def replace(files: Files, path: Path, data: bytes) -> None:
    """Replace a small file as a whole: whoever reads it sees the old content or the new, never a part.

    Raises:
        OSError: it could not be done; the old content stands.
    """
    temporary = path.with_name(f".{path.name}.new")
    files.write(temporary, data)
    files.rename(temporary, path)
    files.sync_directory(path.parent)


def empty(files: Files, directory: Path) -> None:
    """Remove the files in a directory (one level: a record has no more).

    Raises:
        OSError: it could not be done; some of them may be gone.
    """
    for name in files.names(directory):
        files.remove_file(directory / name)


def remove_tree(files: Files, directory: Path) -> None:
    """Remove a directory of files (one level: a bundle has no more); one that is not there is gone already.

    Raises:
        OSError: it could not be done; some of the files may be gone.
    """
    try:
        empty(files, directory)
    except FileNotFoundError:
        return
    files.remove_directory(directory)
