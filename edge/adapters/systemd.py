"""What systemd hears of the loop, through the ``systemd-watchdog`` package. Floor 5.

Without ``NOTIFY_SOCKET`` (started by hand, under a test) everything here is quiet: there is nobody to tell. The
package's own rate limit (``ping``) is not used: it measures with the wall clock, and a clock set back would silence the
heartbeat until the watchdog kills a loop that is well. One datagram per tick costs nothing.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from systemd_watchdog import WatchDog

from edge.errors import HardwareError

if TYPE_CHECKING:
    from collections.abc import Iterator


class SystemdHeartbeat:
    """sd_notify(3) for one process; implements ``ports.Heartbeat``."""

    def __init__(self, address: str | None = None) -> None:
        """Talk to the socket at ``address``, or at ``NOTIFY_SOCKET`` when that is None.

        The socket never blocks: were systemd itself stuck, the loop must turn on and let the bolt rest.
        """
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._systemd = WatchDog(sock=self._socket, addr=address)

    @property
    def enabled(self) -> bool:
        """Whether there is a service manager to tell."""
        return bool(self._systemd.is_enabled)

    def ready(self) -> None:
        """Send ``READY=1``."""
        with _told():
            self._systemd.ready()

    def beat(self) -> None:
        """Send ``WATCHDOG=1``."""
        with _told():
            self._systemd.notify()

    def status(self, text: str) -> None:
        """Send ``STATUS=`` and the text, its line breaks made spaces: a new line would begin another variable."""
        with _told():
            self._systemd.status(" ".join(text.split()))

    def stopping(self) -> None:
        """Send ``STOPPING=1``; the package has no word for it, but a datagram may carry several variables."""
        with _told():
            self._systemd.status("stopping\nSTOPPING=1")

    def close(self) -> None:
        """Release the socket; may be called twice. Nothing can be told after it."""
        self._socket.close()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BlockingIOError:
        return  # systemd's queue is full: it is not reading, and if that lasts its watchdog ends this process
    except OSError as error:
        raise HardwareError(f"NOTIFY_SOCKET: the service manager cannot be told: {error}") from error
