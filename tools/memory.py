"""Keep what the memory allocator has: for tools that train."""

from __future__ import annotations

import os
import sys

_KEPT = {
    "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 32),
    "MALLOC_TOP_PAD_": str(1 << 27),
}


def start_again_holding_on() -> None:
    """Start this program again, once: glibc is to keep large blocks.

    It hands them back after every step and faults them in again: twice as slow on big activations.
    """
    if not _KEPT.keys() & os.environ.keys():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **_KEPT})  # noqa: S606 - itself, once
