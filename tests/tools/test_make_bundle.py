"""A bundle that the maker writes is one that the device takes, and its card says what was measured."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from card import model_card
from dataset import Count, Source, allowed_by
from figures import Fitted
from make_bundle import Facts, Product, write
from measure import Run, as_coarse, coarse_figures, fine_figures, largest_difference_lsb
from samples_made import sample

from edge.bundle import factory_directory, golden, load
from edge.evaluation import wilson
from edge.messages import LABELS

if TYPE_CHECKING:
    from pathlib import Path

    from edge.bundle import Bundle, Golden
    from edge.messages import Metric


def _runs(bundle: Bundle, kept: Golden) -> tuple[Run, ...]:
    manifest = bundle.manifest
    source = (manifest.input.scale, manifest.input.zero_point)
    logits, embedding = ((spec.scale, spec.zero_point) for spec in manifest.outputs)
    return tuple(
        Run(
            told.runtime,
            np.array(told.logits, np.int8),
            np.array(told.embedding, np.int8),
            source,
            logits,
            embedding,
            np.array([1.0, 2.0]),
        )
        for told in kept.outputs
    )


def product(metrics: tuple[Metric, ...] = ()) -> Product:
    """The factory's student, made anew from what its bundle says."""
    bundle = load(factory_directory())
    kept, manifest = golden(bundle), bundle.manifest
    return Product(
        name="again",
        version="9.9.9",
        created="2026-01-01",
        command="a test",
        model=factory_directory() / "model.tflite",
        recipe=manifest.recipe,
        fitted=Fitted(manifest.calibration, manifest.evidence.priors),
        data_set=manifest.data_set,
        sources=(Source("tunnel", "somebody/cats", "GPL-2.0", "yes", 7),),
        counts=(Count("tunnel", "train", "cat_clear", False, 7, 3),),
        metrics=metrics,
        golden_patches=kept.patches,
        golden_labels=kept.labels,
        golden_runs=_runs(bundle, kept),
        reference_patches=kept.patches,
        reference_scores=np.full((len(kept.patches), 6), 1 / 6),
        difference_lsb=3,
        facts=Facts(prey=20, prey_visits=9, prey_test=2, parity_pictures=600, composed=4),
    )


def test_what_is_written_loads(tmp_path: Path) -> None:
    """The device takes it, with the same model and the same golden set, and a tolerance above what was seen."""
    write(product((wilson("x_accuracy", 3, 4),)), tmp_path / "new")
    made, factory = load(tmp_path / "new"), load(factory_directory())
    assert factory.model == made.model
    assert golden(factory).outputs == golden(made).outputs
    assert golden(made).tolerance_lsb > 3
    assert (
        "again 9.9.9 " + hashlib.sha256((tmp_path / "new/manifest.json").read_bytes()).hexdigest()[:8] == made.model_id
    )


@pytest.mark.parametrize(("right", "said"), [(9, "beats"), (1, "**does not beat**")])
def test_the_card_says_plainly_whether_it_beats_the_majority(right: int, said: str) -> None:
    """Better or not is computed, never typed."""
    card = model_card(product((wilson("unseen_accuracy", right, 10), wilson("unseen_majority", 5, 10))))
    assert f"{said} the majority class (0.500)" in card


def test_hidden_and_clear_cats_are_one_coarse_class() -> None:
    """Their probabilities add up, and the five still sum to one."""
    coarse = as_coarse(np.array([[0.1, 0.2, 0.3, 0.1, 0.2, 0.1]]))
    assert np.allclose([[0.1, 0.5, 0.1, 0.2, 0.1]], coarse)


def test_a_partial_label_counts_among_the_coarse_and_not_among_the_fine() -> None:
    """``cat`` is right for either cat; among six classes it has no answer."""
    samples = [sample("cat"), sample("person"), sample("cat_prey"), sample("cat_clear")]
    scores = np.eye(6)[[1, 5, 3, 1]]
    found = {
        metric.name: metric for metric in (*coarse_figures("x", samples, scores), *fine_figures("x", samples, scores))
    }
    assert (1.0, 4) == (found["x_accuracy"].value, found["x_accuracy"].count)
    assert (2, 3) == (round(found["x_six_class_accuracy"].value * 3), found["x_six_class_accuracy"].count)
    assert 1.0 == found["x_prey_auc"].value
    assert allowed_by("cat", "") == {LABELS[1], LABELS[2]}


def test_the_largest_difference_is_not_wrapped() -> None:
    """-128 and 127 are 255 steps apart, not one."""
    low, high = (
        Run("r", np.array([[value]], np.int8), np.array([[0]], np.int8), (1, 0), (1, 0), (1, 0), np.zeros(1))
        for value in (-128, 127)
    )
    assert 255 == largest_difference_lsb(low, high)
