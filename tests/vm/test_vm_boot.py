"""What the flap is after a boot, and what its pins are before, during and after the daemon."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from vm.bench import BOLT, INSIDE, LAMP, LED, PYTHON, moved

if TYPE_CHECKING:
    from collections.abc import Callable

    from vm.bench import Flap


def test_the_daemon_is_ready(flap: Flap, record_property: Callable[[str, object], None]) -> None:
    """After a boot the daemon has said READY by sd_notify, and no unit has failed."""
    assert ("notify", "running") == (flap.unit("Type"), flap.unit("SubState"))
    assert "" == flap.machine.expect("systemctl list-units --failed --no-legend --plain")
    record_property("measured", f"{flap.machine.booted_s:.0f} s from power to the agent")


def test_the_bolt_rests_before_the_daemon(flap: Flap) -> None:
    """At boot, before the daemon has begun, the bolt's line is low."""
    assert "0" == flap.machine.expect("cat /run/bench/bolt-at-boot")


def test_the_bolt_rests_while_nobody_comes(flap: Flap) -> None:
    """A daemon that is READY and sees nobody leaves the bolt's line low."""
    assert 0 == flap.line(BOLT)


def test_gpiozero_moves_and_reads_the_real_lines(flap: Flap) -> None:
    """The adapter drives bolt, lamp and light through lgpio, and reads PIR, reed, button as the chip has them."""
    flap.machine.expect("systemctl stop catflap")
    try:
        said = json.loads(flap.machine.expect(f"cd /run/bench && {PYTHON} {INSIDE}/pins_by_gpiozero.py"))
    finally:
        flap.machine.expect("systemctl start catflap", 240.0)
    assert {"bolt": [0, 1, 0], "lamp": [0, 1, 0], "led": [0, 1, 0]} == {
        key: said[key] for key in ("bolt", "lamp", "led")
    }
    assert {"pir": [False, True], "flap_open": [False, True], "button": [False, True]} == said["inputs"]
    assert [0] * 28 == said["closed"]


@pytest.mark.parametrize("film", ["home", "prey"])
def test_a_visit_moves_the_bolt_or_nothing(
    film: str, flap: Flap, record_property: Callable[[str, object], None]
) -> None:
    """A visit of our clean cat raises the bolt's line, one with prey leaves it low, and no other line moves."""
    before = len(flap.visits())  # the clean one comes first: after prey nobody gets in for a while (door.hold_off_s)
    with flap.watched() as seen:
        flap.show(film)
    flap.machine.await_true("sleep 0.5; test $(cat /run/bench/lines/sim_gpio17/value) = 0")
    visits = flap.visits()[before:]
    told = ", ".join(f"{visit['verdict']} ({visit['because']})" for visit in visits)
    assert visits, "nobody was seen"
    admitted = [visit["resident"] for visit in visits if visit["verdict"] == "admit"]
    assert ({"home": ["Mimi"], "prey": []}[film]) == admitted[:1], told
    assert ({BOLT} if film == "home" else set()) == moved(seen) - {LAMP, LED}
    record_property("measured", f"{film}: {told}; {len(seen) - 1} changes on 28 lines")
