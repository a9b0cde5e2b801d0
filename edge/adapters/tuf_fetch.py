"""Where a TUF client takes its files from: a directory, or HTTP for whoever tests the client from outside. Floor 5.

Imported by catflap-update and tools only. The device's own fetcher knows no network: it reads the inbox, into which
somebody may have put anything. Addresses are paths relative to the directory, such as ``metadata/1.root.json``.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient import FetcherInterface
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHUNK_BYTES = 65_536
_NOT_FOUND = 404
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class DirectoryFetcher(FetcherInterface):
    """Files of one directory, never of a place outside it: no link is followed, nothing but a plain file is read."""

    def __init__(self, directory: Path) -> None:
        """Read below ``directory``."""
        self._directory = directory

    def _fetch(self, url: str) -> Iterator[bytes]:
        """Return a file in pieces; how many are taken is bounded by the caller, from what was signed.

        Raises:
            DownloadHTTPError: status 404, there is no such file: how TUF asks whether there is a newer root.
            DownloadError: the name leads out of the directory, or to something that is no plain file.
        """
        parts = url.split("/")
        if any(part in ("", ".", "..") or not part.isprintable() for part in parts):
            raise DownloadError(f"{url!r}: is not a plain path below the inbox")
        try:
            return _pieces(self._open(parts))
        except FileNotFoundError as error:
            raise DownloadHTTPError(f"{url}: is not in the inbox", _NOT_FOUND) from error
        except OSError as error:
            raise DownloadError(f"{url}: must be a plain file that can be read: {error.strerror}") from error

    def _open(self, parts: list[str]) -> int:
        """Open component by component, so that no directory on the way can be a link either."""
        here = os.open(self._directory, _FLAGS | os.O_DIRECTORY)
        for part in parts[:-1]:
            try:
                there = os.open(part, _FLAGS | os.O_DIRECTORY, dir_fd=here)
            finally:
                os.close(here)
            here = there
        try:
            handle = os.open(parts[-1], _FLAGS | os.O_NONBLOCK, dir_fd=here)
        finally:
            os.close(here)
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            os.close(handle)
            raise DownloadError(f"{'/'.join(parts)}: must be a plain file with one name")
        return handle


def _pieces(handle: int) -> Iterator[bytes]:
    with open(handle, "rb") as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece


class HttpFetcher(FetcherInterface):
    """python-tuf's own HTTP client with a limit for the whole of a file; for ``tests/tuf_client`` only.

    A server that sends a byte now and then keeps every single read in time (the specification's "slow retrieval").
    """

    def __init__(self, limit_s: float, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Give up a file after ``limit_s`` seconds."""
        self._limit_s = limit_s
        self._monotonic_s = monotonic_s
        self._inner = Urllib3Fetcher(socket_timeout=max(1, int(limit_s)), chunk_size=CHUNK_BYTES)

    def _fetch(self, url: str) -> Iterator[bytes]:
        """Return a file in pieces.

        Raises:
            DownloadHTTPError: the server answered with an error.
            SlowRetrievalError: while reading, the file is not there in time.
        """
        end_s = self._monotonic_s() + self._limit_s
        return self._in_time(self._inner.fetch(url), url, end_s)

    def _in_time(self, pieces: Iterator[bytes], url: str, end_s: float) -> Iterator[bytes]:
        for piece in pieces:
            if self._monotonic_s() > end_s:
                raise SlowRetrievalError(f"{url}: not whole after {self._limit_s:g} s")
            yield piece
