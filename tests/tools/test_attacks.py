"""The count of attacks: what is counted, and what keeps it from being whole."""

from __future__ import annotations

from pathlib import Path

import attacks
import pytest
from attacks import GROUPS, LIST, Case, Report

PAGE = (Path(__file__).parent.parent.parent / "docs" / "push.md").read_text(encoding="utf-8")
WHOLE = (*(Case(f"a {word}", "passed", (("attack", word),)) for word in LIST),
         *(Case(f"c {word}", "passed", (("conformance", word),)) for word in GROUPS))  # fmt: skip

JUNIT = """<?xml version="1.0"?><testsuites><testsuite name="pytest" timestamp="2026-11-21T23:59:00">
<testcase name="one"><properties><property name="attack" value="names"/></properties></testcase>
<testcase name="two"><properties><property name="attack" value="names"/></properties><failure message="no"/></testcase>
<testcase name="three"><properties><property name="conformance" value="keys"/></properties><skipped/></testcase>
</testsuite></testsuites>"""


def test_a_report_is_counted_by_its_marks(tmp_path: Path) -> None:
    """A test counts where its mark says, as it ended; the day is the run's."""
    (tmp_path / "report.xml").write_text(JUNIT, encoding="utf-8")
    report = attacks.read(tmp_path / "report.xml")
    assert ("2026-11-21", {"passed": 1, "failed": 1}, {"skipped": 1}) == (
        report.day, report.counts("attack", "names"), report.counts("conformance", "keys"))  # fmt: skip


def test_nothing_is_missing_where_every_word_has_a_test() -> None:
    """One test for each word is the least."""
    assert [] == attacks.missing(Report("2026-11-21", WHOLE))


@pytest.mark.parametrize(
    ("cases", "says"),
    [
        (WHOLE[1:], f"{LIST[0]}: no test"),
        ((*WHOLE[1:], Case("x", "skipped", (("attack", LIST[0]),))), f"{LIST[0]}: no test"),
        ((*WHOLE, Case("x", "passed", (("attack", "misspelt"),))), "misspelt: is no word of the list"),
        ((*WHOLE, Case("x", "failed", (("attack", LIST[0]),))), "x: failed"),
    ],
)
def test_what_is_missing_is_said(cases: tuple[Case, ...], says: str) -> None:
    """A word without a test that passed, a mark nobody knows, a failure: each is a finding."""
    assert [says] == attacks.missing(Report("2026-11-21", cases))


def test_the_page_has_a_row_for_every_word() -> None:
    """docs/push.md shows the list as it is, each word with a test that passed, and none that failed."""
    part = PAGE.split("<!-- attacks: begin -->")[1].split("<!-- attacks: end -->")[0]
    rows = [
        line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ") and "tests" not in line
    ]
    assert [*LIST, *GROUPS] == [row[0] for row in rows]
    assert [] == [row for row in rows if int(row[2]) < 1 or int(row[3]) > 0]
