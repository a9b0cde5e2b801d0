"""Replay and score: the same pipeline over recorded pictures, and a spool record judged again bit for bit. Floor 7."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge import assembly, features
from edge.adapters.absent import (
    AbsentControl,
    AbsentFlap,
    AbsentHeartbeat,
    AbsentIndicator,
    AbsentLamp,
    AbsentRecord,
    AbsentSensors,
)
from edge.adapters.clock import SimClock
from edge.adapters.images import read_image
from edge.adapters.video import RecordedCamera, Skipped
from edge.canonical import summary
from edge.coil import CoilGuard
from edge.door import Door, DoorTimes
from edge.errors import HardwareError, InputError
from edge.gate import Gate, OpenGate
from edge.house import HouseState, no_rules
from edge.housekeeper import HouseKeeper
from edge.identity import Recogniser
from edge.keeper import CameraKeeper
from edge.messages import LABELS, Frame, Grey, Image, Motion, MotionWhy, Observation
from edge.pipeline import Judging, OneModel, Parts, Pipeline
from edge.policy import VisitJudge
from edge.quality import QualityJudge, QualitySettings, judge_light
from edge.record import VISIT_FILE, read_record
from edge.visits import Provenance, replayed
from edge.walltime import WallWatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.assembly import LoadedModel
    from edge.canonical import Value
    from edge.config import Config
    from edge.messages import Quality, Rules, Scores, Verdict, Visit
    from edge.ports import Camera

METADATA_FILE = "metadata.jsonl"
EPOCH = datetime.fromtimestamp(0, UTC)
FRAMES_TO_SETTLE = 100
"""How often a single picture is shown to the judge before its verdict is taken as it stands."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One visit that was judged: its canonical line and, for a spool record, what it had come to before.

    ``fields["source"]`` is where it came from: a record, a film, a folder, or ``home/visit`` of an imagefolder;
    ``verdict`` is the verdict of that line with the evidence it rests on.
    """

    fields: dict[str, Value]
    same: bool
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Score:
    """What the model says of one picture; ``took_ms`` is quality, features and model together."""

    file: Path
    quality: Quality
    scores: Scores
    verdict: Verdict
    model_id: str
    took_ms: float

    def fields(self) -> dict[str, object]:
        """Return the line of ``catflap score --json``."""
        return {
            "file": str(self.file),
            "quality": dataclasses.asdict(self.quality),
            "scores": dict(zip(LABELS, self.scores.probabilities, strict=True)),
            "verdict": self.verdict.kind,
            "because": self.verdict.because,
            "resident": self.verdict.resident,
            "model": self.model_id,
            "took_ms": self.took_ms,
        }

    def line(self) -> str:
        """Return the same for people."""
        best = self.scores.top()
        seen = f"{best} {self.scores.of(best):.2f}" if self.quality.ok else f"no evidence: {self.quality.why}"
        return f"{self.file}  {seen}  {self.verdict.kind}"


class _Collector(AbsentRecord):
    """The Record port of a replay: keeps the visits; it has no bolt to fault, no coil, and nobody speaks to it."""

    def __init__(self) -> None:
        self._visits: list[Visit] = []

    def visit(self, visit: Visit) -> None:
        self._visits.append(visit)

    def drain(self) -> list[Visit]:
        """Hand over what was kept so far."""
        kept, self._visits = self._visits, []
        return kept


class _TimedCamera:
    """A recorded camera that takes the simulated clock along, so that time in a replay is the recording's."""

    def __init__(self, camera: Camera, clock: SimClock) -> None:
        self._camera = camera
        self._clock = clock

    def newest(self, timeout_s: float) -> Frame | None:
        frame = self._camera.newest(timeout_s)
        if frame is not None:
            self._clock.advance(max(0, frame.captured_ns - self._clock.monotonic_ns()) / 1e9)
        return frame

    def still(self) -> Image | None:
        return self._camera.still()

    def close(self) -> None:
        self._camera.close()


class _Stills:
    """The pictures of one visit of an imagefolder, at the times they were taken, as a camera."""

    def __init__(self, folder: Path, rows: list[dict[str, object]]) -> None:
        self.skipped: list[Skipped] = []
        self._folder = folder
        self._rows = iter(enumerate(rows))
        self._begin = _taken(rows[0])
        self._last_ns = -1
        self._image: Image | None = None

    def newest(self, timeout_s: float) -> Frame:  # noqa: ARG002 - a recording never keeps anyone waiting
        for index, row in self._rows:
            path = self._folder / str(row["file_name"])
            try:
                self._image = read_image(path)
            except InputError as error:
                self.skipped.append(_skipped(path, error))
                continue
            self._last_ns = self._moment_ns(row)
            return Frame(index, self._last_ns, grey_of(self._image))
        raise EOFError(f"{self._folder}: the visit has ended")

    def still(self) -> Image | None:
        return self._image

    def close(self) -> None:
        """Nothing to release."""

    def _moment_ns(self, row: dict[str, object]) -> int:
        """Return when a picture was taken; pictures of the same second follow each other by a tenth."""
        taken = _taken(row)
        if taken is None or self._begin is None:
            return self._last_ns + 1_000_000_000
        return max((taken - self._begin) // timedelta(microseconds=1) * 1000, self._last_ns + 100_000_000)


class Replayer:
    """Judges recordings with one model under one configuration; remembers what it had to skip."""

    def __init__(self, config: Config, loaded: LoadedModel, *, other_model: bool) -> None:
        """``other_model``: a model was named, so that records of another model are judged anew, not checked."""
        self._config = config
        self._loaded = loaded
        self._other_model = other_model
        self._rules = assembly.rules(config, loaded.evidence)
        self.skipped: list[Skipped] = []

    def path(self, path: Path) -> Iterator[Replayed]:
        """Judge whatever a path is: a spool record, a spool, an imagefolder, a folder of pictures or a video."""
        if (path / VISIT_FILE).is_file():
            yield from self._record(path)
        elif path.is_dir() and any(path.glob(f"*/{VISIT_FILE}")):
            for entry in sorted(path.glob(f"*/{VISIT_FILE}")):
                yield from self._record(entry.parent)
        elif (path / METADATA_FILE).is_file():
            yield from (_replayed(source, visit) for source, visit in self.visits(path))
        elif path.exists():
            yield from self._sequence(path)
        else:
            self.skipped.append(Skipped(path, "there is no such file or folder"))

    def visits(self, path: Path) -> Iterator[tuple[str, Visit]]:
        """Judge the visits of an imagefolder, each by itself: its pictures were taken because something had moved.

        Yields ``home/visit`` and the whole record. The loop ends a visit when the door closes, so that one visit of the
        folder may come in several parts.
        """
        for source, rows in sorted(_visits_of(path).items()):
            for visit in self._run(_Stills(path, rows), OpenGate(), _taken(rows[0]) or EPOCH):
                yield source, visit

    # --- spool records ---------------------------------------------------------------------------------------------

    def _record(self, directory: Path) -> Iterator[Replayed]:
        try:
            stored = read_record(directory)
        except InputError as error:
            self.skipped.append(_skipped(directory, error))
            return
        unfit = self._unfit(stored)
        if unfit is not None:
            self.skipped.append(Skipped(directory, unfit))
            return
        yield self._judged_again(stored, str(directory))

    def _unfit(self, stored: Visit) -> str | None:
        """Return why this model cannot judge a record: its patches are the very pixels its own model was shown."""
        recipe = self._loaded.model.recipe
        takes = (recipe.height_px, recipe.width_px)
        shapes = {entry.patch.pixels.shape for entry in stored.observations if entry.patch is not None}
        if shapes <= {takes}:
            return None
        height, width = next(iter(shapes - {takes}))
        return (
            f"its patches are {width}x{height} pixels, cut for {stored.model_id}; "
            f"{self._loaded.model_id} takes {takes[1]}x{takes[0]}: name a model that fits with --model"
        )

    def _judged_again(self, stored: Visit, source: str) -> Replayed:
        rules = stored.rules
        if self._other_model:  # judged by this model alone, whoever watched over the one of that night
            rules = replace(rules, evidence=self._loaded.evidence, second=None)
        one_model = stored.model_id == self._loaded.model_id
        observations = tuple(self._scored_again(entry, one_model=one_model) for entry in stored.observations)
        verdict = replayed(observations, stored.chips, VisitJudge(rules))
        same = verdict == stored.verdict and observations_agree(observations, stored.observations)
        again = replace(
            stored,
            observations=observations,
            rules=rules,
            verdict=verdict,
            model_id=self._loaded.model_id,
            runtime=self._loaded.runtime,
        )
        fields = {"source": source, **summary(again, None, "replayed").fields()}
        fields |= {"stored_verdict": stored.verdict.kind, "stored_model": stored.model_id, "same": same}
        return Replayed(fields, same or self._other_model, verdict)

    def _scored_again(self, observation: Observation, *, one_model: bool) -> Observation:
        if observation.patch is None or observation.scores is None:
            return observation
        # What a likeness was worth went with the galleries of that night; another model's embedding has none.
        likeness = observation.likeness if one_model else ()
        return replace(observation, scores=self._loaded.model.score(observation.patch), likeness=likeness)

    # --- pictures --------------------------------------------------------------------------------------------------

    def _sequence(self, path: Path) -> Iterator[Replayed]:
        """Run a video or a folder of pictures through the gate, frame by frame."""
        try:
            camera = RecordedCamera(replace(self._config.camera, kind="video", source=str(path)))
        except (InputError, HardwareError) as error:
            self.skipped.append(_skipped(path, error))
            return
        gate = Gate(assembly.gate_settings(self._config))
        yield from (_replayed(str(path), visit) for visit in self._run(camera, gate, EPOCH))

    def _run(self, camera: RecordedCamera | _Stills, gate: Gate | OpenGate, started: datetime) -> Iterator[Visit]:
        collector = _Collector()
        pipeline = self._pipeline(camera, gate, collector, SimClock(started))
        try:
            while True:
                pipeline.tick()
                yield from collector.drain()
        except EOFError:
            pipeline.stop()
        finally:
            pipeline.close()
        self.skipped.extend(camera.skipped)
        yield from collector.drain()

    def _pipeline(
        self, camera: RecordedCamera | _Stills, gate: Gate | OpenGate, collector: _Collector, clock: SimClock
    ) -> Pipeline:
        config = self._config
        timed = _TimedCamera(camera, clock)
        provenance = Provenance(self._loaded.model_id, self._loaded.runtime, config.digest(), self._rules)
        # A recording comes without galleries: nobody is known by its looks.
        judging = Judging(self._loaded.model, Recogniser((), None), provenance)
        parts = Parts(
            clock=clock,
            camera=CameraKeeper(lambda: timed, clock, config.camera.hang_s),
            flap=AbsentFlap(),
            sensors=AbsentSensors(),
            lamp=AbsentLamp(),
            indicator=AbsentIndicator(),
            chip_reader=None,
            heartbeat=AbsentHeartbeat(),
            record=collector,
            gate=gate,
            quality=QualityJudge(QualitySettings()),
            models=OneModel(judging),
            door=Door(DoorTimes(config.door.open_s, config.door.hold_off_s)),
            coil=CoilGuard(config.lock, 0.0, clock.monotonic_ns()),
            house=HouseKeeper(no_rules(config), WallWatch(UTC), clock, collector, HouseState()),
            control=AbsentControl(),
        )
        return Pipeline(parts, assembly.wishes(config))


def _replayed(source: str, visit: Visit) -> Replayed:
    fields = {"source": source, **summary(visit, None, "replayed").fields()}
    return Replayed(fields, same=True, verdict=visit.verdict)


def _skipped(path: Path, error: Exception) -> Skipped:
    return Skipped(path, str(error).removeprefix(f"{path}: "))


def grey_of(image: Image) -> Grey:
    """Return a picture in grey, uint8, (height, width)."""
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return grey.astype(np.uint8, copy=False)


def observations_agree(again: tuple[Observation, ...], stored: tuple[Observation, ...]) -> bool:
    """Return whether every frame was scored as before, to the last bit."""
    return [entry.scores for entry in again] == [entry.scores for entry in stored]


def score(path: Path, loaded: LoadedModel, rules: Rules) -> Score:
    """Judge one picture. Its verdict is what a visit of such frames would come to.

    Raises:
        InputError: the file cannot be used as a picture; one line that names it.
    """
    grey = grey_of(read_image(path))
    started_ns = time.perf_counter_ns()
    whole = features.whole(grey)
    quality = judge_light(grey, None, QualitySettings())
    patch = features.extract(grey, whole, loaded.model.recipe)
    scores = loaded.model.score(patch)
    took_ms = (time.perf_counter_ns() - started_ns) / 1e6
    motion = Motion(present=True, why=MotionWhy.MOVING, box=whole, area_fraction=1.0)
    seen = Observation(0, 0, motion, quality, patch if quality.ok else None, scores if quality.ok else None)
    return Score(path, quality, scores, _verdict_of_many(seen, rules), loaded.model_id, took_ms)


def _verdict_of_many(seen: Observation, rules: Rules) -> Verdict:
    judge = VisitJudge(rules)
    for _ in range(FRAMES_TO_SETTLE):
        judge.frame(seen)
    return judge.verdict()


def _visits_of(path: Path) -> dict[str, list[dict[str, object]]]:
    """Read ``metadata.jsonl`` and group its rows by visit, in the order of the file.

    Raises:
        InputError: a line is not an object with ``file_name``.
    """
    visits: dict[str, list[dict[str, object]]] = {}
    for number, line in enumerate((path / METADATA_FILE).read_text(encoding="utf-8").splitlines(), start=1):
        row = _row(path, number, line)
        key = f"{row.get('home', '')}/{row.get('visit') or row['file_name']}"
        visits.setdefault(key, []).append(row)
    return visits


def _row(path: Path, number: int, line: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{path / METADATA_FILE}:{number}: is not JSON: {error.msg}") from error
    if not isinstance(row, dict) or not isinstance(row.get("file_name"), str):
        raise InputError(f"{path / METADATA_FILE}:{number}: must be an object with a file_name")
    return row


def _taken(row: dict[str, object]) -> datetime | None:
    try:
        taken = datetime.fromisoformat(str(row.get("taken")))
    except ValueError:
        return None
    return taken.replace(tzinfo=taken.tzinfo or UTC)
