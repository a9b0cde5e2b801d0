"""The rehearsal's table; the rehearsal itself is ``make rehearse-push``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from push_rollout import Outcome
from rehearse_push import Step, page

PAGE = (Path(__file__).parent.parent.parent / "docs" / "push.md").read_text(encoding="utf-8")
TRIAL = Counter({str(Outcome.ON_TRIAL): 2})


def test_a_rehearsal_that_went_wrong_says_where() -> None:
    """A call whose rows are not those that must come is named before the table."""
    good, bad = Step("one", TRIAL, TRIAL, 3.0), Step("two", TRIAL, Counter(), 4.0)
    assert [True, False] == ["every row as it must be" in page(steps, 20) for steps in ((good,), (good, bad))]
    assert "not as they must: two" in page((good, bad), 20)


def test_a_call_is_a_row() -> None:
    """What was not is left empty, and the time is in whole seconds."""
    assert "| one | 2 |  |  |  |  | 3 |" == page((Step("one", TRIAL, TRIAL, 3.2),), 20).splitlines()[-1]


def test_the_page_shows_one_that_went_well() -> None:
    """docs/push.md has the figures of twenty flaps at least."""
    part = PAGE.split("<!-- rehearse-push: begin -->\n")[1]
    assert (True, True) == (int(part.split()[0]) >= 20, "every row as it must be" in part.splitlines()[0])
