"""The storm of random events: nothing breaks, and what is broken on purpose is seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from door_events import LOCK, Breach, Storm
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge.adapters.sim import mechanics
from edge.coil import CoilGuard, Interlock
from edge.door import ORDERS, TABLE, Bolt, DoorEvent, DoorState, FlapSeen
from edge.messages import BoltAction, FlapCommand

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS = 1000


def breaches(*seen: Breach, seed: int = 1, guard: type[CoilGuard] = CoilGuard) -> set[Breach]:
    """Return what a short storm broke; a longer one ends early when all of ``seen`` has been seen."""
    storm = Storm(seed, guard)
    for _ in range((4 if seen else 1) * EVENTS // 50):
        storm.run(50)
        if seen and set(seen) <= set(+storm.checker.breaches):
            break
    return set(+storm.checker.breaches)


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_breaks_in_a_storm(seed: int) -> None:
    """No lease outlives its silence, no limit is passed, nobody is trapped, shut upon or let in unseen."""
    assert set() == breaches(seed=seed)


def test_a_storm_is_the_same_twice() -> None:
    """A seed names its storm, so that a breach can be looked at again; the line counts its events."""
    lines = [Storm(7).run(200).line() for _ in range(2)]
    assert (lines[0], 200) == (lines[1], json.loads(lines[0])["events"])


class NoGuard(CoilGuard):
    """Gives whatever is asked."""

    def command(self, wanted: FlapCommand, now_ns: int) -> FlapCommand:
        """Give it."""
        super().command(wanted, now_ns)
        return wanted


class LongLeases(CoilGuard):
    """Gives power for a minute."""

    def command(self, wanted: FlapCommand, now_ns: int) -> FlapCommand:
        """Lengthen it."""
        given = super().command(wanted, now_ns)
        return FlapCommand(given.action, 60.0) if given.action is BoltAction.ENERGISE else given


class ColdStart(CoilGuard):
    """Forgets the heat of before."""

    def __init__(self, settings: object, heat_s: float, now_ns: int) -> None:
        """Start cold."""
        del settings, heat_s
        super().__init__(LOCK, 0.0, now_ns)

    def _hot(self, heat_s: float) -> bool:
        return heat_s > 2 * LOCK.heat_budget_s


@pytest.mark.parametrize(
    ("guard", "seen"),
    [(NoGuard, (Breach.CAP, Breach.HEAT)), (LongLeases, (Breach.LEASE,)), (ColdStart, (Breach.HEAT,))],
)
def test_a_broken_guard_is_seen(guard: type[CoilGuard], seen: tuple[Breach, ...]) -> None:
    """A guard that lets through what it should not is caught by a checker that does not ask it."""
    assert set(seen) <= breaches(*seen, guard=guard)


def shut_on_a_cat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the bolt close on an open flap."""
    monkeypatch.setitem(ORDERS, (Bolt.SHUT, Bolt.OPEN, FlapSeen.OPEN), Bolt.SHUT)


def open_for_prey(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let prey in."""
    on = dict(TABLE[DoorState.WATCHING].on) | {DoorEvent.PREY: DoorState.ADMITTED}
    monkeypatch.setitem(TABLE, DoorState.WATCHING, TABLE[DoorState.WATCHING].__class__("shut", None, on))  # type: ignore[arg-type] # as the table has it


def switch_on_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every coil have power at once."""
    monkeypatch.setattr(Interlock, "grant", lambda _self, wanted, _now_ns: wanted)


def gate_the_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a bolt stop a swing outwards."""
    monkeypatch.setattr(mechanics, "gives_way", lambda bolts, _panel, **_: all(bolt.open for bolt in bolts))


@pytest.mark.parametrize(
    ("breaking", "seen"),
    [
        (shut_on_a_cat, Breach.SHUT),
        (open_for_prey, Breach.EVIDENCE),
        (switch_on_together, Breach.SUPPLY),
        (gate_the_exit, Breach.EXIT),
    ],
)
def test_a_broken_table_interlock_or_flap_is_seen(
    monkeypatch: pytest.MonkeyPatch, breaking: Callable[[pytest.MonkeyPatch], None], seen: Breach
) -> None:
    """One wrong line in a table, an interlock that is not there, a bolt on the wrong side: each is caught."""
    breaking(monkeypatch)
    assert seen in breaches(seen)


class Weather(RuleBasedStateMachine):
    """The same events in whatever order hypothesis thinks of, so that a breach shrinks to the few that cause it."""

    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed: int) -> None:
        """Begin a flap."""
        self.storm = Storm(seed)

    @rule(name=st.sampled_from(sorted(Storm.EVENTS)), ticks=st.integers(1, 4))
    def happen(self, name: str, ticks: int) -> None:
        """Let something happen, and the loop turn."""
        getattr(self.storm, name)()
        self.storm.turn(ticks)

    @invariant()
    def holds(self) -> None:
        """Nothing that must never happen has happened."""
        if hasattr(self, "storm"):
            assert not +self.storm.checker.breaches


Weather.TestCase.settings = settings(max_examples=12, stateful_step_count=30, deadline=None)
TestWeather = Weather.TestCase
