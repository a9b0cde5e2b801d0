"""The pictures a student learns from: reading, splitting by home and visit, and cutting them as the device would.

Patches come from ``edge.features``, the same functions as on the device; ``augment`` adds what cameras do to them.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from rows import PARTIAL, UNLABELLED, DataSetError, Row, allowed_by, refuse, rows_of
from splits import COPY, FOLDS, SHARED, TUNNEL_CALIBRATION, TUNNEL_TEST_FROM, UNJUDGED, part_of, parts

from edge.features import Recipe, extract
from edge.messages import LABELS, Box, Grey, Label

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = [  # with what callers need of ``rows`` and ``splits``
    "COARSE",
    "COPY",
    "FOLDS",
    "GROUP_POWER",
    "PARTIAL",
    "SIM",
    "TUNNEL_CALIBRATION",
    "TUNNEL_TEST_FROM",
    "UNJUDGED",
    "UNLABELLED",
    "Count",
    "DataSetError",
    "Flags",
    "Photographs",
    "Sample",
    "Source",
    "Summary",
    "allowed_by",
    "allowed_flags",
    "coarse",
    "draw_weights",
    "individual_numbers",
    "joined",
    "part_of",
    "parts",
    "plain_patches",
    "read_photographs",
    "simulated",
    "summary",
]

Flags = npt.NDArray[np.bool_]

SIM = "sim"


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One picture. ``allowed`` are the classes its label leaves open; ``individual`` is -1 where no cat has a name.

    A picture without a label, ``UNLABELLED``, may be learnt from by what a teacher says of it; nothing is judged by it.

    ``name`` is the file it came from, relative to its folder; ``modality`` is ``IR``, ``colour`` or ``grey``;
    ``encoded`` are the file's bytes, empty for a drawn frame; ``taken`` is when, ISO 8601, or empty. ``composed`` says
    that something was put into a photograph, at ``held``, in pixels of ``grey``.
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
    taken: str = ""
    encoded: bytes = b""
    composed: bool = False
    held: Box | None = None

    @property
    def labelled(self) -> bool:
        """Whether somebody has said what it shows."""
        return self.label != UNLABELLED

    @property
    def coarse(self) -> str:
        """One of the five coarse classes: ``cat`` is any cat without prey.

        Raises:
            ValueError: nobody has said what it shows.
        """
        if not self.labelled:
            raise ValueError(f"{self.name}: is not labelled, so nothing can be judged by it")
        return coarse(next(iter(self.allowed)))

    def without_label(self) -> Sample:
        """Return the same picture as if nobody had looked at it."""
        return dataclasses.replace(self, label=UNLABELLED, allowed=allowed_by(UNLABELLED, self.name), individual=-1)

    @property
    def in_colour(self) -> bool:
        """Whether ``encoded`` holds more than ``grey`` does."""
        return self.modality == "colour" and bool(self.encoded)


def coarse(label: Label) -> str:
    """Return the coarse class of a label."""
    return "cat" if label in PARTIAL["cat"] else str(label)


COARSE = tuple(dict.fromkeys(coarse(label) for label in LABELS))


@dataclass(frozen=True, slots=True)
class Source:
    """Where a home's pictures come from, for the model's card; composed ones are counted apart."""

    home: str
    source: str
    licence: str
    licence_clear: str
    pictures: int


@dataclass(frozen=True, slots=True, eq=False)
class Photographs:
    """A folder of photographs in the ``imagefolder`` form; ``sha256`` covers its metadata and every picture.

    ``individuals`` are the cats that have a name, as ``home/name``; ``individual_numbers`` gives a sample's number.
    """

    samples: tuple[Sample, ...]
    sources: tuple[Source, ...]
    sha256: str
    individuals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """How many pictures of how many visits one home has of one label in one part."""

    home: str
    part: str
    label: str
    composed: bool
    pictures: int
    visits: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run records of its data set and a card prints: the content hash and every count, in a fixed order."""

    sha256: str
    counts: tuple[Count, ...]


def summary(photographs: Photographs) -> Summary:
    """Return what there is of what."""
    pictures: Counter[tuple[str, str, str, bool]] = Counter()
    visits: dict[tuple[str, str, str, bool], set[str]] = {}
    for sample in photographs.samples:
        key = (sample.home, sample.part, sample.label, sample.composed)
        pictures[key] += 1
        visits.setdefault(key, set()).add(sample.visit)
    return Summary(photographs.sha256, tuple(Count(*key, pictures[key], len(visits[key])) for key in sorted(pictures)))


# --- reading ----------------------------------------------------------------------------------------------------------


def read_photographs(folder: Path) -> Photographs:
    """Read ``metadata.jsonl`` and every picture it names.

    Every line needs ``file_name``, ``label``, ``home``, ``visit`` and the card's fields; ``taken``, ``modality`` and
    ``individual`` (a cat's name) may be there, ``composed`` and ``box`` are as ``tools/compose_prey.py`` writes them.

    Raises:
        DataSetError: a line is no such row, or a picture is missing or none; the first fault, and how many more.
    """
    path = folder / "metadata.jsonl"
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataSetError(f"{path}: {error.strerror}; name an imagefolder") from error
    rows = rows_of(path, raw)
    cats = tuple(sorted({row.cat for row in rows if row.cat}))
    numbers, digest = individual_numbers(cats), hashlib.sha256(raw)
    samples, faults = list[Sample](), list[str]()
    for row in rows:
        try:
            samples.append(_sample(folder, row, numbers.get(row.cat, -1), digest))
        except DataSetError as fault:
            faults.append(str(fault))
    refuse(faults)
    return Photographs(_split(samples), _sources(rows), digest.hexdigest(), cats)


def _sample(folder: Path, row: Row, individual: int, digest: hashlib._Hash) -> Sample:
    path = folder / row.file_name
    line = f"line {row.line} of metadata.jsonl"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataSetError(f"{path}: {error.strerror}; fetch it or remove {line}") from error
    digest.update(content)
    if not content:
        raise DataSetError(f"{path}: is empty (0 bytes); replace it or remove {line}")
    grey = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if getattr(grey, "ndim", 0) != 2:
        raise DataSetError(f"{path}: is not a picture; replace it or remove {line}")
    return Sample(
        name=row.file_name,
        modality=row.modality,
        grey=grey.astype(np.uint8, copy=False),
        box=Box(0, 0, grey.shape[1], grey.shape[0]),
        label=row.label,
        allowed=allowed_by(row.label, str(path)),
        home=row.home,
        visit=row.visit,
        part="",
        individual=individual,
        taken=row.taken,
        encoded=content,
        composed=row.held is not None,
        held=row.held,
    )


def individual_numbers(cats: Iterable[str]) -> dict[str, int]:
    """Return a number for each named cat, above those of the drawn world's cats: both learn side by side."""
    from edge.adapters.sim.stills import INDIVIDUALS  # noqa: PLC0415 - see ``simulated``

    return {cat: INDIVIDUALS + number for number, cat in enumerate(cats)}


def _sources(rows: Iterable[Row]) -> tuple[Source, ...]:
    counts = Counter(
        (f"{row.home} (composed)" if row.held else row.home, row.source, row.licence, row.licence_clear) for row in rows
    )
    return tuple(Source(*key, pictures) for key, pictures in sorted(counts.items()))


def joined(first: Photographs, *others: Photographs) -> Photographs:
    """Return several folders as one data set, split as if they had been one.

    Raises:
        DataSetError: a picture was composed from a visit that is held out.
    """
    folders = (first, *others)
    cats = tuple(sorted({cat for folder in folders for cat in folder.individuals}))
    numbers, samples = individual_numbers(cats), list[Sample]()
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for folder in folders:
        new = {old: numbers[cat] for cat, old in individual_numbers(folder.individuals).items()}
        samples += (dataclasses.replace(each, individual=new.get(each.individual, -1)) for each in folder.samples)
        for each in folder.sources:
            counts[each.home, each.source, each.licence, each.licence_clear] += each.pictures
    sources = tuple(Source(*key, pictures) for key, pictures in sorted(counts.items()))
    digest = hashlib.sha256("".join(sorted(folder.sha256 for folder in folders)).encode()).hexdigest()
    return Photographs(_split(samples), sources, digest, cats)


def _split(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Give every sample its part; raise a DataSetError where a composed one has no right to its own.

    Undated visits are set apart by chance, and so may be the copies of one picture: those that would train become a
    part of their own, ``COPY``. Copies in dated visits, or in two homes, are for ``preflight`` to refuse. What is held
    out and has no label is ``UNJUDGED``.
    """
    split = parts((each.home, each.visit, each.taken) for each in samples if not each.composed)
    judged = {(each.home, each.encoded) for each in samples if split.get((each.home, each.visit), "train") != "train"}

    def part(each: Sample) -> str:
        if each.composed:
            return _part_of_composed(each, split)
        mine = split[each.home, each.visit]
        if not each.labelled and mine != "train":
            return UNJUDGED
        return COPY if mine == "train" and not each.taken and (each.home, each.encoded) in judged else mine

    return tuple(dataclasses.replace(each, part=part(each)) for each in samples)


def _part_of_composed(sample: Sample, split: dict[tuple[str, str], str]) -> str:
    """Return ``train``, which is all that a composed picture is for; without its original the shared split is asked."""
    alone = part_of(sample.home, sample.visit, sample.taken) if sample.home in SHARED else "train"
    if (part := split.get((sample.home, sample.visit), alone)) != "train":
        what = f"is composed from visit {sample.visit!r} of {sample.home!r}, which is kept for {part}"
        raise DataSetError(f"{sample.name}: {what}; compose it from visits that train (tools/compose_prey.py)")
    return part


# --- the simulated world ----------------------------------------------------------------------------------------------


def simulated(count: int, seed: int) -> tuple[Sample, ...]:
    """Return frames of the simulated world as one more home; of five nights one calibrates and one tests.

    Every second training frame with somebody in it comes once more as a close-up: in a narrow tunnel a cat is nearer
    than the picture is wide.
    """
    from edge.adapters.sim.stills import generate  # noqa: PLC0415 - the world is drawn only when it is asked for

    nights = ("train", "train", "train", "calibration", "test")
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
            part=nights[still.night % len(nights)],
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


# --- what a network takes ---------------------------------------------------------------------------------------------


def plain_patches(samples: Sequence[Sample], recipe: Recipe) -> Grey:
    """Return the samples as the device would cut them: uint8, (count, height, width)."""
    return np.stack([extract(sample.grey, sample.box, recipe).pixels for sample in samples])


def allowed_flags(samples: Sequence[Sample]) -> Flags:
    """Return which classes each sample's label leaves open: (count, labels)."""
    return np.array([[label in sample.allowed for label in LABELS] for sample in samples])


def draw_weights(samples: Sequence[Sample]) -> npt.NDArray[np.float64]:
    """Return the probability with which each sample is drawn: small groups of (home, label) far above their share.

    Composed pictures are groups of their own, so that the few real ones are drawn as often as without them but for what
    the new groups take from all alike.
    """
    groups = [(sample.home, sample.label, sample.composed) for sample in samples]
    counts, rare = Counter(groups), {str(Label.CAT_PREY): 2.0}
    weights = [rare.get(group[1], 1.0) * counts[group] ** (GROUP_POWER - 1) for group in groups]
    shares: npt.NDArray[np.float64] = np.array(weights) / sum(weights)
    return shares


GROUP_POWER = 0.4
"""A group of n pictures is drawn in proportion to n to this power: 1 would be its share, 0 every group alike."""
