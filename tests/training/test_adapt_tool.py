"""What tools/adapt.py refuses, and which frames it takes. Needs the trainer's environment: make train-test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch", reason="the trainer's environment has it: make train-test")
pytest.importorskip("litert_torch", reason="as above")

import adapt
from rows import DataSetError
from samples_made import imagefolder

from edge.bundle import factory_directory

if TYPE_CHECKING:
    from pathlib import Path

    from dataset import Sample

BARE = {"label": "unlabelled"}


def asked(tmp_path: Path, **more: Path | str) -> list[str]:
    """A command line that is refused only for what ``more`` says."""
    told = {"from": factory_directory(), "data": tmp_path / "home", "out": tmp_path / "out", "device-python": "/bin/sh"}
    return ["--short", *(text for name, value in (told | more).items() for text in (f"--{name}", str(value)))]


@pytest.mark.parametrize("taken", ["out", "out.training", "out.rejected", "out.rejected.training"])
def test_nothing_is_ever_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str], taken: str) -> None:
    """Neither a bundle nor what lies beside it, be it one that was rejected."""
    (tmp_path / taken).mkdir()
    assert adapt.REFUSED == adapt.main(asked(tmp_path))
    assert f"{tmp_path / taken}: is there already" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["no bundle", "no training folder", "no network"])
def test_a_bundle_that_cannot_be_adapted_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """One line says which file is missing or is none."""
    old = tmp_path / "old"
    if what != "no bundle":
        shutil.copytree(factory_directory(), old)
    if what == "no network":
        (tmp_path / "old.training").mkdir()
        (tmp_path / "old.training" / "design.json").write_text("{}", encoding="utf-8")
    assert adapt.REFUSED == adapt.main(asked(tmp_path, **{"from": old}))
    line = capsys.readouterr().err
    assert line.startswith(f"adapt: {old}")
    assert 1 == line.count("\n")


def chosen(tmp_path: Path, home: list[dict[str, str]], elsewhere: list[dict[str, str]]) -> adapt.Pictures:
    """What is learnt from, of a home and of elsewhere."""
    data, rehearse = imagefolder(tmp_path / "home", home), imagefolder(tmp_path / "elsewhere", elsewhere)
    for number in range(len(elsewhere)):  # no picture may lie in two homes
        (rehearse / f"{number}.png").write_bytes((data / "0.png").read_bytes() + bytes([number]))
    return adapt.gathered(adapt.parse([*asked(tmp_path, data=data, rehearse=rehearse)]))


def names(samples: tuple[Sample, ...]) -> set[tuple[str, str]]:
    """Home and label of samples."""
    return {(one.home, one.label) for one in samples}


def test_the_home_s_visits_teach_and_all_others_are_rehearsed(tmp_path: Path) -> None:
    """Labelled or not, by folder; drawn frames are rehearsed always; what is held out is neither."""
    days = [{"home": "mine", "visit": f"v{day}", "taken": f"2026-01-{day:02}"} for day in range(1, 11)]
    home = [*days, *({**day, **BARE} for day in days)]
    pictures = chosen(tmp_path, home, [{"home": "other", "visit": f"w{number}"} for number in range(9)])
    assert {("mine", "empty"), ("mine", "unlabelled")} == names(pictures.home)
    assert (7, 14) == (sum(one.labelled for one in pictures.home), len(pictures.home))
    assert {"sim"} <= {one.home for one in pictures.rehearsal} <= {"sim", "other"}
    assert {"train"} == {one.part for one in (*pictures.home, *pictures.rehearsal)}


def test_unlabelled_frames_are_taken_up_to_a_number(tmp_path: Path) -> None:
    """A year's buffer would take an hour to look at; labelled frames are never left out."""
    count = adapt.SHORT.unlabelled + 5
    pictures = chosen(
        tmp_path, [{"home": "mine", "visit": "v"}, *[{"home": "mine", "visit": "v", **BARE}] * count], [{}]
    )
    assert (1, adapt.SHORT.unlabelled) == (
        sum(one.labelled for one in pictures.home),
        sum(not one.labelled for one in pictures.home),
    )


def test_a_home_of_which_nothing_trains_is_refused(tmp_path: Path) -> None:
    """Its only visit is one that is held out: there is nothing to adapt by."""
    late = {"home": "tunnel", "visit": "v", "taken": "2014-03-09"}
    with pytest.raises(DataSetError, match="every visit is held out"):
        chosen(tmp_path, [late], [{}])
