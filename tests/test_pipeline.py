"""The loop over the simulated world: what every failure on the way to the bolt comes to."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playing import Broken, Memo, play

from edge import assembly, simulation
from edge.adapters.absent import AbsentHeartbeat
from edge.assembly import Host, Memory
from edge.door import DoorState
from edge.errors import HardwareError, RefusedError
from edge.messages import BoltAction, QualityWhy, SensorReading, VerdictKind

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edge.pipeline import Pipeline

SCENES = Path(__file__).parent / "scenarios"
CLEAN_CAT = SCENES / "opens_for_own_clean_cat.toml"


def test_the_bolt_opens_and_rests_again(tmp_path: Path) -> None:
    """Our clean cat gets power on the coil, it ends in rest, and the coil's heat is kept."""
    played = play(CLEAN_CAT, tmp_path)
    told = played.flap.told
    assert (True, BoltAction.REST, True) == (BoltAction.ENERGISE in told, told[-1], played.memo.heats[-1] > 0)


def test_a_bolt_that_cannot_be_driven_is_a_latched_fault(tmp_path: Path) -> None:
    """A pin that fails is named, the door is in fault until it is cleared, and nothing asks for power again."""
    played = play(CLEAN_CAT, tmp_path, Broken(flap_breaks_at=1))
    after = played.flap.told[played.flap.told.index(BoltAction.ENERGISE) + 1 :]
    assert (DoorState.FAULT, ["bolt_fault"], {BoltAction.REST}) == (played.state, played.memo.events, set(after))


class DeadReader:
    """A chip reader whose line is cut."""

    def __init__(self) -> None:
        """Count how often it is asked."""
        self.asked = 0
        self.closed = 0

    def poll(self) -> tuple[str, ...]:
        """Fail."""
        self.asked += 1
        raise HardwareError("the line is cut")

    def close(self) -> None:
        """Count."""
        self.closed += 1


def test_a_dead_chip_reader_is_named_and_opens_nothing(tmp_path: Path) -> None:
    """Without its reader the flap goes on watching, takes the cat for a stranger, and asks again only now and then."""
    reader = DeadReader()
    played = play(CLEAN_CAT, tmp_path, Broken(open_chip_reader=lambda: reader))
    kinds = {visit.verdict.kind for visit in played.memo.visits}
    assert (True, {"chip_reader_lost"}, True) == (
        VerdictKind.REFUSE_STRANGER in kinds and VerdictKind.ADMIT not in kinds,
        set(played.memo.events),
        # Asked again after pauses of 1, 2, 4 … seconds, closed each time.
        3 <= reader.asked <= 5 and reader.asked == reader.closed,
    )


def test_a_guard_that_refuses_is_noted_and_latches_nothing(tmp_path: Path) -> None:
    """Power refused for the coil's sake is one event by the guard's word; the door goes on, and the cat gets in."""
    played = play(CLEAN_CAT, tmp_path, Broken(flap_breaks_at=1, flap_failure=RefusedError("the coil is too hot")))
    assert (1, 0, 1) == (
        played.memo.events.count("coil_refused"),
        played.memo.events.count("bolt_fault"),
        played.stage.world.bolt.openings,
    )


class DeadPins:
    """Input pins that cannot be read."""

    def read(self) -> SensorReading:
        """Fail."""
        raise HardwareError("the chip is gone")

    def close(self) -> None:
        """Nothing to release."""


def test_dead_pins_are_named_once_and_stop_nothing(tmp_path: Path) -> None:
    """Pins that cannot be read say nothing; the cat is admitted all the same and the failure is one event."""
    played = play(CLEAN_CAT, tmp_path, Broken(sensors=DeadPins()))
    admitted = any(visit.verdict.kind is VerdictKind.ADMIT for visit in played.memo.visits)
    assert (True, 1) == (admitted, played.memo.events.count("pins_lost"))


class DeadModel:
    """A runtime that fails."""

    runtime = "broken 0"

    def invoke(self, tensor: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int8], ...]:
        """Fail."""
        raise HardwareError(f"the runtime refused {tensor.shape}")


def test_a_dead_model_is_no_evidence(tmp_path: Path) -> None:
    """A model that fails leaves the visit blind: no frame of it is a missing mouse, and the bolt rests."""
    played = play(CLEAN_CAT, tmp_path, Broken(interpreter=DeadModel()))
    whys = {entry.quality.why for visit in played.memo.visits for entry in visit.observations if entry.patch}
    kinds = {visit.verdict.kind for visit in played.memo.visits}
    assert ({QualityWhy.FAILED}, {VerdictKind.BLIND}, {BoltAction.REST}) == (whys, kinds, set(played.flap.told))


@pytest.mark.parametrize("ticks", [45, 60])
def test_stopping_in_the_middle_of_a_visit_keeps_it_and_rests_the_bolt(tmp_path: Path, ticks: int) -> None:
    """However far a visit has come, a stop closes its record and the last word to the coil is rest."""
    played = play(CLEAN_CAT, tmp_path, Broken(ticks=ticks))
    assert (1, BoltAction.REST) == (len(played.memo.visits), played.flap.told[-1])


class CountedBeats(AbsentHeartbeat):
    """A service manager that counts."""

    def __init__(self) -> None:
        """Start at none."""
        self.beats = 0

    def beat(self) -> None:
        """Count one."""
        self.beats += 1


def test_one_beat_a_finished_tick_and_none_for_one_that_fails(tmp_path: Path) -> None:
    """The heartbeat goes on only while the loop really turns: a tick that ends early is not heard."""
    stage = simulation.stage(CLEAN_CAT, tmp_path, None)
    models = assembly.one_model(stage.config, assembly.model_of(stage.config))
    counted = CountedBeats()
    loop = assembly.pipeline(stage.config, models, stage.devices, Host(stage.clock, counted), Memory(Memo(), 0.0))
    with closing(loop):
        for _ in range(50):
            loop.tick()
        stage.clock.advance(stage.scene.duration_s)
        with pytest.raises(EOFError):
            loop.tick()
    assert 50 == counted.beats


def test_a_visit_holds_what_replay_needs(tmp_path: Path) -> None:
    """Every believed frame of a visit has its patch and scores, every other says why it was not believed."""
    visit = play(CLEAN_CAT, tmp_path).memo.visits[0]
    believed = [entry for entry in visit.observations if entry.quality.ok]
    doubted = [entry for entry in visit.observations if not entry.quality.ok]
    assert (True, True) == (
        all(entry.patch is not None and entry.scores is not None for entry in believed),
        all(entry.scores is None and entry.quality.why is not QualityWhy.OK for entry in doubted),
    )


def test_prey_that_waited_in_vain_holds_the_door_off_all_the_same(tmp_path: Path) -> None:
    """Prey whose cat might have been excused and was never known starts the hold-off when the visit ends."""
    assert DoorState.HOLD_OFF is play(SCENES / "a_strangers_mouse_stays_out.toml", tmp_path).state


@pytest.mark.parametrize("name", ["tailgating", "forced_entry", "bolt_sticks_shut"])
def test_what_happens_at_the_door_has_a_picture(tmp_path: Path, name: str) -> None:
    """Tailgating, forced entry and a bolt that fails are key frames of a visit, by the name of their event."""
    alarm = {"bolt_sticks_shut": "bolt_fault"}.get(name, name)
    memo = play(SCENES / f"{name}.toml", tmp_path).memo
    pictures = [picture for visit in memo.visits for picture in visit.key_frames if picture.why == alarm]
    assert (1, 1, True) == (memo.events.count(alarm), len(pictures), pictures[0].image.size > 0)


def test_a_stop_lets_the_cat_in_the_flap_pass_first(tmp_path: Path) -> None:
    """Stopped while the flap is open, the loop holds the bolt until it hangs straight; then it rests."""
    stage, loop = loop_of(CLEAN_CAT, tmp_path)
    with closing(loop):
        while not stage.world.panel.ajar:
            loop.tick()
        loop.stop()
    assert (False, False) == (stage.world.panel.reed_open, stage.world.bolt.powered)


def loop_of(scene: Path, state: Path) -> tuple[simulation.Stage, Pipeline]:
    """Return a loop that stands before its first tick."""
    stage = simulation.stage(scene, state, None)
    models = assembly.one_model(stage.config, assembly.model_of(stage.config))
    host = Host(stage.clock, AbsentHeartbeat())
    return stage, assembly.pipeline(stage.config, models, stage.devices, host, Memory(Memo(), 0.0))
