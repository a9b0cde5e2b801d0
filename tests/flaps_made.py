"""Flaps behind a stand-in for ``ssh``: the real receiving code, in the test's own process, with an update service.

The stand-in is a program on PATH that carries bytes to a socket here, so that the tool's own processes, pipes and
exit statuses are the real ones.
"""

from __future__ import annotations

import json
import socket
import socketserver
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.answers import ANSWER, Answer, AnswerStatus
from edge.bundle import load
from edge.codec import to_json
from edge.commands.adopt import take_owner
from edge.commands.receive import Patient, serve
from edge.errors import CatflapError
from edge.files import DiskFiles, replace
from edge.inbox import METADATA, TARGETS, TIMESTAMP
from edge.slots import MODELS, SlotRecord, Slots, TrialKind
from edge.unpacking import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SSH = """#!{python} -IS
import json, os, socket, sys
words = sys.argv[1:]
at = words.index("--")
connection = socket.socket(socket.AF_UNIX)
connection.connect({address!r})
connection.sendall(json.dumps([words[at + 1], words[at + 2]]).encode() + b"\\n")
try:
    while data := os.read(0, 65536):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
except OSError:
    pass
answer = b""
while data := connection.recv(65536):
    answer += data
said = json.loads(answer)
sys.stdout.write(said["out"])
sys.stderr.write(said["err"])
sys.exit(said["status"])
"""


@dataclass
class Flap:
    """One flap: its state, and what its update service says to a push (None: nothing)."""

    state: Path
    status: AnswerStatus | None = AnswerStatus.ON_TRIAL
    then: str = ""
    pushes: int = 0
    answered: tuple[int, int] = (0, 0)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def slots(self) -> Slots:
        """Its slots."""
        return Slots(self.state / MODELS, DiskFiles())

    def update(self) -> None:
        """Answer what lies in the inbox, once, as the update service would if everything in it were right."""
        inbox = self.state / "incoming"
        timestamp = inbox / METADATA / TIMESTAMP
        if self.status is None or not timestamp.exists():
            return
        arrived = (timestamp.stat().st_ino, timestamp.stat().st_mtime_ns)
        if arrived == self.answered:
            return
        version = json.loads(timestamp.read_bytes())["signed"]["version"]
        self.answered, self.pushes = arrived, self.pushes + 1
        if self.status is AnswerStatus.ON_TRIAL:
            self._install(next((inbox / TARGETS).glob("*.tar")))
        replace(DiskFiles(), inbox / ANSWER, to_json(Answer(self.status, "said the stand-in", timestamp=version)))

    def _install(self, target: Path) -> None:
        directory = self.state / f"unpacked-{self.pushes}"
        unpack(target, directory, DiskFiles())
        bundle, slots = load(directory), self.slots
        record = SlotRecord(slots.spare(), bundle.model_id, bundle.manifest.version, bundle.manifest_sha256, "", (), "")
        slots.install(directory, record)
        slots.begin_trial(TrialKind.SHADOW, 0.0)
        if self.then == "promote":
            slots.promote("better")
        elif self.then == "roll back":
            slots.roll_back("worse on 12 of 40 visits")


class Flaps:
    """Some flaps by host name. ``unlock`` lets go of receivers that wait at ``gate``."""

    def __init__(self, root: Path, hosts: tuple[str, ...]) -> None:
        """Make their directories."""
        self.root = root
        self.by_host = {host: Flap(root / host / "state") for host in hosts}
        self.asked: list[tuple[str, str]] = []

    def call(self, host: str, command: str, handle: int) -> dict[str, object]:
        """Do what ssh would have the host do."""
        name = host.rpartition("@")[2]
        self.asked.append((host, command))
        if name not in self.by_host:
            return _said(255, "", f"ssh: connect to host {name} port 22: No route to host\n")
        flap = self.by_host[name]
        if command == "catflap receive":
            reply = serve(Patient(handle, 30.0), flap.state)
            return _said(0, to_json(reply).decode() + "\n", "")
        if command == "sudo catflap model rollback":
            transition = flap.slots.roll_back("by the owner's word")
            return _said(0, f"{transition}\n", "")
        data = b"".join(iter(lambda: Patient(handle, 30.0).read(65536), b""))
        keys = self.root / name / "push_keys"
        try:
            again = "--again" in command
            said = take_owner(data, flap.state / "trust", keys, receiver="catflap receive", anew=again)
        except CatflapError as error:
            return _said(2, "", f"catflap: {error}\n")
        return _said(0, json.dumps(said) + "\n", "")


def _said(status: int, out: str, err: str) -> dict[str, object]:
    return {"status": status, "out": out, "err": err}


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    flaps: Flaps


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        line = bytearray()
        while not line.endswith(b"\n"):
            line += self.request.recv(1)
        host, command = json.loads(line)
        server = self.server
        assert isinstance(server, _Server)
        said = server.flaps.call(host, command, self.request.fileno())
        self.request.sendall(json.dumps(said).encode())
        self.request.shutdown(socket.SHUT_WR)
        while self.request.recv(65536):
            """A socket that is closed with something unread would take the answer with it; ssh's channel does not."""


@contextmanager
def flaps_behind_ssh(root: Path, hosts: tuple[str, ...]) -> Iterator[tuple[Flaps, Path]]:
    """Yield the flaps and a directory for PATH in which ``ssh`` reaches them."""
    flaps = Flaps(root, hosts)
    programs = root / "bin"
    programs.mkdir(parents=True)
    # A socket's path may have a hundred characters; a test's directory may have more.
    short = tempfile.TemporaryDirectory(prefix="ssh-")
    address = f"{short.name}/s"
    (programs / "ssh").write_text(SSH.format(python=sys.executable, address=address), encoding="utf-8")
    (programs / "ssh").chmod(0o755)
    done = threading.Event()
    with _Server(address, _Handler) as server:
        server.flaps = flaps
        threads = [threading.Thread(target=server.serve_forever, args=(0.01,)), _service(flaps, done)]
        for thread in threads:
            thread.start()
        try:
            yield flaps, programs
        finally:
            done.set()
            server.shutdown()
            for thread in threads:
                thread.join()
            short.cleanup()


def _service(flaps: Flaps, done: threading.Event) -> threading.Thread:
    """Return what looks into every inbox now and then, as path units do."""

    def look() -> None:
        while not done.wait(0.01):
            for flap in flaps.by_host.values():
                flap.update()

    return threading.Thread(target=look)
