"""Tests of ``tools/install_check.py`` that need no root: its command line, and the part of a page that it writes."""

from __future__ import annotations

import pytest
from install_check import Board, page, wanted


@pytest.mark.parametrize(
    ("words", "suites"), [([], []), (["trixie"], ["trixie"]), (["trixie", "bookworm"], ["trixie", "bookworm"])]
)
def test_takes_suites_or_none(words: list[str], suites: list[str]) -> None:
    """Without a name every suite is meant, as in `make install-test`."""
    assert suites == wanted(words).suites


def test_refuses_a_suite_that_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    """One clear line: what it was and what it may be."""
    with pytest.raises(SystemExit) as ended:
        wanted(["buster"])
    assert (2, True) == (ended.value.code, "'buster' is none of bookworm, trixie" in capsys.readouterr().err)


def test_a_rule_that_was_not_reached_counts_as_broken() -> None:
    """Each rule has a line, each system a column; a rule that one of them never came to does not hold there."""
    first, second = Board([(True, "it starts"), (True, "it stops")]), Board([(True, "it starts")])
    lines = page([("One, of the first", first), ("Two, of the second", second)]).splitlines()
    assert ["| rule | One | Two |", "|---|---|---|"] == lines[5:7]
    assert ["| it starts | holds | holds |", "| it stops | holds | **broken** |"] == lines[7:]
