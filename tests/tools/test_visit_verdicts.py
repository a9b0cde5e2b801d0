"""What a visit was, what counts of its replay, and when the door did right."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from judged_made import visit
from samples_made import imagefolder, sample
from visit_verdicts import Truth, deciding, imagefolder_of, judged, truth_of

from edge.assembly import load_model
from edge.messages import VerdictKind

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("labels", "truth"),
    [
        (["cat_clear", "cat_clear", "cat_clear", "cat_prey"], Truth.PREY),
        (["cat_clear", "cat_clear", "cat_clear", "empty"], Truth.CLEAR),
        (["cat_clear", "cat_clear", "person"], Truth.SEEN_LESS),
        (["cat_hidden"], Truth.SEEN_LESS),
        (["cat", "cat", "cat"], Truth.SEEN_LESS),
        (["empty", "other_animal"], Truth.NO_CAT),
    ],
)
def test_a_visit_is_what_its_pictures_show(labels: list[str], truth: Truth) -> None:
    """One picture with prey makes a visit with prey; three clear mouths make one that could be admitted."""
    assert truth == truth_of(labels)


@pytest.mark.parametrize(
    ("truth", "verdict", "right", "mistaken"),
    [
        (Truth.PREY, VerdictKind.REFUSE_PREY, True, False),
        (Truth.PREY, VerdictKind.UNSURE, True, False),
        (Truth.PREY, VerdictKind.ADMIT, False, True),
        (Truth.CLEAR, VerdictKind.ADMIT, True, False),
        (Truth.CLEAR, VerdictKind.UNSURE, False, False),
        (Truth.CLEAR, VerdictKind.REFUSE_PREY, False, True),
        (Truth.SEEN_LESS, VerdictKind.UNSURE, True, False),
        (Truth.SEEN_LESS, VerdictKind.REFUSE_OTHER, False, True),
        (Truth.NO_CAT, VerdictKind.REFUSE_OTHER, True, False),
        (Truth.NO_CAT, VerdictKind.ADMIT, False, True),
    ],
)
def test_the_door_does_right_or_wrong(truth: Truth, verdict: VerdictKind, right: bool, mistaken: bool) -> None:
    """Open for a clear mouth, shut for prey and no cat; waiting is wrong for a clear mouth, but no mistake."""
    found = visit(truth, verdict)
    assert (right, mistaken) == (found.right, found.mistaken)


def test_the_first_final_verdict_of_a_visit_counts() -> None:
    """What comes after the door has closed again is another visit; without a final verdict the last one stands."""
    lines = [
        {"source": "a", "verdict": "admit"},
        {"source": "a", "verdict": "refuse_prey"},
        {"source": "b", "verdict": "blind"},
        {"source": "b", "verdict": "unsure"},
    ]
    assert {"a": lines[0], "b": lines[3]} == deciding(lines, lambda line: line)


def test_a_lent_folder_holds_the_rows_and_leaves_the_pictures(tmp_path: Path) -> None:
    """The pictures are named where they lie, and nothing of them is moved or copied."""
    with imagefolder_of(tmp_path, [{"file_name": "a/b.png", "home": "h"}]) as lent:
        held = [path.name for path in lent.iterdir()]
        row = json.loads((lent / "metadata.jsonl").read_text(encoding="utf-8"))
    assert (["metadata.jsonl"], str(tmp_path / "a" / "b.png"), "h", False) == (
        held,
        row["file_name"],
        row["home"],
        lent.exists(),
    )


def test_visits_are_judged_by_the_loop_and_torn_pictures_named(tmp_path: Path) -> None:
    """Each visit comes out once, with its truth and its pictures; what the loop cannot read is named."""
    folder = imagefolder(tmp_path / "data", [{"visit": "a"}, {"visit": "a"}, {"visit": "b"}])
    (folder / "2.png").write_bytes(b"no picture")
    samples = [sample("empty", "h", name=f"{number}.png", visit=name) for number, name in enumerate("aab")]
    told = judged(folder, samples, load_model("factory", "auto", 1))
    found = [(one.name, one.truth, one.pictures) for one in told.visits]
    assert [("h/a", Truth.NO_CAT, ("0.png", "1.png"))] == found
    assert [True] == [line.startswith(f"{folder / '2.png'}: ") for line in told.skipped]
