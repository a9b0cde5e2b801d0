"""Which visits are worth a label, and the canonical line of a visit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from visits_made import observation, scores, visit_of, visits

from edge.canonical import summary
from edge.messages import ChipRead, KeyFrame, Label, Quality, QualityWhy, VerdictKind, Visit
from edge.worth import Rule, Thresholds, Worth, draw_of, worth

BOUNDS = Thresholds(admit_llr=4.0, prey_llr=3.0)
CLEAR = scores(Label.CAT_CLEAR, 0.95)
SURE = visit_of(CLEAR, CLEAR)
CHIP = (ChipRead("276098106543210", 0),)


def llrs(visit: Visit, clean: float, prey: float) -> Visit:
    """Return the visit with other sums in its verdict."""
    return replace(visit, verdict=replace(visit.verdict, clean_llr=clean, prey_llr=prey))


def rule_of(visit: Visit, draw: float = 0.99) -> Rule | None:
    """Return the rule that chooses a visit at a random share of 5 %."""
    found = worth(visit, BOUNDS, 0.05, draw)
    return None if found is None else found.rule


CHOICES: dict[str, tuple[Visit, Rule | None]] = {
    "sure and ours": (SURE, None),
    "unsure": (replace(SURE, verdict=replace(SURE.verdict, kind=VerdictKind.UNSURE)), Rule.LOW_CONFIDENCE),
    "frames that guess": (visit_of(scores(Label.CAT_CLEAR, 0.5)), Rule.LOW_CONFIDENCE),
    "prey refused": (visit_of(CLEAR, kind=VerdictKind.REFUSE_PREY), Rule.RARE_CLASS),
    "mostly prey": (visit_of(CLEAR, *[scores(Label.CAT_PREY, 0.9)] * 2), Rule.RARE_CLASS),
    "a person": (visit_of(scores(Label.PERSON, 0.99), kind=VerdictKind.REFUSE_OTHER), Rule.RARE_CLASS),
    "an animal": (visit_of(scores(Label.OTHER_ANIMAL, 0.99), kind=VerdictKind.REFUSE_OTHER), Rule.RARE_CLASS),
    "an animal with a chip": (replace(visit_of(scores(Label.OTHER_ANIMAL, 0.99)), chips=CHIP), Rule.DISAGREEMENT),
    "a cat with a chip": (replace(SURE, chips=CHIP), None),
    "the owner agrees": (replace(SURE, owner_label=Label.CAT_CLEAR), None),
    "the owner saw prey": (replace(SURE, owner_label=Label.CAT_PREY), Rule.DISAGREEMENT),
    "nearly prey": (llrs(SURE, 4.1, 2.9), Rule.NEAR_THRESHOLD),
    "nearly admitted": (llrs(visit_of(CLEAR, kind=VerdictKind.REFUSE_STRANGER), 3.9, 0.0), Rule.NEAR_THRESHOLD),
    "just past the bound": (llrs(SURE, 4.01, 0.0), None),
    "far from both": (llrs(SURE, 2.9, 2.2), None),
    "tailgated": (replace(SURE, key_frames=(KeyFrame("tailgating", 3, np.zeros((2, 2), np.uint8)),)), Rule.ALARM),
    "nothing seen": (visit_of(None, None, kind=VerdictKind.BLIND), Rule.BLIND),
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_visit_is_chosen_by_the_first_rule_that_applies(name: str) -> None:
    """Each kind of visit is chosen by its own rule, and a sure one by none."""
    visit, expected = CHOICES[name]
    assert expected == rule_of(visit)


def test_a_share_of_the_sure_ones_is_kept() -> None:
    """A sure visit is kept when its draw is under the random share, a blind one never for that."""
    assert (Rule.RANDOM, None) == (rule_of(SURE, 0.049), rule_of(SURE, 0.05))
    assert Rule.BLIND == rule_of(visit_of(None, kind=VerdictKind.BLIND), 0.0)


def test_a_share_of_nothing_keeps_nothing() -> None:
    """With a random share of 0 even the lowest draw keeps no sure visit."""
    assert worth(SURE, BOUNDS, 0.0, 0.0) is None


def test_the_draw_is_the_visits_own() -> None:
    """The same visit under the same key draws the same at every replay; another key draws another number."""
    assert draw_of("20260301T040506-0001", "home") == draw_of("20260301T040506-0001", "home")
    assert draw_of("20260301T040506-0001", "home") != draw_of("20260301T040506-0001", "other")


def test_draws_are_even() -> None:
    """Of many visits about the share that was asked for is drawn."""
    draws = [
        draw_of(f"visit-{number}", "a key longer than the sixty-four bytes that blake2b takes at most " * 2)
        for number in range(4000)
    ]
    assert all(0.0 <= draw < 1.0 for draw in draws)
    assert 150 <= sum(draw < 0.05 for draw in draws) <= 250


@given(visit=visits(), draw=st.floats(0.0, 1.0, exclude_max=True))
@settings(max_examples=40)
def test_every_visit_has_an_answer(visit: Visit, draw: float) -> None:
    """Whatever a visit holds, the answer is nothing or a usefulness from 0 to 1 that a better rule always exceeds."""
    found = worth(visit, BOUNDS, 0.5, draw)
    if found is not None:
        place = len(Rule) - 1 - list(Rule).index(found.rule)
        assert place / len(Rule) <= found.usefulness <= (place + 1) / len(Rule)


def test_within_a_rule_the_stronger_case_is_more_useful() -> None:
    """The owner's word against a sure model teaches more than against a guessing one."""
    guess = replace(visit_of(scores(Label.CAT_CLEAR, 0.4)), owner_label=Label.PERSON)
    sure = replace(SURE, owner_label=Label.PERSON)
    cases = [worth(visit, BOUNDS, 0.0, 0.5) for visit in (guess, sure)]
    uses = [case.usefulness for case in cases if isinstance(case, Worth)]
    assert 2 == len(uses)
    assert uses[0] < uses[1]


def test_the_canonical_line_says_what_happened() -> None:
    """The canonical fields are these, in this order, with frames and milliseconds counted as the design says."""
    visit = visit_of(None, CLEAR, CLEAR)
    expected = {
        "visit": "20260301T040506-0001",
        "verdict": "admit",
        "because": "because of the test",
        "resident": None,
        "frames": 3,
        "evidence_frames": 2,
        "frames_to_verdict": 2,
        "ms_to_verdict": 100.0,
        "top_label": "cat_clear",
        "bolt_s": 2.5,
        "flap_opened": True,
        "model": "factory-1",
        "runtime": "none 0",
        "config": "0123456789abcdef",
        "rule": "random",
        "spool": "stored",
    }
    assert list(expected.items()) == list(summary(visit, "random", "stored").fields().items())


def test_the_first_good_frame_starts_the_clock() -> None:
    """Milliseconds count from the first frame of good quality even if the model failed on it, and never backwards."""
    good = replace(observation(0, None), quality=Quality(True, QualityWhy.OK, 90.0, 40.0, 12.5))
    late = observation(9, CLEAR)
    visit = visit_of(None, None, kind=VerdictKind.BLIND)
    assert summary(visit, None, "not_chosen").ms_to_verdict is None
    assert summary(replace(visit, observations=(late,)), None, "not_chosen").ms_to_verdict is None
    assert 100.0 == summary(replace(visit, observations=(good, late)), None, "not_chosen").ms_to_verdict
