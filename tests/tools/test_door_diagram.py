"""docs/door.md is drawn from the tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from door_diagram import PARTS, arrows, diagram, written
from pages import replaced

from edge.door import TABLE, DoorState

PAGE = Path(__file__).parents[2] / "docs" / "door.md"


def test_the_page_is_as_new_as_the_tables() -> None:
    """Drawn again, nothing changes; else `make door-diagram` was forgotten."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == written(page)


def test_every_transition_is_in_the_diagram() -> None:
    """Every pair that leads elsewhere is on an arrow, from its own state or from any."""
    drawn = arrows()
    for state, row in TABLE.items():
        for event, after in row.on.items():
            if isinstance(after, DoorState) and after is not state:
                assert event in drawn.get((str(state), after), []) + drawn.get(("any", after), [])


@pytest.mark.parametrize("state", DoorState)
def test_every_state_is_in_the_diagram(state: DoorState) -> None:
    """No state is left out."""
    assert f" {state}" in diagram()


def test_only_what_is_between_the_marks_is_replaced() -> None:
    """What people wrote stays as it is."""
    page = "before\n<!-- a: begin -->\nold\n<!-- a: end -->\nafter"
    assert "before\n<!-- a: begin -->\nnew\n<!-- a: end -->\nafter" == replaced(page, "a", "new\n")


def test_a_page_without_marks_is_an_error() -> None:
    """A part that has no place is not lost silently."""
    with pytest.raises(ValueError, match="no part between"):
        replaced("nothing", next(iter(PARTS)), "text")
