"""docs/push.md tells the truth, as far as a test can see."""

from __future__ import annotations

import re
from pathlib import Path

from push_keys import MIN_PASSPHRASE
from push_model import _parser
from push_repository import LIFE
from push_rollout import Outcome

PAGE = (Path(__file__).parent.parent.parent / "docs" / "push.md").read_text(encoding="utf-8")


def test_the_page_names_every_option_there_is() -> None:
    """Every option in the page is one, and every act of the tool is in the page."""
    there = {option for action in _parser()._actions for option in action.option_strings}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE))
    assert set() == named - there
    assert {"--adopt", "--status", "--rollback", "--refresh", "--rotate", "--revoke", "--via", "--stage"} <= named


def test_every_option_in_the_page_is_tested() -> None:
    """What owners are told to say is said in a test, as they would."""
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE))
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_push_[!p]*.py"))
    tests += (Path(__file__).parents[2] / "tools" / "loopback_flap.py").read_text(encoding="utf-8")
    assert [] == sorted(option for option in named if f'"{option}"' not in tests)


def test_the_page_has_a_row_for_every_outcome() -> None:
    """Whatever stands in the table after a push is explained, and nothing else is."""
    rows = re.findall(r"^\| `([a-z ]+)` \|", PAGE, re.MULTILINE)
    assert sorted(outcome.value for outcome in Outcome) == sorted(rows)


def test_the_page_says_how_long_signatures_are_good() -> None:
    """Thirty days, one year, three years, and sixteen characters: as the code has them."""
    assert [30, 30, 365, 1095, 16] == [LIFE["timestamp"].days, LIFE["snapshot"].days, LIFE["targets"].days,
                                       LIFE["root"].days, MIN_PASSPHRASE]  # fmt: skip
    assert all(words in PAGE for words in ("after 30 days", "after a year", "after three", "sixteen characters"))


def test_the_owners_part_is_marked() -> None:
    """The marks that enclose what owners read are a pair."""
    assert (1, 1) == (PAGE.count("<!-- owner: begin -->"), PAGE.count("<!-- owner: end -->"))
