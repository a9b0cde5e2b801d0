"""Visits of photographs, judged by the flap's own loop in a replay, and what should have come of each.

The loop ends a visit when the door closes again, so that one visit of the data set may come out of a replay in parts:
the first part with a final verdict counts, else the last. Whoever comes after that is another visit to the flap.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from measure import visits_of
from rows import PARTIAL

from edge import config
from edge.messages import Label, VerdictKind
from edge.replay import METADATA_FILE, Replayer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from dataset import Sample

    from edge.assembly import LoadedModel
    from edge.config import Config
    from edge.replay import Replayed

Row = dict[str, str]
Part = TypeVar("Part")

CLEAR_FRAMES = 3
"""Fewer pictures of a clear mouth than this never open the door, whatever the model says of them."""
FINAL = frozenset({VerdictKind.ADMIT, VerdictKind.REFUSE_PREY})
REFUSED = frozenset({VerdictKind.REFUSE_PREY, VerdictKind.REFUSE_STRANGER, VerdictKind.REFUSE_OTHER})
NIGHT_MODALITY = "IR"


class Truth(StrEnum):
    """What a visit was, by the labels of its pictures."""

    PREY = "a cat with prey"
    CLEAR = "a cat, mouth clear on three frames or more"
    SEEN_LESS = "a cat, mouth seen less"
    NO_CAT = "no cat"


@dataclass(frozen=True, slots=True)
class JudgedVisit:
    """One visit of the data set and what the flap made of it; ``name`` is ``home/visit``.

    ``frames`` were believed when the verdict fell, ``ms`` passed since the first that was good enough, None where there
    was none; ``pictures`` are the file names, in the order of the data set.
    """

    name: str
    home: str
    light: str
    truth: Truth
    verdict: VerdictKind
    because: str
    frames: int
    ms: float | None
    clean_llr: float
    prey_llr: float
    pictures: tuple[str, ...]

    @property
    def final(self) -> bool:
        """Whether the visit came to a verdict that nothing changes any more."""
        return self.verdict in FINAL

    @property
    def right(self) -> bool:
        """Whether the door did what it should: open for a clear mouth, stay shut for prey and for what is no cat.

        A cat whose mouth was hardly seen may be let in or kept waiting, but not refused.
        """
        if self.truth is Truth.CLEAR:
            return self.verdict is VerdictKind.ADMIT
        return not self.mistaken

    @property
    def mistaken(self) -> bool:
        """Whether the flap was sure and wrong: a cat without prey was refused, or something else let in."""
        if self.truth in (Truth.CLEAR, Truth.SEEN_LESS):
            return self.verdict in REFUSED
        return self.verdict is VerdictKind.ADMIT


@dataclass(frozen=True, slots=True)
class Verdicts:
    """All visits that could be judged, in the order of their names, and one line for each picture that could not."""

    visits: tuple[JudgedVisit, ...]
    skipped: tuple[str, ...]


def truth_of(labels: Iterable[str]) -> Truth:
    """Return what a visit was. A label that does not say whether the mouth is seen counts as seen less."""
    counts = Counter(labels)
    if counts[Label.CAT_PREY]:
        return Truth.PREY
    if counts[Label.CAT_CLEAR] >= CLEAR_FRAMES:
        return Truth.CLEAR
    cats = (Label.CAT_CLEAR, Label.CAT_HIDDEN, *PARTIAL)
    return Truth.SEEN_LESS if any(counts[label] for label in cats) else Truth.NO_CAT


def light_of(modality: str) -> str:
    """Return ``night`` for pictures by infrared light, ``day`` for all others."""
    return "night" if modality == NIGHT_MODALITY else "day"


@contextlib.contextmanager
def imagefolder_of(folder: Path, rows: Iterable[Mapping[str, str]]) -> Iterator[Path]:
    """Lend an imagefolder of these rows of ``folder`` alone; the pictures stay where they are."""
    with tempfile.TemporaryDirectory() as place:
        named = [{**row, "file_name": str((folder / row["file_name"]).resolve())} for row in rows]
        text = "".join(json.dumps(row) + "\n" for row in named)
        (Path(place) / METADATA_FILE).write_text(text, encoding="utf-8")
        yield Path(place)


def deciding(parts: Iterable[Part], fields: Callable[[Part], Mapping[str, Any]]) -> dict[str, Part]:
    """Return, for each visit by its ``source``, the part of its replay that counts; ``fields`` is a part's line."""
    by_source: dict[str, list[Part]] = {}
    for part in parts:
        by_source.setdefault(str(fields(part)["source"]), []).append(part)
    return {
        source: next((part for part in mine if fields(part)["verdict"] in FINAL), mine[-1])
        for source, mine in by_source.items()
    }


def judged(folder: Path, samples: Sequence[Sample], loaded: LoadedModel) -> Verdicts:
    """Replay the visits of these samples of an imagefolder, no chip reader, every cat counting as ours."""
    visits: dict[str, list[Sample]] = {}
    for name, sample in zip(visits_of(samples), samples, strict=True):
        visits.setdefault(name, []).append(sample)
    replayer = Replayer(any_cat(), loaded, other_model=True)
    with imagefolder_of(folder, map(row_of, samples)) as place:
        parts = deciding(replayer.path(place), lambda part: part.fields)
    told = (_judged(name, visits[name], part) for name, part in sorted(parts.items()))
    return Verdicts(tuple(told), tuple(f"{entry.path}: {entry.why}" for entry in replayer.skipped))


def any_cat() -> Config:
    """Return the defaults with every cat counting as ours: pictures hold no chip."""
    return config.parse({"door": {"identity": "any_cat"}, "pins": {"bolt": 17}}, "defaults")


def row_of(sample: Sample) -> Row:
    """Return what a replay needs of a sample's line."""
    return {"file_name": sample.name, "home": sample.home, "visit": sample.visit, "taken": sample.taken}


def _judged(name: str, samples: Sequence[Sample], part: Replayed) -> JudgedVisit:
    verdict, ms = part.verdict, part.fields["ms_to_verdict"]
    return JudgedVisit(
        name=name,
        home=samples[0].home,
        light=light_of(samples[0].modality),
        truth=truth_of(sample.label for sample in samples),
        verdict=verdict.kind,
        because=verdict.because,
        frames=verdict.evidence_frames,
        ms=None if ms is None else float(ms),
        clean_llr=verdict.clean_llr,
        prey_llr=verdict.prey_llr,
        pictures=tuple(sample.name for sample in samples),
    )
