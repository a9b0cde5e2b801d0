"""Inside the machine: one JSON request a line on the first serial line, one JSON answer a line back.

Started by ``agent.service``, as root; ``tests/vm/machine.py`` is at the other end. Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tty
from pathlib import Path
from typing import Any

LINE = "/dev/ttyS0"
READ_BYTES = 65536
TIMED_OUT = 124
"""What ``timeout`` of the core utilities exits with."""


def main() -> None:
    """Say hello, then serve for ever."""
    line = os.open(LINE, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line)
    _send(line, {"hello": float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])})
    pending = b""
    while data := os.read(line, READ_BYTES):
        *requests, pending = (pending + data).split(b"\n")
        for request in requests:
            _send(line, _answer(json.loads(request)))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run a command in a session of its own, so that what it leaves running when its time is over ends with it."""
    process = subprocess.Popen(
        ["/bin/bash", "-c", request["command"]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=request["timeout_s"])
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, status = _left(process), TIMED_OUT
    return {"number": request["number"], "status": status, "output": output.decode("utf-8", "replace")}


def _left(process: subprocess.Popen[bytes]) -> bytes:
    """Return what it has said; a grandchild in another session may hold its output open for ever."""
    try:
        output, _ = process.communicate(timeout=1.0)
    except subprocess.TimeoutExpired as error:
        return error.output or b""
    return output


def _send(line: int, words: dict[str, Any]) -> None:
    data = json.dumps(words).encode() + b"\n"
    while data:
        data = data[os.write(line, data) :]


if __name__ == "__main__":
    main()
