"""A whole update on a disk that fails: old or new, and it can be updated again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slot_faults import page
from update_faults import Bench

if TYPE_CHECKING:
    from pathlib import Path


def test_an_update_that_is_cut_off_leaves_old_or_new(tmp_path: Path) -> None:
    """Every key rotated, a candidate's slot taken: at a sample of the calls nothing is broken."""
    bench = Bench(tmp_path)
    found = bench.outcome("update", bench.pushes.rotated, after=bench.pushes.first, stride=43)
    assert ([], 7 * len(range(0, found.calls, 43))) == (found.broken, found.faults.total())
    assert {"old", "new"} >= set(found.ends)
    assert "**0 broken**" in page([found])


def test_what_is_neither_old_nor_new_is_named(tmp_path: Path) -> None:
    """The control: a file of trust that somebody else wrote is found."""
    bench = Bench(tmp_path)
    outcome = bench.outcome("update", bench.pushes.first, after=None, stride=10_000)
    assert [] == outcome.broken
    root = tmp_path / "torn"
    (root / "trust").mkdir(parents=True)
    whole = bench._view(root)
    (root / "trust" / "snapshot.json").write_bytes(b"torn")
    complaint = bench._complaint(root, outcome, (whole, whole), bench.pushes.first, said_done=False)
    assert "neither old nor new: snapshot.json" == complaint
