"""What a model is worth, against values worked out by hand, and what must hold of any figure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.evaluation import (
    GroupVerdict,
    PairedTest,
    ReliabilityBin,
    Risks,
    auc,
    balanced_accuracy,
    bootstrap,
    calibration_error,
    cohens_kappa,
    compare,
    confusion,
    coverage_risk,
    mcnemar,
    rater_agreement,
    recall_at,
    recalls,
    regression_gate,
    reliability,
    wilson,
)
from edge.messages import Metric

if TYPE_CHECKING:
    from random import Random

    from edge.evaluation import Flags, Indices, Reals

COUNTS = st.integers(1, 1000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)
ANSWERS = st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.7, 1.0]), st.booleans()), min_size=1, max_size=30)
FLAGS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)
SCORES = st.lists(st.sampled_from([0.1, 0.3, 0.5, 0.9]), min_size=1, max_size=20)
RATES = st.sampled_from([0.0, 0.05, 0.25, 0.5])
FEW = settings(max_examples=25)  # each example draws hundreds of resamples


def labels(pairs: list[tuple[int, int]]) -> tuple[Indices, Indices]:
    """Return the two columns of pairs of classes."""
    first, second = np.array(pairs, np.int64).T
    return first, second


def flags(pairs: list[tuple[bool, bool]]) -> tuple[Flags, Flags]:
    """Return the two columns of pairs of right and wrong."""
    first, second = np.array(pairs, np.bool_).T
    return first, second


def answers(pairs: list[tuple[float, bool]]) -> tuple[Reals, Flags]:
    """Return confidences, and whether each answer was right."""
    return np.array([sure for sure, _ in pairs]), np.array([right for _, right in pairs], np.bool_)


def alone(*scores: float, of: str = "v") -> Risks:
    """Return risks of items that are visits of their own."""
    return Risks(np.array(scores, np.float64), tuple(f"{of}{index}" for index in range(len(scores))))


def test_wilson_against_a_printed_value() -> None:
    """81 of 263: 0.2553 to 0.3662 (Newcombe, Statistics in Medicine 1998, table I, method 3)."""
    figure = wilson("x", 81, 263)
    assert pytest.approx(0.2553, abs=1e-4) == figure.low
    assert pytest.approx(0.3662, abs=1e-4) == figure.high


@given(COUNTS)
def test_wilson_holds_its_share(counts: tuple[int, int]) -> None:
    """The interval lies within 0..1 and holds the share, at 0 and at all of them too."""
    figure = wilson("x", *counts)
    assert 0 <= figure.low <= figure.value <= figure.high <= 1


def test_the_bootstrap_resamples_visits() -> None:
    """Ten equal frames of two visits say as little as two frames."""
    values = np.repeat([0.0, 1.0], 10)
    figure = bootstrap("x", lambda chosen: float(values[chosen].mean()), ["a"] * 10 + ["b"] * 10)
    assert Metric("x", 0.5, 0.0, 1.0, 20) == figure


def test_the_bootstrap_leaves_out_what_has_no_answer() -> None:
    """Resamples without an answer do not count; where none has one, neither has the interval."""
    some = bootstrap("x", lambda chosen: 1.0 if 0 in chosen else math.nan, ["a", "b"])
    none = bootstrap("x", lambda _: math.nan, ["a", "b"])
    assert (1.0, 1.0) == (some.low, some.high)
    assert [True, True, True] == [math.isnan(bound) for bound in (none.value, none.low, none.high)]


def test_balanced_accuracy_counts_classes_not_pictures() -> None:
    """Nine right of a common class and none of a rare one is a half."""
    assert 0.5 == balanced_accuracy(np.array([0] * 9 + [1]), np.zeros(10, np.int64))


def test_confusion_has_the_truth_in_its_rows() -> None:
    """Two of class 0 called 1 stand in row 0, column 1."""
    table = confusion(np.array([0, 0, 0, 2]), np.array([0, 1, 1, 2]), 3)
    assert [[1, 2, 0], [0, 0, 0], [0, 0, 1]] == table.tolist()


@given(PAIRS)
def test_confusion_loses_no_item(pairs: list[tuple[int, int]]) -> None:
    """Rows sum to the classes that were there, columns to those that were named."""
    truth, said = labels(pairs)
    table = confusion(truth, said, 4)
    assert np.bincount(truth, minlength=4).tolist() == table.sum(axis=1).tolist()
    assert np.bincount(said, minlength=4).tolist() == table.sum(axis=0).tolist()


def test_a_class_that_is_not_in_the_list_is_refused() -> None:
    """A class beyond the labels is a mistake of the caller's, not another class's item."""
    with pytest.raises(IndexError):
        confusion(np.array([0, 3]), np.array([0, 0]), 3)


def test_recalls_are_of_the_classes_that_are_there() -> None:
    """Each class that is there has its recall under its name; a class without items has none."""
    found = recalls("home", np.array([0, 0, 2]), np.array([0, 1, 2]), ("empty", "cat", "prey"))
    assert (wilson("home_empty_recall", 1, 2), wilson("home_prey_recall", 1, 1)) == found


def test_auc_is_the_share_of_pairs_in_order() -> None:
    """Pairs in the right order count 1, ties a half; without either class there is no answer."""
    assert 0.75 == auc(np.array([1.0, 2.0]), np.array([0.0, 1.5]))
    assert 0.5 == auc(np.array([1.0]), np.array([1.0]))
    assert math.isnan(auc(np.array([]), np.array([1.0])))


def test_recall_where_one_in_four_clean_visits_may_be_refused() -> None:
    """Of clean risks 1, 2, 3, 4 the highest may be refused: all above 3 is, which is two of three prey."""
    point = recall_at("x", alone(2.5, 3.5, 5.0, of="prey"), alone(1.0, 2.0, 3.0, 4.0), 0.25)
    assert (3.0, 2 / 3, 3, 0.25) == (point.threshold, point.recall.value, point.recall.count, point.false_refusals)


def test_a_rate_that_arithmetic_brings_below_a_whole_number_counts_in_full() -> None:
    """29 % of 100 clean items are 29 of them, though 0.29 * 100 is a hair less."""
    assert 0.29 == recall_at("x", alone(1.0, of="prey"), alone(*range(100)), 0.29).false_refusals


def test_recall_of_perfect_and_of_blind_scores() -> None:
    """Scores that part prey from clean catch all of it at no refusal; scores that are all alike catch none."""
    perfect = recall_at("x", alone(0.9, 0.8, of="prey"), alone(0.1, 0.2), 0.0)
    blind = recall_at("x", alone(0.5, 0.5, of="prey"), alone(0.5, 0.5), 0.5)
    assert Metric("x", 1.0, 1.0, 1.0, 2) == perfect.recall
    assert (Metric("x", 0.0, 0.0, 0.0, 2), 0.0) == (blind.recall, blind.false_refusals)


def test_the_interval_holds_the_doubt_about_the_threshold() -> None:
    """One clean visit decides between all prey and none; resamples without it say so."""
    point = recall_at("x", alone(2.0, of="prey"), alone(1.0, 3.0), 0.0)
    assert Metric("x", 0.0, 0.0, 1.0, 1) == point.recall


def test_a_rate_next_to_one_refuses_all_but_the_least_suspect() -> None:
    """However near 1 the rate is, there is a score to be the threshold."""
    assert 0.5 == recall_at("x", alone(1.0, of="prey"), alone(1.0, 2.0), math.nextafter(1, 0)).false_refusals


@FEW
@given(SCORES, SCORES, RATES)
def test_no_more_clean_items_are_refused_than_allowed(prey: list[float], clean: list[float], rate: float) -> None:
    """Whatever ties there are, the rate is kept, and all figures are shares."""
    point = recall_at("x", alone(*prey, of="prey"), alone(*clean), rate)
    assert 0 <= point.false_refusals <= rate
    assert 0 <= point.recall.low <= point.recall.high <= 1


@FEW
@given(SCORES, SCORES)
def test_a_higher_rate_catches_no_less_prey(prey: list[float], clean: list[float]) -> None:
    """Recall never falls as more false refusals are allowed."""
    found = [recall_at("x", alone(*prey, of="prey"), alone(*clean), rate).recall.value for rate in (0.0, 0.25, 0.5)]
    assert sorted(found) == found


@pytest.mark.parametrize("rate", [-0.1, 1.0, math.nan])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    """A rate of 1 would refuse everybody and needs no model."""
    with pytest.raises(ValueError, match="false refusals"):
        recall_at("x", alone(1.0), alone(1.0), rate)


def test_coverage_and_risk_by_hand() -> None:
    """Right at 0.9, one of two right at 0.8, wrong at 0.1: risks 0, 1/3, 1/2; the two at 0.8 come together."""
    curve = coverage_risk(np.array([0.8, 0.1, 0.9, 0.8]), np.array([False, False, True, True]))
    assert ((0.25, 0.75, 1.0), (0.0, 1 / 3, 0.5)) == (curve.coverages, curve.risks)
    assert pytest.approx(0.5 / 3 + 0.25 / 2) == curve.area


@given(ANSWERS)
def test_the_area_lies_between_always_right_and_always_wrong(pairs: list[tuple[float, bool]]) -> None:
    """The area is 0 where all is right, 1 where nothing is, and within for the rest; at the end all are answered."""
    sure, right = answers(pairs)
    curve = coverage_risk(sure, right)
    assert pytest.approx(np.mean(~right)) == curve.risks[-1]
    assert 0 <= curve.area <= 1 + 1e-12
    assert 0.0 == coverage_risk(sure, np.ones_like(right)).area
    assert pytest.approx(1.0) == coverage_risk(sure, np.zeros_like(right)).area


@given(ANSWERS, st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter(pairs: list[tuple[float, bool]], rng: Random) -> None:
    """Curve and diagram are the same whatever item comes first."""
    shuffled = sorted(pairs, key=lambda _: rng.random())
    assert coverage_risk(*answers(pairs)) == coverage_risk(*answers(shuffled))
    counts = [(group.low, group.right, group.count) for group in reliability(*answers(pairs))]
    assert counts == [(group.low, group.right, group.count) for group in reliability(*answers(shuffled))]


def test_reliability_by_hand() -> None:
    """Two bins: three unsure items of which one is right, two certain ones that are."""
    found = reliability(np.array([0.25, 0.25, 0.25, 1.0, 0.5]), np.array([True, False, False, True, True]), 2)
    expected = (ReliabilityBin(0.0, 0.5, 0.25, 1 / 3, 3), ReliabilityBin(0.5, 1.0, 0.75, 1.0, 2))
    assert expected == found


@given(ANSWERS)
def test_the_diagram_holds_every_item_in_its_bin(pairs: list[tuple[float, bool]]) -> None:
    """Counts sum to the items, and the mean confidence of a bin lies in it."""
    found = reliability(*answers(pairs))
    assert len(pairs) == sum(group.count for group in found)
    assert [] == [group for group in found if not group.low - 1e-12 <= group.confidence <= group.high + 1e-12]


def test_calibration_error_of_the_always_sure() -> None:
    """Sure of everything and right half the time is off by a half."""
    sure = np.tile([1.0, 0.0], (10, 1))
    assert 0.5 == calibration_error(sure, np.arange(10) % 2 == 0)


def test_kappa_by_hand() -> None:
    """20 both yes, 15 both no, 5 and 10 apart: agreement 0.7, by chance 0.5, kappa 0.4."""
    one, other = labels([(0, 0)] * 20 + [(0, 1)] * 5 + [(1, 0)] * 10 + [(1, 1)] * 15)
    assert pytest.approx(0.4) == cohens_kappa(one, other)


@given(PAIRS)
def test_kappa_is_symmetric_and_at_most_one(pairs: list[tuple[int, int]]) -> None:
    """It does not matter who is named first; a rater who knows two classes agrees with himself wholly."""
    one, other = labels(pairs)
    assert cohens_kappa(one, other) == pytest.approx(cohens_kappa(other, one), nan_ok=True)
    assert not cohens_kappa(one, other) > 1 + 1e-12
    assert pytest.approx(1.0 if len(set(one)) > 1 else math.nan, nan_ok=True) == cohens_kappa(one, one)


def test_rater_agreement_has_an_interval() -> None:
    """Two raters who agree on all visits of two classes have kappa 1, and no resample says otherwise."""
    one = np.array([0, 0, 1, 1])
    assert Metric("x", 1.0, 1.0, 1.0, 4) == rater_agreement("x", one, one, ["a", "b", "c", "d"])


def test_raters_who_know_one_class_have_no_kappa() -> None:
    """Where chance alone explains all agreement there is nothing to say, and that is not an error."""
    assert math.isnan(rater_agreement("x", np.zeros(2, np.int64), np.zeros(2, np.int64), ["a", "b"]).low)


def test_mcnemar_by_hand() -> None:
    """One better and five worse: 2 * (1 + 6) / 64."""
    before, after = flags([(False, True)] + [(True, False)] * 5 + [(True, True)] * 9)
    assert PairedTest(1, 5, 14 / 64) == mcnemar(before, after)


@given(FLAGS)
def test_mcnemar_is_symmetric(pairs: list[tuple[bool, bool]]) -> None:
    """The other way round better and worse change places and p stays, above 0 and at most 1."""
    before, after = flags(pairs)
    there, back = mcnemar(before, after), mcnemar(after, before)
    assert (there.better, there.worse, there.p) == (back.worse, back.better, back.p)
    assert 0 < there.p <= 1


def test_mcnemar_of_many_changes_stays_a_number() -> None:
    """Binomials too large for a float still give a p that is one."""
    before = np.zeros(3000, np.bool_)
    before[:1500] = True
    assert 1.0 == mcnemar(before, ~before).p


def test_comparison_names_what_changed() -> None:
    """Who got better and worse stands there by name; another wrong answer is neither."""
    found = compare(("a", "b", "c", "d"), np.array([0, 1, 2, 0]), np.array([0, 0, 2, 1]), np.array([0, 1, 1, 2]))
    assert (4, 0.25, ("b",), ("c",), 1.0) == (found.count, found.agreement, found.better, found.worse, found.p)


def test_the_gate_fails_where_it_is_worse() -> None:
    """One home lost every visit, the other kept its own: only the first fails, and says so in a sentence."""
    before, after = np.ones(8, np.bool_), np.array([False] * 4 + [True] * 4)
    fell, kept = regression_gate(before, after, ["barn"] * 4 + ["house"] * 4, list("abcdefgh"))
    change = Metric("barn_accuracy_change", -1.0, -1.0, -1.0, 4)
    because = "worse beyond its interval: accuracy -100.0 points, 95 % -100.0 to -100.0, on 4 items of 4 visits"
    assert GroupVerdict("barn", False, change, f"barn: {because}") == fell
    assert ("house", True) == (kept.group, kept.passed)


def test_one_bad_visit_of_many_frames_is_no_regression() -> None:
    """Fifty frames lost in one visit of ten are one visit's doubt: resampled by visit the interval reaches 0."""
    before = np.ones(59, np.bool_)
    after = np.array([False] * 50 + [True] * 9)
    visits = ["long"] * 50 + [f"v{index}" for index in range(9)]
    (found,) = regression_gate(before, after, ["home"] * 59, visits)
    assert (True, 0.0) == (found.passed, found.change.high)


@FEW
@given(st.lists(st.tuples(st.booleans(), st.sampled_from("ab"), st.sampled_from("uvw")), min_size=1, max_size=20))
def test_the_gate_never_fails_a_model_against_itself(items: list[tuple[bool, str, str]]) -> None:
    """Whatever a model got right, it is not worse than itself, and the change is 0 without doubt."""
    right = np.array([flag for flag, _, _ in items])
    found = regression_gate(right, right, [group for _, group, _ in items], [visit for _, _, visit in items])
    assert [(True, 0.0, 0.0)] * len(found) == [(v.passed, v.change.low, v.change.high) for v in found]


@FEW
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from("uvw")), min_size=1, max_size=20))
def test_the_gate_fails_one_way_only(items: list[tuple[bool, bool, str]]) -> None:
    """No two models are each worse than the other, and a model that loses nothing passes."""
    one, other = flags([(first, second) for first, second, _ in items])
    group, visits = ["home"] * len(items), [visit for _, _, visit in items]
    (there,), (back,) = regression_gate(one, other, group, visits), regression_gate(other, one, group, visits)
    (gain,) = regression_gate(one, one | other, group, visits)
    assert there.passed or back.passed
    assert gain.passed


def test_columns_of_different_items_are_refused() -> None:
    """A single entry is not stretched over all items, and no items are no figure."""
    with pytest.raises(ValueError, match="one entry per item"):
        mcnemar(np.array([True]), np.array([True, False]))
    with pytest.raises(ValueError, match="one entry per item"):
        coverage_risk(np.array([]), np.array([], np.bool_))
