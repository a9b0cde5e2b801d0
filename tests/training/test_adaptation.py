"""A student learns a home and is held to what it was. Needs the trainer's environment: make train-test."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the trainer's environment has it: make train-test")

from adaptation import (  # noqa: E402 - after it is known that there is torch
    MOST_SHOWN,
    Effort,
    Ground,
    Origin,
    adapted,
    drawn_shares,
    joined_views,
    mean_of,
    only_views,
    said_by,
    views_of,
)
from samples_made import sample  # noqa: E402
from stages import Progress  # noqa: E402
from student_net import SHIPPED, Student, Told  # noqa: E402
from teacher import Teacher, Views, look  # noqa: E402

from edge.messages import LABELS, Label  # noqa: E402

if TYPE_CHECKING:
    from adaptation import Adapted
    from dataset import Sample

    from edge.evaluation import Reals
    from edge.messages import Grey

EFFORT = Effort(teacher=32, student=64, seed=1)
HOME_FRAMES, REHEARSED = 6, 4


def views(of: list[int], plain: int) -> Views:
    """Views that hold nothing but their own number."""
    return Views(np.arange(len(of), dtype=np.float16)[:, None, None, None], np.array(of), plain)


# --- what is drawn ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_home", "pictures", "share"), [(10, 10_000, 10 * MOST_SHOWN / 10_000), (300, 10_000, 0.5), (2, 2, 0.5)]
)
def test_few_frames_of_a_home_are_not_shown_by_heart(of_home: int, pictures: int, share: float) -> None:
    """The home's part is half of all pictures, or less where that would show each of its frames too often."""
    samples = [*[sample(home="mine")] * of_home, *[sample(home="feral")] * 7]
    shares = drawn_shares(samples, of_home, pictures)
    assert share == pytest.approx(shares[:of_home].sum())
    assert pytest.approx(1.0) == shares.sum()


def test_a_home_alone_is_all_there_is_to_show() -> None:
    """Without anything to rehearse every picture is of the home."""
    assert pytest.approx(1.0) == drawn_shares([sample(), sample("empty")], 2, 10_000).sum()


def test_a_sample_s_view_is_one_of_its_own() -> None:
    """Plain or augmented, each now and then, and never another's."""
    seen, rng = views([0, 1, 2, 1, 1, 0], 3), np.random.default_rng(0)
    drawn = {index: set(views_of(seen, np.full(60, index), rng).tolist()) for index in range(3)}
    assert {0: {0, 5}, 1: {1, 3, 4}, 2: {2}} == drawn


def test_views_of_some_samples_are_numbered_anew() -> None:
    """In the order in which they are named, the plain ones first."""
    some = only_views(views([0, 1, 2, 2, 0, 1], 3), np.array([2, 0]))
    assert ([2, 0, 3, 4], [0, 1, 0, 1], 2) == (some.seen.ravel().tolist(), some.of.tolist(), some.plain)


def test_views_of_two_lists_are_joined_as_if_they_had_been_one() -> None:
    """All plain ones first, then the augmented ones of both; the second list's samples follow the first's."""
    both = joined_views(views([0, 1, 1], 2), views([0, 0], 1))
    assert ([0, 1, 0, 2, 1], [0, 1, 2, 1, 2], 3) == (both.seen.ravel().tolist(), both.of.tolist(), both.plain)


# --- learning ---------------------------------------------------------------------------------------------------------


def picture(label: str) -> Grey:
    """Something that a network of any weights can tell: stripes upright for a person, lying for an empty scene."""
    stripes = np.tile(np.repeat(np.array([20, 230], np.uint8), 20), 4)
    whole = np.tile(stripes, (120, 1))
    return np.ascontiguousarray(whole if label == Label.PERSON else np.tile(stripes[:120, None], (1, 160)))


def striped(label: str, home: str) -> Sample:
    """A frame with its stripes."""
    return dataclasses.replace(sample(label, home), grey=picture(label))


@pytest.fixture(scope="module")
def origin() -> Origin:
    """A student and a teacher that know nothing but ImageNet."""
    torch.manual_seed(0)
    return Origin(Student(SHIPPED).eval(), Teacher().eval(), SHIPPED)


@pytest.fixture(scope="module")
def ground(origin: Origin) -> Ground:
    """Six labelled frames of a home and four of elsewhere, and what was seen and said of them."""
    labels = (Label.PERSON, Label.EMPTY)
    home = [striped(labels[number % 2], "mine") for number in range(HOME_FRAMES)]
    samples = (*home, *(striped(labels[number % 2], "feral") for number in range(REHEARSED)))
    seen = look(samples, 12, 1, lambda _pictures, _loss: None)
    return Ground(samples, HOME_FRAMES, said_by(origin.student, origin.design, samples), seen)


def weights(net: object) -> dict[str, object]:
    """A network's weights, to compare with."""
    return {name: value.clone() for name, value in net.state_dict().items()}  # type: ignore[attr-defined] # torch is not installed where types are checked


def same(one: dict[str, object], other: dict[str, object]) -> bool:
    """Whether they are the same, bit for bit."""
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture(scope="module")
def before(origin: Origin) -> tuple[dict[str, object], ...]:
    """The weights of both before anything is learnt."""
    return weights(origin.student), weights(origin.teacher)


@pytest.fixture(scope="module")
def new(origin: Origin, ground: Ground, before: object) -> Adapted:  # noqa: ARG001 - it has to be taken first
    """Both after some pictures."""
    return adapted(origin, ground, EFFORT, Progress(1.0))


def test_the_old_ones_stay_what_they_were(origin: Origin, before: tuple[dict[str, object], ...], new: Adapted) -> None:
    """What shipped may have to be adapted again, or kept: only copies learn."""
    kept = [same(*pair) for pair in zip(before, map(weights, (origin.student, origin.teacher)), strict=True)]
    moved = [same(*pair) for pair in zip(before, map(weights, (new.student, new.teacher)), strict=True)]
    assert ([True, True], [False, False]) == (kept, moved)


def test_labels_are_learnt(new: Adapted, ground: Ground) -> None:
    """A few dozen pictures, and every frame's own label has gained."""
    after = of_label(said_by(new.student, SHIPPED, ground.samples), ground)
    assert bool((after > of_label(ground.before, ground) + 0.02).all())


def of_label(told: Told, ground: Ground) -> Reals:
    """The probability of each frame's own label."""
    truth = [LABELS.index(Label(one.label)) for one in ground.samples]
    shares: Reals = told.probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return shares


def test_one_seed_adapts_one_way(origin: Origin, ground: Ground, new: Adapted) -> None:
    """The same frames, seed and number of threads give the same student."""
    again = adapted(origin, ground, EFFORT, Progress(1.0))
    assert same(weights(new.student), weights(again.student))


def test_without_labels_the_teacher_stays_as_it_is(origin: Origin, ground: Ground) -> None:
    """It learns from labels alone; the student learns from its word all the same."""
    new = adapted(origin, ground.knowing(frozenset()), EFFORT, Progress(1.0))
    assert new.teacher is origin.teacher
    assert not same(weights(origin.student), weights(new.student))


def test_only_the_home_s_frames_are_stripped_of_labels(ground: Ground) -> None:
    """Those that the owner has not labelled; what is rehearsed keeps its own."""
    known = [one.labelled for one in ground.knowing(frozenset({1, 4})).samples]
    assert [False, True, False, False, True, False, *[True] * REHEARSED] == known


def test_frames_that_calibrate_are_taken_out_whole(ground: Ground) -> None:
    """With what was seen and said of them; all others keep theirs."""
    rest = ground.without(frozenset({0, 4}))
    kept = [1, 2, 3, 5, *range(HOME_FRAMES, HOME_FRAMES + REHEARSED)]
    assert ([ground.samples[index] for index in kept], HOME_FRAMES - 2) == ([*rest.samples], rest.of_home)
    assert ground.before.probabilities[kept].tolist() == rest.before.probabilities.tolist()
    assert ground.views.seen[kept].tolist() == rest.views.seen[: rest.views.plain].tolist()


def test_what_it_normalises_by_is_not_learnt_from_one_flap(origin: Origin, new: Adapted) -> None:
    """Means and variances stay: at first they came from many homes, and a batch here is half of one."""
    old, now = (net.state_dict() for net in (origin.student, new.student))
    held = [name for name in old if name.rpartition(".")[2] in ("running_mean", "running_var")]
    assert held
    assert all(torch.equal(old[name], now[name]) for name in held)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.25])
def test_a_mean_lies_between_old_and_new(origin: Origin, share: float) -> None:
    """Every weight, and what normalisation remembers, so far on the way from the old to the new."""
    torch.manual_seed(1)
    new = Student(SHIPPED)
    new.load_state_dict(
        {
            name: torch.randn_like(value) if value.is_floating_point() else value
            for name, value in new.state_dict().items()
        }
    )
    between, old = mean_of(origin.student, new, share), origin.student.state_dict()
    for name, value in new.state_dict().items():
        expected = share * value + (1 - share) * old[name] if value.is_floating_point() else value
        assert torch.allclose(expected, between.state_dict()[name], atol=1e-5)
