"""What the service manager hears, on a real datagram socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from edge.adapters.systemd import SystemdHeartbeat
from edge.errors import HardwareError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Manager:
    """systemd's end of the socket."""

    def __init__(self, path: Path) -> None:
        """Listen."""
        self.address = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        """Return every datagram since the last call."""
        said = []
        while True:
            try:
                said.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return said


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """A service manager."""
    listening = Manager(tmp_path / "notify")
    yield listening
    listening.socket.close()


@pytest.fixture
def heartbeat(manager: Manager) -> Iterator[SystemdHeartbeat]:
    """A heartbeat that the manager hears."""
    beating = SystemdHeartbeat(manager.address)
    yield beating
    beating.close()


def variables(datagrams: list[str]) -> list[list[str]]:
    """Return the variables of each datagram."""
    return [datagram.split() for datagram in datagrams]


def test_the_words_are_systemds(manager: Manager, heartbeat: SystemdHeartbeat) -> None:
    """Each method sends the variable of sd_notify(3) that it is named for."""
    heartbeat.ready()
    heartbeat.beat()
    heartbeat.status("all well")
    heartbeat.stopping()
    expected = ["READY=1\n", "WATCHDOG=1\n", "STATUS=all well\n", "STATUS=stopping\nSTOPPING=1\n"]
    assert expected == manager.heard()


def test_every_beat_is_sent(manager: Manager, heartbeat: SystemdHeartbeat) -> None:
    """No rate limit that hangs on a clock stands between a tick and its beat."""
    for _ in range(5):
        heartbeat.beat()
    assert ["WATCHDOG=1\n"] * 5 == manager.heard()


def test_a_status_is_one_line(manager: Manager, heartbeat: SystemdHeartbeat) -> None:
    """A line break in a status cannot become another variable."""
    heartbeat.status("the camera said:\nWATCHDOG=trigger")
    assert ["STATUS=the camera said: WATCHDOG=trigger\n"] == manager.heard()


def test_the_address_comes_from_the_environment(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """NOTIFY_SOCKET is used when no address is given."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    heartbeat = SystemdHeartbeat()
    heartbeat.ready()
    heartbeat.close()
    assert (True, ["READY=1\n"]) == (heartbeat.enabled, manager.heard())


def test_without_a_manager_it_is_quiet(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Started by hand there is nobody to tell, and nothing is said or raised."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    heartbeat = SystemdHeartbeat()
    for tell in (heartbeat.ready, heartbeat.beat, heartbeat.stopping, heartbeat.close, heartbeat.close):
        tell()
    assert (False, ("", "")) == (heartbeat.enabled, tuple(capfd.readouterr()))


def test_a_manager_that_does_not_read_does_not_stop_the_loop(manager: Manager, heartbeat: SystemdHeartbeat) -> None:
    """With systemd's queue full the beat returns at once; what was queued is still there."""
    for _ in range(5000):
        heartbeat.beat()
    heard = manager.heard()
    assert 0 < len(heard) < 5000
    assert {"WATCHDOG=1\n"} == set(heard)


def test_a_manager_that_is_gone_is_a_failure(manager: Manager, heartbeat: SystemdHeartbeat) -> None:
    """A socket that nobody holds any more is a HardwareError that names it."""
    manager.socket.close()
    with pytest.raises(HardwareError, match=r"^NOTIFY_SOCKET"):
        heartbeat.beat()
