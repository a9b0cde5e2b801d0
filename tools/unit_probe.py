"""What a process may do inside a unit's sandbox, tried and printed as one JSON object. Standard library only.

tools/unit_check.py runs it in place of each service's own program.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _may(act: Callable[[], object]) -> bool:
    try:
        act()
    except OSError:
        return False
    return True


def _socket(family: int, kind: int = socket.SOCK_STREAM) -> Callable[[], object]:
    return lambda: socket.socket(family, kind).close()


def _write(directory: str) -> Callable[[], object]:
    def act() -> None:
        path = Path(directory) / ".probe"
        path.write_bytes(b"")
        path.unlink()

    return act


def _writable_code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _ask_clock() -> None:
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(1024)) == -1:
        raise OSError(ctypes.get_errno(), "adjtimex")


def _control() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as speaker:
        speaker.connect("/run/catflap/control.sock")


def _links() -> list[str]:
    return sorted(name for _, name in socket.if_nameindex())


def main(daemon_pid: str) -> None:
    """Try everything once."""
    found = {
        "internet socket": _may(_socket(socket.AF_INET)),
        "unix socket": _may(_socket(socket.AF_UNIX)),
        "netlink socket": _may(_socket(socket.AF_NETLINK, socket.SOCK_RAW)),
        "memory both writable and executable": _may(_writable_code),
        "ask whether the clock is set": _may(_ask_clock),
        "write /etc/catflap": _may(_write("/etc/catflap")),
        "write /usr": _may(_write("/usr")),
        "write /run/catflap": _may(_write("/run/catflap")),
        "write the state": _may(_write("/var/lib/catflap")),
        "write the inbox": _may(_write("/var/lib/catflap/incoming")),
        "read the configuration": _may(Path("/etc/catflap/catflap.toml").read_bytes),
        "read the secrets' directory": _may(lambda: os.listdir("/etc/catflap/credentials")),  # noqa: PTH208 - only tried
        "read a file of group gpio": _may(Path("/srv/of-group-gpio").read_bytes),
        "read a file of group catflap": _may(Path("/var/lib/catflap/of-group-catflap").read_bytes),
        "see the daemon": Path(f"/proc/{daemon_pid}").exists(),
        "open the daemon's memory": _may(lambda: open(f"/proc/{daemon_pid}/mem", "rb").close()),  # noqa: PTH123 - a Path has no shorter way to open and close
        "speak on the control socket": _may(_control),
        "see more devices than the usual": sorted(
            set(os.listdir("/dev"))  # noqa: PTH208 - names are wanted
            - {"char",
               "null", "zero", "full", "random", "urandom", "tty", "pts", "ptmx", "shm", "mqueue", "fd", "stdin",
               "stdout", "stderr", "log", "hugepages", "console", "core", "net", "initctl"}
        ),
        "credentials": sorted(os.listdir(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")))  # noqa: PTH208
        if os.environ.get("CREDENTIALS_DIRECTORY")
        else [],
    }  # fmt: skip
    print("PROBE " + json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
