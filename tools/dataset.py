"""The pictures a student learns from: reading, splitting by home and visit, and turning them into patches.

Patches come from ``edge.features``, the same functions as on the device. Only what the device's camera does to a
picture (light, noise, blur, tilt) is added here, between the crop and the normalisation.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from edge.features import Recipe, extract, normalise
from edge.messages import LABELS, Box, Grey, Label

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Flags = npt.NDArray[np.bool_]

PARTIAL: dict[str, frozenset[Label]] = {"cat": frozenset({Label.CAT_HIDDEN, Label.CAT_CLEAR})}
"""Labels that leave open which of several classes it is."""

TUNNEL_CALIBRATION = ("2014-01-28", "2014-02-05")
TUNNEL_TEST_FROM = "2014-03-01"
SIM = "sim"
FOLDS = (("tunnel",), ("feral",), ("dogcat",), ("caltech101",), ("raccoon", "dlcmouse"))
"""Homes that are left out together to see how strangers fare; the two small ones hold other animals only."""


class DataSetError(Exception):
    """The data set cannot be used; its text is one sentence that says why and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One picture. ``allowed`` are the classes its label leaves open; ``individual`` is -1 where no cat has a name.

    ``name`` is the file it came from, relative to its folder; ``modality`` is ``IR``, ``colour`` or ``grey``.
    """

    name: str
    modality: str
    grey: Grey
    box: Box
    label: str
    allowed: frozenset[Label]
    home: str
    visit: str
    part: str
    individual: int

    @property
    def coarse(self) -> str:
        """One of the five coarse classes: ``cat`` is any cat without prey."""
        return coarse(next(iter(self.allowed)))


def coarse(label: Label) -> str:
    """Return the coarse class of a label."""
    return "cat" if label in PARTIAL["cat"] else str(label)


COARSE = tuple(dict.fromkeys(coarse(label) for label in LABELS))


@dataclass(frozen=True, slots=True)
class Source:
    """Where a home's pictures come from, for the model's card."""

    home: str
    source: str
    licence: str
    licence_clear: str
    pictures: int


@dataclass(frozen=True, slots=True, eq=False)
class Photographs:
    """A folder of photographs in the ``imagefolder`` form; ``sha256`` covers its metadata and every picture."""

    samples: tuple[Sample, ...]
    sources: tuple[Source, ...]
    sha256: str


def read_photographs(folder: Path) -> Photographs:
    """Read ``metadata.jsonl`` and every picture it names.

    Raises:
        DataSetError: a file is missing or unreadable, or a label is unknown.
    """
    try:
        raw = (folder / "metadata.jsonl").read_bytes()
        rows = [json.loads(line) for line in raw.splitlines()]
    except (OSError, ValueError) as error:
        raise DataSetError(
            f"{folder / 'metadata.jsonl'}: cannot be read ({error}); --data must be an imagefolder"
        ) from error
    digest = hashlib.sha256(raw)
    first_taken: dict[str, str] = {}
    for row in rows:
        first_taken[row["visit"]] = min(row.get("taken", ""), first_taken.get(row["visit"], "~"))
    samples = tuple(_sample(folder, row, first_taken[row["visit"]], digest) for row in rows)
    return Photographs(samples, _sources(rows), digest.hexdigest())


def _sample(folder: Path, row: dict[str, str], visit_taken: str, digest: hashlib._Hash) -> Sample:
    path = folder / row["file_name"]
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataSetError(f"{path}: {error.strerror}; metadata.jsonl names it: fetch it or remove its line") from error
    digest.update(content)
    grey = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if getattr(grey, "ndim", 0) != 2:
        raise DataSetError(f"{path}: is not a picture; replace it or remove its line from metadata.jsonl")
    return Sample(
        name=row["file_name"],
        modality=row.get("modality", "grey"),
        grey=grey.astype(np.uint8, copy=False),
        box=Box(0, 0, grey.shape[1], grey.shape[0]),
        label=row["label"],
        allowed=allowed_by(row["label"], str(path)),
        home=row["home"],
        visit=row["visit"],
        part=part_of(row["home"], row["visit"], visit_taken),
        individual=-1,
    )


def allowed_by(label: str, where: str) -> frozenset[Label]:
    """Return the classes a label leaves open.

    Raises:
        DataSetError: there is no such label.
    """
    if label in PARTIAL:
        return PARTIAL[label]
    if label not in list(Label):
        raise DataSetError(f"{where}: label {label!r} is not one of {', '.join([*LABELS, *PARTIAL])}")
    return frozenset({Label(label)})


def part_of(home: str, visit: str, visit_taken: str) -> str:
    """Return ``train``, ``calibration`` or ``test`` for a visit: whole visits, and the tunnel's by time.

    Of the other homes every tenth visit (by a hash of its name) goes to calibration; they are tested as a whole,
    by models that never saw them.
    """
    if home == "tunnel":
        if visit_taken >= TUNNEL_TEST_FROM:
            return "test"
        return "calibration" if TUNNEL_CALIBRATION[0] <= visit_taken < TUNNEL_CALIBRATION[1] else "train"
    tenth = hashlib.sha256(f"{home}/{visit}".encode()).digest()[0] < 26
    return "calibration" if tenth and home != "dlcmouse" else "train"


def _sources(rows: Iterable[dict[str, str]]) -> tuple[Source, ...]:
    counts: dict[tuple[str, str, str, str], int] = {}
    for row in rows:
        key = (row["home"], row["source"], row["licence"], row["licence_clear"])
        counts[key] = counts.get(key, 0) + 1
    return tuple(Source(*key, pictures) for key, pictures in sorted(counts.items()))


def simulated(count: int, seed: int) -> tuple[Sample, ...]:
    """Return frames of the simulated world as one more home; of five nights one calibrates and one tests.

    Every second training frame with somebody in it comes once more as a close-up: in a narrow tunnel a cat is nearer
    than the picture is wide.
    """
    from edge.adapters.sim.stills import generate  # noqa: PLC0415 - the world is drawn only when it is asked for

    parts = ("train", "train", "train", "calibration", "test")
    frames = tuple(
        Sample(
            name=f"night{still.night}/{number}",
            modality="IR",
            grey=still.grey,
            box=still.box,
            label=str(still.label),
            allowed=frozenset({still.label}),
            home=SIM,
            visit=f"night{still.night}",
            part=parts[still.night % len(parts)],
            individual=-1 if still.individual is None else still.individual,
        )
        for number, still in enumerate(generate(count, seed))
    )
    rng = np.random.default_rng(seed)
    near = [sample for sample in frames if sample.part == "train" and sample.label in _CLOSE][::2]
    return (*frames, *(_close_up(sample, rng) for sample in near))


_CLOSE = {
    Label.CAT_CLEAR: "cat",  # the mouth may have stayed outside
    Label.CAT_HIDDEN: Label.CAT_HIDDEN,
    Label.OTHER_ANIMAL: Label.OTHER_ANIMAL,
    Label.PERSON: Label.PERSON,
}


def _close_up(sample: Sample, rng: np.random.Generator) -> Sample:
    """Cut a window of 0.35 to 0.6 of the picture whose middle lies on what is shown."""
    height, width = sample.grey.shape
    share, at_x, at_y = rng.uniform(0.35, 0.6), rng.random(), rng.random()
    wide, high = round(share * width), round(share * height)
    x = min(max(round(sample.box.x + at_x * sample.box.width - wide / 2), 0), width - wide)
    y = min(max(round(sample.box.y + at_y * sample.box.height - high / 2), 0), height - high)
    label = str(_CLOSE[Label(sample.label)])
    return dataclasses.replace(
        sample,
        grey=sample.grey[y : y + high, x : x + wide],
        box=Box(0, 0, wide, high),
        label=label,
        allowed=allowed_by(label, "close-up"),
    )


def plain_patches(samples: Sequence[Sample], recipe: Recipe) -> Grey:
    """Return the samples as the device would cut them: uint8, (count, height, width)."""
    return np.stack([extract(sample.grey, sample.box, recipe).pixels for sample in samples])


def allowed_flags(samples: Sequence[Sample]) -> Flags:
    """Return which classes each sample's label leaves open: (count, labels)."""
    return np.array([[label in sample.allowed for label in LABELS] for sample in samples])


def draw_weights(samples: Sequence[Sample]) -> npt.NDArray[np.float64]:
    """Return the probability with which each sample is drawn: small groups of (home, label) far above their share."""
    counts: dict[tuple[str, str], int] = {}
    for sample in samples:
        key = (sample.home, sample.label)
        counts[key] = counts.get(key, 0) + 1
    rare = {str(Label.CAT_PREY): 2.0}
    weights = [
        rare.get(sample.label, 1.0) * counts[sample.home, sample.label] ** (GROUP_POWER - 1) for sample in samples
    ]
    shares: npt.NDArray[np.float64] = np.array(weights) / sum(weights)
    return shares


GROUP_POWER = 0.4
"""A group of n pictures is drawn in proportion to n to this power: 1 would be its share, 0 every group alike."""


class Augmenter:
    """Does to a picture what cameras, lamps and flaps do, at random but repeatably."""

    def __init__(self, recipe: Recipe) -> None:
        """Prepare for one recipe."""
        self._recipe = recipe
        self._unnormalised = dataclasses.replace(recipe, max_gain=1.0)
        self._noise = np.random.default_rng(7).standard_normal((512, 512)).astype(np.float32)

    def patch(self, sample: Sample, rng: np.random.Generator) -> Grey:
        """Return one augmented patch, uint8, (height, width)."""
        box = _gate_box(sample, rng)
        pixels = extract(sample.grey, box, self._unnormalised).pixels
        pixels = _tilted(pixels, rng)
        pixels = _occluded(pixels, rng)
        pixels = self._lit(pixels, rng)
        if rng.random() < 0.12:
            pixels = _compressed(pixels, rng)
        return normalise(pixels, self._recipe.max_gain)

    def _lit(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Gamma, gain, offset, fall-off of the lamp, blur and noise."""
        real = (pixels.astype(np.float32) / 255.0) ** np.float32(np.exp(rng.normal(0, 0.35)))
        if rng.random() < 0.3:
            real *= _falloff(pixels.shape, rng)
        real = (real - 0.5) * np.float32(rng.uniform(0.5, 1.4)) + np.float32(0.5 + rng.normal(0, 0.1))
        if rng.random() < 0.3:
            real = cv2.GaussianBlur(real, (0, 0), rng.uniform(0.4, 1.6)).astype(np.float32, copy=False)
        if rng.random() < 0.5:
            y, x = rng.integers(0, 512 - pixels.shape[0]), rng.integers(0, 512 - pixels.shape[1])
            noise = self._noise[y : y + pixels.shape[0], x : x + pixels.shape[1]]
            real = real + noise * np.float32(abs(rng.normal(0, 0.05)))
        lit: Grey = np.clip(np.rint(real * 255.0), 0, 255).astype(np.uint8)
        return lit


def _gate_box(sample: Sample, rng: np.random.Generator) -> Box:
    """A box as the gate might have given it for this picture."""
    if sample.label == Label.EMPTY:
        return _part_of_picture(sample.box, rng, 0.05)  # whatever moved was small and anywhere
    if sample.home == SIM:
        return _jittered(sample.box, rng)
    return _part_of_picture(sample.box, rng, 0.45)  # with the recipe's margin at least two thirds remain to be seen


def _jittered(box: Box, rng: np.random.Generator) -> Box:
    """A box as a gate that is a little off would give it."""
    grow_x, grow_y = np.exp(rng.normal(0, 0.12, 2))
    shift_x, shift_y = rng.normal(0, 0.06, 2)
    width, height = max(round(box.width * grow_x), 1), max(round(box.height * grow_y), 1)
    x = round(box.x + box.width * (0.5 + shift_x) - width / 2)
    y = round(box.y + box.height * (0.5 + shift_y) - height / 2)
    return Box(x, y, width, height)


def _part_of_picture(box: Box, rng: np.random.Generator, least: float) -> Box:
    """A box anywhere in a picture, at least the share ``least`` of it wide and high; sometimes all of it."""
    share_x, share_y = rng.uniform(least, 1.0, 2) if rng.random() < 0.7 else (1.0, 1.0)
    width, height = max(round(box.width * share_x), 1), max(round(box.height * share_y), 1)
    x, y = rng.integers(0, box.width - width + 1), rng.integers(0, box.height - height + 1)
    return Box(int(x), int(y), width, height)


def _tilted(pixels: Grey, rng: np.random.Generator) -> Grey:
    """Mirror, a small turn and a small stretch."""
    if rng.random() < 0.5:
        pixels = cv2.flip(pixels, 1).astype(np.uint8, copy=False)
    if rng.random() < 0.5:
        return pixels
    height, width = pixels.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 5), np.exp(rng.normal(0.04, 0.08)))
    turned = cv2.warpAffine(pixels, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    return turned.astype(np.uint8, copy=False)


def _occluded(pixels: Grey, rng: np.random.Generator) -> Grey:
    """The frame of the flap, or dirt on the lens: an even bar along one edge, never over the middle."""
    if rng.random() > 0.15:
        return pixels
    depth = rng.uniform(0.05, 0.2)
    covered, level = pixels.copy(), rng.integers(0, 256)
    rows, columns = round(depth * pixels.shape[0]), round(depth * pixels.shape[1])
    edge = rng.integers(0, 4)
    view = (covered[:rows], covered[-rows:], covered[:, :columns], covered[:, -columns:])[edge]
    view[:] = level
    return covered


def _falloff(shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """A lamp's cone: brightest somewhere in the picture, weaker with the square of the distance."""
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None] - np.float32(rng.uniform(-0.6, 0.6))
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :] - np.float32(rng.uniform(-0.6, 0.6))
    return (1.0 / (1.0 + np.float32(rng.uniform(0.3, 1.5)) * (x * x + y * y))).astype(np.float32)


def _compressed(pixels: Grey, rng: np.random.Generator) -> Grey:
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))])
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(np.uint8, copy=False)
