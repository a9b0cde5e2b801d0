"""Drift: what is as the model was made for is never told; what is not is told once a window, and moves nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from house_made import Book
from trials_made import Reader, judging, visit

from edge import bundle
from edge.drift import VISITS, DriftWatch, What, bound, reference_of
from edge.driftkeeper import DriftKeeper
from edge.errors import InputError
from edge.messages import LABELS, Label, Patch, Scores

if TYPE_CHECKING:
    from edge.messages import Grey, Visit

RAW = (bundle.factory_directory() / "reference.json").read_bytes()
REFERENCE = reference_of(RAW, Path("reference.json"))
FRAMES = 30
UNSURE = (1 / 6,) * 6


def patches(number: int, mean: float = 118.0, spread: float = 50.5) -> list[Grey]:
    """Return one visit's patches, noise of this mean and spread."""
    noise = np.random.default_rng(number).normal(mean, spread, (FRAMES, 32, 32))
    noise = (noise - noise.mean(axis=(1, 2), keepdims=True)) / noise.std(axis=(1, 2), keepdims=True) * spread + mean
    return list(np.clip(noise, 0, 255).astype(np.uint8))


def said(number: int) -> list[Scores]:
    """Return what the shipped model says: as sure of its best label as it was of its own pictures, whatever that is."""
    rng = np.random.default_rng(1000 + number)
    tops = rng.choice([0.45, 0.55, 0.65, 0.75, 0.85, 0.95], FRAMES, p=[0.08, 0.09, 0.09, 0.11, 0.14, 0.49])
    return [_scores(Label.CAT_CLEAR, float(top)) for top in tops]


def _scores(label: Label, top: float) -> Scores:
    rest = (1 - top) / (len(LABELS) - 1)
    return Scores(tuple(top if entry is label else rest for entry in LABELS), (1.0,))


def found(watch: DriftWatch, frames: list[tuple[list[Grey], list[Scores]]]) -> list[list[What]]:
    """Return what each window that was closed found."""
    told = (watch.add(*one) for one in frames)
    return [[entry.what for entry in window] for window in told if window is not None]


def test_what_the_model_was_made_for_is_never_told() -> None:
    """Five windows of one cat that always comes with an empty mouth: another mix of visitors is no drift."""
    frames = [(patches(number), said(number)) for number in range(5 * VISITS)]
    assert [[]] * 5 == found(DriftWatch(REFERENCE), frames)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda shown, told: (shown, [Scores(UNSURE, one.embedding) for one in told]), What.SURENESS),
        (lambda shown, told: (shown, [_scores(Label.CAT_CLEAR, 1.0) for _ in told]), What.SURENESS),
        (lambda shown, told: ([entry // 2 for entry in shown], told), What.MEAN),
        (lambda shown, told: ([entry // 4 + 89 for entry in shown], told), What.SPREAD),
        (lambda _shown, _told: ([], []), What.SIGHT),
    ],
    ids=["unsure of everything", "sure of everything", "darker", "fog", "nothing to be seen"],
)
def test_each_thing_that_drifts_is_told_by_name(change: object, what: What) -> None:
    """Scores that collapse to either side, pictures that normalisation cannot mend, and a camera that shows nothing."""
    assert callable(change)
    frames = [change(patches(number), said(number)) for number in range(VISITS)]
    (window,) = found(DriftWatch(REFERENCE), frames)
    assert what in window


def test_a_window_is_forgotten_once_it_is_judged() -> None:
    """After a bad window a good one is good, and fewer visits than a window has say nothing."""
    watch = DriftWatch(REFERENCE)
    bad = [(patches(number), [Scores(UNSURE, (1.0,))] * FRAMES) for number in range(VISITS)]
    good = [(patches(number), said(number)) for number in range(VISITS)]
    assert ([[What.SURENESS], []], []) == (found(watch, [*bad, *good]), found(watch, bad[:-1]))


def test_the_bound_falls_with_the_visits_to_what_counts_as_major() -> None:
    """The fewer visits, the more chance is allowed; chi-square's 99.9 % quantile for 5 degrees is 20.5."""
    assert pytest.approx(0.25 + 20.5 / 20 + 20.5 / 2000, abs=0.02) == bound(6, 20, 2000)
    assert bound(6, 10, 2000) > bound(6, 20, 2000) > bound(6, 10**6, 10**6) == pytest.approx(0.25, abs=0.001)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda table: table["mean"]["counts"].pop(),
        lambda table: table["spread"]["edges"].reverse(),
        lambda table: table["scores"]["person"].update(counts=[0] * 10),
        lambda table: table["scores"]["person"].update(edges=[entry / 2 for entry in range(11)]),
        lambda table: table["scores"].pop("empty"),
    ],
    ids=["a count is missing", "edges fall", "nothing in it", "other edges", "a label is missing"],
)
def test_a_reference_that_is_none_is_refused_in_one_line(spoil: object) -> None:
    """Counts and edges that do not belong together are no statistics."""
    assert callable(spoil)
    table = json.loads(RAW)
    spoil(table)
    with pytest.raises(InputError, match=r"^reference\.json: [^\n]*$"):
        reference_of(json.dumps(table).encode(), Path("reference.json"))


# --- who is told -----------------------------------------------------------------------------------------------------

MODEL = judging("model 1", Reader())


def shown(number: int, told: list[Scores]) -> Visit:
    """Return a visit of patches as they should be, of which the model said this."""
    one = visit(number, Label.CAT_CLEAR, MODEL, FRAMES)
    return replace(
        one,
        observations=tuple(
            replace(entry, patch=Patch(pixels, entry.motion.box), scores=said)  # type: ignore[arg-type] # it has a box
            for entry, pixels, said in zip(one.observations, patches(number), told, strict=True)
        ),
    )


def test_an_alarm_stands_until_a_window_is_as_it_should_be() -> None:
    """It is told once a window with its model, shown meanwhile, and taken back by name."""
    book = Book()
    keeper = DriftKeeper(book)
    unsure = [Scores(UNSURE, (1.0,))] * FRAMES
    alarms = []
    for number in range(3 * VISITS):
        keeper.seen(shown(number, said(number) if number >= 2 * VISITS else unsure), "model 1", REFERENCE)
        alarms.append(keeper.alarm is not None)
    assert [False] * (VISITS - 1) + [True] * 2 * VISITS + [False] == alarms
    assert ["drift_alarm", "drift_alarm", "drift_over"] == book.kinds
    assert book.events[0][1].startswith("model 1: sureness: ")


def test_a_candidate_is_blamed_for_its_own_scores_only() -> None:
    """One that is unsure where the champion is not is told by name; where both are it is the world."""
    unsure = [Scores(UNSURE, (1.0,))] * FRAMES
    told = []
    for world in (False, True):
        book = Book()
        keeper = DriftKeeper(book)
        for number in range(VISITS):
            one = shown(number, unsure if world else said(number))
            keeper.seen(one, "model 1", REFERENCE)
            why = keeper.tried(one, "model 2", REFERENCE, unsure)
        told.append((why is not None, [detail[:7] for _, detail in book.events]))
    assert [(True, ["model 2"]), (False, ["model 1"])] == told
