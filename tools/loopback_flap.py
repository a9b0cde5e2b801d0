"""A flap on this machine behind a real sshd: own configuration, own host key, own port, own update service.

For tests and measurements. The account is whoever runs it; sudo is a program that runs its arguments, and the path
unit is a thread that looks for a push a hundred times a second.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import InputError
from edge.inbox import METADATA, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
HOST = "loopback-flap"
LOOK_EVERY_S = 0.01
STARTS_WITHIN_S = 10.0

_SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {root}/host_key
PidFile {root}/sshd.pid
AuthorizedKeysFile {root}/owner_key.pub {root}/push_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
SetEnv "PATH={root}/bin:{path}" "PYTHONPATH={python_path}"
"""
_CLIENT = """
Host {host}
HostName 127.0.0.1
Port {port}
HostKeyAlias {host}
IdentityFile {root}/owner_key
"""
_CONFIG = """
[pins]
factory = "mock"
bolt = 17
[door]
identity = "any_cat"
[state]
directory = "{root}/state"
"""


@dataclass(slots=True)
class LoopbackFlap:
    """The flap: where things are, and when its update service began, monotonic seconds."""

    root: Path
    began_s: list[float] = field(default_factory=list)
    looked_at: tuple[int, int] = (0, 0)

    @property
    def state(self) -> Path:
        """The state directory."""
        return self.root / "state"

    @property
    def options(self) -> tuple[str, ...]:
        """What push_model.py must be told to find it."""
        return ("--account", getuser(), "--ssh-config", str(self.root / "ssh_config"))

    def update_if_due(self) -> None:
        """Run the update service if a push has arrived since it last ran."""
        inbox = self.state / "incoming"
        try:
            status = (inbox / METADATA / TIMESTAMP).stat()
        except FileNotFoundError:
            return
        arrived = (status.st_ino, status.st_mtime_ns)
        if arrived == self.looked_at:
            return
        self.looked_at = arrived
        self.began_s.append(time.monotonic())
        command = [sys.executable, "-m", "edge.update", "--config", str(self.root / "catflap.toml")]
        log = self.root / "update.log"
        with log.open("ab") as out:
            subprocess.run(command, cwd=ROOT, env=_environment(), stdout=out, stderr=out, check=False)


def find_sshd() -> str:
    """Return the absolute path of sshd, as it wants to be called.

    Raises:
        InputError: it is not installed.
    """
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise InputError("sshd is not installed; `make ssh-tools` installs it")
    return found


def machine() -> str:
    """Return on what, and when, something is measured: day, processor, kernel, versions, and who else was at work."""
    about = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":")[1].strip() for line in about if "model name" in line), platform.machine())
    ssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr.split(",")[0].strip()
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of {model}, Linux {platform.release()},"
        f" Python {platform.python_version()}, {ssh}, load {os.getloadavg()[0]:.1f} when it ended"
    )


@contextmanager
def loopback_flap(root: Path, host: str = HOST) -> Iterator[LoopbackFlap]:
    """Yield a flap whose sshd runs; everything lies in ``root``, and ``root/ssh_config`` leads ``host`` there.

    Raises:
        InputError: sshd is not installed or does not start.
    """
    sshd, port = find_sshd(), _free_port()
    _prepare(root, port, host)
    done = threading.Event()
    flap = LoopbackFlap(root)
    service = threading.Thread(target=_serve, args=(flap, done))
    with (root / "sshd.log").open("wb") as log:
        command = [sshd, "-D", "-e", "-f", str(root / "sshd_config")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_for(port, process, root / "sshd.log")
            service.start()
            yield flap
        finally:
            done.set()
            if service.ident is not None:
                service.join()
            process.terminate()
            process.wait()


def _serve(flap: LoopbackFlap, done: threading.Event) -> None:
    while not done.wait(LOOK_EVERY_S):
        flap.update_if_due()


def _prepare(root: Path, port: int, host: str) -> None:
    (root / "bin").mkdir(parents=True)
    for key in ("host_key", "owner_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(root / key)], check=True)
    places: dict[str, object] = {"root": root, "port": port, "host": host, "path": os.environ["PATH"]}
    places["python_path"] = _environment()["PYTHONPATH"]
    for name, text in (("sshd_config", _SSHD), ("ssh_config", _CLIENT), ("catflap.toml", _CONFIG)):
        (root / name).write_text(text.format(**places), encoding="utf-8")
    (root / "state").mkdir()
    _program(root / "bin" / "sudo", 'exec "$@"')
    adopt = f'--config "{root}/catflap.toml" --keys "{root}/push_keys"'
    _program(root / "bin" / "catflap", f'exec "{sys.executable}" -m edge.cli "$@" {adopt}')
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd's own place; Debian makes it with the service


def _program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            time.sleep(LOOK_EVERY_S)
        else:
            return
    said = log.read_text(encoding="utf-8", errors="replace").splitlines()
    raise InputError(f"sshd: does not start: {said[-1] if said else 'says nothing'}")
