"""The way to a flap: the system's ``ssh``, one process for one request.

Two accounts, two powers. The *push account* runs `catflap receive` whatever is asked of it, can write into the inbox
only, and is entered with a key that is good for nothing else. The *owner's own account* adopts and rolls back, with
sudo; it is never needed for a push.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from edge.codec import from_json
from edge.errors import CatflapError, InputError
from edge.inbox import FORMAT, Act, Reply, Request, request_line

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK_BYTES = 65536
MAX_OUTPUT_BYTES = 65536
CONNECT_S = 10
PATIENCE_S = 330.0
"""Beyond the answer's time: what the flap grants the stream, and some."""


class UnreachableError(CatflapError):
    """This flap cannot be reached, or does not speak the language; the others are not concerned."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How ssh is called: the directory of the push key and the known hosts, and what the owner adds."""

    directory: Path
    account: str = "catflap-push"
    config: Path | None = None

    @property
    def key(self) -> Path:
        """The private half of the push key."""
        return self.directory / "push_ed25519"

    def make_key(self) -> str:
        """Return the public half of the push key, made at first use without passphrase: it opens an inbox only.

        Raises:
            InputError: ssh-keygen is missing or fails.
        """
        if not self.key.exists():
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "catflap-push", "-f", str(self.key)]
            try:
                subprocess.run(command, check=True, capture_output=True, text=True)
            except OSError as error:
                raise InputError(f"ssh-keygen: {error.strerror}; install the OpenSSH client") from error
            except subprocess.CalledProcessError as error:
                raise InputError(f"ssh-keygen: {error.stderr.strip()}") from error
        return self.key.with_suffix(".pub").read_text(encoding="utf-8").strip()

    def push_command(self, host: str) -> list[str]:
        """Return the call that enters the push account. A host whose key has changed is refused."""
        only = ["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", str(self.key), *self._trusting("yes")]
        return [*self._ssh(), *only, "-l", self.account, "--", bare(host), "catflap receive"]

    def owner_command(self, host: str, command: str) -> list[str]:
        """Return the call that runs ``command`` in the owner's own account, trusting a new host on first use."""
        return [*self._ssh(), *self._trusting("accept-new"), "--", host, command]

    def _ssh(self) -> list[str]:
        alive = ["-o", f"ConnectTimeout={CONNECT_S}", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"]
        return ["ssh", "-T", *([] if self.config is None else ["-F", str(self.config)]), *alive]

    def _trusting(self, how: str) -> list[str]:
        return ["-o", f"StrictHostKeyChecking={how}", "-o", f"UserKnownHostsFile={self.directory / 'known_hosts'}"]


def bare(host: str) -> str:
    """Return a host without the user in front of it."""
    return host.rpartition("@")[2]


def status(wire: Wire, host: str) -> Reply:
    """Ask a flap where it stands.

    Raises:
        UnreachableError: it cannot be reached.
    """
    return _exchange(wire, host, Request(FORMAT, Act.STATUS, 0, 0.0), b"", lambda _: None)


def push(wire: Wire, host: str, data: bytes, wait_s: float, sent: Callable[[int], None]) -> Reply:
    """Send a repository and return the flap's answer; ``sent`` is told how many bytes more are on their way.

    Raises:
        UnreachableError: it cannot be reached.
    """
    return _exchange(wire, host, Request(FORMAT, Act.PUSH, len(data), wait_s), data, sent)


def adopt(wire: Wire, host: str, root: bytes, *, again: bool) -> tuple[str, str]:
    """Bind a flap to a root; return the fingerprint that the flap computed, and what it says.

    Raises:
        UnreachableError: it cannot be reached, or refuses.
    """
    asked = {"format": FORMAT, "root": root.decode(), "push_key": wire.make_key()}
    command = "sudo catflap adopt" + (" --again" if again else "")
    output = _run(wire.owner_command(host, command), json.dumps(asked).encode(), 120.0)
    try:
        said = json.loads(output)
        return str(said["fingerprint"]), str(said["says"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnreachableError(f"answered what is no answer: {output[:80]!r}") from error


def roll_back(wire: Wire, host: str) -> str:
    """Have a flap go back to the model before; return what it says.

    Raises:
        UnreachableError: it cannot be reached, or refuses.
    """
    output = _run(wire.owner_command(host, "sudo catflap model rollback"), b"", 120.0)
    return " ".join(output.decode(errors="replace").split()) or "done"


def _exchange(wire: Wire, host: str, request: Request, data: bytes, sent: Callable[[int], None]) -> Reply:
    with tempfile.TemporaryFile() as errors:
        process = _start(wire.push_command(host), errors)
        patience = threading.Timer(request.wait_s + PATIENCE_S, process.kill)
        patience.start()
        try:
            _send(process, request_line(request), lambda _: None)
            _send(process, data, sent)
            output = _finish(process)
        finally:
            patience.cancel()
        lines = output.strip().splitlines()
        if not lines:
            raise UnreachableError(_why(process.returncode, errors))
    try:
        return from_json(Reply, lines[-1], Path("its answer"))
    except InputError as error:
        raise UnreachableError(str(error)) from error


def _start(command: list[str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
    except OSError as error:
        raise InputError(f"ssh: {error.strerror}; install the OpenSSH client") from error


def _send(process: subprocess.Popen[bytes], data: bytes, sent: Callable[[int], None]) -> None:
    """Write; a flap that has heard enough has said why on its output."""
    assert process.stdin is not None  # noqa: S101 - PIPE was asked for
    with suppress(BrokenPipeError):
        for start in range(0, len(data), CHUNK_BYTES):
            chunk = data[start : start + CHUNK_BYTES]
            process.stdin.write(chunk)
            process.stdin.flush()
            sent(len(chunk))


def _finish(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdin is not None  # noqa: S101 - PIPE was asked for
    assert process.stdout is not None  # noqa: S101 - as above
    with suppress(BrokenPipeError):
        process.stdin.close()
    with process.stdout as stdout:
        output = stdout.read(MAX_OUTPUT_BYTES)
    process.wait()
    return output


def _run(command: list[str], data: bytes, patience_s: float) -> bytes:
    """Run one command in the owner's account; it may ask at the terminal, so its errors go there as they come."""
    try:
        done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=patience_s)
    except OSError as error:
        raise InputError(f"ssh: {error.strerror}; install the OpenSSH client") from error
    except subprocess.TimeoutExpired as error:
        raise UnreachableError(f"did not answer within {patience_s:g} s") from error
    if done.returncode != 0:
        raise UnreachableError(_last_line(done.stderr) or f"ssh ended with status {done.returncode}")
    return done.stdout


def _why(status: int, errors: IO[bytes]) -> str:
    end = errors.seek(0, os.SEEK_END)
    errors.seek(max(end - MAX_OUTPUT_BYTES, 0))
    return _last_line(errors.read()) or f"ssh ended with status {status} and said nothing"


def _last_line(text: bytes) -> str:
    """Return the last line that says something, with nothing in it that a terminal would obey."""
    lines = [line for line in text.decode(errors="replace").splitlines() if line.strip()]
    return "".join(letter for letter in lines[-1] if letter.isprintable())[:300] if lines else ""
