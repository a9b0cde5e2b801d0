"""Puts a loop together from a configuration: devices, model, parts. Floor 6, below the three composition roots.

An adapter that the configuration names and this machine lacks is an error in one sentence; nothing falls back.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from edge import bundle as bundles
from edge.adapters.absent import AbsentControl, AbsentInterpreter
from edge.adapters.clock import zone_of
from edge.adapters.control import SocketControl
from edge.adapters.gpio import open_pins
from edge.adapters.guard import GuardFlap, open_guard
from edge.adapters.picamera import PicameraCamera
from edge.adapters.rfid import SerialChipReader
from edge.adapters.tflite import open_interpreter
from edge.adapters.video import open_video
from edge.coil import CoilGuard
from edge.door import Door, DoorTimes
from edge.errors import HardwareError, TrustError
from edge.features import Recipe
from edge.files import DiskFiles
from edge.galleries import Galleries
from edge.gate import Gate, GateSettings
from edge.house import HouseState, house_rules
from edge.housekeeper import HouseKeeper
from edge.identity import Confirmation, Exemplar, Gallery, IdentitySettings, Recogniser, at_home
from edge.keeper import CameraKeeper, ReaderKeeper
from edge.messages import LABELS, Box, EvidenceSettings, Needs, Patch, Resident, Residents, Rules
from edge.pipeline import Judging, Model, OneModel, Parts, Pipeline, Wishes
from edge.policy import Budgets, wald_bounds
from edge.quality import QualityJudge, QualitySettings
from edge.scoring import Calibration, Quantisation
from edge.slots import MODELS, Slots
from edge.visits import Provenance
from edge.walltime import WallWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    import numpy.typing as npt

    from edge.adapters.gpio import Pins
    from edge.bundle import Bundle
    from edge.config import Config
    from edge.drift import Reference
    from edge.files import Files
    from edge.messages import Bounds
    from edge.pipeline import Models
    from edge.ports import (
        Camera,
        ChipReader,
        Clock,
        Control,
        Flap,
        Heartbeat,
        Indicator,
        Interpreter,
        Lamp,
        Record,
        Sensors,
    )

SLOTS = ("auto", "slots")
"""What ``model.bundle`` says where the slots decide which model runs; the factory's is below them all."""

_NOWHERE = Box(0, 0, 1, 1)  # a kept picture has no place in a frame any more


@dataclass(frozen=True, slots=True)
class Devices:
    """The opened pins, or their simulated twins, and how to open what a keeper keeps: camera and chip reader.

    The control is opened last, by the loop that listens to it: nobody is heard by a daemon that cannot answer.
    """

    open_camera: Callable[[], Camera]
    flap: Flap
    sensors: Sensors
    lamp: Lamp
    indicator: Indicator
    open_chip_reader: Callable[[], ChipReader] | None
    open_control: Callable[[], Control] = AbsentControl

    def close(self) -> None:
        """Rest the coil first, then release everything else."""
        self.flap.close()
        for device in (self.lamp, self.indicator, self.sensors):
            device.close()


@dataclass(frozen=True, slots=True)
class Host:
    """What surrounds a loop: time and the service manager."""

    clock: Clock
    heartbeat: Heartbeat


@dataclass(frozen=True, slots=True)
class Memory:
    """What a loop remembers with: where its record goes, the coil's heat from before, what its cats look like."""

    record: Record
    heat_s: float
    house: HouseState = field(default_factory=HouseState)
    galleries: tuple[Gallery, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A verified model in its runtime, and what its manifest says about evidence."""

    model: Model
    evidence: EvidenceSettings
    model_id: str
    runtime: str
    identity: IdentitySettings | None = None
    reference: Reference | None = None


def bundle_directory(name: str) -> Path:
    """Return where a bundle lies: ``factory`` is the one that ships."""
    return bundles.factory_directory() if name == "factory" else Path(name)


def slots(config: Config, files: Files) -> Slots:
    """Return the slots; nothing is touched yet."""
    return Slots(Path(config.state.directory) / MODELS, files)


def bundle_of(config: Config) -> Bundle:
    """Return the bundle that decides under a configuration, verified.

    Raises:
        TrustError: there is none, or it is not what its manifest says.
    """
    if config.model.bundle not in SLOTS:
        return bundles.load(bundle_directory(config.model.bundle))
    champion = slots(config, DiskFiles()).champion()
    if champion.bundle is None:
        raise TrustError("; ".join(champion.alarms))
    return champion.bundle


def model_of(config: Config) -> LoadedModel:
    """Return the model that decides under a configuration, loaded.

    Raises:
        TrustError: there is none, or it is not what its manifest says.
        HardwareError: the runtime is missing or refuses the model.
    """
    return loaded(bundle_of(config), config.model.runtime, config.model.threads)


def load_model(name: str, runtime: str, threads: int) -> LoadedModel:
    """Verify a bundle, then load it.

    Raises:
        TrustError: the bundle is not what its manifest says.
        HardwareError: the runtime is missing or refuses the model.
    """
    return loaded(bundles.load(bundle_directory(name)), runtime, threads)


def loaded(bundle: Bundle, runtime: str, threads: int) -> LoadedModel:
    """Load a bundle that was verified.

    Raises:
        TrustError: the model is not what its manifest says.
        HardwareError: the runtime is missing or refuses the model.
    """
    interpreter = open_interpreter(bundle, runtime, threads)
    manifest = bundle.manifest
    reference = bundles.reference(bundle)
    model = Model(
        interpreter=interpreter,
        recipe=manifest.recipe,
        logits=manifest.logits.quantisation,
        embedding=manifest.embedding.quantisation,
        calibration=manifest.calibration,
    )
    return LoadedModel(model, manifest.evidence, bundle.model_id, interpreter.runtime, manifest.identity, reference)


def open_bolt_and_pins(config: Config, clock: Clock) -> Pins:
    """Open the guard where there is one, then the pins.

    Raises:
        HardwareError: one sentence that names what is missing.
    """
    if config.guard.kind != "serial":
        return open_pins(config.pins, config.lock, clock)
    guarded = open_guard(config.guard, config.lock, clock)
    try:
        return open_pins(config.pins, config.lock, clock, guarded)
    except HardwareError:
        guarded.close()
        raise


def open_devices(config: Config, clock: Clock) -> Devices:
    """Open the pins; camera and chip reader are opened by their keepers.

    Raises:
        HardwareError: one sentence that names what is missing.
    """
    pins = open_bolt_and_pins(config, clock)
    reader = (lambda: SerialChipReader(config.chip)) if config.chip.kind == "serial" else None
    return Devices(
        open_camera=lambda: open_camera(config, clock),
        flap=pins.flap,
        sensors=pins.sensors,
        lamp=pins.lamp,
        indicator=pins.indicator,
        open_chip_reader=reader,
        open_control=lambda: open_control(config),
    )


def open_camera(config: Config, clock: Clock) -> Camera:
    """Open the camera that the configuration names.

    Raises:
        HardwareError: it cannot be opened.
    """
    if config.camera.kind == "picamera2":
        return PicameraCamera(config.camera, clock)
    return open_video(config.camera, clock)


def open_control(config: Config) -> Control:
    """Open the control socket, if the configuration names one.

    Raises:
        ConfigError: another daemon listens there, or the path cannot be used.
    """
    return SocketControl(Path(config.control.path)) if config.control.path else AbsentControl()


def heat_told(flap: Flap) -> float:
    """Return the heat a guard says the coil holds, in seconds with power; 0 where nobody but the journal knows."""
    return flap.reply.heat_ms / 1000 if isinstance(flap, GuardFlap) else 0.0


def rules(config: Config, evidence: EvidenceSettings) -> Rules:
    """Return what every visit is judged by."""
    listed = tuple(Resident(cat.name, cat.chip, Needs(cat.known_by), cat.prey_check) for cat in config.cat)
    return Rules(
        evidence=evidence,
        bounds=bounds(config),
        residents=Residents(cats=listed, any_cat=config.door.identity == "any_cat"),
        blind_after_s=config.door.blind_after_s,
    )


def bounds(config: Config) -> Bounds:
    """Return the bounds that the owner's two budgets make."""
    return wald_bounds(Budgets(config.door.prey_let_in, config.door.resident_refused))


def galleries(config: Config, files: Files) -> Galleries:
    """Return the store of what the residents look like."""
    return Galleries(Path(config.state.directory) / "residents", files)


def fit_to(gallery: Gallery, loaded: LoadedModel) -> Gallery | None:
    """Return a gallery with the embeddings of this model, made anew from its pictures where another model made them.

    Returns None where the pictures have another size than this model takes: the cat is then unknown by camera.

    Raises:
        HardwareError: the runtime failed.
    """
    recipe = loaded.model.recipe
    pictures = (*gallery.enrolled, *(exemplar for visit in gallery.confirmed for exemplar in visit.exemplars))
    if any(exemplar.patch.shape != (recipe.height_px, recipe.width_px) for exemplar in pictures):
        return None
    if gallery.model_id == loaded.model_id:
        return gallery
    confirmed = tuple(
        Confirmation(visit.visit_id, _embedded(visit.exemplars, loaded.model)) for visit in gallery.confirmed
    )
    return Gallery(gallery.name, loaded.model_id, _embedded(gallery.enrolled, loaded.model), confirmed)


def _embedded(exemplars: tuple[Exemplar, ...], model: Model) -> tuple[Exemplar, ...]:
    return tuple(Exemplar(each.patch, model.score(Patch(each.patch, _NOWHERE)).embedding) for each in exemplars)


def identity_settings(known: tuple[Gallery, ...], loaded: LoadedModel) -> IdentitySettings | None:
    """Return what a likeness is worth: as the model's maker measured it, else as this home's visits say, else None."""
    return loaded.identity or at_home(known)


def recogniser(config: Config, loaded: LoadedModel, kept: tuple[Gallery, ...]) -> Recogniser:
    """Return what tells the listed cats from strangers, in the order of the configuration.

    Raises:
        HardwareError: the runtime failed.
    """
    listed = {cat.name for cat in config.cat}
    fitting = (fit_to(gallery, loaded) for gallery in kept if gallery.name in listed)
    known = {gallery.name: gallery for gallery in fitting if gallery is not None}
    looks = [known[cat.name].active if cat.name in known else () for cat in config.cat]
    return Recogniser(looks, identity_settings(tuple(known.values()), loaded))


def judging(config: Config, loaded: LoadedModel, kept: tuple[Gallery, ...] = ()) -> Judging:
    """Return by what visits are judged with this model.

    Raises:
        HardwareError: the runtime failed on the galleries' pictures.
    """
    provenance = Provenance(loaded.model_id, loaded.runtime, config.digest(), rules(config, loaded.evidence))
    return Judging(loaded.model, recogniser(config, loaded, kept), provenance, reference=loaded.reference)


def one_model(config: Config, loaded: LoadedModel, kept: tuple[Gallery, ...] = ()) -> OneModel:
    """Return the choice of a flap that has this model and no other; raises as ``judging``."""
    return OneModel(judging(config, loaded, kept))


def without_model(config: Config) -> Judging:
    """Return by what visits are judged where no model is usable: rules only, that is chip and schedule.

    Nothing that is seen is evidence, so every visit is blind; a chip then opens even where the owner chose that a blind
    visit does not, unless there is no reader. The alternative is a flap that lets nobody in until somebody mends it.
    """
    even = (1.0 / len(LABELS),) * len(LABELS)
    evidence = EvidenceSettings(even, 1.0, 1.0, 1.0, 1.0, 1)
    unit = Quantisation(1.0, 0)
    nothing = Model(
        AbsentInterpreter(), Recipe(96, 96, 0.0, 1.0, 1.0), unit, unit, Calibration(1.0, (0.0,) * len(even))
    )
    provenance = Provenance("no model, rules only", AbsentInterpreter.runtime, config.digest(), rules(config, evidence))
    choice = "chip" if config.door.on_blind == "shut" and config.chip.kind != "none" else None
    return Judging(nothing, Recogniser((), None), provenance, on_blind=choice)


class _Remembering:
    """A model that has scored the galleries' pictures already, and knows what it said."""

    def __init__(self, inner: Interpreter) -> None:
        self._inner = inner
        self._said: dict[bytes, tuple[npt.NDArray[np.int8], ...]] = {}

    @property
    def runtime(self) -> str:
        return self._inner.runtime

    def invoke(self, tensor: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int8], ...]:
        key = tensor.tobytes()
        if key not in self._said:
            self._said[key] = self._inner.invoke(tensor)
        return self._said[key]


def prepared(config: Config, bundle: Bundle, kept: tuple[Gallery, ...]) -> Iterator[Judging | None]:
    """Load a verified bundle piece by piece, none of them long; the last thing yielded is by what it judges.

    The galleries' pictures are scored one at a time, so that a loop can turn in between.

    Raises:
        TrustError: the model is not what its manifest says.
        HardwareError: the runtime is missing, refuses the model or fails on a picture.
    """
    model = loaded(bundle, config.model.runtime, config.model.threads)
    remembering = replace(model, model=replace(model.model, interpreter=_Remembering(model.model.interpreter)))
    yield None
    for exemplar in _pictures(config, tuple(gallery for gallery in kept if gallery.model_id != model.model_id)):
        if exemplar.patch.shape == (model.model.recipe.height_px, model.model.recipe.width_px):
            remembering.model.score(Patch(exemplar.patch, _NOWHERE))
        yield None
    yield replace(judging(config, remembering, kept), model=model.model)


def _pictures(config: Config, kept: tuple[Gallery, ...]) -> Iterator[Exemplar]:
    listed = {cat.name for cat in config.cat}
    for gallery in kept:
        if gallery.name in listed:
            yield from gallery.enrolled
            yield from (exemplar for visit in gallery.confirmed for exemplar in visit.exemplars)


def gate_settings(config: Config) -> GateSettings:
    """Return the owner's part of the gate's settings with the rest as it ships."""
    return GateSettings(min_area=config.gate.min_area, min_frames=config.gate.min_frames)


def wishes(config: Config) -> Wishes:
    """Return what the loop itself needs of the configuration."""
    return Wishes(
        on_blind=config.door.on_blind,
        quiet_s=config.door.quiet_s,
        lock_kind=config.lock.kind,
        lease_s=config.lock.lease_s,
        # Twice a tick's wait stays under the lease, so that a late frame never lets an open bolt drop.
        wait_s=min(config.lock.lease_s / 2, 2.0 / config.camera.fps),
        # Bolts are drawn one after the other.
        bolt_delay_s=config.lock.bolt_delay_s * (2 if config.pins.bolt2 >= 0 else 1),
    )


def pipeline(
    config: Config,
    models: Models,
    devices: Devices,
    host: Host,
    memory: Memory,
) -> Pipeline:
    """Build the loop's body.

    Raises:
        HardwareError: the camera cannot be opened.
        ConfigError: nobody can be heard at ``control.path``, or the machine's time zone cannot be read.
    """
    cv2.setNumThreads(1)  # the loop has no threads but the camera's own; on pictures this small more cost time
    devices.lamp.set(config.pins.lamp_level)
    with ExitStack() as undo:  # where the next cannot be opened, the last is closed again
        camera = CameraKeeper(devices.open_camera, host.clock, config.camera.hang_s)
        undo.callback(camera.close)
        reader = ReaderKeeper(devices.open_chip_reader, host.clock) if devices.open_chip_reader else None
        if reader is not None:
            undo.callback(reader.close)
        control = devices.open_control()
        undo.pop_all()
    watch = WallWatch(zone_of(config.house.timezone))
    parts = Parts(
        clock=host.clock,
        camera=camera,
        flap=devices.flap,
        sensors=devices.sensors,
        lamp=devices.lamp,
        indicator=devices.indicator,
        chip_reader=reader,
        heartbeat=host.heartbeat,
        record=memory.record,
        gate=Gate(gate_settings(config)),
        quality=QualityJudge(QualitySettings()),
        models=models,
        door=Door(DoorTimes(config.door.open_s, config.door.hold_off_s)),
        coil=CoilGuard(config.lock, max(memory.heat_s, heat_told(devices.flap)), host.clock.monotonic_ns()),
        house=HouseKeeper(house_rules(config), watch, host.clock, memory.record, memory.house),
        control=control,
    )
    return Pipeline(parts, wishes(config))
