"""The trainer's data layer: read whole, split by visit, patches as on the device."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import pytest
from dataset import (
    COPY,
    Count,
    Source,
    allowed_flags,
    draw_weights,
    joined,
    part_of,
    parts,
    plain_patches,
    read_photographs,
    simulated,
    summary,
)
from hypothesis import given
from hypothesis import strategies as st
from preflight import check
from rows import DataSetError
from samples_made import imagefolder, noise, sample

from edge.features import Recipe, extract
from edge.messages import Box

RECIPE = Recipe(64, 48, 0.25, 0.6, 4.0)
CAT = {"label": "cat_clear", "home": "tunnel", "visit": "cc1", "taken": "2014-01-02T18:00:00"}
PREY = {**CAT, "label": "cat_prey", "composed": True, "box": [10, 20, 30, 40], "composed_from": "0.png"}
ORDER = ("train", "calibration", "test")


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_line_becomes_a_sample(tmp_path: Path) -> None:
    """Every field is where training looks for it; the file's own bytes are kept, for their colours."""
    row = {**CAT, "modality": "colour", "individual": "Mimi"}
    read = read_photographs(imagefolder(tmp_path, [row]))
    one = read.samples[0]
    assert noise().tolist() == one.grey.tolist()
    assert (tmp_path / "0.png").read_bytes() == one.encoded
    assert ("0.png", "cat_clear", "tunnel", "cc1", "train") == (one.name, one.label, one.home, one.visit, one.part)
    assert (CAT["taken"], Box(0, 0, 160, 120), True) == (one.taken, one.box, one.in_colour)
    assert (False, None) == (one.composed, one.held)
    assert (Source("tunnel", "s", "l", "yes", 1),) == read.sources


def test_what_an_owner_may_leave_out(tmp_path: Path) -> None:
    """Without a time, a modality and a cat's name a picture is undated, grey and nobody's."""
    one = read_photographs(imagefolder(tmp_path, [{}])).samples[0]
    assert ("", "grey", -1, False) == (one.taken, one.modality, one.individual, one.in_colour)


def test_named_cats_are_told_from_each_other_and_from_drawn_ones(tmp_path: Path) -> None:
    """One number a cat, the same in every folder; two homes' cats of one name are two; none is a drawn cat's number."""
    first = [{"individual": "Mimi"}, {"individual": "Tom"}, {"individual": "Mimi", "home": "other"}, {}]
    folders = [read_photographs(imagefolder(tmp_path / name, rows)) for name, rows in (("a", first), ("b", first[1:]))]
    numbers = [each.individual for each in joined(*folders).samples]
    assert numbers[1:4] == numbers[4:]
    assert 3 == len({*numbers} - {-1})
    assert -1 == numbers[3]
    assert max(each.individual for each in simulated(60, 1)) < min({*numbers} - {-1})


def test_the_content_hash_covers_pictures_and_labels(tmp_path: Path) -> None:
    """Another pixel or another label is another data set."""
    first = read_photographs(imagefolder(tmp_path, [{}])).sha256
    other_label = read_photographs(imagefolder(tmp_path, [{"label": "person"}])).sha256
    imagefolder(tmp_path, [{}])
    cv2.imwrite(str(tmp_path / "0.png"), noise(1))
    assert 3 == len({first, other_label, read_photographs(tmp_path).sha256})


def test_a_summary_counts_pictures_and_visits(tmp_path: Path) -> None:
    """By home, part and label, composed ones apart, with the hash of what was counted."""
    read = read_photographs(imagefolder(tmp_path, [CAT, CAT, {**CAT, "visit": "cc2"}, PREY]))
    told = summary(read)
    assert read.sha256 == told.sha256
    clear = Count("tunnel", "train", "cat_clear", composed=False, pictures=3, visits=2)
    prey = Count("tunnel", "train", "cat_prey", composed=True, pictures=1, visits=1)
    assert (clear, prey) == told.counts


# --- splitting --------------------------------------------------------------------------------------------------------


def test_all_frames_of_a_visit_fall_into_one_part(tmp_path: Path) -> None:
    """A visit that goes on past the border of two parts belongs to the part in which it began."""
    rows = [{**CAT, "taken": taken} for taken in ("2014-03-01T00:00:02", "2014-02-28T23:59:58")]
    assert {"train"} == {each.part for each in read_photographs(imagefolder(tmp_path, rows)).samples}


@given(st.text(min_size=1, max_size=8), st.sampled_from(["feral", "dogcat", "raccoon"]), st.sampled_from(["", "2024"]))
def test_other_homes_are_never_tested_by_the_model_that_saw_them(visit: str, home: str, taken: str) -> None:
    """Outside the tunnel a shared visit trains or calibrates; unseen homes are judged by other networks."""
    assert part_of(home, visit, taken) in {"train", "calibration"}
    assert part_of(home, visit, taken) == parts([(home, visit, taken)])[home, visit]


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
    assert part == part_of("tunnel", "cc1", taken) == parts([("tunnel", "cc1", taken)])["tunnel", "cc1"]


@given(st.sets(st.datetimes(), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_an_owners_visits_are_split_by_their_order(times: set[Any], order: Any) -> None:  # noqa: ANN401 - a Random
    """Train, then calibrate, then test, 70 : 10 : 20 to within a visit, in whatever order the lines stand."""
    taken = sorted(time.isoformat() for time in times)
    visits = [(f"v{number}", time) for number, time in enumerate(taken)]
    split = parts(("mine", *visit) for visit in order.sample(visits, len(visits)))
    told = [split["mine", visit] for visit, _ in visits]
    assert sorted(told, key=ORDER.index) == told
    wanted = [share * len(told) for share in (0.7, 0.1, 0.2)]
    assert pytest.approx(wanted, abs=1) == [told.count(part) for part in ORDER]


def test_an_owners_visit_without_a_time_goes_by_its_name() -> None:
    """One frame without a time is enough: when the visit began is not known; dated ones are split all the same."""
    dated = [("mine", f"d{number}", f"2024-05-{number + 1:02}") for number in range(10)]
    split = parts([*dated, ("mine", "x", ""), ("mine", "x", "2024-06-01"), ("mine", "y", "")])
    assert ["train"] * 7 + ["calibration"] + ["test"] * 2 == [split["mine", visit] for _, visit, _ in dated]
    assert [part_of("mine", visit, "") for visit in "xy"] == [split["mine", visit] for visit in "xy"]


def of_part(part: str) -> str:
    """A visit of the raccoon's that chance has put into a part."""
    return next(name for name in map(str, range(1000)) if part_of("raccoon", name, "") == part)


def test_a_copy_of_an_undated_picture_that_judges_does_not_train(tmp_path: Path) -> None:
    """Chance has put one picture, under two names, into two parts: the one that calibrates stays."""
    rows = [{"home": "raccoon", "visit": of_part(part)} for part in ("train", "calibration", "train")]
    imagefolder(tmp_path, rows)
    (tmp_path / "0.png").write_bytes((tmp_path / "1.png").read_bytes())
    assert [COPY, "calibration", "train"] == [each.part for each in read_photographs(tmp_path).samples]


def test_copies_in_dated_visits_are_left_for_the_preflight_to_refuse(tmp_path: Path) -> None:
    """Two times cannot both be right; a person has to look."""
    rows = [CAT, {**CAT, "visit": "cc900", "taken": "2014-03-09"}]
    imagefolder(tmp_path, rows)
    (tmp_path / "0.png").write_bytes((tmp_path / "1.png").read_bytes())
    read = read_photographs(tmp_path)
    assert ["train", "test"] == [each.part for each in read.samples]
    with pytest.raises(DataSetError, match=r"0\.png, 1\.png: one picture in several parts"):
        check(read, [*read.samples, *simulated(120, 1)])


# --- composed pictures ------------------------------------------------------------------------------------------------


def test_a_composed_picture_trains_and_says_what_it_is(tmp_path: Path) -> None:
    """It stays of its home, is counted apart on the card, and knows where its prey lies."""
    read = read_photographs(imagefolder(tmp_path, [PREY]))
    one = read.samples[0]
    assert ("tunnel", "train", True, Box(10, 20, 30, 40)) == (one.home, one.part, one.composed, one.held)
    assert Box(0, 0, 160, 120) == one.box
    assert (Source("tunnel (composed)", "s", "l", "yes", 1),) == read.sources


def test_a_composed_picture_does_not_move_its_homes_split(tmp_path: Path) -> None:
    """However many were composed, and whatever their visits are called, an owner's real visits stay where they were."""
    real = [{"home": "mine", "visit": f"r{day}", "taken": f"2024-05-{day:02}"} for day in range(10, 20)]
    composed = [{**PREY, "home": "mine", "visit": "r10", "taken": "2024-05-10"}] * 9
    folders = [imagefolder(tmp_path / name, rows) for name, rows in (("real", real), ("composed", composed))]
    together = joined(*map(read_photographs, folders))
    alone = [each.part for each in read_photographs(folders[0]).samples]
    assert alone == [each.part for each in together.samples if not each.composed]


def test_a_composed_picture_is_refused_beside_the_visit_that_judges(tmp_path: Path) -> None:
    """Alone nobody can tell; joined with its home, its visit turns out to be held out."""
    real = [{"home": "mine", "visit": f"r{day}", "taken": f"2024-05-{day:02}"} for day in range(10, 20)]
    last = {**PREY, "home": "mine", "visit": "r19", "taken": "2024-05-19"}
    folders = [imagefolder(tmp_path / name, rows) for name, rows in (("real", real), ("composed", [last]))]
    read = [read_photographs(folder) for folder in folders]
    with pytest.raises(DataSetError, match="from visit 'r19' of 'mine', which is kept for test"):
        joined(*read)


# --- several folders --------------------------------------------------------------------------------------------------


def test_joined_folders_are_one_data_set(tmp_path: Path) -> None:
    """Pictures and sources add up, and the hash is of both, in whatever order.

    An owner's visits are split anew over both: his first month was judged by its end, and now trains as a whole.
    """
    months = [
        [{"home": "mine", "visit": f"{month}{day}", "taken": f"2024-{month}-{day}"} for day in range(10, 20)]
        for month in ("05", "06")
    ]
    one, two = (read_photographs(imagefolder(tmp_path / str(number), rows)) for number, rows in enumerate(months))
    both = joined(one, two)
    assert {"train"} == {each.part for each in both.samples[:10]}
    assert {"train": 14, "calibration": 2, "test": 4} == Counter(each.part for each in both.samples)
    assert (Source("mine", "s", "l", "yes", 20),) == both.sources
    assert both.sha256 == joined(two, one).sha256
    assert 3 == len({both.sha256, one.sha256, two.sha256})


# --- what a network takes ---------------------------------------------------------------------------------------------


def test_a_partial_label_leaves_two_classes_open() -> None:
    """``cat`` is hidden or clear and nothing else."""
    flags = allowed_flags([sample("cat"), sample("cat_prey")])
    assert [[False, True, True, False, False, False], [False, False, False, True, False, False]] == flags.tolist()


def test_plain_patches_are_the_devices() -> None:
    """Evaluation cuts exactly what the device would cut."""
    one = sample()
    assert extract(one.grey, one.box, RECIPE).pixels.tolist() == plain_patches([one], RECIPE)[0].tolist()


def test_rare_groups_are_drawn_above_their_share() -> None:
    """Two prey pictures among a hundred clear cats are drawn far more often than one time in fifty."""
    weights = draw_weights([sample("cat_prey")] * 2 + [sample("cat_clear")] * 98)
    assert pytest.approx(1.0) == weights.sum()
    assert weights[:2].sum() > 0.2


def test_composed_prey_does_not_dilute_real_prey() -> None:
    """Beside a hundred composed ones, two real pictures of prey are drawn as often against clear cats as without."""
    real = [sample("cat_prey")] * 2 + [sample("cat_clear")] * 98
    alone, beside = draw_weights(real), draw_weights([*real, *[sample("cat_prey", composed=True)] * 100])
    assert pytest.approx(alone[0] / alone[-1]) == beside[0] / beside[99]
    assert beside[100] < beside[0]


def test_close_ups_train_and_do_not_claim_to_show_a_mouth() -> None:
    """Cut from a frame, a clear cat may have lost its mouth; prey is not cut at all; no other part gets any."""
    frames = simulated(24 * 5, 1)
    near = frames[24 * 5 :]
    assert near
    assert {"train"} == {sample.part for sample in near}
    assert not {"cat_clear", "cat_prey", "empty"} & {sample.label for sample in near}


# --- the development photographs --------------------------------------------------------------------------------------


@pytest.mark.photographs
def test_the_development_photographs_are_split_as_ever_and_pass() -> None:
    """The figures on record were measured on this split; only one copy of a picture that calibrates was put aside."""
    folder = Path(os.environ.get("CATFLAP_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not (folder / "metadata.jsonl").exists():
        pytest.skip("photographs: no metadata.jsonl in CATFLAP_DATA or ../shared/data")
    read = read_photographs(folder)
    counts = Counter((each.home, each.part) for each in read.samples)
    visits = {(each.visit, each.part) for each in read.samples if each.home == "tunnel"}
    assert {
        ("caltech101", "calibration"): 181,
        ("caltech101", "train"): 1458,
        ("dlcmouse", "train"): 116,
        ("dogcat", "calibration"): 156,
        ("dogcat", "train"): 1243,
        ("feral", "calibration"): 108,
        ("feral", "train"): 886,
        ("raccoon", "calibration"): 17,
        ("raccoon", COPY): 1,
        ("raccoon", "train"): 182,
        ("tunnel", "calibration"): 339,
        ("tunnel", "test"): 1267,
        ("tunnel", "train"): 546,
    } == counts
    assert {"train": 159, "calibration": 95, "test": 394} == Counter(part for _, part in visits)
    check(read, [*read.samples, *simulated(120, 1)])
