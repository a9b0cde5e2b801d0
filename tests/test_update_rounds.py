"""A push that comes while another is looked at is looked at too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge.answers import Answer, AnswerStatus
from edge.update import MAX_ROUNDS, until_answered

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("arrivals", "looks"), [(0, 1), (1, 2), (3, 4), (100, MAX_ROUNDS)])
def test_what_arrives_meanwhile_is_answered_in_the_same_run(tmp_path: Path, arrivals: int, looks: int) -> None:
    """The inbox is looked at until nothing new came meanwhile, and not for ever."""
    commit = tmp_path / "incoming" / "metadata" / "timestamp.json"
    commit.parent.mkdir(parents=True)
    seen: list[int] = []

    def look() -> Answer:
        seen.append(len(seen))
        if len(seen) <= arrivals:
            new = commit.with_name(f"{len(seen)}.new")
            new.write_bytes(b"")
            new.rename(commit)
        return Answer(AnswerStatus.REFUSED, f"look {len(seen)}")

    answer = until_answered(tmp_path, look)
    assert (looks, f"look {looks}") == (len(seen), answer.why)


def test_an_empty_inbox_is_looked_at_once(tmp_path: Path) -> None:
    """Where nothing ever arrived, that is the answer."""
    assert "nothing" == until_answered(tmp_path, lambda: Answer(AnswerStatus.REFUSED, "nothing")).why
