"""The decision over a trial: what passes, what goes, and what no doubt is ever settled for."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import codec, trials
from edge.evaluation import mcnemar
from edge.messages import LABELS, Label, VerdictKind
from edge.trials import (
    MAX_PAIRS,
    Arm,
    Decision,
    Gates,
    Outcome,
    Pair,
    Stage,
    Step,
    Tally,
    arm_of,
    decide,
    figures,
    is_right,
    outcome,
    released,
)

GATES = Gates()
SURE = (0.02, 0.02, 0.9, 0.02, 0.02, 0.02)
KINDS = st.sampled_from(VerdictKind)
TIMES = st.none() | st.floats(0.1, 500.0)
PAIRS = st.builds(
    Pair,
    visit=st.integers(0, 400).map(str),
    champion=KINDS,
    candidate=KINDS,
    arm=st.sampled_from(Arm),
    champion_mean=st.just(SURE),
    candidate_mean=st.just(SURE),
    champion_ms=TIMES,
    candidate_ms=TIMES,
    label=st.none() | st.sampled_from(Label),
)
TALLIES = st.builds(Tally, st.lists(PAIRS, max_size=60, unique_by=lambda pair: pair.visit).map(tuple))


def pair(number: int, champion: VerdictKind, candidate: VerdictKind, label: Label | None = None) -> Pair:
    """Return a visit as both judged it."""
    return Pair(f"v{number}", champion, candidate, Arm.CHAMPION, SURE, SURE, 4.0, 5.0, label)


def alike(count: int, mice: int) -> Tally:
    """Return visits of which both say the same, the last of them with mice."""
    kinds = [VerdictKind.ADMIT] * (count - mice) + [VerdictKind.REFUSE_PREY] * mice
    return Tally(tuple(pair(i, kind, kind) for i, kind in enumerate(kinds)))


def more(tally: Tally, *pairs: Pair) -> Tally:
    """Return a tally with these visits as well, numbered anew."""
    return Tally((*tally.pairs, *(replace(entry, visit=f"more {i}") for i, entry in enumerate(pairs))))


LETS_IN = pair(0, VerdictKind.REFUSE_PREY, VerdictKind.ADMIT)
KEEPS_OUT = pair(0, VerdictKind.ADMIT, VerdictKind.UNSURE)
GOOD = alike(40, 3)


@pytest.mark.parametrize(
    ("tally", "step", "because"),
    [
        (alike(29, 2), Step.GO_ON, "29 of 30 visits"),
        (alike(30, 2), Step.PROMOTE, "30 visits, 2 with prey; agreement 100%"),
        (alike(40, 1), Step.GO_ON, "too little prey: 1 of 2 visits with it"),
        (alike(400, 1), Step.GO_ON, "too little prey: 1 of 2 visits with it"),
        (more(GOOD, LETS_IN), Step.GO_ON, "let in what was prey to the champion and nobody has labelled: more 0"),
        (more(GOOD, *[LETS_IN] * 3), Step.ROLL_BACK, "it would have let in 3 visits that were prey to the champion"),
        (more(alike(2, 0), *[KEEPS_OUT] * 5), Step.ROLL_BACK, "it agrees with the champion on 29% of 7 visits only"),
        (replace(GOOD, failure="no number"), Step.ROLL_BACK, "it failed: no number"),
        (replace(GOOD, alarm="scores moved"), Step.ROLL_BACK, "drift alarm: scores moved"),
    ],
)
def test_a_trial_ends_as_it_should(tally: Tally, step: Step, because: str) -> None:
    """Each gate by itself: what it does, and the reason it gives."""
    decision = decide(tally, Stage.SHADOW, GATES)
    assert (step, True) == (decision.step, decision.because.startswith(because))


def test_what_the_owner_labelled_clear_is_no_release() -> None:
    """A mouse that was none, by the owner's word, speaks for the candidate that let the cat in."""
    right = replace(LETS_IN, label=Label.CAT_CLEAR)
    assert (False, Step.PROMOTE) == (released(right), decide(more(GOOD, right), Stage.SHADOW, GATES).step)


def test_a_labelled_mouse_that_both_let_in_is_a_release() -> None:
    """Where the champion was wrong too the candidate is not excused: prey that gets in counts."""
    assert released(pair(0, VerdictKind.ADMIT, VerdictKind.ADMIT, Label.CAT_PREY))


def test_labelled_losses_roll_back_and_labelled_gains_do_not() -> None:
    """Visits that one of the two put right by the owner's word: eight lost end a trial, eight gained do not."""
    lost = [pair(0, VerdictKind.ADMIT, VerdictKind.UNSURE, Label.CAT_CLEAR)] * 8
    gained = [pair(0, VerdictKind.UNSURE, VerdictKind.ADMIT, Label.CAT_CLEAR)] * 8
    steps = [decide(more(alike(100, 3), *some), Stage.SHADOW, GATES) for some in (lost, gained)]
    assert Decision(Step.ROLL_BACK, "worse on labelled visits: 8 lost, 0 gained") == steps[0]
    assert Step.PROMOTE is steps[1].step


def test_the_paired_figures_are_those_of_the_exact_test() -> None:
    """Gains, losses and p are McNemar's, over the visits whose label says what was right."""
    labelled = [
        pair(0, VerdictKind.ADMIT, VerdictKind.UNSURE, Label.CAT_CLEAR),
        pair(0, VerdictKind.ADMIT, VerdictKind.REFUSE_PREY, Label.CAT_CLEAR),
        pair(0, VerdictKind.UNSURE, VerdictKind.ADMIT, Label.CAT_CLEAR),
        pair(0, VerdictKind.ADMIT, VerdictKind.ADMIT, Label.CAT_HIDDEN),
    ]
    told = figures(more(GOOD, *labelled))
    expected = mcnemar(np.array([True, True, False]), np.array([False, False, True]))
    assert (3, expected.better, expected.worse, expected.p) == (told.labelled, told.better, told.worse, told.paired_p)


def test_worse_calibration_and_slowness_wait_and_then_go() -> None:
    """A candidate that is surer than it may be, or slower, does not pass; by the last visit it is rolled back."""
    unsure = (0.1, 0.1, 0.5, 0.1, 0.1, 0.1)
    labelled = tuple(replace(entry, label=Label.CAT_CLEAR, candidate_mean=unsure) for entry in alike(40, 0).pairs)
    mice = alike(3, 3).pairs
    vague = Tally((*labelled, *(replace(entry, visit=f"m{entry.visit}") for entry in mice)))
    slow = Tally(tuple(replace(entry, candidate_ms=90.0) for entry in GOOD.pairs))
    told = [decide(tally, Stage.SHADOW, GATES) for tally in (vague, slow)]
    assert [Decision(Step.GO_ON, "calibration error 0.500 against 0.100"),
            Decision(Step.GO_ON, "one patch takes 90.0 ms, more than 9.0 ms")] == told  # fmt: skip
    late = replace(GATES, max_visits=40)
    assert [Step.ROLL_BACK] * 2 == [decide(tally, Stage.SHADOW, late).step for tally in (vague, slow)]


def test_a_test_at_the_door_ends() -> None:
    """It ends when the sequential test found the challenger better, or after its visits without a loss."""
    decided = [replace(entry, visit=f"d{i}", arm=Arm.CHALLENGER) for i, entry in enumerate(alike(60, 1).pairs)]
    gained = [pair(0, VerdictKind.UNSURE, VerdictKind.ADMIT, Label.CAT_CLEAR)] * 7
    told = [
        decide(Tally((*GOOD.pairs, *decided[:59])), Stage.AB, GATES),
        decide(Tally((*GOOD.pairs, *decided)), Stage.AB, GATES),
        decide(more(GOOD, *gained), Stage.AB, GATES),
    ]
    assert [Step.GO_ON, Step.PROMOTE, Step.PROMOTE] == [decision.step for decision in told]
    assert "59 of 60 visits decided by the challenger" == told[0].because


@given(tally=TALLIES, stage=st.sampled_from(Stage))
def test_nothing_is_promoted_that_could_be_worse(tally: Tally, stage: Stage) -> None:
    """Whatever a trial has shown: a promotion has the visits, the prey and the speed, and no more releases than few."""
    decision, told = decide(tally, stage, GATES), figures(tally)
    assert decision.because
    if decision.step is Step.PROMOTE:
        assert len(told.released) <= GATES.max_released
        if stage is Stage.SHADOW:
            assert told.visits >= GATES.min_visits
            assert told.prey >= GATES.min_prey
            assert len(told.released) <= GATES.max_released_share * told.visits


@given(tally=TALLIES, stage=st.sampled_from(Stage), why=st.sampled_from(["failure", "alarm"]))
def test_a_failure_or_an_alarm_always_rolls_back(tally: Tally, stage: Stage, why: str) -> None:
    """No figure outweighs a candidate that failed, or an alarm."""
    known = replace(tally, failure="x") if why == "failure" else replace(tally, alarm="x")
    assert Step.ROLL_BACK is decide(known, stage, GATES).step


@given(tally=TALLIES, stage=st.sampled_from(Stage), count=st.integers(3, 6))
def test_prey_let_in_never_helps(tally: Tally, stage: Stage, count: int) -> None:
    """Visits that were prey to the champion and are let in by the candidate end every trial, whatever else it shows."""
    assert Step.ROLL_BACK is decide(more(tally, *[LETS_IN] * count), stage, GATES).step


@given(tally=TALLIES)
def test_the_order_of_visits_says_nothing(tally: Tally) -> None:
    """The same visits in another order come to the same figures and the same step."""
    turned = Tally(tally.pairs[::-1])
    told, again = figures(tally), figures(turned)
    assert set(told.released) == set(again.released)
    assert (told.better, told.worse, told.prey) == (again.better, again.worse, again.prey)
    assert decide(tally, Stage.SHADOW, GATES).step is decide(turned, Stage.SHADOW, GATES).step


@given(pairs=st.lists(PAIRS, max_size=30))
def test_a_visit_counts_once(pairs: list[Pair]) -> None:
    """The same visit told again replaces what was told, and a pair reads back from the journal as it was."""
    tally = Tally()
    for entry in pairs:
        tally = tally.with_pair(entry)
    assert len({entry.visit for entry in pairs}) == len(tally.pairs)
    read = [codec.from_json(Pair, codec.to_json(entry), Path("x")) for entry in pairs]
    assert pairs == read


def test_a_tally_is_bounded() -> None:
    """Of more visits than it may hold the oldest go."""
    tally = Tally(tuple(pair(i, VerdictKind.ADMIT, VerdictKind.ADMIT) for i in range(MAX_PAIRS)))
    longer = tally.with_pair(pair(MAX_PAIRS, VerdictKind.ADMIT, VerdictKind.ADMIT))
    assert (MAX_PAIRS, "v1", f"v{MAX_PAIRS}") == (len(longer.pairs), longer.pairs[0].visit, longer.pairs[-1].visit)


@pytest.mark.parametrize("kind", VerdictKind)
@pytest.mark.parametrize("label", LABELS)
def test_only_a_mouse_let_in_is_wrong_of_a_mouse(kind: VerdictKind, label: Label) -> None:
    """What opens is right of a clear mouth alone; a hidden mouth says nothing of either."""
    right = is_right(kind, label)
    assert (right is None) == (label is Label.CAT_HIDDEN)
    assert not (outcome(kind) is Outcome.OPENS and right) or label is Label.CAT_CLEAR


def test_the_sequential_test_errs_as_rarely_as_it_says() -> None:
    """Of good candidates it throws out, and of bad ones it passes, no more than Wald's bounds allow."""
    rng, runs = np.random.default_rng(5), 2000
    wrong = {}
    for truth, share in ((False, GATES.agree), (True, GATES.agree_bad)):
        hits = rng.random((runs, 400)) < share
        llr = np.cumsum(np.where(hits, trials.sprt(1, 0, 0.9, 0.7), trials.sprt(0, 1, 0.9, 0.7)), axis=1)
        up, down = llr >= math.log(99), llr <= -math.log(99)
        first = np.argmax(up | down, axis=1)
        wrong[truth] = float(np.mean(up[np.arange(runs), first] == truth))
    assert wrong[False] <= 0.02
    assert wrong[True] <= 0.02


@given(secret=st.binary(min_size=32, max_size=32))
def test_a_visit_is_always_the_same_arms(secret: bytes) -> None:
    """The draw is by the visit and the flap's secret alone; none at a share of 0, all at 1."""
    assert arm_of("20261121T210000-0001", secret, 0.3) is arm_of("20261121T210000-0001", secret, 0.3)
    assert (Arm.CHAMPION, Arm.CHALLENGER) == (arm_of("a", secret, 0.0), arm_of("a", secret, 1.0))


def test_a_share_is_that_share_and_another_flaps_is_another() -> None:
    """Over many visits the challenger has its share, and two flaps draw differently."""
    one, other = ([arm_of(f"v{i}", secret, 0.2) for i in range(4000)] for secret in (b"1" * 32, b"2" * 32))
    assert 0.18 < one.count(Arm.CHALLENGER) / 4000 < 0.22
    assert one != other
