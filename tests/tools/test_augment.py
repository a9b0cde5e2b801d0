"""What cameras, lamps and flaps do to a picture: each step does what its name says, to pixels that stay pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import augment
import cv2
import numpy as np
import pytest
from augment import STEPS, Augmenter, gate_box, noir
from hypothesis import given
from hypothesis import strategies as st
from samples_made import noise, sample

from edge.features import Recipe, crop_box, normalise
from edge.messages import Box, Label

if TYPE_CHECKING:
    from augment import Step
    from dataset import Sample

    from edge.messages import Grey

RECIPE = Recipe(64, 48, 0.25, 0.6, 4.0)
SEEDS = st.integers(0, 10_000)
EVERY_STEP = st.sampled_from([step for _, step in STEPS])


def even(level: int = 100) -> Grey:
    """A wall."""
    return np.full((96, 128), level, np.uint8)


def point() -> Grey:
    """A light in the dark."""
    pixels = even(0)
    pixels[48, 64] = 255
    return pixels


def done(step: Step, pixels: Grey, seed: int) -> Grey:
    """What a step makes of a picture."""
    return step(pixels, np.random.default_rng(seed))


def levels(pixels: Grey) -> list[int]:
    """A picture's grey levels, which numpy would count round in eight bits."""
    return [int(level) for level in pixels.ravel()]


@given(EVERY_STEP, SEEDS, st.sampled_from([(48, 64), (144, 192), (33, 20)]))
def test_a_step_makes_pixels_of_pixels_and_repeats_itself(step: Step, seed: int, shape: tuple[int, int]) -> None:
    """Shape and type stay, what was given is not written on, and one seed does one thing."""
    before = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    given_to = before.copy()
    after = done(step, given_to, seed)
    assert (shape, np.dtype(np.uint8)) == (after.shape, after.dtype)
    assert before.tolist() == given_to.tolist()
    assert after.tolist() == done(step, before, seed).tolist()


@given(EVERY_STEP, SEEDS)
def test_a_step_leaves_most_of_a_picture_to_be_seen(step: Step, seed: int) -> None:
    """A dark head before a bright wall stays darker than the wall, by more than a little, in the middle of the picture.

    A mirror turns the head to the other side; so both sides of its edge are compared whichever way round they are.
    """
    picture = cv2.GaussianBlur(np.repeat(np.repeat(np.array([[30, 200]], np.uint8), 144, 0), 96, 1), (0, 0), 2)
    after = done(step, picture.astype(np.uint8), seed).astype(float)
    left, right = after[50:94, 60:85].mean(), after[50:94, 107:132].mean()
    assert abs(right - left) > 25


@given(SEEDS)
def test_a_mirror_swaps_left_and_right(seed: int) -> None:
    """The first column becomes the last; twice is not at all."""
    once = done(augment.mirrored, noise(), seed)
    assert noise()[:, 0].tolist() == once[:, -1].tolist()
    assert noise().tolist() == done(augment.mirrored, once, seed).tolist()


@given(SEEDS)
def test_a_tilt_keeps_the_middle_in_the_middle(seed: int) -> None:
    """A camera turns about its own axis: the light in the middle moves by less than two pixels."""
    y, x = np.unravel_index(int(done(augment.tilted, point(), seed).argmax()), (96, 128))
    assert (48, 64) == pytest.approx((int(y), int(x)), abs=2)


def test_a_tilt_turns() -> None:
    """A level edge is level no longer."""
    half = even()
    half[48:] = 200
    assert len(set(levels(done(augment.tilted, half, 3)[46:50]))) > 2


@given(SEEDS)
def test_a_frame_covers_one_edge_or_two_and_never_the_middle(seed: int) -> None:
    """What it covers is even and touches an edge; the middle six tenths each way are as they were."""
    before, after = noise(), done(augment.framed, noise(), seed)
    assert before[24:96, 32:128].tolist() == after[24:96, 32:128].tolist()
    lines = (after[0], after[-1], after[:, 0], after[:, -1])
    assert 1 <= sum(line.min() == line.max() for line in lines) <= 2


@given(SEEDS)
def test_a_lamp_is_brightest_at_its_spot_and_adds_nothing(seed: int) -> None:
    """Light falls off from one place within the picture to all sides."""
    after = done(augment.lamp_lit, even(200), seed).astype(int)
    y, x = np.unravel_index(int(after.argmax()), after.shape)
    assert after.max() <= 200
    assert (np.diff(after[y, x:]) <= 0).all()
    assert (np.diff(after[: y + 1, x]) >= 0).all()
    assert after.min() < 0.9 * after.max()


@given(SEEDS)
def test_a_vignette_darkens_the_corners_alike_and_spares_the_middle(seed: int) -> None:
    """All four corners lose the same, between 0.2 and 0.7 of their light; the middle loses none."""
    after = done(augment.vignetted, even(200), seed)
    corners = {int(after[y, x]) for y in (0, -1) for x in (0, -1)}
    assert 1 == len(corners)
    assert 60 <= corners.pop() <= 160
    assert 199 <= after[48, 64]


@given(SEEDS)
def test_glare_saturates_a_small_soft_blob_and_only_brightens(seed: int) -> None:
    """White in its middle or nearly so, less than a tenth of the picture, nothing darker than before."""
    before, after = even(60), done(augment.glaring, even(60), seed)
    assert (after >= before).all()
    assert after.max() >= 230
    assert 0 < (after > 160).mean() < 0.1
    assert ((after > 70) & (after < 200)).any()


@pytest.mark.parametrize("step", [augment.blurred, augment.smeared])
@given(seed=SEEDS)
def test_blur_spreads_a_point_and_keeps_an_even_wall(step: Step, seed: int) -> None:
    """Its light goes to its neighbours."""
    assert done(step, point(), seed).max() < 255
    assert even().tolist() == done(step, even(), seed).tolist()


@given(SEEDS)
def test_a_smear_is_a_short_line(seed: int) -> None:
    """A point becomes a line through where it was, as long as 2 to 4.5 % of the height and a pixel or two wide."""
    spread = done(augment.smeared, point(), seed)
    middle, (width, height), _ = cv2.minAreaRect(cv2.findNonZero(spread))
    assert (64, 48) == pytest.approx(middle, abs=0.6)
    assert min(width, height) <= 1.5
    assert 1 <= max(width, height) <= 6.5


@given(SEEDS, st.integers(0, 255))
def test_another_tone_keeps_the_order_of_greys(seed: int, level: int) -> None:
    """What was brighter is never darker afterwards, whatever stands beside it, and no picture becomes all black."""
    ramp = np.arange(256, dtype=np.uint8)[np.newaxis].repeat(2, 0)
    assert (np.diff(done(augment.toned, ramp, seed).astype(int)) >= 0).all()
    assert 30 <= done(augment.toned, even(level), seed).mean() <= 217


def test_noise_grows_with_the_light() -> None:
    """Photons come by chance: over many cameras a bright wall is noisier than a dark one, by far."""
    dark, bright = (
        np.mean([np.diff(done(augment.noisy, even(level), seed).astype(int)).std() for seed in range(60)])
        for level in (20, 180)
    )
    assert bright > 1.5 * dark


def test_noise_runs_along_rows() -> None:
    """The means of rows differ by more than those of columns."""
    rows, columns = (
        np.mean([done(augment.noisy, even(128), seed).mean(axis=axis).std() for seed in range(60)]) for axis in (1, 0)
    )
    assert rows > 1.3 * columns


@given(SEEDS)
def test_noise_shifts_no_brightness(seed: int) -> None:
    """The mean of a grey wall stays."""
    assert pytest.approx(128, abs=2) == done(augment.noisy, even(128), seed).mean()


@given(SEEDS)
def test_a_poor_jpeg_loses_detail_and_not_the_picture(seed: int) -> None:
    """Something changes; the mean of each eighth of a picture hardly does."""
    before, after = noise(), done(augment.compressed, noise(), seed)
    assert before.tolist() != after.tolist()
    small = [cv2.resize(each, (8, 8), interpolation=cv2.INTER_AREA).astype(float) for each in (before, after)]
    assert np.abs(small[0] - small[1]).max() < 12


@given(SEEDS, st.integers(0, 255))
def test_infrared_changes_colours_and_leaves_greys(seed: int, level: int) -> None:
    """A grey thing keeps its level; three colours are weighed anew, with weights that add up to one."""
    grey = np.full((4, 4, 3), level, np.uint8)
    assert {level} == set(levels(noir(grey, np.random.default_rng(seed))))
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    weighed = noir(colours, np.random.default_rng(seed))
    assert 255 == pytest.approx(sum(levels(weighed)), abs=2)
    assert weighed.tolist() != noir(colours, np.random.default_rng(seed + 1)).tolist()


def coloured(modality: str) -> list[list[int]]:
    """The mean of 20 views of one red picture, as the modality says what its file holds."""
    picture = np.zeros((120, 160, 3), np.uint8)
    picture[:, 80:] = (0, 0, 255)
    encoded = cv2.imencode(".png", picture)[1].tobytes()
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.uint8)
    one = sample(grey=grey, encoded=encoded, modality=modality)
    return [levels(Augmenter(RECIPE).view(one, np.random.default_rng(seed))) for seed in range(20)]


def test_only_pictures_that_have_colours_are_recast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a grey picture the file is never asked; of a coloured one about half of the views come out otherwise."""
    monkeypatch.setattr(augment, "STEPS", ())
    grey, colour = coloured("grey"), coloured("colour")
    assert {0, 76} == {min(map(min, grey)), max(map(max, grey))}
    recast = sum(max(view) != 76 for view in colour)
    assert 4 <= recast <= 16


@given(SEEDS, st.sampled_from(["empty", "cat_prey"]), st.sampled_from(["sim", "feral"]))
def test_views_are_of_the_recipes_size_and_patches_are_their_normalisation(seed: int, label: Label, home: str) -> None:
    """Whatever is done to it, a view stays uint8 of the recipe's size, one seed does one thing, a patch only adds."""
    augmenter, one = Augmenter(RECIPE), sample(label, home)
    view, again = (augmenter.view(one, np.random.default_rng(seed)) for _ in range(2))
    assert ((48, 64), np.dtype(np.uint8)) == (view.shape, view.dtype)
    assert view.tolist() == again.tolist()
    patch = augmenter.patch(one, np.random.default_rng(seed))
    assert normalise(view, RECIPE.max_gain).tolist() == patch.tolist()


@pytest.mark.parametrize("held", [Box(x, y, 12, 8) for x in (0, 148) for y in (0, 112)])
def test_what_a_composed_cat_holds_is_always_in_the_crop(held: Box) -> None:
    """Prey that was cut away would be a wrong label; of a photograph nobody knows where it is, and corners get lost."""

    def seen(one: Sample, seed: int) -> bool:
        crop = crop_box(gate_box(one, np.random.default_rng(seed)), 160, 120, RECIPE)
        beyond = crop.x + crop.width < held.x + held.width or crop.y + crop.height < held.y + held.height
        return crop.x <= held.x and crop.y <= held.y and not beyond

    composed, photograph = sample("cat_prey", composed=True, held=held), sample("cat_prey")
    assert {True} == {seen(composed, seed) for seed in range(200)}
    assert {True, False} == {seen(photograph, seed) for seed in range(200)}
