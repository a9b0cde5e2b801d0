"""Looks at everything the flap needs and says what is wrong and what to do about it. Floor 7, beside the daemon.

Nothing here raises for what it finds: a check that fails becomes a finding. Nothing here moves the bolt. The devices
come in as callables, so that the same checks run over real and simulated hardware.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edge import assembly, bundle
from edge.adapters.rfid import SerialChipReader
from edge.adapters.tflite import open_interpreter
from edge.errors import CatflapError
from edge.features import tensor
from edge.files import DiskFiles
from edge.identity import HOME_VISITS, POOR_EQUAL_ERROR
from edge.messages import Box, Patch
from edge.walltime import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.bundle import Golden, GoldenOutputs
    from edge.config import CatConfig, Config
    from edge.identity import IdentitySettings
    from edge.messages import Grey
    from edge.ports import Camera, ChipReader, Clock, Flap, Interpreter, Sensors

FIRST_FRAME_S = 5.0
"""A camera that was just opened may take this long for its first picture."""

FRAMES = 3
WARM_C, HOT_C = 70.0, 80.0
"""A Pi slows itself down from 80 degrees on (Raspberry Pi documentation, frequency management)."""

THROTTLED_NOW = ((0, "the supply is too weak"), (1, "the processor is slowed"), (2, "throttled"), (3, "too hot"))
"""Bits of `vcgencmd get_throttled`, as Raspberry Pi documents them; 16 higher each says that it has happened."""

STOP_SERVICE = "if the flap is running, stop it first: systemctl stop catflap"


class Level(StrEnum):
    """How much a finding matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what it is, how it is, and what to do; ``do`` is empty where all is well."""

    what: str
    ok: bool
    level: Level
    says: str
    do: str


@dataclass(frozen=True, slots=True)
class Places:
    """Where this machine tells of itself; what is absent is not a fault."""

    temperature: Path = Path("/sys/class/thermal/thermal_zone0/temp")
    throttled: Path = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
    vcgencmd: Path = Path("/usr/bin/vcgencmd")
    timesync: Path = Path("/run/systemd/timesync")


class OpenPins(Protocol):
    """The pins that are looked at."""

    @property
    def flap(self) -> Flap:
        """The bolt's pin."""

    @property
    def sensors(self) -> Sensors:
        """The inputs."""

    def close(self) -> None:
        """Rest the coil and release everything."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A verified model in its runtime, and the golden set that came with it."""

    model_id: str
    interpreter: Interpreter
    golden: Golden


@dataclass(frozen=True, slots=True)
class Openers:
    """How the devices and the model are opened; each may raise any ``CatflapError``."""

    camera: Callable[[], Camera]
    pins: Callable[[], OpenPins]
    chip_reader: Callable[[], ChipReader | None]
    model: Callable[[], Trial]


def real_openers(config: Config, clock: Clock) -> Openers:
    """Return how the daemon would open what the configuration names."""
    return Openers(
        camera=lambda: assembly.open_camera(config, clock),
        pins=lambda: assembly.open_bolt_and_pins(config, clock),
        chip_reader=lambda: SerialChipReader(config.chip) if config.chip.kind == "serial" else None,
        model=lambda: _open_model(config),
    )


def _open_model(config: Config) -> Trial:
    loaded = assembly.bundle_of(config)
    interpreter = open_interpreter(loaded, config.model.runtime, config.model.threads)
    return Trial(loaded.model_id, interpreter, bundle.golden(loaded))


def examine(config: Config, clock: Clock, openers: Openers, places: Places) -> tuple[Finding, ...]:
    """Run every check, in the order in which an owner would mend things."""
    return (
        _guarded("camera", lambda: _camera(config, openers)),
        _guarded("pins", lambda: _pins(openers)),
        _guarded("chip reader", lambda: _chip_reader(config, openers)),
        _guarded("model", lambda: _model(openers)),
        _guarded("disk", lambda: _disk(config)),
        _clock(clock),
        _time_source(places),
        _guarded("temperature", lambda: _temperature(places)),
        _guarded("power", lambda: _power(places)),
        _guarded("cats", lambda: _cats(config)),
        *_settings(config),
    )


def worst(findings: tuple[Finding, ...]) -> Level:
    """Return the level of the gravest finding that is not well; info when all is."""
    order = list(Level)
    return max((finding.level for finding in findings if not finding.ok), key=order.index, default=Level.INFO)


def _well(what: str, says: str) -> Finding:
    return Finding(what, ok=True, level=Level.INFO, says=says, do="")


def _wrong(what: str, says: str, do: str, level: Level = Level.ERROR) -> Finding:
    return Finding(what, ok=False, level=level, says=says, do=do)


def _guarded(what: str, check: Callable[[], Finding]) -> Finding:
    """Turn what a check raises into what it found."""
    try:
        return check()
    except (CatflapError, OSError, EOFError, ValueError) as error:
        return _wrong(what, str(error), _remedies.get(what, "see what it says"))


_remedies = {
    "camera": f"check the cable and the camera.* settings; {STOP_SERVICE}",
    "pins": f"check the pins.* settings and that this user is in the group gpio; {STOP_SERVICE}",
    "chip reader": f"check the wire, chip.port, and that this user is in the group dialout; {STOP_SERVICE}",
    "model": "put the bundle there again from where it came, or set model.bundle to factory",
    "disk": "make state.directory a directory that this user may write to",
}


def _camera(config: Config, openers: Openers) -> Finding:
    camera = openers.camera()
    try:
        frames = [camera.newest(FIRST_FRAME_S)]
        frames += [camera.newest(config.camera.hang_s) for _ in range(FRAMES - 1)]
    finally:
        camera.close()
    times_ns = [frame.captured_ns for frame in frames if frame is not None]
    if len(times_ns) < FRAMES:
        return _wrong("camera", f"{len(times_ns)} of {FRAMES} frames came in time", _remedies["camera"])
    if sorted(set(times_ns)) != times_ns:
        return _wrong("camera", "its time stamps do not advance: the picture is frozen", _remedies["camera"])
    interval_ms = (times_ns[-1] - times_ns[0]) / (FRAMES - 1) / 1e6
    return _well("camera", f"{config.camera.kind} gives a frame every {interval_ms:.0f} ms")


def _pins(openers: Openers) -> Finding:
    pins = openers.pins()
    try:
        powered, reading = pins.flap.powered(), pins.sensors.read()
    finally:
        pins.close()
    if powered:
        do = "cut the coil's supply, then look for a short or a missing pull-down at the driver"
        return _wrong("pins", "the bolt's pin reads high although it is driven low", do)
    states = {"PIR": reading.pir, "flap open": reading.flap_open, "button": reading.button}
    said = ", ".join(f"{name} {_yes_no(state)}" for name, state in states.items())
    return _well("pins", f"the bolt rests; {said}")


def _yes_no(state: bool | None) -> str:
    if state is None:
        return "not wired"
    return "yes" if state else "no"


def _chip_reader(config: Config, openers: Openers) -> Finding:
    reader = openers.chip_reader()
    if reader is None:
        return _well("chip reader", "none is configured")
    try:
        chips = reader.poll()
    finally:
        reader.close()
    return _well("chip reader", f"{config.chip.port} is open" + "".join(f"; reads {chip}" for chip in chips))


def _model(openers: Openers) -> Finding:
    trial = openers.model()
    golden, runtime = trial.golden, trial.interpreter.runtime
    if not golden.labels or not golden.outputs:
        return _wrong("model", f"{trial.model_id} has no golden patches to be tried on", _remedies["model"])
    told = _of_runtime(golden, runtime)
    off_lsb = max(_off_lsb(trial.interpreter, golden.patches[at], told, at) for at in range(len(golden.labels)))
    says = f"{trial.model_id} on {runtime}, golden patches off by {off_lsb}"
    if off_lsb > golden.tolerance_lsb:
        do = "install the runtime that the model card names, or another bundle: this pair gives other answers"
        return _wrong("model", f"{says}; at most {golden.tolerance_lsb} is allowed", do)
    return _well("model", says)


def _of_runtime(golden: Golden, runtime: str) -> GoldenOutputs:
    """Return what was recorded with this very runtime, or with the first: the tolerance covers the difference."""
    return next((told for told in golden.outputs if told.runtime == runtime), golden.outputs[0])


def _off_lsb(interpreter: Interpreter, pixels: Grey, told: GoldenOutputs, at: int) -> int:
    height, width = pixels.shape
    outputs = interpreter.invoke(tensor(Patch(pixels, Box(0, 0, width, height))))
    expected = (told.logits[at], told.embedding[at])
    return max(
        int(np.abs(output.astype(int).ravel() - np.array(wanted)).max())
        for output, wanted in zip(outputs, expected, strict=True)
    )


def _disk(config: Config) -> Finding:
    directory = Path(config.state.directory)
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(b"catflap doctor")
        file.flush()
        os.fsync(file.fileno())
    free, least = shutil.disk_usage(directory).free, config.spool.min_free_bytes
    if free < least:
        says = f"{directory} has {free / 1e6:.0f} MB free; spool.min_free_bytes asks for {least / 1e6:.0f} MB"
        return _wrong("disk", says, "make room: until then no pictures are kept", Level.WARNING)
    return _well("disk", f"{directory} can be written to, {free / 1e6:.0f} MB free")


def _clock(clock: Clock) -> Finding:
    before_ns = clock.monotonic_ns()
    clock.wait(0.001)
    if clock.monotonic_ns() <= before_ns:
        return _wrong("clock", "the monotonic clock stands still", "restart the machine; this should not happen")
    now = clock.wall()
    if now.year < BUILT_IN:
        do = "connect it to a network once, or add a battery-backed clock: records carry wrong dates until then"
        return _wrong("clock", f"the wall clock says {now:%Y-%m-%d %H:%M} UTC", do, Level.WARNING)
    return _well("clock", f"{now:%Y-%m-%d %H:%M} UTC")


def _time_source(places: Places) -> Finding:
    if not places.timesync.is_dir():
        return _well("time source", "systemd-timesyncd is not used here")
    if not (places.timesync / "synchronized").exists():
        says = "the clock has not been set from the network since the start"
        do = "see timedatectl; until then house.on_bad_clock says what hours and curfew are worth"
        return _wrong("time source", says, do, Level.WARNING)
    return _well("time source", "the clock is set from the network")


def _temperature(places: Places) -> Finding:
    if not places.temperature.exists():
        return _well("temperature", "this machine does not say")
    degrees = int(places.temperature.read_text()) / 1000
    says = f"{degrees:.0f} °C"
    if degrees >= HOT_C:
        return _wrong("temperature", f"{says}: the processor slows itself down", "give it air, shade or a heat sink")
    if degrees >= WARM_C:
        return _wrong("temperature", says, "give it air before summer", Level.WARNING)
    return _well("temperature", says)


def _power(places: Places) -> Finding:
    text = _throttled(places)
    if text is None:
        return _well("power", "not on a Raspberry Pi")
    flags = int(text, 16)
    now = [says for bit, says in THROTTLED_NOW if flags >> bit & 1]
    past = [says for bit, says in THROTTLED_NOW if flags >> (bit + 16) & 1]
    do = "use the supply made for this Pi (5.1 V) and a short thick cable; keep the coil on its own supply"
    if now:
        return _wrong("power", f"now: {', '.join(now)}", do)
    if past:
        return _wrong("power", f"since the start: {', '.join(past)}", do, Level.WARNING)
    return _well("power", "no undervoltage, no throttling since the start")


def _cats(config: Config) -> Finding:
    """Say of the cats that the camera is to know whether it can."""
    asked = [cat for cat in config.cat if cat.known_by != "chip"] if config.door.identity == "chip" else []
    shelf = assembly.galleries(config, DiskFiles()).shelf()
    if shelf.broken:
        return _wrong("cats", "; ".join(shelf.broken), "`catflap cat forget` that cat and add its photographs again")
    if not asked:
        return _well("cats", "no cat needs the camera to be known")
    loaded = assembly.model_of(config)
    fitting = {gallery.name: assembly.fit_to(gallery, loaded) for gallery in shelf.galleries}
    unknown = [cat.name for cat in asked if fitting.get(cat.name) is None]
    if unknown:
        return _wrong("cats", f"the camera knows nothing of {', '.join(unknown)} by this model", _ENROL)
    return _worth_of(assembly.identity_settings(tuple(g for g in fitting.values() if g is not None), loaded), asked)


def _worth_of(settings: IdentitySettings | None, asked: list[CatConfig]) -> Finding:
    """Say what the camera's word on a cat is worth; an error where a cat depends on it and it is worth nothing."""
    names = ", ".join(cat.name for cat in asked)
    depend = any(cat.known_by in ("camera", "both") for cat in asked)
    grave = Level.ERROR if depend else Level.WARNING
    if settings is None:
        return _wrong(
            "cats", f"nobody has measured how well the camera tells cats apart: {names} unknown by it", _CHIP, grave
        )
    told = f"the camera errs on {settings.equal_error:.0%} of visits (measured on {settings.visits})"
    if settings.equal_error > POOR_EQUAL_ERROR:
        return _wrong("cats", f"{told}: too often to know {names} by", _CHIP, grave)
    return _well("cats", told)


_ENROL = "`catflap cat add NAME PHOTO...`, or let it be known by its chip (cat.needs)"
_CHIP = f"let it be known by its chip (cat.needs = 'chip'), or confirm {HOME_VISITS} visits each of two cats or more"


def _throttled(places: Places) -> str | None:
    """Return the flags in hexadecimal, from the kernel or else from the firmware's own tool; None without either."""
    if places.throttled.exists():
        return places.throttled.read_text().strip()
    if not places.vcgencmd.exists():
        return None
    try:
        told = subprocess.run([places.vcgencmd, "get_throttled"], capture_output=True, text=True, timeout=5, check=True)
    except subprocess.SubprocessError as error:
        raise OSError(f"{places.vcgencmd} get_throttled failed: {error}") from error
    return told.stdout.strip().removeprefix("throttled=")


def _settings(config: Config) -> tuple[Finding, ...]:
    """Return what is allowed but probably not meant."""
    lock, door = config.lock, config.door
    doubts = (
        (
            "identity",
            door.identity == "any_cat",
            "every cat with an empty mouth is let in",
            "list your cats' chips and set door.identity to chip, unless that is what you want",
        ),
        (
            "blind",
            door.on_blind == "open" and config.pins.pir < 0,
            "the flap opens when it cannot see, and without a PIR it cannot tell whether anybody is there",
            "wire a PIR (pins.pir), or set door.on_blind to shut or chip",
        ),
        (
            "coil",
            lock.kind == "power_to_unlock" and door.open_s > lock.max_on_s,
            f"door.open_s ({door.open_s:g}) is longer than lock.max_on_s ({lock.max_on_s:g}): the bolt falls too soon",
            "lower door.open_s, or raise lock.max_on_s if the coil's data sheet allows it",
        ),
        (
            "coil heat",
            lock.duty < 1 and lock.heat_budget_s < 2 * lock.max_on_s,
            f"lock.heat_budget_s ({lock.heat_budget_s:g}) is spent by two openings of lock.max_on_s each",
            "take both from the coil's data sheet; a second cat may find the bolt cooling down",
        ),
        (
            "camera proportion",
            config.camera.kind == "picamera2" and not _one_proportion(config),
            "the small picture and the large one have different proportions: a Pi 3, 4 or Zero squeezes the small one",
            "give camera.still_width_px and camera.still_height_px the proportion of camera.width_px and height_px",
        ),
    )
    return tuple(
        _wrong(what, says, do, Level.WARNING) if doubtful else _well(what, "the settings make sense")
        for what, doubtful, says, do in doubts
    )


def _one_proportion(config: Config) -> bool:
    camera = config.camera
    small, large = camera.width_px / camera.height_px, camera.still_width_px / camera.still_height_px
    return abs(small / large - 1) < 0.01
