"""The slots' directory, and the order of operations that lets the power be cut at any of them. Part of floor 4.

On disk::

    slots.json         the pointer: which slot holds which bundle, by the hash of its manifest
    a/  b/             the bundles
    .new/              a bundle being written
    .a.old/  .b.old/   what a slot held before; it is there only while a bundle takes its place
    .lock              held by whoever changes anything

A bundle is written beside the slots, synced, read back and verified. Then the slot's old content steps aside, the new
one takes its place, and one rename changes the pointer. Until that rename lasts, the hash in the pointer is that of the
old content, and ``restore`` puts it back; from then on it is that of the new, and ``tidy`` removes what is left.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING

from edge.bundle import FILES, MANIFEST, MAX_MANIFEST_BYTES
from edge.codec import from_json, to_json
from edge.errors import InputError
from edge.files import remove_tree, replace
from edge.slots.words import FILLED, FORMAT, NOTHING_FILLED, SlotName, SlotRefusedError, SlotsState

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from edge.files import Files

POINTER = "slots.json"
LOCK = ".lock"
NEW = ".new"
MAX_POINTER_BYTES = 2**20
RESERVE_BYTES = 8 * 2**20
"""What an install leaves free: the journal's next rows matter more than the next model."""


class Shelf:
    """The directory. Every method raises OSError as the disk does, and may then be called again."""

    def __init__(self, directory: Path, files: Files) -> None:
        """Touch nothing yet."""
        self._directory = directory
        self._files = files

    def path(self, slot: SlotName) -> Path:
        """Return the directory of a slot that an update may fill."""
        return self._directory / slot.value

    def locked(self, wait_s: float) -> AbstractContextManager[None]:
        """Hold the lock of whoever changes anything; make the directory first where it is missing."""
        self._files.make_directory(self._directory)
        self._files.sync_directory(self._directory.parent)
        return self._files.locked(self._directory / LOCK, wait_s)

    def read(self) -> SlotsState:
        """Return the pointer; without one nothing is filled.

        Raises:
            InputError: it is damaged.
        """
        path = self._directory / POINTER
        try:
            size_bytes = self._files.size_bytes(path)
        except FileNotFoundError:
            return NOTHING_FILLED
        if size_bytes > MAX_POINTER_BYTES:
            raise InputError(f"{path}: {size_bytes} bytes are more than the {MAX_POINTER_BYTES} it may have")
        state = from_json(SlotsState, self._files.read(path), path)
        _check(state, path)
        return state

    def write(self, state: SlotsState) -> None:
        """Replace the pointer: the one moment at which anything changes."""
        replace(self._files, self._directory / POINTER, to_json(state))

    def restore(self, state: SlotsState) -> None:
        """Put back what stepped aside for a bundle that the pointer never came to name."""
        present = self._names()
        for record in state.records:
            slot, old = self.path(record.slot), self._old(record.slot)
            if old.name in present and self._sha256(slot) != record.sha256 == self._sha256(old):
                remove_tree(self._files, slot)
                self._files.rename(old, slot)
                self._files.sync_directory(self._directory)

    def tidy(self, state: SlotsState) -> None:
        """Remove what the pointer does not name."""
        named = {record.slot.value for record in state.records}
        ours = {NEW, *(slot.value for slot in FILLED), *(self._old(slot).name for slot in FILLED)}
        rubbish = sorted((ours - named) & set(self._names()))
        for name in rubbish:
            remove_tree(self._files, self._directory / name)
        if rubbish:
            self._files.sync_directory(self._directory)

    def stage(self, source: Path) -> Path:
        """Write a copy of a bundle beside the slots, and return where it lies once all of it is on the disk.

        Raises:
            SlotRefusedError: the disk has no room for it.
        """
        names = (*FILES, MANIFEST)
        needed = sum(self._files.size_bytes(source / name) for name in names) + RESERVE_BYTES
        free = self._files.free_bytes(self._directory)
        if needed > free:
            raise SlotRefusedError(f"{self._directory}: {needed} bytes are needed to install and {free} are free")
        staged = self._directory / NEW
        self._files.make_directory(staged)
        for name in names:
            self._files.write(staged / name, self._files.read(source / name))
        self._files.sync_directory(staged)
        self._files.sync_directory(self._directory)
        return staged

    def swap_in(self, slot: SlotName) -> None:
        """Let the staged bundle take a slot's place; what was there steps aside."""
        path = self.path(slot)
        if path.name in self._names():
            self._files.rename(path, self._old(slot))
        self._files.rename(self._directory / NEW, path)
        self._files.sync_directory(self._directory)

    def _old(self, slot: SlotName) -> Path:
        return self._directory / f".{slot.value}.old"

    def _names(self) -> tuple[str, ...]:
        return self._files.names(self._directory)

    def _sha256(self, directory: Path) -> str | None:
        """Return the hash of a bundle's manifest, None where there is none."""
        path = directory / MANIFEST
        try:
            if self._files.size_bytes(path) > MAX_MANIFEST_BYTES:
                return None
            return hashlib.sha256(self._files.read(path)).hexdigest()
        except (FileNotFoundError, NotADirectoryError):
            return None


def _check(state: SlotsState, path: Path) -> None:
    """Check what the types leave open: a pointer that was edited by hand must not lead to an empty slot."""
    if state.format != FORMAT:
        raise InputError(f"{path}: format {state.format} is not {FORMAT}, the one this version reads")
    slots = [record.slot for record in state.records]
    pointed = {state.champion, state.previous} - {None, SlotName.FACTORY}
    if len(slots) != len(set(slots)) or SlotName.FACTORY in slots or not pointed <= set(slots):
        raise InputError(f"{path}: records: must be one each for champion, previous and candidate, where filled")
    if state.champion == state.previous:
        raise InputError(f"{path}: previous: is the champion itself")
    if state.trial is not None and state.trial.slot != state.candidate:
        raise InputError(f"{path}: trial: slot {state.trial.slot} does not hold the candidate")
    numbers = [entry.sequence for entry in state.history]
    if any(later != earlier + 1 for earlier, later in pairwise(numbers)):
        raise InputError(f"{path}: history: must be numbered in order")
