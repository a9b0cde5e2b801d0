"""Puts a loop together from a configuration: devices, model, parts. Floor 6, below the three composition roots.

An adapter that the configuration names and this machine lacks is an error in one sentence; nothing falls back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from edge import bundle as bundles
from edge.adapters.gpio import open_pins
from edge.adapters.picamera import PicameraCamera
from edge.adapters.rfid import SerialChipReader
from edge.adapters.tflite import open_interpreter
from edge.adapters.video import open_video
from edge.coil import CoilGuard
from edge.door import Door, DoorTimes
from edge.gate import Gate, GateSettings
from edge.keeper import CameraKeeper, ReaderKeeper
from edge.messages import EvidenceSettings, Residents, Rules
from edge.pipeline import Model, OpenHouse, Parts, Pipeline, Wishes
from edge.policy import Budgets, wald_bounds
from edge.quality import QualityJudge, QualitySettings
from edge.visits import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.config import Config
    from edge.pipeline import House
    from edge.ports import (
        Camera,
        ChipReader,
        Clock,
        Flap,
        Heartbeat,
        Indicator,
        Lamp,
        Record,
        Sensors,
    )


@dataclass(frozen=True, slots=True)
class Devices:
    """The opened pins, or their simulated twins, and how to open what a keeper keeps: camera and chip reader."""

    open_camera: Callable[[], Camera]
    flap: Flap
    sensors: Sensors
    lamp: Lamp
    indicator: Indicator
    open_chip_reader: Callable[[], ChipReader] | None

    def close(self) -> None:
        """Rest the coil first, then release everything else."""
        self.flap.close()
        for device in (self.lamp, self.indicator, self.sensors):
            device.close()


@dataclass(frozen=True, slots=True)
class Host:
    """What surrounds a loop: time, the service manager, and the house with its rules."""

    clock: Clock
    heartbeat: Heartbeat
    house: House = field(default_factory=OpenHouse)


@dataclass(frozen=True, slots=True)
class Memory:
    """What a loop remembers with: where its record goes, and the heat the coil still holds from before."""

    record: Record
    heat_s: float


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A verified model in its runtime, and what its manifest says about evidence."""

    model: Model
    evidence: EvidenceSettings
    model_id: str
    runtime: str


def bundle_directory(name: str) -> Path:
    """Return where a bundle lies: ``factory`` is the one that ships."""
    return bundles.factory_directory() if name == "factory" else Path(name)


def load_model(name: str, runtime: str, threads: int) -> LoadedModel:
    """Verify a bundle, then load it.

    Raises:
        TrustError: the bundle is not what its manifest says.
        HardwareError: the runtime is missing or refuses the model.
    """
    bundle = bundles.load(bundle_directory(name))
    interpreter = open_interpreter(bundle, runtime, threads)
    manifest = bundle.manifest
    model = Model(
        interpreter=interpreter,
        recipe=manifest.recipe,
        logits=manifest.logits.quantisation,
        embedding=manifest.embedding.quantisation,
        calibration=manifest.calibration,
    )
    return LoadedModel(model, manifest.evidence, bundle.model_id, interpreter.runtime)


def open_devices(config: Config, clock: Clock) -> Devices:
    """Open the pins; camera and chip reader are opened by their keepers.

    Raises:
        HardwareError: one sentence that names what is missing.
    """
    pins = open_pins(config.pins, config.lock, clock)
    reader = (lambda: SerialChipReader(config.chip)) if config.chip.kind == "serial" else None
    return Devices(
        open_camera=lambda: open_camera(config, clock),
        flap=pins.flap,
        sensors=pins.sensors,
        lamp=pins.lamp,
        indicator=pins.indicator,
        open_chip_reader=reader,
    )


def open_camera(config: Config, clock: Clock) -> Camera:
    """Open the camera that the configuration names.

    Raises:
        HardwareError: it cannot be opened.
    """
    if config.camera.kind == "picamera2":
        return PicameraCamera(config.camera, clock)
    return open_video(config.camera, clock)


def rules(config: Config, evidence: EvidenceSettings) -> Rules:
    """Return what every visit is judged by."""
    listed = tuple((cat.chip, cat.name) for cat in config.cat if cat.chip)
    return Rules(
        evidence=evidence,
        bounds=wald_bounds(Budgets(config.door.prey_let_in, config.door.resident_refused)),
        residents=Residents(by_chip=listed, any_cat=config.door.identity == "any_cat"),
        blind_after_s=config.door.blind_after_s,
    )


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
    loaded: LoadedModel,
    devices: Devices,
    host: Host,
    memory: Memory,
) -> Pipeline:
    """Build the loop's body.

    Raises:
        HardwareError: the camera cannot be opened.
    """
    cv2.setNumThreads(1)  # the loop has no threads but the camera's own; on pictures this small more cost time
    devices.lamp.set(config.pins.lamp_level)
    parts = Parts(
        clock=host.clock,
        camera=CameraKeeper(devices.open_camera, host.clock, config.camera.hang_s),
        flap=devices.flap,
        sensors=devices.sensors,
        lamp=devices.lamp,
        indicator=devices.indicator,
        chip_reader=ReaderKeeper(devices.open_chip_reader, host.clock) if devices.open_chip_reader else None,
        heartbeat=host.heartbeat,
        record=memory.record,
        gate=Gate(gate_settings(config)),
        quality=QualityJudge(QualitySettings()),
        model=loaded.model,
        door=Door(DoorTimes(config.door.open_s, config.door.hold_off_s)),
        coil=CoilGuard(config.lock, memory.heat_s, host.clock.monotonic_ns()),
        house=host.house,
    )
    judged_by = rules(config, loaded.evidence)
    provenance = Provenance(loaded.model_id, loaded.runtime, config.digest(), judged_by)
    return Pipeline(parts, wishes(config), provenance)
