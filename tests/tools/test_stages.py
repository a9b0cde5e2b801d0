"""Stages of long work: whole or not there, never mixed, taken up where they were left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dataset import DataSetError
from stages import Progress, Workshop

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS: dict[str, object] = {"data": "abc", "seed": 1}


def write_seven(path: Path) -> None:
    """Write a result."""
    path.write_text("7", encoding="utf-8")


def write_half(path: Path) -> None:
    """Begin a result and be interrupted."""
    path.write_text("half", encoding="utf-8")
    raise KeyboardInterrupt


def test_a_finished_stage_is_there_when_work_goes_on(tmp_path: Path) -> None:
    """What was put is found by the next run that says --resume with the same settings."""
    Workshop(tmp_path / "work", SETTINGS, resume=False).put("seven.txt", write_seven)
    again = Workshop(tmp_path / "work", SETTINGS, resume=True)
    assert again.done("seven.txt")
    assert again.path("seven.txt").read_text(encoding="utf-8") == "7"


def test_an_interrupted_stage_is_not_there(tmp_path: Path) -> None:
    """A result that was not written to its end does not count, and is written over by the next try."""
    shop = Workshop(tmp_path / "work", SETTINGS, resume=False)
    with pytest.raises(KeyboardInterrupt):
        shop.put("seven.txt", write_half)
    assert not shop.done("seven.txt")
    shop.put("seven.txt", write_seven)
    assert shop.path("seven.txt").read_text(encoding="utf-8") == "7"


def test_a_folder_as_result_replaces_its_interrupted_beginning(tmp_path: Path) -> None:
    """A stage may be a folder; what an interruption left of it does not come back."""

    def write_folder(path: Path) -> None:
        path.mkdir()
        write_seven(path / "seven.txt")

    shop = Workshop(tmp_path / "work", SETTINGS, resume=False)
    (tmp_path / "work" / ".folder").mkdir()
    shop.put("folder", write_folder)
    assert [path.name for path in shop.path("folder").iterdir()] == ["seven.txt"]


@pytest.mark.parametrize(
    ("settings", "resume", "words"),
    [
        (SETTINGS, False, "holds unfinished work; say --resume"),
        (SETTINGS | {"seed": 2}, True, "seed was 1, is 2"),
        (SETTINGS | {"data": "xyz"}, True, "data was abc, is xyz"),
    ],
)
def test_work_of_other_settings_is_never_mixed(
    tmp_path: Path, settings: dict[str, object], resume: bool, words: str
) -> None:
    """One line says what differs, before anything is computed."""
    Workshop(tmp_path / "work", SETTINGS, resume=False)
    with pytest.raises(DataSetError, match=words):
        Workshop(tmp_path / "work", settings, resume=resume)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """A folder that holds something else is no place to work in."""
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(DataSetError, match="is not empty"):
        Workshop(tmp_path, SETTINGS, resume=True)


def test_progress_counts_by_cost_and_leaves_out_what_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    """Half the cost that is left is half the work, whatever was skipped."""
    progress = Progress(100.0)
    progress.skip(60.0)
    progress.counter(0.5)(40, 0.25)
    assert progress.share_done == 0.5
    progress.say("hello")
    assert capsys.readouterr().err.endswith("hello\n")
