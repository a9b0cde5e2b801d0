"""The coil's heat over restarts: entry, recorder, journal and clock together never make a coil cooler than it is."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from stand_ins import clock_at_1000_s

from edge import simulation
from edge.adapters.absent import AbsentHeartbeat, AbsentIndicator
from edge.adapters.guard import GuardFlap, limits_of
from edge.adapters.sim.guard import SimGuard
from edge.assembly import Host
from edge.coil import NS, CoilGuard, heat_after
from edge.config import LockConfig, SpoolConfig
from edge.daemon import Daemon, StopFlag, Stores
from edge.door import Door, DoorTimes
from edge.entry import Entry, EntryParts, EntrySettings
from edge.files import DiskFiles
from edge.journal import Journal
from edge.messages import REST, FlapCommand, SensorReading
from edge.recorder import Keeping, Recorder
from edge.spool import Spool
from edge.worth import Thresholds

if TYPE_CHECKING:
    from edge.adapters.clock import SimClock

CLEAN_CAT = Path(__file__).parent / "scenarios" / "opens_for_own_clean_cat.toml"
STRAIGHT = SensorReading(pir=False, flap_open=False, button=False)
TINY_S = 1e-6
LOCKS = st.builds(
    LockConfig,
    lease_s=st.just(0.5),
    max_on_s=st.floats(1.0, 8.0),
    min_rest_s=st.floats(0.0, 2.0),
    heat_budget_s=st.floats(2.0, 12.0),
    duty=st.floats(0.05, 0.9),
)


class RealCoil:
    """A coil and what it has really stored: it honours every lease, and nobody's death ends one."""

    def __init__(self, clock: SimClock, lock: LockConfig) -> None:
        """Start cold."""
        self._clock, self._lock = clock, lock
        self._heat_s, self._at_ns, self._lease_end_ns = 0.0, clock.monotonic_ns(), 0

    def heat_s(self) -> float:
        """Return the heat it holds now."""
        now_ns = self._clock.monotonic_ns()
        on_ns = max(0, min(self._lease_end_ns, now_ns) - self._at_ns)
        self._heat_s = heat_after(self._heat_s + on_ns / NS, (now_ns - self._at_ns - on_ns) / NS, self._lock)
        self._at_ns = now_ns
        return self._heat_s

    def apply(self, command: FlapCommand) -> None:
        """Follow."""
        self.heat_s()
        self._lease_end_ns = self._at_ns + (0 if command == REST else int(command.lease_s * NS))

    def powered(self) -> bool:
        """Return whether it has power."""
        return self._clock.monotonic_ns() < self._lease_end_ns

    def close(self) -> None:
        """Rest."""
        self.apply(REST)


class Restarts(RuleBasedStateMachine):
    """A daemon's door that dies and ends, on a machine that is switched off and on and whose clock is set at will."""

    @initialize(lock=LOCKS)
    def begin(self, lock: LockConfig) -> None:
        """Begin with a machine just installed."""
        self.folder = tempfile.TemporaryDirectory()
        self.lock, self.clock = lock, clock_at_1000_s()
        self.coil = RealCoil(self.clock, lock)
        self._start()

    def _start(self) -> None:
        folder = Path(self.folder.name)
        self.journal = Journal.open(folder / "journal.sqlite")
        assert self.journal._connection is not None
        self.journal._connection.execute("PRAGMA synchronous = OFF")  # no power is cut here, and a sync takes long
        heat_s = self.journal.load_heat(self.clock.boot(), self.lock)
        assert self.coil.heat_s() <= heat_s + TINY_S
        spool = Spool(folder / "spool", SpoolConfig(), DiskFiles())
        record = Recorder(self.journal, spool, self.clock, Keeping(Thresholds(1.0, 1.0), 0.0))
        self.guard = CoilGuard(self.lock, heat_s, self.clock.monotonic_ns())
        parts = EntryParts(Door(DoorTimes(5.0, 30.0)), self.guard, self.coil, AbsentIndicator(), record)
        self.entry = Entry(parts, EntrySettings(self.lock.kind, self.lock.lease_s, self.lock.bolt_delay_s))

    @rule(ticks=st.integers(1, 30), tick_s=st.sampled_from((0.1, 0.3, 0.5)), admit=st.booleans())
    def turn(self, ticks: int, tick_s: float, *, admit: bool) -> None:
        """Let ticks pass, perhaps with somebody admitted at the first."""
        if admit:
            self.entry.admit(self.clock.monotonic_ns())
        for _ in range(ticks):
            now_ns = self.clock.monotonic_ns()
            self.entry.feel(STRAIGHT, somebody=False, seeing=True, now_ns=now_ns)
            self.entry.pass_time(now_ns)
            self.entry.drive(now_ns)
            self.clock.advance(tick_s)

    @rule(seconds=st.floats(-1e9, 1e9))
    def set_wall(self, seconds: float) -> None:
        """Somebody sets the wall clock, while the daemon runs."""
        self._set_wall(seconds)

    @rule(
        orderly=st.booleans(),
        reboot=st.booleans(),
        away_s=st.floats(0.0, 60.0),
        up_s=st.floats(0.0, 60.0),
        step_s=st.floats(-1e9, 1e9),
    )
    def restart(self, away_s: float, up_s: float, step_s: float, *, orderly: bool, reboot: bool) -> None:
        """The daemon ends or dies, perhaps with its machine, and starts again under another wall time."""
        if orderly:
            self.entry.drive(self.clock.monotonic_ns(), closing=True)
        self.journal.close()
        self.clock.advance(away_s)
        if reboot:
            self.clock.reboot()
        self.clock.advance(up_s)
        self._set_wall(step_s)
        self._start()

    def _set_wall(self, seconds: float) -> None:
        if 1970 < self.clock.wall().year + seconds / 3e7 < 2100:
            self.clock.step_wall(seconds)

    @invariant()
    def knows_at_least_the_real_heat(self) -> None:
        """What is believed of the coil is never less than what it holds."""
        if hasattr(self, "guard"):
            assert self.coil.heat_s() <= self.guard.heat_s(self.clock.monotonic_ns()) + TINY_S

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "journal"):
            self.journal.close()
            self.folder.cleanup()


Restarts.TestCase.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
TestRestarts = Restarts.TestCase


def believed_s(stage: simulation.Stage) -> float:
    """Return the heat that the real daemon starts with at a stage, in seconds with power."""
    daemon = Daemon(stage.config, stage.devices, Host(stage.clock, AbsentHeartbeat()), Stores(files=stage.files))
    heat_s = daemon.pipeline._parts.coil.heat_s(stage.clock.monotonic_ns())
    stop = StopFlag()
    stop.set()
    daemon.run(stop)
    return heat_s


@pytest.mark.parametrize("step_s", [-1e9, 0.0, 1e9])
@pytest.mark.parametrize(("reboot", "left_s"), [(False, 15.0), (True, 20.0)])
def test_the_daemon_starts_with_the_heat_that_is_certain(
    tmp_path: Path, step_s: float, left_s: float, *, reboot: bool
) -> None:
    """40 s after the coil held 25 s of heat, 20 of them in this boot or all: the wall clock changes nothing."""
    stage = simulation.stage(CLEAN_CAT, tmp_path, None)
    journal = Journal.open(tmp_path / "journal.sqlite")
    journal.save_heat(stage.clock.wall(), 25.0, stage.clock.boot())
    journal.close()
    stage.clock.advance(20.0)
    if reboot:
        stage.clock.reboot()
    stage.clock.advance(20.0)
    stage.clock.step_wall(step_s)
    assert left_s == pytest.approx(believed_s(stage))


@pytest.mark.parametrize(("up_s", "left_s"), [(0.0, 40.0), (40.0, 30.0), (80.0, 25.0), (600.0, 25.0)])
def test_the_hotter_of_guard_and_journal_counts(tmp_path: Path, up_s: float, left_s: float) -> None:
    """The host takes a guard's word on the coil's heat where it is above what the journal kept, 25 s here."""
    stage = simulation.stage(CLEAN_CAT, tmp_path, None)
    journal = Journal.open(tmp_path / "journal.sqlite")
    journal.save_heat(stage.clock.wall(), 25.0, stage.clock.boot())
    journal.close()
    lock, clock = stage.config.lock, stage.clock
    flap = GuardFlap(SimGuard(clock, limits_of(lock), up_s=up_s), "guard.kind sim", lock, clock, ())
    stage = replace(stage, devices=replace(stage.devices, flap=flap))
    assert left_s == pytest.approx(believed_s(stage), abs=0.1)
