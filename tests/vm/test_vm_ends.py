"""However the daemon ends, the bolt's line rests, and whoever is to come back comes back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vm.bench import BOLT, INSIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from vm.bench import Flap

WATCHDOG_S = 10.0
SLACK_S = 20.0
"""The host is shared: what takes milliseconds on a Pi may take seconds here. The figures say what it took."""


def _end(flap: Flap, way: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(flap.machine.expect(f"python3 {INSIDE}/end.py {way}", 600.0))
    return told


def test_killed(flap: Flap, record_property: Callable[[str, object], None]) -> None:
    """After kill -9 with the bolt open its line falls at once, stays low, and the daemon comes back."""
    told = _end(flap, "kill")
    flap.wait_ready()
    assert (0, 0, True) == (told["level"], told["highs_after"], told["again"])
    assert told["rested_s"] < SLACK_S
    record_property("measured", f"low after {told['rested_s']:g} s")


def test_frozen(flap: Flap, record_property: Callable[[str, object], None]) -> None:
    """A daemon that stands still with the bolt open is killed by the service watchdog; the line falls and stays low."""
    told = _end(flap, "freeze")
    flap.wait_ready()
    assert (0, 0, True) == (told["level"], told["highs_after"], told["again"])
    assert told["rested_s"] < WATCHDOG_S + SLACK_S
    flap.machine.expect("journalctl --boot --output cat --no-pager | grep 'catflap.service: Watchdog timeout'")
    record_property("measured", f"low after {told['rested_s']:g} s")


def test_stopped(flap: Flap, record_property: Callable[[str, object], None]) -> None:
    """After `systemctl stop` with the bolt open the line is low, ExecStopPost has run, and nothing comes back."""
    told = _end(flap, "stop")
    assert (0, "inactive", "success") == (told["level"], told["state"], told["result"])
    assert 0 == flap.line(BOLT)
    flap.machine.expect("systemctl start catflap.service", 240.0)
    record_property("measured", f"low after {told['rested_s']:g} s")
