"""The other end of the control socket: one command, one reply. Floor 5."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from edge.adapters.control import reachable
from edge.adapters.control_lines import line_of, reply_of
from edge.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from edge.messages import Command, Reply

PATIENCE_S = 5.0
"""A daemon answers within a tick, a fraction of a second; one that does not in this time hangs."""

REPLY_BYTES = 65536


class NobodyListensError(InputError):
    """There is no daemon at the socket: whatever is asked may be done without it."""


def ask(path: Path, command: Command, patience_s: float = PATIENCE_S) -> Reply:
    """Say a command to the daemon that listens at ``path`` and return its reply.

    Raises:
        NobodyListensError: no daemon listens there.
        InputError: it may not be spoken to, or it does not answer within ``patience_s``.
    """
    try:
        line = _exchange(path, line_of(command), patience_s)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NobodyListensError(f"{path}: no daemon listens there; is catflap running?") from error
    except PermissionError as error:
        raise InputError(f"{path}: you may not speak to the daemon; join the group of this file") from error
    except TimeoutError as error:
        raise InputError(f"{path}: the daemon did not answer within {patience_s:g} s") from error
    except OSError as error:
        raise InputError(f"{path}: cannot speak to the daemon: {error.strerror or error}") from error
    if not line.endswith(b"\n"):
        raise InputError(f"{path}: the daemon hung up without an answer")
    return reply_of(line, path)


def _exchange(path: Path, line: bytes, patience_s: float) -> bytes:
    with reachable(path) as (address, _), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(patience_s)
        connection.connect(address)
        connection.sendall(line)
        with connection.makefile("rb") as answer:
            return answer.readline(REPLY_BYTES)
