"""What every clock, chip reader and heartbeat owes the loop."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from stand_ins import clock_at_1000_s

from edge.adapters.absent import AbsentHeartbeat
from edge.adapters.clock import SystemClock
from edge.adapters.rfid import SerialChipReader
from edge.adapters.sim import open_world, parse_scene
from edge.adapters.systemd import SystemdHeartbeat
from edge.config import ChipConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge.ports import ChipReader, Clock, Heartbeat


@pytest.fixture
def serial_reader() -> Iterator[ChipReader]:
    """A reader on a pseudo-terminal where nothing is said."""
    module, line = os.openpty()
    reader = SerialChipReader(ChipConfig(kind="serial", port=os.ttyname(line)))
    yield reader
    reader.close()
    os.close(module)
    os.close(line)


@pytest.fixture
def sim_reader() -> ChipReader:
    """A reader in a world where nobody comes."""
    return open_world(parse_scene({"title": "empty"}, "test", Path()), clock_at_1000_s()).chip_reader


@pytest.mark.parametrize("name", ["serial_reader", "sim_reader"])
def test_a_reader_that_hears_nobody_says_nothing(request: pytest.FixtureRequest, name: str) -> None:
    """A poll is an empty tuple at once, and closing may be repeated."""
    reader: ChipReader = request.getfixturevalue(name)
    heard = [reader.poll(), reader.poll()]
    reader.close()
    reader.close()
    assert [(), ()] == heard


@pytest.mark.parametrize("build", [SystemClock, clock_at_1000_s])
def test_time_passes_by_at_least_what_was_waited(build: Callable[[], Clock]) -> None:
    """Monotonic time goes on by the wait or more, never back."""
    clock = build()
    before_ns = clock.monotonic_ns()
    clock.wait(0.002)
    assert 2_000_000 <= clock.monotonic_ns() - before_ns


@pytest.mark.parametrize("build", [SystemClock, clock_at_1000_s])
def test_a_clock_says_whether_it_was_set(build: Callable[[], Clock]) -> None:
    """The answer is yes or no, and asking needs no privilege."""
    assert build().synchronised() in (True, False)


@pytest.mark.parametrize("build", [SystemClock, clock_at_1000_s])
def test_boot_time_passes_within_one_named_boot(build: Callable[[], Clock]) -> None:
    """The boot has a name and keeps it, for every clock of the machine; its time goes on by the wait or more."""
    clock = build()
    before = clock.boot()
    clock.wait(0.002)
    after = clock.boot()
    assert (True, before.boot_id, before.boot_id) == (before.boot_id != "", after.boot_id, build().boot().boot_id)
    assert 0 <= before.since_ns <= after.since_ns - 2_000_000


@pytest.mark.parametrize("build", [SystemClock, clock_at_1000_s])
def test_wall_time_is_utc(build: Callable[[], Clock]) -> None:
    """Wall time carries its zone, and the zone is UTC."""
    assert timedelta(0) == build().wall().utcoffset()


@pytest.mark.parametrize("build", [SystemdHeartbeat, AbsentHeartbeat])
def test_a_heartbeat_without_a_listener_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], build: Callable[[], Heartbeat]
) -> None:
    """The loop may say everything, in its order, where nobody listens."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    heartbeat = build()
    heartbeat.ready()
    heartbeat.beat()
    heartbeat.status("well")
    heartbeat.stopping()
    if isinstance(heartbeat, SystemdHeartbeat):
        heartbeat.close()
    assert ("", "") == tuple(capfd.readouterr())
