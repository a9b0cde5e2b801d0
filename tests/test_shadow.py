"""Shadow scoring: one patch a step, the same visit judged by both, and nothing that could delay a decision."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from stand_ins import clock_at_1000_s
from trials_made import Reader, judging, visit

from edge.errors import HardwareError
from edge.messages import Label, Scores, VerdictKind
from edge.shadow import MAX_WAITING, Shadow, Side
from edge.trials import Arm, Pair

if TYPE_CHECKING:
    from edge.pipeline import Judging

OLD = judging("old 1", Reader())


def side(one: Judging) -> Side:
    """Return one side of a comparison."""
    return Side(one.provenance.model_id, one.model, one.recogniser, one.provenance.rules)


def shadow(new: Judging) -> Shadow:
    """Return a comparison of the old model with a new one."""
    return Shadow(side(OLD), side(new), clock_at_1000_s())


def ended(one: Shadow) -> list[Pair]:
    """Let everything that waits be scored."""
    pairs = []
    while one.busy:
        pair = one.step()
        if pair is not None:
            pairs.append(pair)
    return pairs


def test_a_step_is_one_patch() -> None:
    """A visit of six patches takes six steps of the candidate, one of the champion's beside it, and is one pair."""
    reader = Reader()
    one = shadow(judging("new 1", reader))
    one.take(visit(1, Label.CAT_CLEAR, OLD))
    asked = []
    while one.busy:
        one.step()
        asked.append(reader.asked)
    assert [0, 1, 2, 3, 4, 5, 6] == asked


@pytest.mark.parametrize(
    ("label", "swaps", "champion", "candidate"),
    [
        (Label.CAT_CLEAR, {}, VerdictKind.ADMIT, VerdictKind.ADMIT),
        (Label.CAT_PREY, {}, VerdictKind.REFUSE_PREY, VerdictKind.REFUSE_PREY),
        (Label.CAT_PREY, {Label.CAT_PREY: Label.CAT_CLEAR}, VerdictKind.REFUSE_PREY, VerdictKind.ADMIT),
        (Label.PERSON, {Label.PERSON: Label.CAT_CLEAR}, VerdictKind.REFUSE_OTHER, VerdictKind.ADMIT),
    ],
)
def test_both_are_judged_by_the_policy_itself(
    label: Label, swaps: dict[Label, Label], champion: VerdictKind, candidate: VerdictKind
) -> None:
    """A pair is what the champion came to at the door, and what the same visit comes to with the other's scores."""
    one = shadow(judging("new 1", Reader(swaps)))
    one.take(visit(1, label, OLD))
    (pair,) = ended(one)
    assert (champion, candidate, Arm.CHAMPION) == (pair.champion, pair.candidate, pair.arm)


def test_a_visit_the_challenger_decided_is_asked_of_nobody_again() -> None:
    """At the door both scored it; the pair is what the challenger came to, and what the champion would have."""
    reader = Reader({Label.CAT_CLEAR: Label.CAT_HIDDEN})
    new = judging("new 1", reader)
    rules = replace(new.provenance.rules, second=OLD.provenance.rules.evidence)
    challenger = replace(new, provenance=replace(new.provenance, rules=rules), second=OLD.model)
    told = visit(1, Label.CAT_CLEAR, challenger)
    asked = reader.asked
    one = shadow(new)
    one.take(told)
    (pair,) = ended(one)
    assert (Arm.CHALLENGER, VerdictKind.ADMIT, VerdictKind.UNSURE) == (pair.arm, pair.champion, pair.candidate)
    assert asked == reader.asked


def test_what_waits_is_bounded() -> None:
    """Of more visits than may wait the newest are not compared, and counted."""
    one = shadow(judging("new 1", Reader()))
    for number in range(MAX_WAITING + 3):
        one.take(visit(number, Label.CAT_CLEAR, OLD))
    assert (3, MAX_WAITING) == (one.dropped, len(ended(one)))


def test_a_visit_without_evidence_says_nothing() -> None:
    """Where no frame was believed there is nothing to compare."""
    one = shadow(judging("new 1", Reader()))
    seen = visit(1, Label.CAT_CLEAR, OLD)
    one.take(replace(seen, observations=tuple(replace(entry, scores=None) for entry in seen.observations)))
    assert not one.busy


def test_a_candidate_that_fails_is_named() -> None:
    """A runtime that gives up in the middle of a visit raises."""
    one = shadow(judging("new 1", Reader(dies_at=3)))
    one.take(visit(1, Label.CAT_CLEAR, OLD))
    with pytest.raises(HardwareError, match="gave up"):
        ended(one)


def test_a_champion_that_fails_is_not_the_candidates_fault() -> None:
    """Where the champion cannot be timed the pair has no time of it."""
    old = judging("old 1", Reader(dies_at=7))  # the seventh time: after the six frames of its visit
    told = visit(1, Label.CAT_CLEAR, old)
    one = Shadow(side(old), side(judging("new 1", Reader())), clock_at_1000_s())
    one.take(told)
    (pair,) = ended(one)
    assert (None, 0.0) == (pair.champion_ms, pair.candidate_ms)


class Vague:
    """A model that says what is no number."""

    def score(self, patch: object) -> Scores:  # noqa: ARG002 - the form of a model
        """Say it."""
        return Scores((np.nan,) * 6, (1.0,))


def test_what_is_no_number_is_a_failure() -> None:
    """Scores that are not finite end the comparison."""
    one = Shadow(side(OLD), replace(side(OLD), model_id="new 1", model=Vague()), clock_at_1000_s())
    one.take(visit(1, Label.CAT_CLEAR, OLD))
    with pytest.raises(HardwareError, match="no number"):
        ended(one)
