"""The doctor: every check says what is wrong and what to do, and none raises."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pytest
from stand_ins import clock_at_1000_s

from edge import assembly, bundle, doctor
from edge.adapters.absent import AbsentFlap, AbsentSensors
from edge.adapters.clock import SimClock
from edge.bundle import Golden, GoldenOutputs
from edge.config import (
    CameraConfig,
    CatConfig,
    ChipConfig,
    Config,
    DoorConfig,
    LockConfig,
    PinsConfig,
    SpoolConfig,
    StateConfig,
)
from edge.doctor import Finding, Level, Openers, Places, Trial, examine, worst
from edge.errors import HardwareError, TrustError
from edge.files import DiskFiles
from edge.identity import Confirmation, Exemplar, Gallery
from edge.messages import Frame, SensorReading

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from edge.messages import Image
    from edge.ports import Flap


class Still:
    """A camera that gives what it is told: times of frames in ns, or None for none."""

    def __init__(self, *times_ns: int | None) -> None:
        """Take the times."""
        self.times_ns = list(times_ns)
        self.closed = False

    def newest(self, timeout_s: float) -> Frame | None:
        """Return the next frame."""
        del timeout_s
        at_ns = self.times_ns.pop(0)
        return None if at_ns is None else Frame(1, at_ns, np.zeros((120, 160), np.uint8))

    def still(self) -> Image | None:
        """There is none."""
        return None

    def close(self) -> None:
        """Remember."""
        self.closed = True


class ShortedFlap(AbsentFlap):
    """A bolt whose pin reads high whatever it is driven to."""

    def powered(self) -> bool:
        """Return True."""
        return True


class WiredSensors(AbsentSensors):
    """A PIR that sees nobody, a straight flap, no button."""

    def read(self) -> SensorReading:
        """Return that."""
        return SensorReading(pir=False, flap_open=False, button=None)


@dataclass
class Pins:
    """Pins as the doctor wants them."""

    flap: Flap
    sensors: WiredSensors
    closed: bool = False

    def close(self) -> None:
        """Remember."""
        self.closed = True


class Reader:
    """A chip reader with one cat before it."""

    def poll(self) -> tuple[str, ...]:
        """Return its chip."""
        return ("900250000023921",)

    def close(self) -> None:
        """Nothing to release."""


class StandingClock(SimClock):
    """A clock whose monotonic time does not go on."""

    def wait(self, seconds: float) -> None:
        """Let nothing happen."""


class Told:
    """A model that answers every patch with the same numbers."""

    runtime = "tflite-runtime 2.14.0"

    def __init__(self, logits: tuple[int, ...]) -> None:
        """Take the numbers."""
        self.logits = logits

    def invoke(self, tensor: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int8], ...]:
        """Answer."""
        assert (1, 32, 32, 1) == tensor.shape
        return np.array([self.logits], np.int8), np.array([[1, 2]], np.int8)


def trial(logits: tuple[int, ...], tolerance_lsb: int = 1) -> Trial:
    """Return a model that answers ``logits``, where 1 to 6 was recorded on its runtime and 11 to 16 on another."""
    golden = Golden(
        patches=np.zeros((2, 32, 32), np.uint8),
        labels=("empty", "person"),
        tolerance_lsb=tolerance_lsb,
        outputs=(
            GoldenOutputs("another 1.0", (tuple(range(11, 17)),) * 2, ((1, 2),) * 2),
            GoldenOutputs(Told.runtime, (tuple(range(1, 7)),) * 2, ((1, 2),) * 2),
        ),
    )
    return Trial("tabby 1", Told(logits), golden)


def broken(error: Exception) -> Callable[..., NoReturn]:
    """Return an opener that fails."""

    def opener(*_: object) -> NoReturn:
        raise error

    return opener


@dataclass
class Clinic:
    """A flap that is well, in a folder of its own, for a test to break."""

    root: Path
    config: Config
    openers: Openers
    places: Places
    clock: SimClock

    def findings(self) -> dict[str, Finding]:
        """Examine it; by what was looked at."""
        return {entry.what: entry for entry in examine(self.config, self.clock, self.openers, self.places)}

    def finding(self, what: str) -> Finding:
        """Return one finding."""
        return self.findings()[what]


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    """Everything is well."""
    (tmp_path / "state").mkdir()
    (tmp_path / "timesync").mkdir()
    (tmp_path / "timesync" / "synchronized").touch()
    (tmp_path / "temp").write_text("45200\n")
    (tmp_path / "throttled").write_text("0\n")
    config = Config(
        camera=CameraConfig(kind="video", source="x"),
        pins=PinsConfig(factory="mock", bolt=17, pir=22),
        chip=ChipConfig(kind="serial", port="/dev/reader"),
        spool=SpoolConfig(min_free_bytes=0),
        state=StateConfig(directory=str(tmp_path / "state")),
    )
    openers = Openers(
        camera=lambda: Still(0, 100_000_000, 200_000_000),
        pins=lambda: Pins(AbsentFlap(), WiredSensors()),
        chip_reader=Reader,
        model=lambda: trial((1, 2, 3, 4, 5, 7)),
    )
    places = Places(tmp_path / "temp", tmp_path / "throttled", tmp_path / "no-vcgencmd", tmp_path / "timesync")
    return Clinic(tmp_path, config, openers, places, clock_at_1000_s())


def test_a_flap_that_is_well_has_nothing_to_do(clinic: Clinic) -> None:
    """Where all is well every finding says so, asks for nothing and has the lowest level."""
    assert {(True, Level.INFO, "")} == {(entry.ok, entry.level, entry.do) for entry in clinic.findings().values()}


def test_what_is_well_is_described(clinic: Clinic) -> None:
    """A good finding tells what was seen, for the owner to compare with what is there."""
    found = clinic.findings()
    said = [found[what].says for what in ("camera", "pins", "chip reader", "model", "temperature")]
    assert [
        "video gives a frame every 100 ms",
        "the bolt rests; PIR no, flap open no, button not wired",
        "/dev/reader is open; reads 900250000023921",
        "tabby 1 on tflite-runtime 2.14.0, golden patches off by 1",
        "45 °C",
    ] == said


GONE = broken(HardwareError("it is gone"))


@pytest.mark.parametrize(
    ("what", "spoil"),
    [
        ("camera", lambda openers: replace(openers, camera=GONE)),
        ("pins", lambda openers: replace(openers, pins=GONE)),
        ("chip reader", lambda openers: replace(openers, chip_reader=GONE)),
        ("model", lambda openers: replace(openers, model=broken(TrustError("it is gone")))),
    ],
)
def test_a_check_that_fails_is_a_finding(clinic: Clinic, what: str, spoil: Callable[[Openers], Openers]) -> None:
    """Whatever an opener raises becomes an error with what it said and what to do, and the rest is still well."""
    clinic.openers = spoil(clinic.openers)
    found = clinic.findings()
    entry = found.pop(what)
    assert (False, Level.ERROR, "it is gone", True) == (entry.ok, entry.level, entry.says, bool(entry.do))
    assert all(entry.ok for entry in found.values())


@pytest.mark.parametrize(("tolerance_lsb", "ok"), [(4, False), (5, True)])
def test_a_model_must_answer_as_it_did_when_it_was_made(clinic: Clinic, tolerance_lsb: int, *, ok: bool) -> None:
    """Golden patches answered further off than allowed, compared with the record of the same runtime, are an error."""
    clinic.openers = replace(clinic.openers, model=lambda: trial((1, 2, 8, 4, 5, 6), tolerance_lsb))
    entry = clinic.finding("model")
    assert (ok, True) == (entry.ok, "golden patches off by 5" in entry.says)


@pytest.mark.parametrize(
    ("times_ns", "says"),
    [((0, None, 5), "2 of 3 frames came in time"), ((7, 7, 7), "frozen"), ((7, 6, 8), "frozen")],
)
def test_a_camera_must_advance(clinic: Clinic, times_ns: tuple[int | None, ...], says: str) -> None:
    """Missing frames and time stamps that stand still are errors, and the camera is closed all the same."""
    camera = Still(*times_ns)
    clinic.openers = replace(clinic.openers, camera=lambda: camera)
    entry = clinic.finding("camera")
    assert (False, True, True) == (entry.ok, says in entry.says, camera.closed)


def test_a_recording_that_ends_is_a_finding(clinic: Clinic) -> None:
    """A source that is over before three frames is no camera, and no traceback."""

    class Over(Still):
        def newest(self, timeout_s: float) -> Frame | None:
            raise EOFError(f"ended within {timeout_s} s")

    clinic.openers = replace(clinic.openers, camera=Over)
    assert Level.ERROR is clinic.finding("camera").level


def test_a_bolt_that_has_power_at_rest_is_an_error(clinic: Clinic) -> None:
    """A pin that reads high although it is driven low means a coil that burns."""
    pins = Pins(ShortedFlap(), WiredSensors())
    clinic.openers = replace(clinic.openers, pins=lambda: pins)
    entry = clinic.finding("pins")
    assert (Level.ERROR, True, True) == (entry.level, "reads high" in entry.says, pins.closed)


def test_no_reader_is_no_fault(clinic: Clinic) -> None:
    """A flap without a chip reader is whole."""
    clinic.openers = replace(clinic.openers, chip_reader=lambda: None)
    assert (True, "none is configured") == (clinic.finding("chip reader").ok, clinic.finding("chip reader").says)


def test_a_directory_that_is_not_there_is_an_error(clinic: Clinic) -> None:
    """Without a place for its state the daemon cannot keep its record."""
    shutil.rmtree(clinic.root / "state")
    assert Level.ERROR is clinic.finding("disk").level


def test_a_full_disk_is_a_warning(clinic: Clinic) -> None:
    """Less free than the spool leaves free costs pictures, not the door."""
    clinic.config = replace(clinic.config, spool=SpoolConfig(min_free_bytes=10**12))
    assert Level.WARNING is clinic.finding("disk").level


def test_looking_at_the_disk_leaves_nothing_behind(clinic: Clinic) -> None:
    """The file that is written to try the disk is gone afterwards."""
    clinic.findings()
    assert [] == list((clinic.root / "state").iterdir())


def test_a_clock_from_before_the_flap_was_made_is_wrong(clinic: Clinic) -> None:
    """A Pi without network or battery wakes in the past."""
    clinic.clock.step_wall(-5 * 365 * 86400.0)
    assert (False, Level.WARNING) == (clinic.finding("clock").ok, clinic.finding("clock").level)


def test_a_clock_that_stands_still_is_an_error(clinic: Clinic) -> None:
    """Every timeout and the coil's lease hang on monotonic time."""
    clinic.clock = StandingClock(clinic.clock.wall())
    assert Level.ERROR is clinic.finding("clock").level


def test_a_clock_not_yet_set_is_a_warning(clinic: Clinic) -> None:
    """Systemd-timesyncd says by a file whether the clock has been set; without timesyncd nothing is asked."""
    (clinic.root / "timesync" / "synchronized").unlink()
    unset = clinic.finding("time source").level
    (clinic.root / "timesync").rmdir()
    assert (Level.WARNING, True) == (unset, clinic.finding("time source").ok)


@pytest.mark.parametrize(
    ("text", "level"),
    [("69999", Level.INFO), ("70000", Level.WARNING), ("80000", Level.ERROR), ("nonsense", Level.ERROR)],
)
def test_heat_is_told_in_two_steps(clinic: Clinic, text: str, level: Level) -> None:
    """Warm is a warning, the temperature at which the Pi slows down an error, and so is a sensor that says nothing."""
    (clinic.root / "temp").write_text(text)
    assert level is clinic.finding("temperature").level


@pytest.mark.parametrize(
    ("flags", "level", "says"),
    [
        ("0", Level.INFO, "no undervoltage"),
        ("50000", Level.WARNING, "since the start: the supply is too weak, throttled"),
        ("50005", Level.ERROR, "now: the supply is too weak, throttled"),
        ("80008", Level.ERROR, "now: too hot"),
    ],
)
def test_power_flags_are_told_in_words(clinic: Clinic, flags: str, level: Level, says: str) -> None:
    """What is wrong now is an error, what has been wrong since the start a warning."""
    (clinic.root / "throttled").write_text(f"{flags}\n")
    entry = clinic.finding("power")
    assert (level, True) == (entry.level, says in entry.says)


def test_the_firmwares_own_tool_is_asked_where_the_kernel_is_silent(clinic: Clinic) -> None:
    """Without the kernel's file the flags come from vcgencmd, with neither this is no Pi."""
    (clinic.root / "throttled").unlink()
    without = clinic.finding("power").says
    tool = clinic.root / "no-vcgencmd"
    tool.write_text("#!/bin/sh\necho throttled=0x50005\n")
    tool.chmod(0o755)
    asked = clinic.finding("power").says
    tool.write_text("#!/bin/sh\nexit 3\n")
    failed = clinic.finding("power")
    assert ("not on a Raspberry Pi", True) == (without, asked.startswith("now:"))
    assert (Level.ERROR, True) == (failed.level, "get_throttled failed" in failed.says)


@pytest.mark.parametrize(
    ("what", "doubtful"),
    [
        ("identity", lambda config: replace(config, door=DoorConfig(identity="any_cat"))),
        ("blind", lambda config: replace(config, door=DoorConfig(on_blind="open"), pins=PinsConfig(bolt=17))),
        ("coil", lambda config: replace(config, lock=LockConfig(max_on_s=3.0))),
        ("coil heat", lambda config: replace(config, lock=LockConfig(heat_budget_s=10.0))),
        ("camera proportion", lambda config: replace(config, camera=CameraConfig(still_height_px=720))),
    ],
)
def test_settings_that_are_probably_not_meant(clinic: Clinic, what: str, doubtful: Callable[[Config], Config]) -> None:
    """What is allowed but doubtful is a warning with something to do."""
    before = clinic.finding(what).ok
    clinic.config = doubtful(clinic.config)
    entry = clinic.finding(what)
    assert (True, False, Level.WARNING, True) == (before, entry.ok, entry.level, bool(entry.do))


CAMERA_CAT = CatConfig("Mimi", needs="camera")


def gallery(shelf_of: Config, visits: int, cats: int = 1) -> None:
    """Keep galleries of some cats, each with confirmed visits of noise, as the shipped model's own."""
    store, rng = assembly.galleries(shelf_of, DiskFiles()), np.random.default_rng(1)
    model_id = bundle.load(bundle.factory_directory()).model_id
    for number in range(cats):
        pictures = tuple(
            Exemplar(np.zeros((72, 96), np.uint8), tuple(rng.normal(size=32).tolist())) for _ in range(visits)
        )
        seen = tuple(Confirmation(f"v{number}-{i}", (picture,)) for i, picture in enumerate(pictures))
        store.save(Gallery("Mimi" if number == 0 else f"cat {number}", model_id, (), seen))


def test_a_cat_the_camera_is_to_know_and_does_not_is_an_error(clinic: Clinic) -> None:
    """Without a gallery, or without anybody having measured the camera, a cat that depends on it is locked out."""
    clinic.config = replace(clinic.config, cat=(CAMERA_CAT,))
    nobody = clinic.finding("cats")
    gallery(clinic.config, 6)
    unmeasured = clinic.finding("cats")
    assert (Level.ERROR, Level.ERROR) == (nobody.level, unmeasured.level)
    assert "knows nothing of Mimi" in nobody.says
    assert "nobody has measured" in unmeasured.says


def test_a_camera_that_errs_too_often_is_warned_of_with_its_figure(clinic: Clinic) -> None:
    """Where a home's own visits tell cats apart by chance, the finding says how often the camera errs."""
    clinic.config = replace(clinic.config, cat=(CatConfig("Mimi", "276098106123456", needs="either"),))
    gallery(clinic.config, 6, cats=2)
    entry = clinic.finding("cats")
    assert (Level.WARNING, False, True) == (entry.level, entry.ok, "errs on" in entry.says)


def test_a_damaged_gallery_is_found(clinic: Clinic) -> None:
    """A gallery that cannot be read is named, with what to do."""
    gallery(clinic.config, 1)
    next((clinic.root / "state" / "residents").iterdir()).write_text("{")
    entry = clinic.finding("cats")
    assert (Level.ERROR, True) == (entry.level, "forget" in entry.do)


def test_the_worst_finding_counts() -> None:
    """One error outweighs any number of warnings; what is well does not count at all."""
    fine = Finding("a", ok=True, level=Level.ERROR, says="", do="")
    warning = Finding("b", ok=False, level=Level.WARNING, says="", do="")
    error = Finding("c", ok=False, level=Level.ERROR, says="", do="")
    assert (Level.INFO, Level.WARNING, Level.ERROR) == (
        worst((fine,)), worst((fine, warning)), worst((warning, error, warning))
    )  # fmt: skip


def test_real_openers_open_what_is_configured(clinic: Clinic, tmp_path: Path) -> None:
    """The doctor opens the very adapters that the daemon would, and what they miss is a finding."""
    clinic.config = replace(clinic.config, camera=CameraConfig(kind="video", source=str(tmp_path / "none")))
    clinic.config = replace(clinic.config, chip=ChipConfig(kind="serial", port="/dev/none"))
    clinic.openers = doctor.real_openers(clinic.config, clinic.clock)
    found = clinic.findings()
    assert "the bolt rests; PIR no, flap open not wired, button not wired" == found["pins"].says
    assert "there is no such file or folder" in found["camera"].says
    assert found["chip reader"].says.startswith("chip.port /dev/none: cannot be opened")
