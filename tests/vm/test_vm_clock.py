"""A wall clock that jumps moves neither the daemon nor the bolt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from vm.bench import BOLT

if TYPE_CHECKING:
    from collections.abc import Callable

    from vm.bench import Flap

LONGER_THAN_THE_WATCHDOG_S = 15
TIMES = ("1970-01-01 01:00:00", "2026-11-21 21:00:00", "2037-12-31 23:59:50", "2026-11-20 03:00:00")
"""Linux sets no wall clock to less than the machine has been up for: hence not the very beginning of 1970."""


@pytest.mark.parametrize("when", TIMES)
def test_the_clock_is_set(when: str, flap: Flap, record_property: Callable[[str, object], None]) -> None:
    """After the wall clock is set back, forward or to 1970 the same daemon runs on, past its watchdog, bolt at rest."""
    before = flap.pid()
    flap.machine.expect(f"date --utc --set '{when}'")
    flap.machine.expect(f"sleep {LONGER_THAN_THE_WATCHDOG_S}", 120.0)
    assert (before, "running", 0) == (flap.pid(), flap.unit("SubState"), flap.line(BOLT))
    record_property("measured", f"set to {when}")
