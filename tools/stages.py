"""Long work in stages that survive an interruption: what is finished is kept in a folder, and taken from there."""

from __future__ import annotations

import json
import shutil
import sys
import time
from typing import TYPE_CHECKING

from dataset import DataSetError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SETTINGS = "settings.json"
_SAY_EVERY_S = 30.0


class Progress:
    """Says how far all the work is and how long it will take, every half minute.

    Work is counted in units of its expected cost, so that a picture for a teacher weighs more than one for a student.
    """

    def __init__(self, cost_s: float) -> None:
        """Start the clock; ``cost_s`` is what everything is expected to take."""
        self._started_s = self._said_s = time.monotonic()
        self._all_s, self._done_s = cost_s, 0.0

    def say(self, text: str) -> None:
        """Print a line with the minutes so far."""
        print(f"[{(time.monotonic() - self._started_s) / 60:5.1f} min] {text}", file=sys.stderr, flush=True)

    def skip(self, cost_s: float) -> None:
        """Leave out work that was done before."""
        self._all_s -= cost_s

    def counter(self, cost_s: float) -> Callable[[int, float], None]:
        """Return what counts pictures that cost this much each, and says their loss now and then."""

        def shown(pictures: int, loss: float) -> None:
            self._done_s += pictures * cost_s
            now_s = time.monotonic()
            if now_s - self._said_s >= _SAY_EVERY_S:
                self._said_s = now_s
                pace = (now_s - self._started_s) / max(self._done_s, 1e-9)
                left_min = max(self._all_s - self._done_s, 0.0) * pace / 60
                about = "" if loss != loss else f"loss {loss:.2f}, "  # noqa: PLR0124 - nan: nothing was learnt
                self.say(f"  {about}{self.share_done:.0%}, about {left_min:.0f} min left")

        return shown

    @property
    def share_done(self) -> float:
        """How much of the work is done, 0..1, by its expected cost."""
        return self._done_s / max(self._all_s, 1e-9)


class Workshop:
    """A folder in which finished stages lie; those of other settings or pictures are never mixed with these."""

    def __init__(self, folder: Path, settings: dict[str, object], *, resume: bool) -> None:
        """Open or make the folder.

        Raises:
            DataSetError: there is something in it and ``resume`` was not said, or it belongs to other settings.
        """
        self._folder = folder
        text = json.dumps(settings, indent=1, sort_keys=True, default=str)
        path = folder / SETTINGS
        if path.exists() and resume:
            _refuse_other(path, text)
        elif path.exists():
            raise DataSetError(f"{folder}: holds unfinished work; say --resume to go on, or remove it")
        elif folder.exists() and any(folder.iterdir()):
            raise DataSetError(f"{folder}: is not empty and holds no work of this tool; name another --work")
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def path(self, name: str) -> Path:
        """Return where a stage keeps its result."""
        return self._folder / name

    def done(self, name: str) -> bool:
        """Return whether a stage was finished before."""
        return self.path(name).exists()

    def put(self, name: str, write: Callable[[Path], None]) -> None:
        """Let ``write`` write a result; it is there whole or not at all."""
        fresh = self._folder / f".{name}"  # the ending stays: some writers go by it
        if fresh.is_dir():
            shutil.rmtree(fresh)
        write(fresh)
        fresh.replace(self.path(name))


def _refuse_other(path: Path, text: str) -> None:
    before, now = json.loads(path.read_text(encoding="utf-8")), json.loads(text)
    other = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if other:
        was = ", ".join(f"{name} was {before.get(name)}, is {now.get(name)}" for name in other)
        raise DataSetError(f"{path.parent}: was begun otherwise ({was}); begin anew in another --work")
