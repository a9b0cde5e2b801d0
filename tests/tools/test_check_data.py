"""The check of a data set: every fault is named in one line, and what is normal is not called a fault."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import check_data
import cv2
import numpy as np
import pytest
from check_data import DETAIL_SIZE_PX, Kind, Look, Row, caption, check, contact_sheet, near_pairs, suspect
from hypothesis import given
from hypothesis import strategies as st
from samples_made import sample

from edge.messages import LABELS, Grey, Label, Scores

if TYPE_CHECKING:
    from pathlib import Path

TRAIN, TEST = "2014-01-01", "2014-03-05"


def textured(seed: int) -> Grey:
    """A picture of soft blots, as unlike another seed's as two photographs are."""
    blots = np.random.default_rng(seed).integers(0, 256, (12, 16), np.uint8)
    return cv2.resize(blots, (160, 120), interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def row(name: str, label: str = "empty", **more: str) -> dict[str, Any]:
    """A row of a visit of its own in the tunnel's training months."""
    card = {"source": "s", "licence": "l", "licence_clear": "yes"}
    return {"file_name": name, "label": label, "home": "tunnel", "visit": name, "taken": TRAIN, **card, **more}


def whole() -> list[dict[str, Any]]:
    """A row for each class: a data set without a fault."""
    return [row(f"{label}.png", label) for label in LABELS]


def written(folder: Path, rows: list[dict[str, Any]], pictures: dict[str, Grey] | None = None) -> Path:
    """An imagefolder with these rows; a picture that is not given is one of its own."""
    for number, name in enumerate(dict.fromkeys(row["file_name"] for row in rows)):
        picture = (pictures or {}).get(name, textured(number))
        cv2.imwrite(str(folder / name), picture)
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def kinds(folder: Path) -> list[Kind]:
    """The kinds of what is found."""
    return [finding.kind for finding in check(folder)]


def test_a_whole_data_set_is_clean(tmp_path: Path) -> None:
    """Nothing is found where nothing is wrong, a partial label included."""
    assert [] == kinds(written(tmp_path, [*whole(), row("cat.png", "cat")]))


@pytest.mark.parametrize(
    ("extra", "kind"),
    [
        (row("wolf.png", "wolf"), Kind.LABEL),
        (row("empty.png", taken=TEST), Kind.TWICE),
        (row("elsewhere.png", home="other", visit="empty.png"), Kind.HOMES),
        (row("lonely.png", visit=""), Kind.ROW),
        (row("whose.png", licence=""), Kind.CARD),
        ({"file_name": "x.png", "label": "empty"}, Kind.ROW),
        ({**row("x.png"), "label": ["empty"]}, Kind.ROW),
    ],
)
def test_a_bad_row_is_found(tmp_path: Path, extra: dict[str, Any], kind: Kind) -> None:
    """Each fault of a row is one finding of its own kind, and no other."""
    assert [kind] == kinds(written(tmp_path, [*whole(), extra]))


@pytest.mark.parametrize("line", ["{", "[1]", "\x00", "[" * 100_000])
def test_a_line_that_is_no_row_is_found(tmp_path: Path, line: str) -> None:
    """A torn line is named by its number; the others are checked all the same."""
    path = written(tmp_path, whole()) / "metadata.jsonl"
    path.write_text(path.read_text(encoding="utf-8") + line, encoding="utf-8")
    assert [(Kind.ROW, "metadata.jsonl:7")] == [(finding.kind, finding.where) for finding in check(tmp_path)]


def test_missing_torn_and_foreign_files_are_found(tmp_path: Path) -> None:
    """A picture that is not there, one that is cut short, one that is none, and three ways out of the folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    names = ("gone.png", "torn.png", "text.png")
    written(folder, [*whole(), *(row(name) for name in names)])
    (folder / "gone.png").unlink()
    (folder / "torn.png").write_bytes((folder / "torn.png").read_bytes()[:-20])
    (folder / "text.png").write_text("no picture", encoding="utf-8")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    outside = ("../secret.png", str(tmp_path / "secret.png"), "link.png")
    with (folder / "metadata.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row(name)) + "\n" for name in outside)
    found = {finding.where: finding.kind for finding in check(folder)}
    expected = {"gone.png": Kind.MISSING, "torn.png": Kind.UNREADABLE, "text.png": Kind.UNREADABLE}
    assert {**expected, **dict.fromkeys(outside, Kind.OUTSIDE)} == found


def test_a_class_without_pictures_is_found(tmp_path: Path) -> None:
    """A partial label does not stand in for the classes it leaves open."""
    rows = [*whole()[:1], *whole()[2:], row("cat.png", "cat")]
    assert [(Kind.EMPTY_CLASS, "cat_hidden")] == [(one.kind, one.where) for one in check(written(tmp_path, rows))]


def test_a_data_set_without_visits_is_one_finding(tmp_path: Path) -> None:
    """It is said once, not for every row."""
    assert [Kind.NO_VISITS] == kinds(written(tmp_path, [{**row, "visit": None} for row in whole()]))


def test_copies_count_across_parts_only(tmp_path: Path) -> None:
    """The same bytes in two visits of one part are normal; in two parts they are an error, found once."""
    same = dict.fromkeys(("a.png", "b.png", "c.png"), textured(99))
    written(tmp_path, [*whole(), row("a.png"), row("b.png")], same)
    assert [] == kinds(tmp_path)
    written(tmp_path, [*whole(), row("a.png"), row("b.png"), row("c.png", taken=TEST)], same)
    assert [(Kind.COPY, "a.png, b.png, c.png")] == [(one.kind, one.where) for one in check(tmp_path)]


@pytest.mark.parametrize(("label", "found"), [("cat_clear", []), ("person", [Kind.CONTRADICTION])])
def test_one_picture_has_one_label(tmp_path: Path, label: str, found: list[Kind]) -> None:
    """A partial label goes with each class it leaves open, and with no other."""
    same = dict.fromkeys(("a.png", "b.png"), textured(99))
    assert found == kinds(written(tmp_path, [*whole(), row("a.png", "cat"), row("b.png", label)], same))


def test_a_noisy_copy_is_found_across_parts_only(tmp_path: Path) -> None:
    """With noise and another brightness it is still the same picture; within a part it is not spoken of."""
    noise = np.random.default_rng(0).normal(8, 4, (120, 160))
    pictures = {"a.png": textured(99), "b.png": np.clip(textured(99) + noise, 0, 255).astype(np.uint8)}
    written(tmp_path, [*whole(), row("a.png"), row("b.png", taken=TEST)], pictures)
    assert [(Kind.NEAR_COPY, "a.png, b.png")] == [(one.kind, one.where) for one in check(tmp_path)]
    assert [] == kinds(written(tmp_path, [*whole(), row("a.png"), row("b.png")], pictures))


def test_one_scene_with_something_else_in_it_is_no_copy(tmp_path: Path) -> None:
    """A flap's pictures share their background: the coarse hash is the same, the detail is not."""
    scene = np.tile(np.linspace(250, 0, 160, dtype=np.uint8), (120, 1))
    pictures = {"a.png": scene.copy(), "b.png": scene.copy()}
    pictures["a.png"][20:50, 30:60] -= 20
    pictures["b.png"][70:100, 30:60] -= 20
    hashes = [check_data.difference_hash(picture).tolist() for picture in pictures.values()]
    assert hashes[0] == hashes[1]
    assert [] == kinds(written(tmp_path, [*whole(), row("a.png"), row("b.png", taken=TEST)], pictures))


def test_even_pictures_are_no_copies(tmp_path: Path) -> None:
    """A lens that is covered shows nothing that could be compared."""
    pictures = {"a.png": np.full((120, 160), 3, np.uint8), "b.png": np.full((120, 160), 4, np.uint8)}
    assert [] == kinds(written(tmp_path, [*whole(), row("a.png"), row("b.png", taken=TEST)], pictures))


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_pairs_across_blocks_are_those_of_two_loops(seed: int, count: int) -> None:
    """However the pictures fall into blocks and parts, each pair comes up once, with its distance."""
    rng = np.random.default_rng(seed)
    bits = rng.choice([-1, 1], (3, 64)).astype(np.float32)[rng.integers(0, 3, count)]
    bits[rng.random((count, 64)) < 0.05] *= -1
    even = np.full(DETAIL_SIZE_PX[0] * DETAIL_SIZE_PX[1], 1, np.float32) / 768**0.5
    looks = [
        Look(Row(i, str(i), "empty", "h", "v", ""), str(rng.integers(0, 2)), str(i), bits[i], even)
        for i in range(count)
    ]
    expected = {
        (i, j, int((bits[i] != bits[j]).sum()))
        for i in range(count)
        for j in range(i + 1, count)
        if looks[i].part != looks[j].part and (bits[i] != bits[j]).sum() <= check_data.MAX_DISTANCE_BITS
    }
    found = [*near_pairs(looks, block=7)]
    assert len(expected) == len(found)
    assert expected == set(found)


def test_a_label_that_leaves_classes_open_is_given_their_sum() -> None:
    """A cat that is hidden or clear is doubted only for what is neither."""
    scores = Scores((0.1, 0.3, 0.4, 0.0, 0.2, 0.0), (1.0,))
    found = [suspect(Row(1, "a", label, "h", "v", ""), scores) for label in ("cat", "empty")]
    assert pytest.approx([0.7, 0.1]) == [one.probability for one in found]
    assert {Label.CAT_CLEAR} == {one.said for one in found}


def test_suspects_come_worst_first_with_a_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The factory's own model ranks them; the sheet has a tile for each; suspects alone are no findings."""
    written(tmp_path, [*whole(), row("cat.png", "cat")])
    sheet = tmp_path / "sheet.png"
    assert 0 == check_data.main([str(tmp_path), "--suspects", "5", "--sheet", str(sheet), "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    shares = [line["probability"] for line in lines]
    assert ["suspect"] * 5 == [line["kind"] for line in lines]
    assert sorted(shares) == shares
    assert (2 * (240 + 56), 4 * 320, 3) == cv2.imread(str(sheet)).shape


def test_the_sheet_takes_pictures_of_any_shape(tmp_path: Path) -> None:
    """Tall, wide and coloured ones all fit, and a caption names file, label and the model's word."""
    shapes = {"tall.png": (500, 3), "wide.png": (3, 500), "colour.png": (30, 40, 3)}
    for name, shape in shapes.items():
        cv2.imwrite(str(tmp_path / name), np.zeros(shape, np.uint8))
    found = [check_data.Suspect(name, "empty", 0.01, Label.PERSON, 0.9) for name in shapes]
    assert (240 + 56, 4 * 320, 3) == contact_sheet(tmp_path, found).shape
    assert "tall.png: label empty (0.0100), the model says person (0.900); look" == caption(found[0])


def test_findings_are_lines_and_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each for people, even of a name that has a line's end in it; one object each for programs."""
    written(tmp_path, [*whole(), row("a.png", "wolf")], {"a.png": sample().grey})
    (tmp_path / "a.png").rename(tmp_path / "a\nb.png")
    path = tmp_path / "metadata.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("a.png", "a\\nb.png"), encoding="utf-8")
    assert 1 == check_data.main([str(tmp_path)])
    assert ["'a\\nb.png'"] == [line.split(": ")[0] for line in capsys.readouterr().out.splitlines()]
    assert 1 == check_data.main([str(tmp_path), "--json"])
    assert {"kind", "where", "what", "remedy"} == json.loads(capsys.readouterr().out).keys()


def test_what_is_no_imagefolder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without metadata.jsonl there is nothing to check, and one sentence says so."""
    assert 2 == check_data.main([str(tmp_path)])
    assert "metadata.jsonl" in capsys.readouterr().err
    assert 2 == check_data.main([str(written(tmp_path, whole())), "--suspects", "1", "--bundle", str(tmp_path)])


def test_a_sheet_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ranking is printed all the same; that there is no sheet is not passed over."""
    sheet = tmp_path / "nowhere" / "sheet.png"
    assert 2 == check_data.main([str(written(tmp_path, whole())), "--suspects", "1", "--sheet", str(sheet)])
    said = capsys.readouterr()
    assert str(sheet) in said.err
    assert said.out.endswith("; look\n")
