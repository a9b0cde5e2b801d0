"""A bundle's evaluation as plain values: what ``report.json`` holds, and all that the page is laid out from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from baseline_rows import COLUMNS, BaselineRow, of_manifest, today
from bundle_comparison import Against, compared
from bundle_scores import Subject  # noqa: TC002 - the codec reads the hints of Report at run time
from evaluation_figures import Curve, curves, figures
from frame_scores import TRUTHS
from rows import DataSetError
from visit_verdicts import Truth

from edge.messages import LABELS, Metric, VerdictKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from baseline_rows import Baselines
    from bundle_scores import Judged
    from dataset import Photographs, Sample
    from frame_scores import Frames
    from visit_verdicts import JudgedVisit

PARTS = ("test", "calibration", "train", "all")
UNSEEN = "unseen"
TESTED = "tunnel_later"
"""What the baselines' rows call the part ``test``."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Which pictures; ``sha256`` is of the whole data set, whatever part of it is judged."""

    sha256: str
    part: str
    pictures: int
    visits: int

    @property
    def learnt_from(self) -> bool:
        """Whether the model may have learnt from some of them, which would flatter it."""
        return self.part in ("train", "all")


@dataclass(frozen=True, slots=True)
class WrongFrame:
    """A picture that was called something its label excludes; ``probability`` is what the model gave to that."""

    file_name: str
    visit: str
    truth: str
    said: str
    probability: float


@dataclass(frozen=True, slots=True)
class WrongVisit:
    """A visit that the flap was sure of and wrong about; natural logarithms of the likelihood ratios."""

    visit: str
    truth: Truth
    verdict: VerdictKind
    because: str
    clean_llr: float
    prey_llr: float
    pictures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All of an evaluation. The worst mistakes come first; ``skipped`` are pictures that no visit could be judged by.

    ``labels``, ``homes`` and ``lights`` are those there are; ``baselines`` is empty where they were never measured on
    these pictures, ``unseen`` where the manifest says nothing of homes that were left out.
    """

    created: str
    bundle: Subject
    data: Pictures
    labels: tuple[str, ...]
    homes: tuple[str, ...]
    lights: tuple[str, ...]
    figures: tuple[Metric, ...]
    curves: tuple[Curve, ...]
    unseen: tuple[Metric, ...]
    baselines: tuple[BaselineRow, ...]
    wrong_frames: tuple[WrongFrame, ...]
    wrong_visits: tuple[WrongVisit, ...]
    skipped: tuple[str, ...]
    against: Against | None


def samples_of(photographs: Photographs, part: str) -> list[Sample]:
    """Return the labelled pictures of a part.

    Raises:
        DataSetError: there are none.
    """
    labelled = [sample for sample in photographs.samples if sample.labelled]
    chosen = [sample for sample in labelled if part in (sample.part, "all")]
    if not chosen:
        there = {sample.part for sample in labelled}
        choice = ", ".join(part for part in PARTS if part in there or part == "all")
        raise DataSetError(f"no visit belongs to the part {part!r}; choose with --part among {choice}")
    return chosen


def reported(new: Judged, old: Judged | None, data: Pictures, baselines: Baselines | None) -> Report:
    """Return everything there is to say of a bundle, and of an older one beside it."""
    frames, visits = new.frames, new.verdicts.visits
    found = figures(frames, visits)
    return Report(
        created=today(),
        bundle=new.subject,
        data=data,
        labels=tuple(TRUTHS[index] for index in np.unique(frames.truth)),
        homes=tuple(sorted(set(frames.homes))),
        lights=tuple(sorted(set(frames.lights))),
        figures=found,
        curves=curves(frames, visits),
        unseen=tuple(metric for metric in new.metrics if metric.name.startswith(f"{UNSEEN}_")),
        baselines=tuple(sorted(_rows(new, data, found, baselines), key=lambda row: row.place)),
        wrong_frames=_wrong_frames(frames),
        wrong_visits=_wrong_visits(visits),
        skipped=new.verdicts.skipped,
        against=None if old is None else compared(old, new),
    )


def _rows(new: Judged, data: Pictures, found: Sequence[Metric], baselines: Baselines | None) -> Iterator[BaselineRow]:
    """Yield the simple things' rows and below them this bundle's; nothing where they are of other pictures."""
    if baselines is None or baselines.sha256 != data.sha256:
        return
    who = f"{new.subject.name} {new.subject.version}"
    yield from (row for row in baselines.rows if row.who != who)
    if data.part == "test":
        measured = {figure.name: figure for figure in found}
        names = zip(COLUMNS, ("coarse_accuracy", "coarse_balanced_accuracy", "prey_auc"), strict=True)
        mine = ((f"{TESTED}_{column}", measured.get(f"frames/{name}")) for column, name in names)
        yield BaselineRow(TESTED, who, tuple(replace(figure, name=name) for name, figure in mine if figure))
    yield of_manifest(UNSEEN, who, new.metrics)


def _wrong_frames(frames: Frames) -> tuple[WrongFrame, ...]:
    """Return the pictures named wrongly, the surest first."""
    sure, said = frames.sure, frames.said
    wrong = sorted(np.flatnonzero(~frames.right).tolist(), key=lambda i: (-sure[i], frames.names[i]))
    return tuple(
        WrongFrame(frames.names[i], frames.visits[i], TRUTHS[frames.truth[i]], LABELS[said[i]], float(sure[i]))
        for i in wrong
    )


def _wrong_visits(visits: Sequence[JudgedVisit]) -> tuple[WrongVisit, ...]:
    """Return the visits judged wrongly: prey let in, then whoever else had no business inside, then cats refused."""
    wrong = sorted((visit for visit in visits if visit.mistaken), key=_gravity)
    return tuple(
        WrongVisit(
            visit.name, visit.truth, visit.verdict, visit.because, visit.clean_llr, visit.prey_llr, visit.pictures
        )
        for visit in wrong
    )


def _gravity(visit: JudgedVisit) -> tuple[bool, bool, float, str]:
    """Sort the gravest first, and among equals the one with the most evidence for what was wrong."""
    let_in = visit.verdict is VerdictKind.ADMIT
    return visit.truth is not Truth.PREY, not let_in, -(visit.clean_llr if let_in else visit.prey_llr), visit.name
