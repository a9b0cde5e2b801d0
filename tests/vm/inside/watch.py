"""Read every line of the simulated header again and again and write down what changed; a line of JSON each.

    python3 watch.py FILE       until it is told to end (SIGTERM)

The first line is the state at the beginning. Every 28 readings take some milliseconds: a change that was taken back
within them is not seen. Standard library only.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import FileIO

LINES = Path("/run/bench/lines")
COUNT = 28
PAUSE_S = 0.005


def main(out: Path) -> None:
    """Watch."""
    files = [(LINES / f"sim_gpio{number}" / "value").open("rb", buffering=0) for number in range(COUNT)]
    before: list[int] | None = None
    never = threading.Event()
    with out.open("w", encoding="ascii", buffering=1) as log:
        while True:
            now = [_read(file) for file in files]
            if now != before:
                log.write(json.dumps({"at_s": round(time.monotonic(), 4), "lines": now}) + "\n")
                before = now
            never.wait(PAUSE_S)


def _read(file: FileIO) -> int:
    file.seek(0)
    return int(file.read(2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
