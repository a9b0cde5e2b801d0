"""Two bundles on the same pictures and visits: what changes, by name, and whether the new one may take over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from bundle_scores import Subject  # noqa: TC002 - the codec reads the hints of Against at run time
from frame_scores import TRUTHS, share

from edge.evaluation import GroupVerdict, bootstrap, mcnemar, regression_gate, wilson
from edge.messages import LABELS, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundle_scores import Judged
    from frame_scores import Frames
    from visit_verdicts import JudgedVisit

    from edge.evaluation import Flags, Indices

Pairs = list[tuple["JudgedVisit", "JudgedVisit"]]


@dataclass(frozen=True, slots=True)
class Change:
    """One picture or visit on which the two do not fare alike."""

    item: str
    truth: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Against:
    """What the older bundle was, what got better and worse since, and the regression gate, group by group."""

    bundle: Subject
    figures: tuple[Metric, ...]
    better_frames: tuple[Change, ...]
    worse_frames: tuple[Change, ...]
    better_visits: tuple[Change, ...]
    worse_visits: tuple[Change, ...]
    gate: tuple[GroupVerdict, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing that worked is broken beyond its interval."""
        return all(group.passed for group in self.gate)


def compared(old: Judged, new: Judged) -> Against:
    """Compare two bundles that judged the same pictures."""
    by_name = {visit.name: visit for visit in old.verdicts.visits}
    pairs = [(by_name[visit.name], visit) for visit in new.verdicts.visits]
    better_frames, worse_frames = _changed_frames(old.frames, new.frames)
    return Against(
        bundle=old.subject,
        figures=(*_frame_figures(old.frames, new.frames), *_visit_figures(pairs)),
        better_frames=better_frames,
        worse_frames=worse_frames,
        better_visits=tuple(_change(a, b) for a, b in pairs if b.right and not a.right),
        worse_visits=tuple(_change(a, b) for a, b in pairs if a.right and not b.right),
        gate=(*gate_of_frames(old.frames, new.frames), *_gate_of_visits(pairs)),
    )


def _frame_figures(old: Frames, new: Frames) -> Iterator[Metric]:
    yield share("comparison/frame_agreement", old.said == new.said, new.visits)
    yield _mean_change("comparison/frame_accuracy_change", old.right, new.right, new.visits)


def _visit_figures(pairs: Pairs) -> Iterator[Metric]:
    """Yield how often the verdicts are the same, the change and its exact paired test; nothing without visits."""
    if not pairs:
        return
    before, after = _right(pairs)
    yield wilson("comparison/visit_agreement", sum(a.verdict is b.verdict for a, b in pairs), len(pairs))
    yield _mean_change("comparison/visit_right_change", before, after, [b.name for _, b in pairs])
    p = mcnemar(before, after).p
    yield Metric("comparison/visit_p", p, p, p, len(pairs))


def _mean_change(name: str, before: Flags, after: Flags, visits: Sequence[str]) -> Metric:
    change = after.astype(np.int64) - before.astype(np.int64)

    def mean(chosen: Indices) -> float:
        return float(np.mean(change[chosen]))

    return bootstrap(name, mean, visits)


def _right(pairs: Pairs) -> tuple[Flags, Flags]:
    return np.array([a.right for a, _ in pairs], np.bool_), np.array([b.right for _, b in pairs], np.bool_)


def _changed_frames(old: Frames, new: Frames) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    changes = [
        Change(new.names[i], TRUTHS[new.truth[i]], LABELS[old.said[i]], LABELS[new.said[i]])
        for i in range(len(new.names))
    ]
    better, worse = (
        tuple(changes[i] for i in np.flatnonzero(flags)) for flags in (new.right & ~old.right, old.right & ~new.right)
    )
    return better, worse


def _change(before: JudgedVisit, after: JudgedVisit) -> Change:
    return Change(after.name, after.truth, before.verdict, after.verdict)


def gate_of_frames(old: Frames, new: Frames) -> Iterator[GroupVerdict]:
    """Yield, for every home and every label, whether the newer model is worse on the same pictures."""
    for groups in (
        [f"pictures of home {home}" for home in new.homes],
        [f"pictures labelled {TRUTHS[index]}" for index in new.truth],
    ):
        yield from regression_gate(old.right, new.right, groups, new.visits)


def _gate_of_visits(pairs: Pairs) -> Iterator[GroupVerdict]:
    if not pairs:
        return
    before, after = _right(pairs)
    for groups in ([f"visits of home {b.home}" for _, b in pairs], [f"visits: {b.truth}" for _, b in pairs]):
        yield from regression_gate(before, after, groups, [b.name for _, b in pairs])
