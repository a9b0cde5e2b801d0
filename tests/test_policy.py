"""The sequential test over a visit."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from words import BOUNDS, EVIDENCE, MIMIS_CHIP, STRANGE_CHIP, patch, rules, scores, seen, unseen

from edge.messages import (
    LABELS,
    Label,
    Needs,
    Observation,
    QualityWhy,
    Resident,
    Residents,
    Scores,
    Verdict,
    VerdictKind,
)
from edge.policy import PREY_FADE, Budgets, VisitJudge, blind_admits, frame_llrs, novelty, wald_bounds

ANY_CAT = Residents(cats=(), any_cat=True)


def judged(observations: list[Observation], chips: tuple[str, ...] = (MIMIS_CHIP,)) -> VisitJudge:
    """Return a judge that has read the chips and then seen the frames."""
    judge = VisitJudge(rules())
    for chip in chips:
        judge.chip(chip, 0)
    for observation in observations:
        judge.frame(observation)
    return judge


def frames(label: Label, count: int, *, start: int = 0) -> list[Observation]:
    """Return ``count`` frames that look alike to the model and differ as pictures."""
    return [seen(start + index, label) for index in range(count)]


def test_walds_bounds() -> None:
    """The bounds are Wald's, from the two budgets."""
    bounds = wald_bounds(Budgets(prey_let_in=0.02, resident_refused=0.05))
    expected = (math.log(0.95 / 0.02), math.log(0.05 / 0.98), math.log(0.98 / 0.05))
    assert expected == (bounds.admit, bounds.refuse, bounds.prey)


def test_own_cat_with_empty_mouth_is_admitted() -> None:
    """Enough frames of an empty mouth and a listed chip open the door, and the verdict names the cat."""
    verdict = judged(frames(Label.CAT_CLEAR, 6)).verdict()
    assert (VerdictKind.ADMIT, "Mimi") == (verdict.kind, verdict.resident)


def test_fewer_frames_than_the_minimum_never_admit() -> None:
    """However sure the frames, fewer than min_frames of them are not enough."""
    few = [seen(index, Label.CAT_CLEAR, 0.999999) for index in range(EVIDENCE.min_frames - 1)]
    assert VerdictKind.UNSURE is judged(few).verdict().kind


@pytest.mark.parametrize("before", [0, 2, 30])
@pytest.mark.parametrize("after", [0, 30])
def test_clean_frames_do_not_wash_prey_out(before: int, after: int) -> None:
    """Prey on its strongest frames is prey, however many clean frames come before the bound or after it."""
    judge = VisitJudge(rules())  # no chip was read, so nothing is final before the prey
    clean_first = frames(Label.CAT_CLEAR, before)
    prey = frames(Label.CAT_PREY, 3, start=before)
    for observation in [*clean_first, *prey, *frames(Label.CAT_CLEAR, after, start=before + 3)]:
        judge.frame(observation)
    judge.chip(MIMIS_CHIP, 10**10)
    assert VerdictKind.REFUSE_PREY is judge.verdict().kind


@pytest.mark.parametrize("clean", [0, 1, 10, 290])
def test_three_frames_of_prey_are_enough_however_long_the_visit(clean: int) -> None:
    """Prey on three new looks is final at the third, after as many clean frames as a visit holds."""
    judge = judged(frames(Label.CAT_CLEAR, clean), chips=())
    finals = []
    for observation in frames(Label.CAT_PREY, 3, start=clean):
        judge.frame(observation)
        finals.append(judge.final)
    assert [None, VerdictKind.REFUSE_PREY] == [finals[0], finals[2] and finals[2].kind]


def test_a_long_visit_of_single_misread_frames_is_no_prey() -> None:
    """One frame in ten that looks like prey never adds up to prey, not even in the longest visit."""
    labels = [Label.CAT_PREY if index % 10 == 5 else Label.CAT_CLEAR for index in range(300)]
    judge = judged([seen(index, label) for index, label in enumerate(labels)], chips=())
    assert VerdictKind.REFUSE_STRANGER is judge.verdict().kind


def test_prey_seen_once_stands_against_admission_when_it_has_faded() -> None:
    """Clean frames that follow prey must outweigh the strongest case for it, not what is left of it."""
    judge = judged([seen(0, Label.CAT_PREY), *frames(Label.CAT_CLEAR, 20, start=1)])
    verdict = judge.verdict()
    assert (VerdictKind.ADMIT, True) == (verdict.kind, verdict.clean_llr - verdict.prey_llr >= BOUNDS.admit)


def test_a_case_that_begins_late_must_prove_more() -> None:
    """The more often a clean case may have begun anew, the more it takes: every beginning is one more try."""
    needed = []
    for before in (0, 5, 50, 250):
        judge = judged(frames(Label.PERSON, before))
        count = 0
        while judge.final is None:
            judge.frame(seen(before + count, Label.CAT_CLEAR))
            count += 1
        needed.append(count)
    assert (needed, True) == (sorted(needed), needed[0] < needed[-1])


def test_evidence_is_weighed_against_the_best_rival() -> None:
    """A frame that shows prey more likely than a clear mouth never speaks for a clean cat, whatever else it is not."""
    clean, prey = frame_llrs(Scores((0.001, 0.002, 0.44, 0.555, 0.001, 0.001), ()), EVIDENCE)
    assert (True, True) == (clean < 0, prey > 0)


def test_half_proven_prey_outweighs_as_much_clean_evidence() -> None:
    """A single strong prey frame makes the door wait for the whole admitting bound beyond it."""
    with_prey = judged([seen(0, Label.CAT_PREY, 0.6), *frames(Label.CAT_CLEAR, 2, start=1)])
    without = judged(frames(Label.CAT_CLEAR, 3))
    assert (None, VerdictKind.ADMIT) == (with_prey.final, without.verdict().kind)


def test_a_clean_cat_without_a_chip_is_a_stranger() -> None:
    """Without a chip a clean cat is a stranger, and the reason says that no chip was read."""
    verdict = judged(frames(Label.CAT_CLEAR, 8), chips=()).verdict()
    assert (VerdictKind.REFUSE_STRANGER, "a cat, but no chip was read") == (verdict.kind, verdict.because)


def test_an_unlisted_chip_is_a_stranger() -> None:
    """A chip that nobody listed opens nothing."""
    verdict = judged(frames(Label.CAT_CLEAR, 8), chips=(STRANGE_CHIP,)).verdict()
    assert (VerdictKind.REFUSE_STRANGER, "a chip that is not listed") == (verdict.kind, verdict.because)


def test_a_chip_read_late_still_admits() -> None:
    """A chip that is missed at first and read after the frames opens the door at that moment."""
    judge = judged(frames(Label.CAT_CLEAR, 8), chips=())
    judge.chip(MIMIS_CHIP, 5_000_000_000)
    verdict = judge.verdict()
    assert (VerdictKind.ADMIT, 5_000_000_000) == (verdict.kind, verdict.at_ns)


def test_a_chip_alone_admits_nobody() -> None:
    """A chip without a picture of an empty mouth is not enough."""
    assert VerdictKind.UNSURE is judged(frames(Label.CAT_HIDDEN, 40)).verdict().kind


@pytest.mark.parametrize("label", [Label.PERSON, Label.OTHER_ANIMAL, Label.EMPTY])
def test_what_is_no_cat_is_refused(label: Label) -> None:
    """A hand, a fox or nothing at all is refused as other, chip or no chip."""
    assert VerdictKind.REFUSE_OTHER is judged(frames(label, 10)).verdict().kind


def test_a_leaf_before_the_cat_does_not_lock_it_out() -> None:
    """A hundred frames of nothing do not outweigh the cat that comes after them."""
    verdict = judged([*frames(Label.EMPTY, 100), *frames(Label.CAT_CLEAR, 8, start=100)]).verdict()
    assert VerdictKind.ADMIT is verdict.kind


def test_a_visit_without_evidence_is_blind() -> None:
    """Frames that are no evidence are not a missing prey: the visit is blind."""
    judge = judged([unseen(index, QualityWhy.DARK) for index in range(40)])
    assert (VerdictKind.BLIND, True) == (judge.verdict().kind, judge.blind)


def test_a_visit_that_goes_dark_turns_blind_and_recovers() -> None:
    """Blindness lasts as long as the darkness, not as long as the visit."""
    judge = judged([seen(0, Label.CAT_HIDDEN), *[unseen(index, QualityWhy.DARK) for index in range(1, 40)]])
    dark = judge.verdict().kind
    judge.frame(seen(41, Label.CAT_HIDDEN))
    assert (VerdictKind.BLIND, VerdictKind.UNSURE) == (dark, judge.verdict().kind)


def test_a_lost_camera_is_blind_at_once() -> None:
    """A camera that is gone needs no waiting to be blind, and the reason names it."""
    verdict = judged([seen(0, Label.CAT_CLEAR), unseen(1, QualityWhy.LOST)]).verdict()
    assert (VerdictKind.BLIND, "the camera was lost") == (verdict.kind, verdict.because)


def test_one_late_frame_is_not_a_lost_camera() -> None:
    """A frame that comes late is no evidence, but only a lost camera is blind before blind_after_s is over."""
    judge = judged([seen(0, Label.CAT_HIDDEN), unseen(1, QualityWhy.LATE)])
    assert False is judge.blind


def test_frames_that_look_alike_count_less() -> None:
    """The same picture again weighs the floor, a new one weighs 1."""
    weights = (
        novelty(patch(1), None, EVIDENCE),
        novelty(patch(1), patch(1), EVIDENCE),
        novelty(patch(1), patch(2), EVIDENCE),
    )
    assert (1.0, EVIDENCE.discount_floor, 1.0) == weights


def test_a_hidden_mouth_says_nothing_either_way() -> None:
    """A cat whose mouth cannot be seen moves neither sum by more than a trifle."""
    clean, prey = frame_llrs(scores(Label.CAT_HIDDEN, 0.99), EVIDENCE)
    assert (True, 0.0) == (abs(clean) < 0.05, prey)


@pytest.mark.parametrize(
    ("choice", "resident", "expected"),
    [("shut", "Mimi", False), ("open", None, True), ("chip", None, False), ("chip", "Mimi", True)],
)
def test_the_owners_choice_when_blind(choice: str, resident: str | None, expected: bool) -> None:
    """Shut opens for nobody, open for everybody, chip for a resident's chip."""
    assert expected is blind_admits(choice, resident)


simplex = st.lists(st.floats(0.0, 1.0), min_size=6, max_size=6).filter(lambda row: sum(row) > 1e-3)
frames_of_anything = st.lists(st.tuples(simplex, st.integers(0, 3)), max_size=30)


priors_of_any_size = st.lists(st.floats(0.01, 1.0), min_size=6, max_size=6).map(
    lambda row: tuple(value / sum(row) for value in row)
)


def _fitted_on(row: list[float], priors: tuple[float, ...]) -> Scores:
    """Return the scores that a calibration fitted on these class shares gives where one of equal shares gives row."""
    weighted = [value * prior for value, prior in zip(row, priors, strict=True)]
    return Scores(tuple(value / sum(weighted) for value in weighted), ())


@given(simplex, priors_of_any_size)
def test_llrs_do_not_depend_on_the_calibrations_priors(row: list[float], priors: tuple[float, ...]) -> None:
    """A calibration fitted on other class shares, which the manifest names, gives the same evidence."""
    equal = frame_llrs(_fitted_on(row, (1 / 6,) * 6), EVIDENCE)
    other = frame_llrs(_fitted_on(row, priors), replace(EVIDENCE, priors=priors))
    assert pytest.approx(equal, rel=1e-9, abs=1e-9) == other


@given(st.lists(simplex, min_size=1, max_size=20), priors_of_any_size)
def test_sums_do_not_depend_on_the_calibrations_priors(rows: list[list[float]], priors: tuple[float, ...]) -> None:
    """The same visit under a calibration fitted on other class shares comes to the same two sums."""
    told = []
    for shares in ((1 / 6,) * 6, priors):
        judge = VisitJudge(replace(rules(residents=ANY_CAT), evidence=replace(EVIDENCE, priors=shares)))
        for index, row in enumerate(rows):
            judge.frame(replace(seen(index, Label.EMPTY), scores=_fitted_on(row, shares)))
        told.append((judge.verdict().clean_llr, judge.verdict().prey_llr))
    assert pytest.approx(told[0], rel=1e-9, abs=1e-9) == told[1]


def test_what_was_refused_is_named_whatever_the_priors() -> None:
    """A hand that a calibration fitted on few people scores below "empty" is still named a person."""
    rare = (0.32, 0.2, 0.2, 0.2, 0.07, 0.01)
    posteriors = _fitted_on([0.15, 0.0, 0.0, 0.0, 0.05, 0.8], rare)
    judge = VisitJudge(replace(rules(), evidence=replace(EVIDENCE, priors=rare)))
    for index in range(10):
        judge.frame(replace(seen(index, Label.PERSON), scores=posteriors))
    assert (Label.EMPTY, "a person") == (posteriors.top(), judge.verdict().because)


def _observation(index: int, row: list[float], seed: int) -> Observation:
    spread = tuple(value / sum(row) for value in row)
    base = seen(index, Label.EMPTY)
    return Observation(index, base.at_ns, base.motion, base.quality, patch(seed), type(scores(Label.EMPTY))(spread, ()))


@given(frames_of_anything)
def test_llrs_stay_within_their_caps(rows: list[tuple[list[float], int]]) -> None:
    """One frame never adds more than its cap, whatever the model says."""
    for index, (row, seed) in enumerate(rows):
        observation = _observation(index, row, seed)
        assert observation.scores is not None
        clean, prey = frame_llrs(observation.scores, EVIDENCE)
        assert (True, True) == (abs(clean) <= EVIDENCE.llr_cap, -PREY_FADE <= prey <= EVIDENCE.prey_llr_cap)


@given(frames_of_anything, frames_of_anything)
def test_a_final_verdict_is_final(before: list[tuple[list[float], int]], after: list[tuple[list[float], int]]) -> None:
    """Nothing that comes later in a visit changes ADMIT or REFUSE_PREY, and admission always had its evidence."""
    judge = VisitJudge(rules(residents=ANY_CAT))
    for index, (row, seed) in enumerate(before):
        judge.frame(_observation(index, row, seed))
    final = judge.final
    for index, (row, seed) in enumerate(after, start=len(before)):
        judge.frame(_observation(index, row, seed))
    if final is not None:
        assert final == judge.verdict()
    if judge.verdict().kind is VerdictKind.ADMIT:
        enough = judge.verdict().evidence_frames >= EVIDENCE.min_frames
        assert (True, True) == (enough, judge.verdict().clean_llr >= BOUNDS.admit)


@given(st.integers(0, 40), st.lists(st.tuples(st.floats(0.5, 0.99), st.integers(0, 3)), min_size=1, max_size=12))
def test_clean_frames_before_it_do_not_delay_prey(clean: int, prey: list[tuple[float, int]]) -> None:
    """The same frames of prey come to the same verdict with any number of clean frames before them."""
    told = []
    for before in (0, clean):
        judge = judged(frames(Label.CAT_CLEAR, before), chips=())
        judge.frame(seen(1000, Label.CAT_HIDDEN))  # the same picture before the first of the prey
        for index, (probability, seed) in enumerate(prey, start=1001):
            judge.frame(replace(seen(index, Label.CAT_PREY, probability), patch=patch(seed)))
        told.append((judge.final is not None, judge.verdict().prey_llr))
    assert told[0] == told[1]


@given(frames_of_anything, st.floats(0.0, 1.0), st.integers(0, 29))
def test_more_prey_in_a_frame_never_helps_a_cat_in(
    rows: list[tuple[list[float], int]], more: float, place: int
) -> None:
    """Where one frame looks more like prey and less like a clear mouth, the sum for a clean cat is never greater."""
    sums = []
    for shift in (0.0, more):
        judge = VisitJudge(rules(residents=Residents(cats=(), any_cat=False)))
        for index, (row, seed) in enumerate(rows):
            moved = shift * row[2] if index == place else 0.0
            judge.frame(_observation(index, [*row[:2], row[2] - moved, row[3] + moved, *row[4:]], seed))
        sums.append((judge.final, judge.verdict().clean_llr))
    if sums[0][0] is None and sums[1][0] is None:
        assert sums[1][1] <= sums[0][1] + 1e-9


@given(frames_of_anything)
def test_the_judge_is_pure(rows: list[tuple[list[float], int]]) -> None:
    """The same observations give the same verdict, bit for bit."""
    seen_rows = [_observation(index, row, seed) for index, (row, seed) in enumerate(rows)]
    assert judged(seen_rows).verdict() == judged(seen_rows).verdict()


def test_every_label_has_a_prior() -> None:
    """The settings of these tests name a prior for every label there is."""
    assert len(LABELS) == len(EVIDENCE.priors)


# --- whose visit it is -----------------------------------------------------------------------------------------------

TOMS_CHIP = "276098100000002"


def home(needs: Needs, chip: str = MIMIS_CHIP, *, prey_check: bool = True) -> Residents:
    """Return a home of Mimi, who needs this, and Tom, who is known by his chip."""
    cats = (Resident("Mimi", chip, needs, prey_check), Resident("Tom", TOMS_CHIP, Needs.CHIP, prey_check=True))
    return Residents(cats, any_cat=False)


def alike(count: int, likeness: float, label: Label = Label.CAT_CLEAR) -> list[Observation]:
    """Return frames that look so much like Mimi, and not like Tom."""
    return [replace(entry, likeness=(likeness, -likeness)) for entry in frames(label, count)]


def met(residents: Residents, chips: tuple[str, ...], observations: list[Observation]) -> Verdict:
    """Return the verdict of a home on a visit whose chips are read before its frames."""
    judge = VisitJudge(rules(residents=residents))
    for chip in chips:
        judge.chip(chip, 0)
    for observation in observations:
        judge.frame(observation)
    return judge.verdict()


@pytest.mark.parametrize(
    ("needs", "chips", "likeness", "because"),
    [
        (Needs.CHIP, (MIMIS_CHIP,), 0.0, "empty mouth seen, chip of Mimi"),
        (Needs.CHIP, (), 8.0, None),
        (Needs.CAMERA, (), 8.0, "empty mouth seen, likeness of Mimi"),
        (Needs.CAMERA, (MIMIS_CHIP,), 0.0, None),
        (Needs.EITHER, (), 8.0, "empty mouth seen, likeness of Mimi"),
        (Needs.EITHER, (MIMIS_CHIP,), -8.0, "empty mouth seen, chip of Mimi"),
        (Needs.EITHER, (MIMIS_CHIP,), 8.0, "empty mouth seen, chip and likeness of Mimi"),
        (Needs.EITHER, (), 1.0, None),
        (Needs.BOTH, (MIMIS_CHIP,), 8.0, "empty mouth seen, chip and likeness of Mimi"),
        (Needs.BOTH, (MIMIS_CHIP,), 1.0, None),
        (Needs.BOTH, (), 8.0, None),
    ],
)
def test_a_cat_is_known_by_what_it_needs(
    needs: Needs, chips: tuple[str, ...], likeness: float, because: str | None
) -> None:
    """Chip, camera, either or both: what is missing of it keeps the door shut, and the verdict says by what."""
    verdict = met(home(needs), chips, alike(8, likeness))
    if because is None:
        assert VerdictKind.REFUSE_STRANGER is verdict.kind
    else:
        assert (VerdictKind.ADMIT, because, "Mimi") == (verdict.kind, verdict.because, verdict.resident)


@given(st.sampled_from([Needs.CAMERA, Needs.EITHER, Needs.BOTH]), st.floats(-1e3, 1e3), st.integers(1, 60))
def test_a_strangers_chip_outweighs_any_likeness(needs: Needs, likeness: float, count: int) -> None:
    """Whatever the camera says, and for however long, a chip that is not listed lets nobody in."""
    verdict = met(home(needs), (STRANGE_CHIP,), alike(count, likeness))
    assert VerdictKind.ADMIT is not verdict.kind


def test_the_reason_names_what_was_outweighed() -> None:
    """Where a chip outweighed a likeness, or one of two needs is missing, the verdict says so."""
    strange = met(home(Needs.EITHER), (STRANGE_CHIP,), alike(8, 8.0)).because
    half = met(home(Needs.BOTH), (MIMIS_CHIP,), alike(8, 0.0)).because
    other_half = met(home(Needs.BOTH), (), alike(8, 8.0)).because
    nobody = met(home(Needs.EITHER), (), alike(8, 0.0)).because
    assert (
        "a chip that is not listed outweighs the likeness to Mimi",
        "chip of Mimi, but it needs both and the camera does not know it",
        "it looks like Mimi, but no chip was read and it needs both",
        "a cat, but no chip was read, and it looks like none of ours",
    ) == (strange, half, other_half, nobody)


def test_a_residents_chip_speaks_against_the_likeness_to_another() -> None:
    """Tom's chip under looks that are Mimi's lets Tom in, not Mimi."""
    assert "Tom" == met(home(Needs.CAMERA), (TOMS_CHIP,), alike(8, 8.0)).resident


def test_what_shows_no_cat_says_nothing_of_whose_it_is() -> None:
    """Likenesses of a hand or a leaf make nobody known, though a cat comes after them."""
    judge = VisitJudge(rules(residents=home(Needs.CAMERA)))
    for observation in [*alike(20, 8.0, Label.PERSON), *[replace(o, likeness=(0.0, 0.0)) for o in alike(8, 0.0)]]:
        judge.frame(observation)
    assert VerdictKind.ADMIT is not judge.verdict().kind


@given(st.floats(0.0, 3.8), st.integers(1, 100))
def test_many_alike_frames_say_no_more_than_their_mean(likeness: float, count: int) -> None:
    """A visit's likeness never adds up beyond what its frames say: a hundred doubtful ones are doubtful."""
    assert VerdictKind.ADMIT is not met(home(Needs.CAMERA), (), alike(count, likeness)).kind


def test_two_cats_to_look_for_are_two_chances_to_err() -> None:
    """What is enough where one cat is looked for is too little where three are."""
    one = Residents((Resident("Mimi", "", Needs.CAMERA, prey_check=True),), any_cat=False)
    three = Residents(one.cats + tuple(Resident(n, "", Needs.CAMERA, prey_check=True) for n in "AB"), any_cat=False)
    told = [replace(entry, likeness=(4.5,)) for entry in frames(Label.CAT_CLEAR, 8)]
    told_three = [replace(entry, likeness=(4.5, 0.0, 0.0)) for entry in told]
    assert (VerdictKind.ADMIT, VerdictKind.REFUSE_STRANGER) == (
        met(one, (), told).kind, met(three, (), told_three).kind
    )  # fmt: skip


def test_the_owner_may_let_a_cat_bring_its_prey_in() -> None:
    """With prey_check off a known cat is let in with prey, and the verdict says that this is the owner's choice."""
    free = met(home(Needs.CHIP, prey_check=False), (MIMIS_CHIP,), frames(Label.CAT_PREY, 8))
    assert (VerdictKind.ADMIT, "a cat, chip of Mimi; its prey is not checked") == (free.kind, free.because)


@pytest.mark.parametrize("chips", [(), (STRANGE_CHIP,), (TOMS_CHIP,), (MIMIS_CHIP, TOMS_CHIP)])
def test_prey_is_refused_of_everyone_else(chips: tuple[str, ...]) -> None:
    """Prey of a stranger, of a cat that is checked, or of two at once is refused as ever."""
    verdict = met(home(Needs.CHIP, prey_check=False), chips, frames(Label.CAT_PREY, 8))
    assert VerdictKind.REFUSE_PREY is verdict.kind


def test_prey_waits_for_the_cat_that_may_bring_it_to_be_known() -> None:
    """A chip read after the prey was seen still lets the cat in whose owner does not mind; before, nothing is final."""
    judge = VisitJudge(rules(residents=home(Needs.CHIP, prey_check=False)))
    for observation in frames(Label.CAT_PREY, 8):
        judge.frame(observation)
    waiting = (judge.final, judge.verdict().kind)
    judge.chip(MIMIS_CHIP, 10**9)
    assert ((None, VerdictKind.REFUSE_PREY), VerdictKind.ADMIT) == (waiting, judge.verdict().kind)


def test_prey_that_was_seen_is_final_once_nothing_is() -> None:
    """A visit that goes blind waits for nobody: the prey it has seen is refused for good."""
    judge = VisitJudge(rules(residents=home(Needs.CHIP, prey_check=False)))
    for observation in [*frames(Label.CAT_PREY, 8), unseen(8, QualityWhy.LOST)]:
        judge.frame(observation)
    judge.chip(MIMIS_CHIP, 10**10)
    assert VerdictKind.REFUSE_PREY is judge.verdict().kind


def test_every_cat_is_never_an_excuse_for_prey() -> None:
    """Where every cat counts as ours, a cat that may bring prey in excuses no other."""
    residents = replace(home(Needs.CHIP, prey_check=False), any_cat=True)
    seen_rows = [*frames(Label.CAT_PREY, 8), *frames(Label.CAT_CLEAR, 60, start=8)]
    assert VerdictKind.REFUSE_PREY is met(residents, (), seen_rows).kind


def test_nothing_that_is_no_cat_comes_in_on_an_unchecked_cats_chip() -> None:
    """A hand or a fox with the chip of a cat that may bring prey in is refused."""
    for label in (Label.PERSON, Label.OTHER_ANIMAL, Label.EMPTY):
        verdict = met(home(Needs.CHIP, prey_check=False), (MIMIS_CHIP,), frames(label, 20))
        assert VerdictKind.REFUSE_OTHER is verdict.kind


@given(
    first=st.lists(st.tuples(st.sampled_from(Label), st.floats(0.3, 0.99)), min_size=1, max_size=25),
    second=st.lists(st.tuples(st.sampled_from(Label), st.floats(0.3, 0.99)), min_size=25, max_size=25),
)
def test_a_second_model_can_only_refuse(first: list[tuple[Label, float]], second: list[tuple[Label, float]]) -> None:
    """With a second model watching nothing is let in that the first alone would not, nor what the second calls prey."""
    told = [seen(i, label, share) for i, (label, share) in enumerate(first)]
    watched = [replace(entry, second=scores(*second[i])) for i, entry in enumerate(told)]
    theirs = [replace(entry, scores=entry.second, second=None) for entry in watched]
    anybody = rules(residents=Residents((), any_cat=True))
    alone, both, other = (VisitJudge(anybody), VisitJudge(replace(anybody, second=EVIDENCE)), VisitJudge(anybody))
    for mine, ours, its in zip(told, watched, theirs, strict=True):
        alone.frame(mine)
        both.frame(ours)
        other.frame(its)
        if both.final is not None:
            break
        assert not other._proven
    if both.verdict().kind is VerdictKind.ADMIT:
        assert VerdictKind.ADMIT is alone.verdict().kind
        assert not other._proven
