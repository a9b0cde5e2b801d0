"""The book of flaps: which are bound to this owner's root, and what was last pushed to each."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import TYPE_CHECKING

from edge.codec import from_json, to_json
from edge.errors import InputError
from edge.files import DiskFiles, replace

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Flap:
    """One flap: the manifest hash and model id last pushed, what it said, and when; empty before the first push."""

    host: str
    adopted: str
    pushed: str = ""
    model_id: str = ""
    said: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class _Book:
    format: int
    flaps: tuple[Flap, ...]


class Flaps:
    """The book, in one file; several threads of one process may write in it."""

    def __init__(self, path: Path) -> None:
        """Read it.

        Raises:
            InputError: it is damaged.
        """
        self._path = path
        self._lock = threading.Lock()
        self._flaps = {flap.host: flap for flap in self._read()}

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host in it."""
        return tuple(self._flaps)

    def get(self, host: str) -> Flap | None:
        """Return one flap, None where it was not adopted from here."""
        return self._flaps.get(host)

    def put(self, flap: Flap) -> None:
        """Write one flap down.

        Raises:
            InputError: the file cannot be written.
        """
        with self._lock:
            # Another process may have written since: only this flap's entry is ours.
            self._flaps = {**{other.host: other for other in self._read()}, flap.host: flap}
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                replace(DiskFiles(), self._path, to_json(_Book(FORMAT, tuple(self._flaps.values()))))
            except OSError as error:
                raise InputError(f"{self._path}: {error.strerror}") from error

    def note(self, host: str, **news: str) -> None:
        """Write down what is new of a flap."""
        self.put(changed(self._flaps.get(host) or Flap(host, ""), **news))

    def _read(self) -> tuple[Flap, ...]:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise InputError(f"{self._path}: {error.strerror}") from error
        return from_json(_Book, data, self._path).flaps
