"""The figures of an evaluation: a partial label is handled, no doubt is hidden, and what is not there has no figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from evaluation_figures import accuracies, called, curves, figures, groups, recalls
from frame_scores import Frames, doubted, frames_of
from judged_made import visit
from prey_figures import PreyRisks, risks_of_visits
from samples_made import sample
from visit_figures import visit_figures
from visit_verdicts import Truth

from edge.evaluation import Risks, wilson
from edge.messages import LABELS, Label, Metric, VerdictKind

if TYPE_CHECKING:
    from collections.abc import Sequence


def frames(entries: Sequence[tuple[str, Label, float]], home: str = "tunnel") -> Frames:
    """Pictures of a visit each: the label, what the model names, and how sure it is of that."""
    samples = [sample(label, home, visit=f"v{number}") for number, (label, _, _) in enumerate(entries)]
    said = np.array(
        [[sure if label is named else (1 - sure) / 5 for label in LABELS] for _, named, sure in entries], np.float64
    )
    return frames_of(samples, said)


def named(found: Sequence[Metric]) -> dict[str, Metric]:
    """The figures by their names, each of which may be there once."""
    by_name = {figure.name: figure for figure in found}
    assert len(by_name) == len(found)
    return by_name


def test_either_cat_is_right_where_the_label_leaves_it_open() -> None:
    """``cat`` called hidden or clear is right among six classes, called anything else it is wrong."""
    entries = [("cat", Label.CAT_HIDDEN, 0.9), ("cat", Label.CAT_CLEAR, 0.9), ("cat", Label.PERSON, 0.9)]
    seen = frames(entries)
    found = named([*accuracies("x", seen), *recalls("x", seen), *called(seen)])
    assert pytest.approx(2 / 3) == found["x/six_class_accuracy"].value
    assert pytest.approx(2 / 3) == found["x/recall/cat"].value
    assert pytest.approx(1 / 3) == found["frames/confusion/cat/person"].value
    assert pytest.approx(2 / 3) == found["x/six_class_balanced_accuracy"].value


def test_hidden_for_clear_is_wrong_among_six_and_right_among_five() -> None:
    """The coarse classes take both cats as one."""
    seen = frames([("cat_clear", Label.CAT_HIDDEN, 0.9), ("empty", Label.EMPTY, 0.9)])
    found = named(list(accuracies("x", seen)))
    assert (0.5, 1.0) == (found["x/six_class_accuracy"].value, found["x/coarse_accuracy"].value)


def test_what_is_not_there_has_no_figure() -> None:
    """Without prey there is no ranking of it, and without visits nothing is said of them."""
    found = named(figures(frames([("cat_clear", Label.CAT_CLEAR, 0.9)] * 3), []))
    assert [] == [name for name in found if name.startswith(("visits/", "frames/prey"))]


def test_homes_and_lights_have_figures_of_their_own() -> None:
    """Each home is judged by its own pictures, and infrared is night."""
    dark, light = [("empty", Label.EMPTY, 0.9)] * 2, [("person", Label.EMPTY, 0.9)] * 2
    samples = [
        sample(label, home, modality=kind, visit=f"v{n}")
        for n, (label, home, kind) in enumerate(
            [
                ("empty", "here", "IR"),
                ("empty", "here", "IR"),
                ("person", "there", "colour"),
                ("person", "there", "colour"),
            ]
        )
    ]
    found = named(list(groups(frames_of(samples, frames([*dark, *light]).probabilities), [])))
    wanted = ["home/here", "home/there", "light/night", "light/day"]
    assert [1.0, 0.0, 1.0, 0.0] == [found[f"{place}/six_class_accuracy"].value for place in wanted]


def test_one_visit_alone_does_not_make_certain() -> None:
    """Where resampling shows no spread the interval is that of as many items as there are visits."""
    bounds = wilson("x", 3, 3)
    figure = doubted(Metric("x", 1.0, 1.0, 1.0, 300), 3)
    assert (bounds.low, 1.0, 300) == (figure.low, figure.high, figure.count)
    kept = Metric("x", 0.5, 0.2, 0.7, 9)
    assert kept == doubted(kept, 3)


def test_the_visits_are_counted_by_what_they_were() -> None:
    """Verdicts are shares of the visits of their kind, and the time is that of final verdicts."""
    visits = [
        visit(Truth.CLEAR, VerdictKind.ADMIT),
        visit(Truth.CLEAR, VerdictKind.UNSURE),
        visit(Truth.PREY, VerdictKind.REFUSE_PREY, prey_llr=4.0),
    ]
    found = named([*visit_figures(visits), *risks_of_visits(visits).figures("visits")])
    assert (0.5, 2) == (found[f"visits/{Truth.CLEAR}/admit"].value, found[f"visits/{Truth.CLEAR}/admit"].count)
    assert pytest.approx(2 / 3) == found["visits/right"].value
    assert (3.0, 2) == (found["visits/frames_to_verdict/p50"].value, found["visits/frames_to_verdict/p50"].count)
    assert 1.0 == found["visits/prey_auc"].value


def test_prey_is_caught_where_it_outweighs_the_clean() -> None:
    """The curve rises from nothing refused to everything refused, and passes through the share that is caught."""
    risks = PreyRisks(Risks(np.array([3.0, 1.0]), ("a", "b")), Risks(np.array([2.0, 0.0, 0.0, 0.0]), tuple("cdef")))
    refused, caught = risks.caught()
    assert [(0.0, 0.0), (0.0, 0.5), (0.25, 0.5), (0.25, 1.0), (1.0, 1.0)] == list(
        zip(refused.tolist(), caught.tolist(), strict=True)
    )
    found = named(list(risks.figures("x")))
    assert (0.875, 0.5) == (found["x/prey_auc"].value, found["x/prey_recall/0.05"].value)


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    """A curve of a thousand pictures becomes a few hundred points from its first to its last."""
    rng = np.random.default_rng(0)
    entries = [("empty", Label(rng.choice(LABELS)), float(sure)) for sure in rng.uniform(0.4, 1, 1000)]
    curve = curves(frames(entries), [])[0]
    wrong = np.mean([said is not Label.EMPTY for _, said, _ in entries])
    assert ("coverage_risk", True, 0.001, 1.0) == (
        curve.name,
        len(curve.across) <= 200,
        curve.across[0],
        curve.across[-1],
    )
    assert pytest.approx(wrong) == curve.up[-1]
