"""The few disk operations a durable store is made of, as a port, and the real disk behind it. Floor 1.

Small on purpose: a test that cuts the power at every one of these calls has cut it at every write there is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


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
