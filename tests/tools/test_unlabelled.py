"""A frame that nobody has labelled may be learnt from by a teacher's word; nothing is ever judged by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from check_data import Kind, check
from dataset import UNJUDGED, UNLABELLED, allowed_flags, draw_weights, read_photographs
from evaluation_report import samples_of
from label_report import labelled
from samples_made import imagefolder, sample

from edge.messages import LABELS

if TYPE_CHECKING:
    from pathlib import Path

BARE = {"label": UNLABELLED}


def test_every_class_is_open(tmp_path: Path) -> None:
    """The row is read like any other, and a loss over the classes left open says nothing of it."""
    one = read_photographs(imagefolder(tmp_path, [BARE])).samples[0]
    assert (UNLABELLED, False, frozenset(LABELS)) == (one.label, one.labelled, one.allowed)
    assert [[True] * len(LABELS)] == allowed_flags([one]).tolist()


def test_a_picture_can_be_stripped_of_its_label() -> None:
    """What the owner has not labelled yet tells neither its class nor its cat."""
    bare = sample("cat_prey", individual=80).without_label()
    assert (UNLABELLED, frozenset(LABELS), -1) == (bare.label, bare.allowed, bare.individual)


def test_what_is_held_out_without_a_label_belongs_to_no_part_that_is_used(tmp_path: Path) -> None:
    """Ten visits in order of time: of those that calibrate and test only labelled frames do so."""
    days = [{"home": "mine", "taken": f"2026-01-{day:02}", "visit": f"v{day}"} for day in range(1, 11)]
    rows = [{**day, **more} for day in days for more in ({}, BARE)]
    parts = [(one.label, one.part) for one in read_photographs(imagefolder(tmp_path, rows)).samples]
    assert [("empty", "train"), (UNLABELLED, "train")] * 7 == parts[:14]
    assert [("empty", "calibration"), (UNLABELLED, UNJUDGED)] == parts[14:16]
    assert [("empty", "test"), (UNLABELLED, UNJUDGED)] * 2 == parts[16:]


def test_nothing_can_be_judged_by_it() -> None:
    """Whoever asks what it is gets an error, not a class."""
    with pytest.raises(ValueError, match=r"a\.png: is not labelled"):
        _ = sample().without_label().coarse


def test_a_report_leaves_it_out(tmp_path: Path) -> None:
    """Even where the part that trains is asked for, of which it is one."""
    photographs = read_photographs(imagefolder(tmp_path, [{}, BARE]))
    assert [["0.png"], ["0.png"]] == [[one.name for one in samples_of(photographs, part)] for part in ("train", "all")]


def test_a_home_s_unlabelled_frames_are_drawn_as_one_group() -> None:
    """Like a class: far less often than their number, each as often as the other."""
    mine = [sample("unlabelled", home="mine")] * 32
    weights = draw_weights([*mine, sample("empty", home="mine")])
    assert 1 == len(set(weights[:-1].tolist()))
    assert weights[:-1].sum() == pytest.approx(32**0.4 / (1 + 32**0.4))


def test_it_is_no_finding_and_nobody_is_asked_to_agree_with_it(tmp_path: Path) -> None:
    """The checker takes it, and a blind sample is drawn from pictures that have a label."""
    folder = imagefolder(tmp_path, [{}, BARE])
    assert Kind.LABEL not in {finding.kind for finding in check(folder)}
    assert ["0.png"] == list(labelled(folder))
