"""What is wrong with a data set is one line, with its place and its remedy, before anything is learnt."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from dataset import COPY, DataSetError, Photographs, read_photographs
from preflight import check
from samples_made import imagefolder, sample

from edge.messages import LABELS

if TYPE_CHECKING:
    from pathlib import Path

    from dataset import Sample

COMPOSED = {"home": "tunnel", "composed": True, "box": [1, 2, 3, 4]}
ACCOUNT = "name it: the model's card has to account for every picture"
VISIT = "name it: frames of one visit must not be split, and a picture alone is a visit too"
TIME = "write it like 2014-03-01T18:00:00, or leave it out"
MOVE = "move the picture into it and name it from there"
COMPOSE = "compose it anew (tools/compose_prey.py)"


def photographs(samples: list[Sample]) -> Photographs:
    """A data set of these."""
    return Photographs(tuple(samples), (), "")


def whole() -> list[Sample]:
    """A training picture of every class."""
    return [sample(label, encoded=label.encode(), name=f"{label}.png") for label in LABELS]


def said(folder: Path) -> str:
    """What reading a folder is refused with, its own name left out."""
    with pytest.raises(DataSetError) as refused:
        read_photographs(folder)
    return str(refused.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("row", "what", "remedy"),
    [
        ({"label": "wolf"}, f"label 'wolf' is not one of {', '.join(LABELS)}, cat, unlabelled", "correct it"),
        ({"label": None}, "has no label", "name it; tools/label.py helps"),
        ({"file_name": 7}, "has no file_name", "name it, from the folder on"),
        ({"home": ""}, "has no home", "name it: homes are left out as a whole to see how strangers fare"),
        ({"visit": None}, "has no visit", VISIT),
        ({"visit": " "}, "has no visit", VISIT),
        ({"source": None}, "has no source", ACCOUNT),
        ({"licence": ""}, "has no licence", ACCOUNT),
        ({"licence_clear": True}, "has no licence_clear", ACCOUNT),
        ({"taken": "yesterday"}, "taken 'yesterday' is not a time", TIME),
        ({"taken": 1393696800}, "taken 1393696800 is not a time", TIME),
        ({"file_name": "../x.png"}, "'../x.png' leaves the folder", MOVE),
        ({"file_name": "/x.png"}, "'/x.png' leaves the folder", MOVE),
        ({"file_name": "a\n.png"}, "'a\\n.png' holds what cannot be printed", "rename the picture"),
        ({"file_name": "./0.png"}, "'./0.png' stands on line 1 already", "keep one of them"),
        ({**COMPOSED, "box": [1, 2, 0, 4]}, "is composed and has no box in its picture", COMPOSE),
        ({**COMPOSED, "box": None}, "is composed and has no box in its picture", COMPOSE),
    ],
)
def test_a_bad_line_is_refused(tmp_path: Path, row: dict[str, Any], what: str, remedy: str) -> None:
    """Place, fault and remedy of the second of two lines."""
    assert f"metadata.jsonl:2: {what}; {remedy}" == said(imagefolder(tmp_path, [{}, row]))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("gone.png", "No such file or directory; fetch it or remove"),
        ("metadata.jsonl", "is not a picture; replace it or remove"),
        ("zero.png", "is empty (0 bytes); replace it or remove"),
    ],
)
def test_a_bad_picture_is_refused(tmp_path: Path, name: str, what: str) -> None:
    """What is missing, no picture, or what a full disk left behind, with the line that names it."""
    (tmp_path / "zero.png").touch()
    line = f"{name}: {what} line 2 of metadata.jsonl"
    assert line == said(imagefolder(tmp_path, [{}, {"file_name": name}]))


def test_a_composed_picture_of_a_visit_that_tests_is_refused(tmp_path: Path) -> None:
    """What is held out must not come back in disguise, by the date of the visit it was composed from."""
    row = {**COMPOSED, "visit": "cc9", "taken": "2014-03-02"}
    what = "0.png: is composed from visit 'cc9' of 'tunnel', which is kept for test"
    assert f"{what}; compose it from visits that train (tools/compose_prey.py)" == said(imagefolder(tmp_path, [row]))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", "metadata.jsonl:3: is not JSON; write one object a line"),
        ("\udcff", "metadata.jsonl:3: is not JSON; write one object a line"),
        ("[" * 100_000, "metadata.jsonl:3: is not JSON; write one object a line"),
        ("[1]", "metadata.jsonl:3: is not an object; write one object a line"),
    ],
)
def test_a_broken_line_is_named_by_its_number(tmp_path: Path, text: str, line: str) -> None:
    """Blank lines count, as they do in an editor, and are no fault."""
    path = imagefolder(tmp_path, [{}]) / "metadata.jsonl"
    path.write_bytes(path.read_bytes() + b"\n" + text.encode(errors="surrogateescape"))
    assert line == said(tmp_path)


def test_metadata_without_a_row_is_no_data_set(tmp_path: Path) -> None:
    """An empty file says so."""
    line = "metadata.jsonl: names no picture; write a line for each, or name another folder"
    assert line == said(imagefolder(tmp_path, []))


def test_a_folder_without_metadata_is_refused(tmp_path: Path) -> None:
    """What is no imagefolder says so."""
    assert "metadata.jsonl: No such file or directory; name an imagefolder" == said(tmp_path)


@pytest.mark.parametrize("fault", [{"label": "wolf"}, {"file_name": "gone.png"}])
def test_the_first_fault_is_said_and_the_others_are_counted(tmp_path: Path, fault: dict[str, str]) -> None:
    """Thousands of faults are one line too, of lines and of files alike."""
    rows: list[dict[str, Any]] = [fault, {**fault, "file_name": "lost.png"}, {}, {**fault, "file_name": "none.png"}]
    line = said(imagefolder(tmp_path, rows))
    assert line.endswith(" (and 2 more: see tools/check_data.py)")
    assert 1 == len(re.findall(r"wolf|\.png", line.partition("; ")[0]))


def test_a_whole_data_set_passes() -> None:
    """A training picture of every class, no two alike, is enough; so is one class drawn instead of photographed."""
    check(photographs(whole()), whole())
    check(photographs(whole()[1:]), [*whole()[1:], sample("empty", "sim")])


def refused(samples: list[Sample]) -> str:
    """What a data set of these is refused with."""
    with pytest.raises(DataSetError) as error:
        check(photographs(samples), samples)
    return str(error.value)


@pytest.mark.parametrize(
    ("label", "way"),
    [
        ("cat_prey", "compose some (tools/compose_prey.py)"),
        ("person", "label some (tools/label.py)"),
    ],
)
@pytest.mark.parametrize("there", [0, 2])
def test_a_class_that_cannot_be_learnt_is_refused(label: str, way: str, there: int) -> None:
    """A class needs a picture that teaches; those that only test do not, and are counted."""
    judging = [sample(label, part="test", encoded=bytes([number])) for number in range(there)]
    line = refused([*(each for each in whole() if each.label != label), *judging])
    what = f"{label}: none of its {there} pictures is there to train on"
    assert f"{what}; {way}, or train with another data set beside this one" == line


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"part": "calibration"}, "parts (calibration, train)"),
        ({"home": "feral"}, "homes (feral, tunnel)"),
        ({"home": "feral", "part": "test"}, "homes (feral, tunnel)"),
    ],
)
def test_one_picture_in_two_splits_is_refused(change: dict[str, Any], where: str) -> None:
    """The same bytes must not teach and judge, and a home that is left out must be left out whole."""
    line = refused([*whole(), sample("person", name="copy.png", encoded=b"person", **change)])
    assert f"person.png, copy.png: one picture in several {where}; keep one of them" == line


def test_faults_of_the_whole_are_counted_too() -> None:
    """One class that is not there and one picture in two homes are one line."""
    line = refused([*whole()[1:], sample("person", "feral", encoded=b"person")])
    assert line.startswith("empty: none of its 0 pictures")
    assert line.endswith(" (and 1 more: see tools/check_data.py)")


def test_copies_that_do_no_harm_pass() -> None:
    """Twice in one part, or put aside by the reader, a picture leaks nothing."""
    copies = [sample("person", encoded=b"person"), sample("person", encoded=b"person", part=COPY)]
    check(photographs([*whole(), *copies]), whole())


def test_no_picture_at_all_is_refused() -> None:
    """Drawn frames alone are no data set."""
    with pytest.raises(DataSetError, match="holds no picture; name a folder with --data"):
        check(photographs([]), whole())
