"""The composer: what is put to a cat's mouth looks like its surroundings, and its truth is written beside it."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from compose_prey import main, training_cats
from dataset import read_photographs
from hypothesis import given, settings
from hypothesis import strategies as st
from mouths import Mouth, find_mouth
from prey_paste import NoPlaceError, compose
from prey_shapes import LEAST_LENGTH_PX, Kind, draw
from surroundings import edge_blur_px

if TYPE_CHECKING:
    from pathlib import Path

    from edge.messages import Grey

KINDS = st.sampled_from(list(Kind))
PREY = [kind for kind in Kind if not kind.harmless]
MUZZLE = (222, 118)
NOISE = 3.0


def head_against_light(facing_left: bool = False, blur_px: float = 1.5) -> Grey:
    """A head of ellipses, its muzzle at ``MUZZLE`` or mirrored: 320 x 240, black 14 before a light of 120, noisy."""
    drawn = np.full((240, 320), 120, np.float32)
    for middle, axes in (((60, 60), (130, 68)), ((145, 78), (62, 62)), ((190, 112), (32, 26))):
        cv2.ellipse(drawn, middle, axes, 0, 0, 360, (14,), -1, cv2.LINE_AA)
    return seen(drawn[:, ::-1] if facing_left else drawn, blur_px)


def lit_from_the_front(blur_px: float = 1.2) -> Grey:
    """A furred grey head whose lamp stands on the left, before a dark wall; its mouth is at ``MUZZLE``."""
    drawn = np.full((240, 320), 40, np.float32)
    cv2.ellipse(drawn, (170, 110), (80, 75), 0, 0, 360, (150,), -1, cv2.LINE_AA)
    fur = cv2.GaussianBlur(np.random.default_rng(3).standard_normal(drawn.shape).astype(np.float32), (0, 0), 1.0)
    return seen(drawn * np.linspace(1.2, 0.7, 320, dtype=np.float32) * (1 + 0.35 * fur), blur_px)


def seen(drawn: np.ndarray[tuple[int, ...], np.dtype[np.float32]], blur_px: float) -> Grey:
    """A drawing through a soft lens and a noisy sensor."""
    noise = np.random.default_rng(5).normal(0, NOISE, drawn.shape)
    return np.clip(np.rint(cv2.GaussianBlur(drawn, (0, 0), blur_px) + noise), 0, 255).astype(np.uint8)


HEAD = head_against_light()
MOUTH = Mouth(*MUZZLE, facing_left=False, scale_px=120.0, backlit=True)
LIT = dataclasses.replace(MOUTH, backlit=False)


# --- shapes -----------------------------------------------------------------------------------------------------------


@given(KINDS, st.floats(LEAST_LENGTH_PX, 90), st.integers(0, 10_000), st.booleans())
def test_a_shape_covers_something_and_has_a_mean_shade_of_one(
    kind: Kind, length: float, seed: int, facing_left: bool
) -> None:
    """Whatever the size and the pose: cover within 0 and 1, cut out tightly, no shade below black."""
    shape = draw(kind, length, np.random.default_rng(seed), facing_left)
    assert shape.alpha.shape == shape.shade.shape
    assert [np.dtype(np.float32)] * 2 == [shape.alpha.dtype, shape.shade.dtype]
    assert 0 <= shape.alpha.min() <= 0.5 < shape.alpha.max() <= 1
    assert all(line.any() for line in (shape.alpha[0], shape.alpha[-1], shape.alpha[:, 0], shape.alpha[:, -1]))
    assert shape.shade.min() >= 0
    assert pytest.approx(1.0, abs=1e-3) == float(np.average(shape.shade, weights=shape.alpha))


@given(KINDS, st.integers(0, 10_000))
def test_the_same_seed_draws_the_same_mirrored_for_a_cat_that_looks_the_other_way(kind: Kind, seed: int) -> None:
    """Facing left is facing right in a mirror: the same width and height, the grip on the other side."""
    right, left = (draw(kind, 60, np.random.default_rng(seed), facing_left) for facing_left in (False, True))
    assert pytest.approx(right.alpha.shape, abs=2) == left.alpha.shape
    assert pytest.approx(right.alpha.shape[1] - right.grip_x_px, abs=2) == left.grip_x_px


def test_nothing_is_drawn_too_small_to_be_anything() -> None:
    """Below the least length there is no shape."""
    with pytest.raises(ValueError, match="cannot be drawn"):
        draw(Kind.MOUSE, LEAST_LENGTH_PX - 0.1, np.random.default_rng(1))


def test_half_of_the_kinds_are_harmless() -> None:
    """Five kinds are prey, and five only look like it."""
    assert ["mouse", "vole", "bird", "frog", "lizard"] == PREY


# --- the mouth --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("facing_left", [False, True])
@pytest.mark.parametrize("blur_px", [0.8, 1.5, 3.0])
def test_a_drawn_muzzle_is_found(facing_left: bool, blur_px: float) -> None:
    """Within a fifth of the head's height of the muzzle's tip, and that height within a quarter."""
    mouth = find_mouth(head_against_light(facing_left, blur_px))
    assert mouth is not None
    tip = 319 - MUZZLE[0] if facing_left else MUZZLE[0]
    assert (facing_left, True) == (mouth.facing_left, mouth.backlit)
    assert np.hypot(mouth.x_px - tip, mouth.y_px - MUZZLE[1]) < 0.2 * MOUTH.scale_px
    assert pytest.approx(MOUTH.scale_px, rel=0.25) == mouth.scale_px


def test_a_paw_further_forward_is_not_taken_for_the_muzzle() -> None:
    """A foreleg on the ground reaches beyond the nose; the mouth stays where it is."""
    with_paw = HEAD.copy()
    cv2.ellipse(with_paw, (120, 225), (170, 18), 0, 0, 360, (14,), -1)
    mouth, without = find_mouth(with_paw), find_mouth(HEAD)
    assert mouth is not None
    assert without is not None
    assert pytest.approx(without.x_px, abs=3) == mouth.x_px


def block(left: int, right: int) -> Grey:
    """A dark block with straight sides that comes down from above before the light: the flap itself, say."""
    picture = np.full((240, 320), 120, np.uint8)
    picture[:150, left:right] = 14
    return picture


NOT_A_HEAD: dict[str, Grey] = {
    "flat": np.full((240, 320), 90, np.uint8),
    "black": np.zeros((240, 320), np.uint8),
    "noise": np.random.default_rng(1).integers(0, 256, (240, 320), np.uint8),
    "a ramp": np.tile(np.linspace(0, 255, 320).astype(np.uint8), (240, 1)),
    "a board": block(0, 200),
    "from side to side": block(0, 320),
    "touches no side": block(100, 200),
    "one pixel": np.zeros((1, 1), np.uint8),
    "front-lit": lit_from_the_front(),
}


@pytest.mark.parametrize("picture", NOT_A_HEAD.values(), ids=NOT_A_HEAD.keys())
def test_where_there_is_no_head_there_is_no_mouth(picture: Grey) -> None:
    """Empty, flat, noisy, straight-edged: None rather than a guess."""
    assert find_mouth(picture) is None


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10_000))
def test_small_pictures_of_anything_are_no_heads(height: int, width: int, seed: int) -> None:
    """No size and no content breaks the search."""
    picture = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    assert find_mouth(picture) is None


# --- composing --------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(KINDS, st.integers(0, 10_000), st.booleans())
def test_only_the_box_changes_and_a_seed_does_one_thing(kind: Kind, seed: int, backlit: bool) -> None:
    """Outside of what was put in, every pixel is the original's; the same seed gives the same picture."""
    grey, mouth = (HEAD, MOUTH) if backlit else (lit_from_the_front(), LIT)
    one, again = (compose(grey, mouth, kind, np.random.default_rng(seed)) for _ in range(2))
    assert one.grey.tolist() == again.grey.tolist()
    box = one.box
    changed = one.grey != grey
    assert changed.any()
    changed[box.y : box.y + box.height, box.x : box.x + box.width] = False
    assert not changed.any()
    assert (grey.shape, np.dtype(np.uint8)) == (one.grey.shape, one.grey.dtype)


@pytest.mark.parametrize("kind", Kind)
def test_only_prey_is_called_prey(kind: Kind) -> None:
    """A bell, a tag, a leaf, a tongue and a toy leave the cat clear."""
    composed = compose(HEAD, MOUTH, kind, np.random.default_rng(1))
    assert (kind, "cat_clear" if kind.harmless else "cat_prey") == (composed.kind, composed.label)


@pytest.mark.parametrize("kind", [Kind.BELL, Kind.TAG])
def test_what_a_collar_holds_hangs_behind_the_mouth(kind: Kind) -> None:
    """At the throat, never before the nose."""
    for seed in range(5):
        box = compose(HEAD, MOUTH, kind, np.random.default_rng(seed)).box
        assert box.x + box.width < MUZZLE[0]
        assert box.y + box.height > MUZZLE[1]


def pasted_part(grey: Grey, composed_grey: Grey) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Where the light became dark, without the soft edge."""
    became = ((grey > 90) & (composed_grey < 40)).astype(np.uint8)
    return cv2.erode(became, np.ones((5, 5), np.uint8)) > 0


@pytest.mark.parametrize("kind", [Kind.MOUSE, Kind.VOLE, Kind.FROG])
def test_against_the_light_prey_has_the_cats_black_and_noise(kind: Kind) -> None:
    """Brightness within 3 grey levels of the cat's, noise within a third of it."""
    cat = HEAD[40:100, 60:160]
    dark = [composed[pasted_part(HEAD, composed)] for composed in composed_many(HEAD, MOUTH, kind)]
    values = np.concatenate(dark).astype(np.float64)
    assert values.size > 500
    assert pytest.approx(cat.mean(), abs=3) == values.mean()
    assert pytest.approx(cat.std(), rel=0.33) == values.std()


def composed_many(grey: Grey, mouth: Mouth, kind: Kind) -> list[Grey]:
    """Eight pictures of eight seeds."""
    return [compose(grey, mouth, kind, np.random.default_rng(seed)).grey for seed in range(8)]


@pytest.mark.parametrize("blur_px", [0.8, 1.5, 2.5])
def test_edges_of_prey_are_as_soft_as_the_cats(blur_px: float) -> None:
    """Measured on pictures without the cat's own outline: within a third of the cat's blur, or 0.35 px."""
    grey = head_against_light(blur_px=blur_px)
    wanted = edge_blur_px(grey)
    measured = []
    for composed in composed_many(grey, MOUTH, Kind.VOLE):
        below = composed[150:240, 160:300]  # under the chin: nothing there but what hangs
        if np.count_nonzero(below < 40) > 100:
            measured.append(edge_blur_px(below))
    assert measured
    assert pytest.approx(wanted, rel=0.33, abs=0.35) == float(np.median(measured))


@pytest.mark.parametrize("blur_px", [0.8, 1.5, 2.5])
def test_the_blur_of_a_step_is_measured(blur_px: float) -> None:
    """A noisy step drawn with a known blur is read back within a third."""
    step = np.full((100, 100), 20, np.float32)
    step[:, 50:] = 140
    assert pytest.approx(blur_px, rel=0.33) == edge_blur_px(seen(step, blur_px))


@pytest.mark.parametrize("kind", [Kind.MOUSE, Kind.VOLE, Kind.FROG, Kind.BIRD])
def test_lit_from_the_front_prey_is_as_bright_and_as_finely_textured_as_the_cat(kind: Kind) -> None:
    """Mean brightness within 20 %, the strength of what is fine within 40 %, over eight pictures."""
    grey = lit_from_the_front()
    cat, prey, fine_cat, fine_prey = [], [], [], []
    for composed in composed_many(grey, LIT, kind):
        inside = cv2.erode((composed != grey).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        inside = cv2.erode(cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_CLOSE, ROUND), ROUND) > 0
        cat.append(grey[70:140, 170:220].mean())
        prey.append(composed[inside].mean())
        fine_cat.append(fine(grey)[70:140, 170:220].std())
        fine_prey.append(fine(composed)[inside].std())
    assert pytest.approx(np.mean(cat), rel=0.2) == np.mean(prey)
    assert pytest.approx(np.mean(fine_cat), rel=0.4) == np.mean(fine_prey)


ROUND = np.ones((7, 7), np.uint8)


def fine(grey: Grey) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """What a slight blur takes away."""
    real = grey.astype(np.float32)
    return (real - cv2.GaussianBlur(real, (0, 0), 1.5)).astype(np.float32)


def test_what_would_not_be_seen_is_refused() -> None:
    """A mouth at the black edge of everything has no place for a mouse."""
    with pytest.raises(NoPlaceError, match="mouse would not be seen"):
        compose(HEAD, dataclasses.replace(MOUTH, x_px=-500.0), Kind.MOUSE, np.random.default_rng(1))


# --- the command ------------------------------------------------------------------------------------------------------

TRAIN, LATER = "2014-01-05T10:00:00", "2014-03-05T10:00:00"


def folder(place: Path, rows: list[dict[str, str]]) -> Path:
    """An imagefolder whose every line shows the drawn head."""
    place.mkdir(exist_ok=True)
    cv2.imwrite(str(place / "a.png"), HEAD)
    (place / "empty.png").touch()
    common = {"file_name": "a.png", "source": "s", "licence": "l", "licence_clear": "yes", "home": "tunnel"}
    lines = [json.dumps({**common, "label": "cat_clear", "visit": "v1", "taken": TRAIN, **row}) for row in rows]
    (place / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return place


def test_the_command_writes_an_imagefolder_with_the_truth(tmp_path: Path) -> None:
    """Its lines name source, licence, visit and kind; the trainer reads them all as training pictures."""
    out = tmp_path / "out"
    assert main(["--data", str(folder(tmp_path / "in", [{}])), "--out", str(out), "--count", "6"]) == 0
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    told = {(row["source"], row["licence"], row["home"], row["visit"], row["composed"]) for row in rows}
    assert {("s", "l", "tunnel", "v1", True)} == told
    assert ["cat_clear" if Kind(row["sublabel"]).harmless else "cat_prey" for row in rows] == [
        row["label"] for row in rows
    ]
    assert ["train"] * 6 == [sample.part for sample in read_photographs(out).samples]
    assert (out / "sheet.png").is_file()


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    """Two runs differ in nothing; another seed differs."""
    data = str(folder(tmp_path / "in", [{}]))
    for name, seed in (("one", "4"), ("two", "4"), ("three", "5")):
        main(["--data", data, "--out", str(tmp_path / name), "--count", "3", "--seed", seed])
    one, two, three = (read_photographs(tmp_path / name).sha256 for name in ("one", "two", "three"))
    assert one == two
    assert one != three


def test_only_clear_cats_of_the_training_part_are_taken(tmp_path: Path) -> None:
    """Not the last month, not the calibration days, not a visit that began in training's time under another label."""
    rows = [
        {"visit": "v1"},
        {"visit": "v2", "taken": LATER},
        {"visit": "v3", "taken": "2014-01-30"},
        {"visit": "v4", "label": "cat_prey"},
        {"visit": "v5", "home": "feral"},
        {"visit": "v6", "taken": "2014-01-28T00:00:05"},
        {"visit": "v6", "taken": "2014-01-27T23:59:58", "label": "empty"},
    ]
    taken = {row["visit"]: row["taken"] for row in training_cats(folder(tmp_path, rows))}
    assert {"v1": TRAIN, "v6": "2014-01-27T23:59:58"} == taken


@pytest.mark.parametrize(
    ("rows", "arguments", "said"),
    [
        ([{"taken": LATER}], [], "no mouth was found in 0 clear cats"),
        ([{"file_name": "b.png"}], [], "b.png"),
        ([{"file_name": "metadata.jsonl"}], [], "is not a picture"),
        ([{"file_name": "empty.png"}], [], "is not a picture"),
        ([{}], ["--count", "0"], "count must be at least 1"),
        ([{}], ["--seed", "-1"], "seed at least 0"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[dict[str, str]], arguments: list[str], said: str
) -> None:
    """Exit 2 and one sentence, before anything is written."""
    out = tmp_path / "out"
    assert main(["--data", str(folder(tmp_path / "in", rows)), "--out", str(out), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert 1 == error.count("\n")
    assert not out.exists()


@pytest.mark.parametrize("broken", ["{", '{"visit": "v1"}', "3", '{"visit": ["v"]}'])
def test_a_broken_line_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: str) -> None:
    """Metadata that is no metadata is named."""
    (tmp_path / "metadata.jsonl").write_text(broken, encoding="utf-8")
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "metadata.jsonl" in error
    assert 1 == error.count("\n")


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written among what is there."""
    data = folder(tmp_path / "in", [{}])
    assert main(["--data", str(data), "--out", str(data)]) == 2
    assert "not an empty folder" in capsys.readouterr().err
    assert ["a.png", "empty.png", "metadata.jsonl"] == sorted(path.name for path in data.iterdir())
