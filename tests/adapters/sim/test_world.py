"""The world: bolt, panel, actors and what the twins tell of them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from worlds import CHIP, HOLD, cat, happened, hold_open, live, pass_time, world_of

from edge.errors import ConfigError, HardwareError
from edge.messages import REST, Label

if TYPE_CHECKING:
    from pathlib import Path

    from edge.adapters.sim import World


def _digest(world: World, seconds: float) -> str:
    camera, total = world.camera(), hashlib.sha256()
    for _ in range(round(seconds / world.step_s)):
        frame = camera.newest(1.0)
        assert frame is not None
        total.update(frame.grey.tobytes())
    return total.hexdigest()


def test_the_same_seed_is_the_same_night() -> None:
    """Two worlds of one scene agree in every pixel; another seed does not."""
    table: dict[str, Any] = {
        "actor": [cat(carries="mouse")],
        "event": [{"what": "rain"}, {"what": "insects"}],
        "duration_s": 9,
    }
    first = _digest(world_of(**table, seed=5), 4)
    assert first == _digest(world_of(**table, seed=5), 4)
    assert first != _digest(world_of(**table, seed=6), 4)


def test_two_idle_frames_never_agree() -> None:
    """Noise differs from frame to frame, so that only a frozen camera repeats itself."""
    camera = world_of(duration_s=60).camera()
    pictures = [frame.grey for _ in range(200) if (frame := camera.newest(1.0)) is not None]
    assert not any(np.array_equal(one, other) for one, other in pairwise(pictures))


# --- bolt and panel ---------------------------------------------------------------------------------------------------


def test_the_bolt_takes_its_time() -> None:
    """With power the bolt is open after its delay and not before."""
    world = world_of(bolt_delay_s=0.4)
    world.flap.apply(HOLD)
    seen = []
    for seconds in (0.39, 0.02):
        world.clock.advance(seconds)
        world.catch_up()
        seen.append(world.bolt.open)
    assert [False, True] == seen
    assert 1 == world.bolt_openings


def test_a_lease_that_nobody_renews_ends_by_itself() -> None:
    """The coil is without power once its lease is over, whatever nobody said."""
    world = world_of()
    world.flap.apply(HOLD)
    world.clock.advance(0.49)
    assert world.flap.powered()
    world.clock.advance(0.02)
    assert not world.flap.powered()
    world.clock.advance(1.0)
    world.catch_up()
    assert not world.bolt.open


def test_a_renewed_lease_lasts() -> None:
    """Renewed every tick, the bolt opens once and stays open."""
    world = world_of()
    hold_open(world, 3.0)
    assert world.bolt.open
    assert 1 == world.bolt_openings


def test_a_pulse_shorter_than_the_delay_moves_nothing() -> None:
    """Power that goes before the bolt has moved leaves it where it was."""
    world = world_of(bolt_delay_s=0.4)
    world.flap.apply(HOLD)
    world.clock.advance(0.2)
    world.flap.apply(REST)
    pass_time(world, 2.0)
    assert 0 == world.bolt_openings


def test_power_to_lock_rests_open() -> None:
    """The other kind of lock is open without power and shut with it."""
    world = world_of(config={"lock": {"kind": "power_to_lock"}})
    assert world.bolt.open
    hold_open(world, 1.0)
    assert not world.bolt.open


def test_a_broken_pin_says_so() -> None:
    """A bolt that cannot be driven raises; it does not pretend."""
    world = world_of(event=[{"what": "bolt_fails"}])
    with pytest.raises(HardwareError):
        world.flap.apply(HOLD)


# --- who gets in ------------------------------------------------------------------------------------------------------


def test_a_cat_stays_out_while_the_bolt_is_shut() -> None:
    """Pushed against the bolt the flap does not open; the cat bumps, waits and leaves when patience ends."""
    world = world_of(actor=[cat(patience_s=3.0)], duration_s=30)
    opened = [world.sensors.read().flap_open for _ in live(world, 14)]
    assert not any(opened)
    assert set() == world.inside
    assert {"arrives", "bumps", "leaves"} == {entry.what for entry in world.log}


def test_a_cat_comes_in_when_the_bolt_is_open() -> None:
    """The reed sees the flap open and fall shut again, and the cat is in the house."""
    world = world_of(actor=[cat()], duration_s=30)
    opened = []
    for _ in live(world, 9):
        world.flap.apply(HOLD)
        opened.append(world.sensors.read().flap_open)
    assert {"Mimi"} == world.inside
    assert any(opened)
    assert not opened[-1]
    assert 0.8 <= sum(map(bool, opened)) * world.step_s <= 3.0


def test_exit_is_free() -> None:
    """From inside the flap gives way without power, and the house is empty."""
    world = world_of(actor=[cat() | {"from": "inside"}], duration_s=30)
    assert {"Mimi"} == world.inside
    opened = [world.sensors.read().flap_open for _ in live(world, 8)]
    assert set() == world.inside
    assert any(opened)
    assert 0 == world.bolt_openings


def test_brute_force_beats_the_bolt() -> None:
    """What is scripted to be stronger than the bolt gets in without any opening."""
    world = world_of(actor=[cat(kind="raccoon", name="Bandit", behaviour=["approach", "force"])], duration_s=30)
    pass_time(world, 12)
    assert {"Bandit"} == world.inside
    assert 0 == world.bolt_openings


def test_the_one_who_follows_waits_behind() -> None:
    """A tailgater goes in after its leader where the bolt stays open, never beside it."""
    follower = cat(name="Nachbar", chip="", follows="Mimi", arrives_s=0.5)
    world = world_of(actor=[cat(), follower], duration_s=40)
    hold_open(world, 14)
    assert ["Mimi", "Nachbar"] == [entry.who for entry in world.log if entry.what == "enters"]


def test_an_endless_scene_begins_again() -> None:
    """For ever means: the actors come again, and the world never says it is over."""
    world = world_of(actor=[cat(behaviour=["approach"])], duration_s=12)
    world.scene = replace(world.scene, endless=True)
    pass_time(world, 30)
    assert 3 == sum(entry.what == "arrives" for entry in world.log)
    assert not world.over


# --- sensors ----------------------------------------------------------------------------------------------------------


def test_the_pir_wakes_late_and_holds_on() -> None:
    """The PIR sensor is silent at first, then true, and still true shortly after everybody has gone."""
    world = world_of(actor=[cat(arrives_s=1.0, behaviour=["approach"])], duration_s=40)
    felt = [(when, world.sensors.read().pir) for when in live(world, 20)]
    first, last = next(when for when, warm in felt if warm), max(when for when, warm in felt if warm)
    left = next(entry.at_s for entry in world.log if entry.what == "leaves")
    assert first >= 1.2
    assert left < last < left + 3.0


def test_leaves_are_cold() -> None:
    """A leaf moves and is not warm: the PIR sensor does not feel it."""
    world = world_of(actor=[{"kind": "leaf", "arrives_s": 0.0}], duration_s=20)
    assert not any(world.sensors.read().pir for _ in live(world, 6))


def test_events_reach_the_pins() -> None:
    """The button is down as long as the scene says; the PIR sensor may lie."""
    world = world_of(event=[{"what": "button", "at_s": 1, "for_s": 0.5}, {"what": "pir_false", "at_s": 2, "for_s": 1}])
    seen = [world.sensors.read() for _ in live(world, 4)]
    assert 5 == sum(bool(reading.button) for reading in seen)
    assert 10 == sum(bool(reading.pir) for reading in seen)


@pytest.mark.parametrize(("miss", "least", "most"), [(0.0, 20, 20), (0.5, 4, 16), (1.0, 0, 0)])
def test_the_reader_misses_as_often_as_the_scene_says(miss: float, least: int, most: int) -> None:
    """A chip in range is tried four times a second and heard with the scene's probability."""
    world = world_of(actor=[cat(chip_miss=miss, behaviour=["approach", "look 20"])], duration_s=40)
    pass_time(world, 5)
    world.chip_reader.poll()
    pass_time(world, 6)
    heard = world.chip_reader.poll()
    assert least <= len(heard[:20]) <= most
    assert set(heard) <= {CHIP}


def test_the_reader_hears_nobody_who_is_far() -> None:
    """A chip is read near the flap only, and not in the first seconds of a cat that is hard to read."""
    world = world_of(actor=[cat(chip_miss=0.0, chip_deaf_s=2.0, behaviour=["approach", "look 9"])], duration_s=40)
    heard = [when for when in live(world, 9) if world.chip_reader.poll()]
    nearby = next(entry for entry in world.log if entry.what == "arrives").at_s
    assert min(heard) > nearby + 3.0


# --- camera -----------------------------------------------------------------------------------------------------------


def test_the_camera_takes_the_clock_along() -> None:
    """Each frame is one period later; sequence numbers count up."""
    camera = world_of(fps=8.0).camera()
    frames = [frame for _ in range(4) if (frame := camera.newest(1.0)) is not None]
    assert [0, 1, 2, 3] == [frame.seq for frame in frames]
    assert [125_000_000 * (n + 1) for n in range(4)] == [frame.captured_ns for frame in frames]
    assert (240, 320) == frames[0].grey.shape


def test_a_frame_that_comes_too_late_is_no_frame() -> None:
    """With less patience than the period the camera gives nothing and only the patience passes."""
    world = world_of(fps=5.0)
    assert world.camera().newest(0.05) is None
    assert 50_000_000 == world.clock.monotonic_ns()


def test_a_frozen_camera_repeats_its_picture() -> None:
    """Frozen: the same pixels with new timestamps. Stalled: the timestamp stands still, too."""
    for what, stamps in (("camera_freezes", 3), ("camera_stalls", 1)):
        camera = world_of(event=[{"what": what, "at_s": 0.15}]).camera()
        frames = [frame for _ in range(3) if (frame := camera.newest(1.0)) is not None]
        assert 1 == len({frame.grey.tobytes() for frame in frames})
        assert stamps == len({frame.captured_ns for frame in frames})


def test_a_lost_camera_raises_until_it_is_back() -> None:
    """Lost means lost for the old camera and for a new one; afterwards a new one sees again."""
    world = world_of(event=[{"what": "camera_lost", "at_s": 0.5, "for_s": 1}])
    camera = world.camera()
    pass_time(world, 0.6)
    with pytest.raises(HardwareError, match="does not answer"):
        camera.newest(1.0)
    with pytest.raises(HardwareError, match="does not answer"):
        world.camera()
    pass_time(world, 1.0)
    assert world.camera().newest(1.0) is not None


def test_a_hung_camera_costs_the_timeout_and_gives_nothing() -> None:
    """No frame, no error, and exactly the patience that was asked for."""
    world = world_of(event=[{"what": "camera_hangs"}])
    assert world.camera().newest(0.7) is None
    assert 700_000_000 == world.clock.monotonic_ns()


def test_the_end_of_the_scene_is_the_end_of_the_source() -> None:
    """A scene that is over raises EOFError, as every recorded source does."""
    camera = world_of(duration_s=1.0).camera()
    for _ in range(10):
        camera.newest(1.0)
    with pytest.raises(EOFError):
        camera.newest(1.0)


def test_lamp_and_failure_show_in_the_picture() -> None:
    """Half the lamp is darker, and a failed lamp is dark."""
    world = world_of(event=[{"what": "lamp_fails", "at_s": 1.0}])
    bright = float(world.picture().grey.mean())
    world.lamp.set(0.5)
    half = float(world.picture().grey.mean())
    pass_time(world, 1.5)
    assert bright > 1.5 * half
    assert float(world.picture().grey.mean()) < 8.0


def test_a_knocked_camera_sees_the_place_shifted() -> None:
    """The whole view moves, not only something in it."""
    world = world_of(event=[{"what": "camera_knocked", "at_s": 1.0}])
    before = world.picture().grey.astype(np.float32)
    pass_time(world, 1.5)
    (x, y), _ = cv2.phaseCorrelate(before, world.picture().grey.astype(np.float32))
    assert max(abs(x), abs(y)) > 5.0


def test_the_clock_may_be_set_while_time_goes_on() -> None:
    """A clock step moves the wall time and nothing else."""
    world = world_of(event=[{"what": "clock_step", "at_s": 1.0, "seconds": -172800}])
    before = world.clock.wall()
    pass_time(world, 2.0)
    assert -172798 == round((world.clock.wall() - before).total_seconds())
    assert 2_000_000_000 == world.clock.monotonic_ns()


def test_the_network_that_sets_the_clock_may_be_away() -> None:
    """The clock counts as set, except while the scene says that it is not."""
    world = world_of(event=[{"what": "clock_unsynchronised", "at_s": 1.0, "for_s": 1.0}])
    seen: list[bool] = []
    for _ in range(3):
        pass_time(world, 0.9)
        seen.append(world.clock.synchronised())
    assert [True, False, True] == seen


# --- truth ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actor", "label"),
    [
        (cat(behaviour=["approach", "look 9"]), Label.CAT_CLEAR),
        (cat(behaviour=["approach", "look 9"], carries="vole"), Label.CAT_PREY),
        (cat(behaviour=["approach", "look 9"], carries="bell"), Label.CAT_CLEAR),
        (cat(behaviour=["approach", "turn 9"]), Label.CAT_HIDDEN),
        (cat(behaviour=["approach", "sniff 9"], carries="vole"), Label.CAT_HIDDEN),
        (cat(kind="fox", behaviour=["approach", "look 9"]), Label.OTHER_ANIMAL),
        (cat(kind="person", behaviour=["approach", "look 9"]), Label.PERSON),
    ],
)
def test_the_world_knows_what_it_shows(actor: dict[str, object], label: Label) -> None:
    """The truth about the last picture is what a person would say of it, with whose box it is."""
    world = world_of(actor=[actor], duration_s=30)
    pass_time(world, 6.0)
    world.picture()
    truth = world.truth()
    assert label == truth.label
    assert "Mimi" == truth.who
    assert truth.box is not None


def test_nobody_there_is_empty() -> None:
    """Rain, a leaf and nobody else: the truth is empty and has no box."""
    world = world_of(actor=[{"kind": "leaf", "arrives_s": 0.0}], event=[{"what": "rain"}])
    pass_time(world, 1.5)
    world.picture()
    assert (Label.EMPTY, None, None) == (world.truth().label, world.truth().box, world.truth().who)


def test_photographs_can_play_the_cat(tmp_path: Path) -> None:
    """Each picture of a folder is shown for its frames, the empty one before and after."""
    for name, level in (("a.png", 200), ("b.png", 120), ("empty.png", 30)):
        cv2.imwrite(str(tmp_path / name), np.full((60, 90), level, np.uint8))
    plan = {
        "kind": "photos",
        "folder": ".",
        "empty": "empty.png",
        "arrives_s": 0.5,
        "frames_each": 5,
        "label": "cat_clear",
    }
    world = world_of(tmp_path, actor=[plan])
    levels = [round(float(world.picture().grey.mean()), -1) for _ in live(world, 2.0)]
    assert [30.0] * 4 + [200.0] * 5 + [120.0] * 5 + [30.0] * 6 == levels


def test_a_folder_without_photographs_is_refused(tmp_path: Path) -> None:
    """An empty folder cannot play anybody; the owner is told which."""
    with pytest.raises(ConfigError, match="holds no photographs"):
        world_of(tmp_path, actor=[{"kind": "photos", "folder": "."}])


# --- what breaks at the door --------------------------------------------------------------------------------------


def test_a_bolt_that_sticks_follows_when_it_comes_free() -> None:
    """Current moves it no more than anything else, and it catches up."""
    world = world_of(event=[{"what": "bolt_sticks", "for_s": 1.0}], duration_s=20)
    hold_open(world, 0.9)
    stuck = world.bolt.open
    hold_open(world, 1.0)
    assert (False, True) == (stuck, world.bolt.open)


def test_the_bolts_sensor_says_where_the_bolt_is() -> None:
    """Of two bolts it says drawn only when both are."""
    world = world_of(config={"pins": {"bolt2": 27}}, duration_s=20)
    seen = []
    for flaps in (world.flaps[:1], world.flaps):
        for flap in flaps:
            flap.apply(HOLD)
        pass_time(world, 0.3)
        seen.append(world.sensors.read().bolt_drawn)
    assert [False, True] == seen


def test_a_cut_reed_reads_as_an_open_flap() -> None:
    """As the real one does, whose contact is closed while the flap hangs straight."""
    world = world_of(event=[{"what": "reed_cut", "at_s": 1.0}], duration_s=20)
    before = world.sensors.read().flap_open
    pass_time(world, 1.5)
    assert (False, True) == (before, world.sensors.read().flap_open)


@pytest.mark.parametrize(("apart_s", "dips"), [(0.0, 1), (0.2, 0)])
def test_two_coils_switched_on_together_dip_the_supply(apart_s: float, dips: int) -> None:
    """What the interlock is there to prevent happens in the world when nobody prevents it."""
    world = world_of(config={"pins": {"bolt2": 27}}, duration_s=20)
    world.flaps[0].apply(HOLD)
    world.clock.advance(apart_s)
    world.flaps[1].apply(HOLD)
    pass_time(world, 0.5)
    assert dips == len(happened(world, "brown_out"))


def test_a_loop_that_hangs_is_a_camera_that_does_not_come_back() -> None:
    """``newest`` returns when the hanging is over, and the world has lived on meanwhile."""
    world = world_of(event=[{"what": "loop_hangs", "at_s": 1.0, "for_s": 5.0}], actor=[cat()], duration_s=20)
    camera, moments = world.camera(), []
    for _ in range(15):
        frame = camera.newest(1.0)
        assert frame is not None
        moments.append(frame.captured_ns / 1e9)
    gaps = [later - sooner for sooner, later in pairwise(moments)]
    assert (True, ["Mimi"]) == (max(gaps) >= 5.0, happened(world, "arrives"))


def test_current_is_counted() -> None:
    """How long it flowed in all and at a stretch, by the coil's own clock."""
    world = world_of(duration_s=20)
    for seconds in (1.0, 2.0):
        hold_open(world, seconds)
        pass_time(world, 1.0)
    # Each stretch lasts from its first tick to the end of its last lease: 1.4 s and 2.4 s.
    assert [3.8, 2.4] == pytest.approx([world.bolt.total_s, world.bolt.longest_s])
