"""Adapting to a home, but for the learning itself: whose frames are labelled, what card and page say."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from adaptation_card import Past, lines, next_version, passed, story
from adaptation_page import (
    AT_RANDOM,
    BEFORE,
    BY_RULE,
    DRAWN,
    EVERYTHING,
    NO_LABEL,
    Row,
    Setting,
    page,
    series,
)
from samples_made import imagefolder, sample
from spool_choice import first_frames, in_time, worth_a_label

from edge.assembly import load_model
from edge.evaluation import GroupVerdict, wilson
from edge.messages import Metric
from edge.worth import Rule

if TYPE_CHECKING:
    from pathlib import Path

CARD = "---\nlicense: other\n---\n\n# first 1.0\n\nA student.\n\n## Limits\n\nMany.\n"


def group(name: str, change: float) -> GroupVerdict:
    """A group in which accuracy changed so much."""
    return GroupVerdict(name, change >= 0, Metric(name, change, change, change, 9), f"{name}: {change:+.1f} points")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("0.2.0", "0.2.0+home.1"),
        ("0.2.0+home.1", "0.2.0+home.2"),
        ("0.2.0+home.9", "0.2.0+home.10"),
        ("1+mine", "1+mine+home.1"),
    ],
)
def test_each_adaptation_counts_on(before: str, after: str) -> None:
    """The release it started from stays in the version; the number says how often it was adapted since."""
    assert after == next_version(before)


def test_a_single_group_that_breaks_rejects_a_bundle() -> None:
    """What failed is said first; where nothing failed the bundle passes."""
    gate = [group("a", 0.1), group("b", -0.2), group("c", 0.0)]
    assert (False, True) == (passed(gate), passed(gate[::2]))
    assert ["FAILED: b: -0.2 points", "passed: a: +0.1 points", "passed: c: +0.0 points"] == lines(gate)


def test_the_card_accounts_for_what_was_shown() -> None:
    """Labelled frames and their visits, the unlabelled, and the rehearsed, by number; the homes by name."""
    seen = sample("cat_clear", "mine", visit="v1")
    home = [seen, seen, dataclasses.replace(seen, visit="v2"), seen.without_label()]
    text = " ".join(story(Past("first 1.0 12345678", CARD, home, 40), [group("a", 0.0)]).split())
    assert "with 3 labelled frames of 2 visits to `mine`, 1 frames that nobody has labelled" in text
    assert "40 frames of elsewhere" in text
    assert "is not worse anywhere beyond its interval" in text


def test_the_card_of_a_rejected_bundle_says_where_it_broke() -> None:
    """Verdict and group stand there; a bundle on a shelf tells by itself why it must not run."""
    text = story(Past("first 1.0", CARD, [sample()], 1), [group("pictures of home feral", -0.3)])
    assert "**The new bundle is rejected: it broke what worked**" in text
    assert "- FAILED: pictures of home feral: -0.3 points" in text


def test_the_ancestor_s_card_follows_one_level_down() -> None:
    """Its headings fit under the new card's, and its front matter does not begin a second document."""
    text = story(Past("first 1.0", CARD, [sample()], 1), [])
    assert text.endswith("## The card of first 1.0\n\n## first 1.0\n\nA student.\n\n### Limits\n\nMany.\n")


# --- whose frames are labelled ----------------------------------------------------------------------------------------


def test_frames_come_in_order_of_time() -> None:
    """By the second, then by visit and name."""
    asked = [("b", "2026-01-02", "1"), ("a", "2026-01-01", "2"), ("a", "2026-01-01", "1"), ("b", "2026-01-01", "0")]
    samples = [sample(visit=visit, taken=taken, name=name) for visit, taken, name in asked]
    assert [("a", "1"), ("a", "2"), ("b", "0"), ("b", "1")] == [(one.visit, one.name) for one in in_time(samples)]


@pytest.mark.parametrize(("count", "frames"), [(0, ()), (1, (1,)), (3, (1, 3, 0)), (9, (1, 3, 0, 2))])
def test_an_owner_labels_visit_after_visit(count: int, frames: tuple[int, ...]) -> None:
    """As they are named, each from its first frame on, until so many are labelled or none is left."""
    samples = [sample(home="h", visit=visit) for visit in ("b", "a", "b", "a")]
    assert frames == first_frames(samples, ["h/a", "h/b"], count)


def test_the_spool_keeps_visits_by_the_loop_s_own_judgement(tmp_path: Path) -> None:
    """Noise is nothing the model can be sure of: both visits are kept, under their names, and why."""
    folder = imagefolder(tmp_path, [{"visit": "a"}, {"visit": "a"}, {"visit": "b"}])
    samples = [sample("empty", "h", name=f"{number}.png", visit=name) for number, name in enumerate("aab")]
    kept = worth_a_label(folder, samples, load_model("factory", "auto", 1))
    assert {"h/a", "h/b"} == kept.keys()
    assert {one.rule for one in kept.values()} <= set(Rule) - {Rule.RANDOM, Rule.BLIND}


# --- the page ---------------------------------------------------------------------------------------------------------


def row(chosen: str, labelled: int, right: int, broken: tuple[str, ...] | None = ()) -> Row:
    """A student that was right so often of 10."""
    return Row(chosen, labelled, labelled // 4, {DRAWN: wilson(DRAWN, right, 10)}, wilson("elsewhere", 9, 10), broken)


ROWS = [
    row(BEFORE, 0, 3, None),
    row(NO_LABEL, 0, 4),
    row(BY_RULE, 10, 6, ("pictures of home feral",)),
    row(AT_RANDOM, 10, 7),
    dataclasses.replace(row(EVERYTHING, 40, 9, None), elsewhere=None),
]
SETTING = Setting(
    "the later ones", 40, 10, (5, 50), (6, 60), 1, 2, 1, 77, (Rule.RARE_CLASS, Rule.LOW_CONFIDENCE, Rule.RARE_CLASS)
)


def test_the_page_has_a_line_for_every_student() -> None:
    """How many labels, how chosen, every figure with its interval, and what broke; blank where nothing was measured."""
    told = [line for line in page(ROWS, SETTING).splitlines() if line.startswith("| ")][1:]
    assert [one.chosen for one in ROWS] == [line.split(" | ")[1] for line in told]
    assert told[2].startswith("| 10 (2) | by the spool's rule |  |  | 0.600 (0.313 to 0.832) |")
    assert ["", "nothing", "pictures of home feral", "nothing", ""] == [line.split("|")[-2].strip() for line in told]


def test_the_page_says_why_the_spool_kept_visits() -> None:
    """Each rule with its count, the most useful first."""
    assert "kept 3 of them: 2 for rare class, 1 for low confidence" in " ".join(page(ROWS, SETTING).split())


def test_both_lines_begin_without_a_label_and_levels_go_across() -> None:
    """What is drawn: frames labelled against accuracy; before and everything as lines that no label changes."""
    drawn = {one.name: [(at, figure.value) for at, figure in one.points] for one in series(ROWS)}
    assert {
        BY_RULE: [(0, 0.4), (10, 0.6)],
        AT_RANDOM: [(0, 0.4), (10, 0.7)],
        BEFORE: [(0, 0.3), (10, 0.3)],
        EVERYTHING: [(0, 0.9), (10, 0.9)],
    } == drawn
