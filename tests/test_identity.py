"""Galleries and likenesses: bounded, reversible, measured, and a stranger by default."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from words import scores

from edge import identity
from edge.errors import InputError
from edge.identity import (
    ACTIVE_VISITS,
    EXEMPLARS_PER_VISIT,
    HOME_VISITS,
    KEPT_VISITS,
    LLR_CAP,
    MAX_ENROLLED,
    Confirmation,
    Exemplar,
    Gallery,
    IdentitySettings,
    Recogniser,
    at_home,
    confirm,
    enrol,
    fitted,
    is_far,
    nearness,
    unconfirm,
)
from edge.messages import Label, Scores

PATCH = np.zeros((3, 4), np.uint8)
EMPTY = Gallery("Mimi", "model 1")
SHARP = IdentitySettings(midpoint=2.0, slope=4.0, equal_error=0.01, visits=50)


def looks(seed: int, spread: float = 0.05, cat: int = 0) -> Exemplar:
    """Return a picture of a numbered cat: its own direction, a little off."""
    rng = np.random.default_rng((cat, seed))
    own = np.eye(8)[cat]
    raw = own + rng.normal(0, spread, 8)
    return Exemplar(PATCH, tuple((raw / np.linalg.norm(raw)).tolist()))


def visit(number: int, frames: int = 3, *, cat: int = 0, spread: float = 0.05) -> Confirmation:
    """Return a confirmed visit of a numbered cat."""
    return Confirmation(f"v{number}", tuple(looks(1000 * number + i, spread, cat) for i in range(frames)))


def scored(exemplar: Exemplar) -> Scores:
    """Return scores that carry an embedding."""
    return Scores(scores(Label.CAT_CLEAR).probabilities, exemplar.embedding)


def confirmed(numbers: list[int]) -> Gallery:
    """Return a gallery of three photographs after these visits were confirmed."""
    gallery = enrol(EMPTY, [looks(i) for i in range(3)])
    for number in numbers:
        gallery = confirm(gallery, visit(number))
    return gallery


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=KEPT_VISITS, unique=True), st.data())
@settings(max_examples=40)
def test_what_is_taken_back_was_never_there(numbers: list[int], data: st.DataObject) -> None:
    """A gallery from which visits were taken back is the one in which they were never confirmed, in any order."""
    back = data.draw(st.lists(st.sampled_from(numbers), unique=True))
    gallery = confirmed(numbers)
    for number in back:
        gallery = unconfirm(gallery, f"v{number}")
    never = confirmed([number for number in numbers if number not in back])
    assert ([e.embedding for e in never.active], [v.visit_id for v in never.confirmed]) == (
        [e.embedding for e in gallery.active], [v.visit_id for v in gallery.confirmed]
    )  # fmt: skip


def test_the_newest_visits_count_up_to_what_is_remembered() -> None:
    """Beyond what is remembered a visit taken back is replaced by the older one, so that the gallery stays exact."""
    many = list(range(KEPT_VISITS + 20))
    without = confirmed([number for number in many if number != many[-1]])
    taken_back = unconfirm(confirmed(many), f"v{many[-1]}")
    assert [e.embedding for e in without.active] == [e.embedding for e in taken_back.active]


@given(st.lists(st.integers(1, 30), max_size=120))
@settings(max_examples=30)
def test_a_gallery_is_bounded_and_keeps_its_photographs(frames: list[int]) -> None:
    """However many visits are confirmed, what counts and what is kept stays bounded, and every photograph stays."""
    gallery = enrol(EMPTY, [looks(i) for i in range(3)])
    photographs = gallery.enrolled
    for number, count in enumerate(frames):
        gallery = confirm(gallery, visit(number, count))
    assert photographs == gallery.active[:3]
    assert (True, True) == (
        len(gallery.active) <= MAX_ENROLLED + ACTIVE_VISITS * EXEMPLARS_PER_VISIT, len(gallery.confirmed) <= KEPT_VISITS
    )  # fmt: skip


def test_too_many_photographs_are_refused() -> None:
    """One photograph more than a gallery holds changes nothing and is refused with the bound."""
    full = enrol(EMPTY, [looks(i) for i in range(MAX_ENROLLED)])
    with pytest.raises(InputError, match=f"{MAX_ENROLLED + 1} photographs are more than the {MAX_ENROLLED}"):
        enrol(full, [looks(99)])


def test_a_visit_is_confirmed_once_and_taken_back_once() -> None:
    """The same visit twice, one without a cat, or one that was never confirmed is refused in one line."""
    gallery = confirmed([1])
    with pytest.raises(InputError, match="v1 is confirmed as Mimi already"):
        confirm(gallery, visit(1))
    with pytest.raises(InputError, match="no frame of it shows a cat"):
        confirm(gallery, Confirmation("v2", ()))
    with pytest.raises(InputError, match="v3 is not among"):
        unconfirm(gallery, "v3")


def test_a_coat_that_changes_is_followed() -> None:
    """After a winter of confirmed visits the cat's new looks are nearer than its old ones were at first."""
    gallery = enrol(EMPTY, [looks(i) for i in range(5)])
    before = nearness(looks(7, cat=1).embedding, gallery.active)
    for number in range(ACTIVE_VISITS):
        gallery = confirm(gallery, visit(number, cat=1))
    assert nearness(looks(7, cat=1).embedding, gallery.active) > before + 1.0


def test_another_cat_is_far_and_the_same_one_is_not() -> None:
    """What differs more than a gallery differs within itself is far; a gallery of three cannot tell."""
    gallery = enrol(EMPTY, [looks(i) for i in range(8)])
    small = enrol(EMPTY, [looks(i) for i in range(3)])
    own, other = [looks(50, 0.02)], [looks(50, cat=2)]
    assert (False, True, True) == (is_far(own, gallery), is_far(other, gallery), is_far(own, small))


def test_nobody_is_known_by_default() -> None:
    """Without a measured worth, or without a gallery, the camera says nothing of anybody."""
    own = (looks(1), looks(2))
    assert ((), ()) == (
        Recogniser([own], None).likeness(scored(looks(3))), Recogniser([(), ()], SHARP).likeness(scored(looks(3)))
    )  # fmt: skip


def test_likeness_is_for_its_own_cat_and_against_the_others() -> None:
    """Each resident has its ratio in the given order; one without a gallery has none for or against it."""
    galleries = [tuple(looks(i, cat=cat) for i in range(4)) for cat in (0, 1)]
    own, other, unknown = Recogniser([*galleries, ()], SHARP).likeness(scored(looks(9)))
    assert (True, True, 0.0) == (own > 0, other < 0, unknown)


@given(st.integers(0, 10**6), st.floats(0.0, 3.0), st.floats(0.0, 50.0), st.floats(-5.0, 9.0))
def test_one_frame_is_bounded(seed: int, spread: float, slope: float, midpoint: float) -> None:
    """No frame says more than the cap, whatever the line, and nothing it says is no number."""
    recogniser = Recogniser([(looks(0), looks(1))], IdentitySettings(midpoint, slope, 0.1, 9))
    (told,) = recogniser.likeness(scored(looks(seed, spread)))
    assert abs(told) <= LLR_CAP


def test_the_fit_finds_the_line_that_was_put_in() -> None:
    """Nearnesses drawn from two normal distributions give their line and the equal error of their distance."""
    rng = np.random.default_rng(3)
    own, other = ([[value] for value in rng.normal(mean, 0.5, 4000)] for mean in (4.0, 2.0))
    found = fitted(own, other)
    told = (found.midpoint, found.slope, found.equal_error)
    assert pytest.approx((3.0, 2.0 / 0.25, 0.5 * math.erfc(2.0 / math.sqrt(2))), rel=0.1) == told


def test_a_difference_within_its_own_error_is_not_believed() -> None:
    """Where own and other lie on each other the line is flat: the camera names nobody, and says that it errs."""
    rng = np.random.default_rng(4)
    own, other = ([[value] for value in rng.normal(2.0, 0.5, 40)] for _ in range(2))
    found = fitted(own, sorted(other))
    assert (0.0, 0.5) == (found.slope, found.equal_error)


def test_a_home_measures_itself_on_confirmed_visits_alone() -> None:
    """Two cats with enough confirmed visits measure the camera; photographs or one cat alone measure nothing."""
    cats = [Gallery(f"cat {cat}", "model 1") for cat in (0, 1)]
    photographed = [enrol(cat, [looks(i, cat=n) for i in range(20)]) for n, cat in enumerate(cats)]
    told = list(photographed)
    for number in range(HOME_VISITS):
        told = [confirm(cat, visit(number, cat=n)) for n, cat in enumerate(told)]
    found = at_home(told)
    assert (None, None) == (at_home(photographed), at_home(told[:1]))
    assert found is not None
    assert (2 * HOME_VISITS, True, True) == (found.visits, found.slope > 0, found.equal_error < 0.01)


def test_a_gallery_without_exemplars_is_near_to_nothing() -> None:
    """Nearness to nothing is an error of the caller, not a number."""
    with pytest.raises(ValueError, match="near to nothing"):
        nearness(looks(1).embedding, [])


def test_a_cat_is_what_its_labels_say_together() -> None:
    """A picture shows a cat where hidden, clear and prey together are more likely than not."""
    assert (True, False) == (
        identity.shows_cat(scores(Label.CAT_HIDDEN, 0.9)), identity.shows_cat(scores(Label.PERSON, 0.9))
    )  # fmt: skip
