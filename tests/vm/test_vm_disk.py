"""A disk that is full or cannot be written to takes the memory, never the door."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vm.bench import BOLT, INSIDE, STATE

if TYPE_CHECKING:
    from vm.bench import Flap


def _opens(flap: Flap) -> None:
    """Have the door opened once by its owner, and see the line move."""
    told = json.loads(flap.machine.expect(f"python3 {INSIDE}/end.py nothing", 300.0))
    assert (0, "active", False) == (told["level"], told["state"], told["again"])


def test_a_full_disk(flap: Flap) -> None:
    """On a full disk a visit is admitted as ever, the log says so, and its row is written once there is room."""
    before = flap.pid()
    visits = len(flap.visits())
    flap.machine.expect(
        f"fallocate -l $(df --output=avail -B1 {STATE} | tail -1) {STATE}/full; cat /dev/zero > {STATE}/more; true",
        300.0,
    )
    with flap.watched() as seen:
        flap.show("home")
    assert any(state.lines[BOLT] for state in seen)
    assert (before, visits) == (flap.pid(), len(flap.visits()))
    flap.machine.expect(f"rm {STATE}/full {STATE}/more")
    _opens(flap)
    flap.machine.await_true(f"{flap.count('visits')} | grep --invert-match --line-regexp {visits}", 120.0)


def test_a_disk_that_turns_read_only(flap: Flap) -> None:
    """When every disk becomes read-only under it the same daemon goes on and the bolt works."""
    before = flap.pid()
    flap.machine.expect("echo u > /proc/sysrq-trigger; sleep 2; ! touch /root/written")
    _opens(flap)
    assert before == flap.pid()


def test_a_start_on_a_read_only_disk(flap: Flap) -> None:
    """A daemon that begins with a read-only disk becomes READY, and the bolt works."""
    flap.machine.expect("systemctl restart catflap.service", 300.0)
    _opens(flap)
