"""A disk that fails on demand: the power goes at the n-th call, or calls fail with an errno.

It works in a real directory, without the waiting that real fsync costs. What a power cut does to names that were not
synced is up to the ``Fate``: file systems keep all of them, none, or those up to some point in their log.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from edge.files import DiskFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class PowerCut(BaseException):
    """The power went: no error of the program, and no handler of errors may catch it."""


class Fate(StrEnum):
    """What becomes of the names that were not synced when the power goes."""

    KEPT = "kept"
    HALF = "half"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of names that a power cut may undo. ``unsynced`` directories still have to be synced for it to last."""

    kind: str
    path: Path
    source: Path
    content: bytes
    unsynced: frozenset[Path]
    grave: Path | None = None


class FaultFiles(DiskFiles):
    """A disk without real fsync, of ``capacity_bytes``, that counts its calls and may be told to fail."""

    def __init__(self, root: Path, capacity_bytes: int = 10**9) -> None:
        """Work under ``root``; ``capacity_bytes`` less the files there is what is free."""
        self.root = root
        self.capacity_bytes = capacity_bytes
        self.calls = 0

    def called(self, *, changes: bool = True) -> None:
        """Count a call; the place to fail."""
        _ = changes
        self.calls += 1

    def write(self, path: Path, data: bytes) -> None:
        """Write; a call that fails leaves the first half of the data."""
        try:
            self.called()
        except OSError:
            if path.parent.is_dir():
                path.write_bytes(data[: len(data) // 2])
            raise
        path.write_bytes(data)

    def read(self, path: Path) -> bytes:
        """Read."""
        self.called(changes=False)
        return super().read(path)

    def make_directory(self, path: Path) -> None:
        """Make a directory."""
        self.called()
        super().make_directory(path)

    def rename(self, source: Path, target: Path) -> None:
        """Rename."""
        self.called()
        super().rename(source, target)

    def remove_file(self, path: Path) -> None:
        """Remove a file."""
        self.called()
        super().remove_file(path)

    def remove_directory(self, path: Path) -> None:
        """Remove a directory."""
        self.called()
        super().remove_directory(path)

    def sync_directory(self, path: Path) -> None:
        """Sync in name only."""
        self.called()
        super().names(path)  # which fails where the real call would

    def names(self, path: Path) -> tuple[str, ...]:
        """List."""
        self.called(changes=False)
        return super().names(path)

    def size_bytes(self, path: Path) -> int:
        """Measure."""
        self.called(changes=False)
        return super().size_bytes(path)

    def free_bytes(self, path: Path) -> int:
        """Return the capacity less what lies under the root."""
        self.called(changes=False)
        super().names(path)  # as above
        return self.capacity_bytes - sum(file.stat().st_size for file in self.root.rglob("*") if file.is_file())

    @contextmanager
    def locked(self, path: Path, wait_s: float) -> Iterator[None]:
        """Lock."""
        self.called()
        with super().locked(path, wait_s):
            yield


class ErrnoFiles(FaultFiles):
    """Fails with an errno at the ``fail_at``-th call, once or from there on; of all calls or of those that change."""

    def __init__(self, root: Path, fail_at: int, number: int, *, lasting: bool, reads_too: bool) -> None:
        """Fail at call ``fail_at``, counted from 1."""
        super().__init__(root)
        self._fail_at = fail_at
        self._number = number
        self._lasting = lasting
        self._reads_too = reads_too

    def mend(self) -> None:
        """Fail no more."""
        self._fail_at, self._lasting = 0, False

    def called(self, *, changes: bool = True) -> None:
        """Fail where it was asked for."""
        if changes or self._reads_too:
            super().called()
            if self.calls == self._fail_at or (self._lasting and self.calls > self._fail_at):
                raise OSError(self._number, os.strerror(self._number))


class CutFiles(FaultFiles):
    """Loses its power at the ``cut_at``-th call: a file being written is torn, unsynced names meet their fate."""

    def __init__(self, root: Path, cut_at: int, fate: Fate) -> None:
        """Cut at call ``cut_at``, counted from 1; every later call is cut too."""
        super().__init__(root)
        self._cut_at = cut_at
        self._fate = fate
        self._changes: list[_Change] = []

    def called(self, *, changes: bool = True) -> None:
        """Cut the power where it was asked for."""
        super().called(changes=changes)
        if self.calls == self._cut_at:
            self._lose()
        if self.calls >= self._cut_at:
            raise PowerCut

    def write(self, path: Path, data: bytes) -> None:
        """Write, torn when the power goes meanwhile."""
        if not path.exists():
            self._note("write", path)
        if self.calls + 1 == self._cut_at:
            path.write_bytes(data[: len(data) // 2])
        super().write(path, data)

    def make_directory(self, path: Path) -> None:
        """Make a directory that a cut may take back."""
        missing = not path.exists()
        super().make_directory(path)
        if missing:
            self._note("make", path)

    @contextmanager
    def locked(self, path: Path, wait_s: float) -> Iterator[None]:
        """Lock by a file whose name a cut may take back."""
        missing = not path.exists()
        with super().locked(path, wait_s):
            if missing:
                self._note("write", path)
            yield

    def rename(self, source: Path, target: Path) -> None:
        """Rename in a way that a cut may take back."""
        content = target.read_bytes() if target.is_file() else b""
        replaced = target.is_file()
        super().rename(source, target)
        grave = target.with_name(f".grave-{self.calls}")  # of a directory that had this name and was removed
        buried = [_moved(change, target, grave) for change in self._changes]
        self._changes = [_moved(change, source, target) for change in buried]
        parents = frozenset({source.parent, target.parent})
        self._changes.append(_Change("replace" if replaced else "rename", target, source, content, parents, grave))

    def remove_file(self, path: Path) -> None:
        """Remove a file that a cut may bring back."""
        content = path.read_bytes()
        super().remove_file(path)
        self._note("remove", path, content)

    def remove_directory(self, path: Path) -> None:
        """Remove a directory that a cut may bring back."""
        super().remove_directory(path)
        self._note("unmake", path)

    def sync_directory(self, path: Path) -> None:
        """Make the changes of a directory's names last."""
        super().sync_directory(path)
        rest = [replace(change, unsynced=change.unsynced - {path}) for change in self._changes]
        self._changes = [change for change in rest if change.unsynced]

    def _note(self, kind: str, path: Path, content: bytes = b"") -> None:
        self._changes.append(_Change(kind, path, path, content, frozenset({path.parent})))

    def _lose(self) -> None:
        kept = {Fate.KEPT: len(self._changes), Fate.HALF: len(self._changes) // 2, Fate.LOST: 0}[self._fate]
        while len(self._changes) > kept:
            change = self._changes.pop()
            _undo(change)
            if change.kind in ("rename", "replace"):
                self._changes = [_moved(entry, change.path, change.source) for entry in self._changes]
            if change.grave is not None:
                self._changes = [_moved(entry, change.grave, change.path) for entry in self._changes]


def _undo(change: _Change) -> None:
    if change.kind in ("rename", "replace"):
        change.path.rename(change.source)
    if change.kind == "make":
        shutil.rmtree(change.path)
    if change.kind == "unmake":
        change.path.mkdir()
    if change.kind == "write":
        change.path.unlink(missing_ok=True)
    if change.kind == "replace" or (change.kind == "remove" and change.path.parent.is_dir()):
        change.path.write_bytes(change.content)


def _moved(change: _Change, source: Path, target: Path) -> _Change:
    """Return the change as it reads after a directory it lies in was renamed."""

    def new(path: Path) -> Path:
        return target / path.relative_to(source) if path.is_relative_to(source) else path

    unsynced = frozenset(new(path) for path in change.unsynced)
    return replace(change, path=new(change.path), source=new(change.source), unsynced=unsynced)
