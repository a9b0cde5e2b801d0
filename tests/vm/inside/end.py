"""Open the bolt, end the daemon in one way, and say as JSON what the bolt's line did.

    python3 end.py kill | freeze | stop | nothing

``kill`` is SIGKILL, ``freeze`` SIGSTOP (the service's watchdog must find it), ``stop`` systemd's own stop;
after ``nothing`` the daemon itself ends the opening. Standard
library only. Times are seconds of the monotonic clock.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BOLT = Path("/run/bench/lines/sim_gpio17/value")
SOCKET = "/run/catflap/control.sock"
OPENS_S, RESTS_S, RETURNS_S = 30.0, 120.0, 240.0
"""How long is waited for each; a bolt that has not moved then never will."""
LOOK_S = 0.005
NEVER = threading.Event()


def main(way: str) -> None:
    """Do it."""
    before = _unit("MainPID")
    unlock()
    _until(lambda: level() == 1, OPENS_S, "the bolt has power")
    began_s = time.monotonic()
    _end(way, int(before))
    _until(lambda: level() == 0, RESTS_S, "the bolt rests")
    rested_s = time.monotonic() - began_s
    highs = 0
    if way in ("kill", "freeze"):
        until_s = time.monotonic() + RETURNS_S
        while not _returned(before) and time.monotonic() < until_s:
            highs += level()
    _until(lambda: _unit("ActiveState") in ("active", "inactive"), RETURNS_S, "the unit has settled")
    told = {"rested_s": round(rested_s, 2), "highs_after": highs, "level": level()}
    print(
        json.dumps(
            {**told, "state": _unit("ActiveState"), "result": _unit("Result"), "again": before != _unit("MainPID")}
        )
    )


def unlock() -> None:
    """Open once, by the owner's word."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(SOCKET)
        line.sendall(b'{"command": "unlock"}\n')
        answer = json.loads(line.makefile().readline())
    if not answer["ok"]:
        sys.exit(f"the daemon does not open: {answer['says']}")


def _end(way: str, process: int) -> None:
    if way == "stop":
        subprocess.run(["/usr/bin/systemctl", "stop", "--no-block", "catflap.service"], check=True)
    elif way != "nothing":
        os.kill(process, signal.SIGKILL if way == "kill" else signal.SIGSTOP)


def _returned(before: str) -> bool:
    NEVER.wait(LOOK_S)
    return bool(level()) is False and Path(SOCKET).exists() and _unit("MainPID") not in ("0", before)


def _unit(what: str) -> str:
    command = ["/usr/bin/systemctl", "show", "--value", "--property", what, "catflap.service"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def level() -> int:
    """Return the level of the bolt's line."""
    return int(BOLT.read_text(encoding="ascii"))


def _until(true: Callable[[], bool], limit_s: float, what: str) -> None:
    until_s = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > until_s:
            sys.exit(f"not within {limit_s:g} s: {what}")
        NEVER.wait(LOOK_S)


if __name__ == "__main__":
    main(sys.argv[1])
