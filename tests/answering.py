"""A daemon's end of the control socket, which answers as it was told."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

from stand_ins import PATIENCE_S

from edge.adapters.control_lines import command_of

if TYPE_CHECKING:
    from pathlib import Path

    from edge.messages import Command


class AnsweringDaemon:
    """Takes one connection and one line, and answers with the bytes it was given."""

    def __init__(self, path: Path) -> None:
        """Listen."""
        self.path = path
        self.heard: list[Command] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(PATIENCE_S)
        self._thread: threading.Thread | None = None

    def will_say(self, data: bytes) -> None:
        """Answer the next line with these bytes and hang up."""
        self._thread = threading.Thread(target=self._serve, args=(data,))
        self._thread.start()

    def _serve(self, data: bytes) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rb") as lines:
            self.heard.append(command_of(lines.readline()))
            connection.sendall(data)

    def close(self) -> None:
        """Wait for the answer to be given."""
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
        self._listener.close()
