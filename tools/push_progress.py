"""What a push shows on standard error: a bar for people, one line a stage for a log."""

from __future__ import annotations

import sys
import threading
import time
from typing import TextIO

WIDTH = 30


class Bar:
    """How much of all bytes is on its way, and how many flaps have answered. Safe for threads.

    Where the stream is no terminal there is no bar, but one line when all is done.
    """

    def __init__(self, title: str, flaps: int, bytes_each: int, stream: TextIO | None = None) -> None:
        """Show an empty bar of a push of ``bytes_each`` to ``flaps``."""
        self._title = title
        self._stream = sys.stderr if stream is None else stream
        self._flaps = flaps
        self._answered = 0
        self._total_bytes = max(bytes_each * flaps, 1)
        self._sent_bytes = 0
        self._begin_s = time.monotonic()
        self._lock = threading.Lock()
        self._shows = self._stream.isatty()
        self._show()

    def sent(self, more_bytes: int) -> None:
        """Move on."""
        with self._lock:
            self._sent_bytes = min(self._sent_bytes + more_bytes, self._total_bytes)
            self._show()

    def answered(self) -> None:
        """Count a flap that is done, whatever came of it."""
        with self._lock:
            self._answered += 1
            self._show()

    def close(self) -> None:
        """Make room for what comes after it."""
        took_s = time.monotonic() - self._begin_s
        self._stream.write("\r\x1b[K" if self._shows else f"{self._title}: {self._told()} after {took_s:.1f} s\n")
        self._stream.flush()

    def _told(self) -> str:
        sizes = f"{self._sent_bytes / 1e6:.1f} of {self._total_bytes / 1e6:.1f} MB"
        return f"{sizes}, {self._answered} of {self._flaps} flaps done"

    def _show(self) -> None:
        if not self._shows:
            return
        share = self._sent_bytes / self._total_bytes
        full = int(share * WIDTH)
        self._stream.write(f"\r{self._title} [{'#' * full}{'.' * (WIDTH - full)}] {share:4.0%}  {self._told()}\x1b[K")
        self._stream.flush()
