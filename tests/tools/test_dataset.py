"""The trainer's data layer: splits by visit, labels checked, patches as on the device."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from dataset import (
    Augmenter,
    DataSetError,
    allowed_flags,
    draw_weights,
    part_of,
    plain_patches,
    read_photographs,
    simulated,
)
from hypothesis import given
from hypothesis import strategies as st
from samples_made import sample

from edge.features import Recipe, extract

if TYPE_CHECKING:
    from pathlib import Path

    from edge.messages import Label

RECIPE = Recipe(64, 48, 0.25, 0.6, 4.0)


def written(folder: Path, rows: list[dict[str, str]]) -> Path:
    """A small imagefolder: one grey picture for all rows."""
    cv2.imwrite(str(folder / "a.png"), sample().grey)
    lines = [
        json.dumps({"file_name": "a.png", "source": "s", "licence": "l", "licence_clear": "yes", **row}) for row in rows
    ]
    (folder / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_a_partial_label_leaves_two_classes_open() -> None:
    """``cat`` is hidden or clear and nothing else."""
    flags = allowed_flags([sample("cat"), sample("cat_prey")])
    assert [[False, True, True, False, False, False], [False, False, False, True, False, False]] == flags.tolist()


def test_all_frames_of_a_visit_fall_into_one_part(tmp_path: Path) -> None:
    """A visit that goes on past the border of two parts belongs to the part in which it began."""
    rows = [
        {"label": "empty", "home": "tunnel", "visit": "v9", "taken": taken}
        for taken in ("2014-03-01T00:00:02", "2014-02-28T23:59:58")
    ]
    assert {"train"} == {sample.part for sample in read_photographs(written(tmp_path, rows)).samples}


@given(st.text(min_size=1, max_size=8), st.sampled_from(["feral", "dogcat", "raccoon"]))
def test_other_homes_are_never_tested_by_the_model_that_saw_them(visit: str, home: str) -> None:
    """Outside the tunnel a visit trains or calibrates; unseen homes are judged by other networks."""
    assert part_of(home, visit, "") in {"train", "calibration"}


@pytest.mark.parametrize(
    ("taken", "part"),
    [
        ("2014-01-27T23:59", "train"),
        ("2014-01-28T00:00", "calibration"),
        ("2014-02-05", "train"),
        ("2014-03-01", "test"),
    ],
)
def test_the_tunnel_is_split_by_time(taken: str, part: str) -> None:
    """A middle slice calibrates, the last month tests."""
    assert part == part_of("tunnel", "cc1", taken)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"label": "wolf", "home": "h", "visit": "v"}], "wolf"),
        ([{"label": "cat", "home": "h", "visit": "v", "file_name": "b.png"}], "b.png"),
    ],
)
def test_a_bad_row_is_one_sentence(tmp_path: Path, rows: list[dict[str, str]], said: str) -> None:
    """An unknown label or a missing picture is named before any time is spent."""
    with pytest.raises(DataSetError, match=said):
        read_photographs(written(tmp_path, rows))


def test_a_folder_without_metadata_is_refused(tmp_path: Path) -> None:
    """What is no imagefolder says so."""
    with pytest.raises(DataSetError, match=r"metadata\.jsonl"):
        read_photographs(tmp_path)


def test_the_content_hash_covers_pictures_and_labels(tmp_path: Path) -> None:
    """Another pixel or another label is another data set."""
    row = {"label": "empty", "home": "h", "visit": "v"}
    first = read_photographs(written(tmp_path, [row])).sha256
    other_label = read_photographs(written(tmp_path, [{**row, "label": "person"}])).sha256
    written(tmp_path, [row])
    cv2.imwrite(str(tmp_path / "a.png"), sample(seed=1).grey)
    assert 3 == len({first, other_label, read_photographs(tmp_path).sha256})


def test_plain_patches_are_the_devices() -> None:
    """Evaluation cuts exactly what the device would cut."""
    one = sample()
    assert extract(one.grey, one.box, RECIPE).pixels.tolist() == plain_patches([one], RECIPE)[0].tolist()


def test_rare_groups_are_drawn_above_their_share() -> None:
    """Two prey pictures among a hundred clear cats are drawn far more often than one time in fifty."""
    weights = draw_weights([sample("cat_prey")] * 2 + [sample("cat_clear")] * 98)
    assert pytest.approx(1.0) == weights.sum()
    assert weights[:2].sum() > 0.2


@given(st.integers(0, 10_000), st.sampled_from(["empty", "cat_prey"]), st.sampled_from(["sim", "feral"]))
def test_augmented_patches_are_patches_and_repeatable(seed: int, label: Label, home: str) -> None:
    """Whatever is done to it, a patch stays uint8 of the recipe's size, and one seed does one thing."""
    augmenter, one = Augmenter(RECIPE), sample(label, home)
    patch, again = (augmenter.patch(one, np.random.default_rng(seed)) for _ in range(2))
    assert (48, 64) == patch.shape
    assert np.dtype(np.uint8) == patch.dtype
    assert patch.tolist() == again.tolist()


def test_close_ups_train_and_do_not_claim_to_show_a_mouth() -> None:
    """Cut from a frame, a clear cat may have lost its mouth; prey is not cut at all; no other part gets any."""
    frames = simulated(24 * 5, 1)
    near = frames[24 * 5 :]
    assert near
    assert {"train"} == {sample.part for sample in near}
    assert not {"cat_clear", "cat_prey", "empty"} & {sample.label for sample in near}
