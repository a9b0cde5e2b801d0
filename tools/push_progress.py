"""A bar on standard error, for people."""

from __future__ import annotations

import sys
import threading
from typing import TextIO

WIDTH = 30


class Bar:
    """How much of all bytes is on its way. Silent where standard error is no terminal. Safe for threads."""

    def __init__(self, total_bytes: int, stream: TextIO | None = None) -> None:
        """Show an empty bar."""
        self._stream = sys.stderr if stream is None else stream
        self._total_bytes = max(total_bytes, 1)
        self._sent_bytes = 0
        self._lock = threading.Lock()
        self._shows = self._stream.isatty()

    def sent(self, more_bytes: int) -> None:
        """Move on."""
        with self._lock:
            self._sent_bytes = min(self._sent_bytes + more_bytes, self._total_bytes)
            self._show()

    def close(self) -> None:
        """Make room for what comes after it."""
        if self._shows:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _show(self) -> None:
        if not self._shows:
            return
        share = self._sent_bytes / self._total_bytes
        full = int(share * WIDTH)
        sizes = f"{self._sent_bytes / 1e6:.1f} of {self._total_bytes / 1e6:.1f} MB"
        self._stream.write(f"\r[{'#' * full}{'.' * (WIDTH - full)}] {share:4.0%}  {sizes}")
        self._stream.flush()
