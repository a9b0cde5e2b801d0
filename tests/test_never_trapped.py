"""Exit is free: in every state of the door, at every level of the coil, with every fault there is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import HOLD, cat, happened, live, world_of

from edge.adapters.bolts import bolt_flap
from edge.adapters.sim.mechanics import Bolt, Panel, gives_way
from edge.adapters.sim.scene import What
from edge.config import LockConfig, PinsConfig
from edge.door import TABLE, DoorState
from edge.errors import HardwareError
from edge.messages import REST, BoltAction, FlapCommand

if TYPE_CHECKING:
    from edge.adapters.sim import World

KINDS = st.sampled_from(["power_to_unlock", "power_to_lock"])
HANDS = st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans())
FAULTS = [
    What.BOLT_STICKS, What.BOLT_FAILS, What.REED_CUT, What.LOOP_HANGS, What.CAMERA_LOST, What.CAMERA_HANGS,
    What.LAMP_FAILS, What.CHIP_READER_FAILS, What.BUTTON, What.KEY, What.PIR_FALSE,
]  # fmt: skip


@given(
    kind=KINDS, hands=st.lists(st.tuples(st.integers(0, 10**10), HANDS), max_size=30), angle_rad=st.floats(-1.1, 1.1)
)
def test_no_bolt_stops_a_push_outwards(
    kind: str, hands: list[tuple[int, tuple[bool, bool, bool, bool]]], angle_rad: float
) -> None:
    """Whatever coil, button, key and rust do to a bolt, and wherever the panel hangs, it gives way outwards."""
    bolt, panel, now_ns = Bolt(kind, 0.15), Panel(), 0
    panel.angle_rad = angle_rad
    for step_ns, (power, pressed, keyed, stuck) in hands:
        now_ns += step_ns
        bolt.apply(FlapCommand(BoltAction.ENERGISE, 2.0) if power else REST, now_ns)
        bolt.handle(pressed=pressed, keyed=keyed, stuck=stuck, now_ns=now_ns)
        assert gives_way((bolt, bolt), panel, inwards=False)


def leaves(world: World, power: list[bool]) -> list[str]:
    """Drive the coils at random, tick by tick, while somebody inside pushes; return who got out."""
    lock = LockConfig(kind=str(world.scene.config.get("lock", {}).get("kind", "power_to_unlock")))
    flap = bolt_flap(world.flaps, lock, world.clock)
    for tick, _ in enumerate(live(world, 6.0)):
        command = HOLD if power[tick % len(power)] else REST
        try:
            flap.apply(command)
        except HardwareError:
            assert world.happens(What.BOLT_FAILS)
    return happened(world, "goes_out")


@settings(max_examples=25, deadline=None)
@given(
    kind=KINDS,
    second=st.booleans(),
    faults=st.lists(st.sampled_from(FAULTS), unique=True),
    power=st.lists(st.booleans(), min_size=1, max_size=20),
)
def test_a_cat_that_pushes_from_inside_gets_out(kind: str, second: bool, faults: list[What], power: list[bool]) -> None:
    """Through one bolt or two of either kind, with any faults at once and any power on the coils."""
    table: dict[str, Any] = {
        "actor": [cat(**{"from": "inside", "arrives_s": 1.0})],
        "event": [{"what": str(fault), "for_s": 60.0} for fault in faults],
        "config": {"lock": {"kind": kind}, "pins": {"bolt2": 27 if second else -1}},
        "duration_s": 30,
    }
    assert ["Mimi"] == leaves(world_of(**table), power)


@pytest.mark.parametrize("state", DoorState)
def test_no_state_speaks_of_the_way_out(state: DoorState) -> None:
    """A state wishes one thing only, of a bolt that stands in the way in: there is no word for the way out."""
    assert ("wish", "lasts", "on") == tuple(field.name for field in dataclasses.fields(TABLE[state]))


def test_no_configuration_wires_a_bolt_to_the_way_out() -> None:
    """The pins that drive bolts are those of the entry side; there is no third."""
    bolts = {field.name: field.metadata["doc"] for field in dataclasses.fields(PinsConfig) if "bolt" in field.name}
    assert {"bolt", "bolt2", "bolt_sensor"} == set(bolts)
    assert "entry side" in bolts["bolt2"]


@pytest.mark.parametrize("kind", ["power_to_unlock", "power_to_lock"])
@pytest.mark.parametrize("hand", [What.BUTTON, What.KEY])
def test_button_and_key_open_with_the_daemon_dead(kind: str, hand: What) -> None:
    """Nobody commands anything, or a pin was left locked: whoever presses or turns opens the way in."""
    event = [{"what": str(hand), "at_s": 2.0, "for_s": 2.0}]
    world = world_of(event=event, config={"lock": {"kind": kind}}, duration_s=20)
    world.bolt.apply(FlapCommand(BoltAction.ENERGISE if kind == "power_to_lock" else BoltAction.REST, 100.0), 0)
    seen = [(now_s, world.may_pass("Mimi")) for now_s in live(world, 6.0)]
    assert {False} == {passes for now_s, passes in seen if 1.0 < now_s < 2.0 or now_s > 4.5}
    assert {True} == {passes for now_s, passes in seen if 2.5 < now_s < 3.9}
