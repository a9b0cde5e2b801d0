"""The spool: bounded, durable whatever the disk does, and honest about what it dropped."""

from __future__ import annotations

import errno
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from faults import CutFiles, ErrnoFiles, Fate, FaultFiles, PowerCut
from hypothesis import given, settings
from hypothesis import strategies as st
from visits_made import plain, scores, visit_of, with_pictures

from edge.config import SpoolConfig
from edge.errors import InputError
from edge.files import DiskFiles
from edge.messages import Label, Visit
from edge.spool import Counts, Dropped, Reason, Spool, Stored
from edge.worth import Rule, Worth

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOMY = SpoolConfig(max_bytes=10**9, min_free_bytes=0)
CLEAR = scores(Label.CAT_CLEAR, 0.9)
DULL, USEFUL, URGENT = (Worth(Rule.RANDOM, share) for share in (0.1, 0.5, 0.9))


def a_visit(name: str, frames: int = 1) -> Visit:
    """Return a visit with a key frame; more frames make a larger record."""
    return with_pictures(visit_of(*[CLEAR] * frames, visit_id=name), 1)


def ids(spool: Spool) -> list[str]:
    """Return what is stored, in the order it was put."""
    return [entry.visit_id for entry in spool.list()]


def record_bytes(visit: Visit) -> int:
    """Return how many bytes a visit takes in a spool."""
    with tempfile.TemporaryDirectory() as directory:
        spool = Spool(Path(directory), ROOMY, FaultFiles(Path(directory)))
        spool.put(visit, USEFUL)
        return spool.stored_bytes


ONE = record_bytes(a_visit("a"))
SMALL = ONE + 40  # room for one with a few more digits, not for two


def test_a_visit_put_is_listed_and_read_back(tmp_path: Path) -> None:
    """On the real disk a stored visit is listed with its rule and verdict, and reads back as it was."""
    visit = a_visit("a", frames=3)
    spool = Spool(tmp_path / "spool", ROOMY, DiskFiles())
    outcome = spool.put(visit, URGENT)
    (entry,) = Spool(tmp_path / "spool", ROOMY, DiskFiles()).list()
    assert Stored(entry.stored_bytes, 1) == outcome
    assert ("a", Rule.RANDOM, 0.9, visit.verdict.kind) == (entry.visit_id, entry.rule, entry.usefulness, entry.verdict)
    assert visit.started.isoformat() == entry.started
    on_disk = sum(path.stat().st_size for path in (tmp_path / "spool" / "a").iterdir())
    assert on_disk == entry.stored_bytes
    assert plain(visit) == plain(spool.open("a"))


def test_a_visit_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Opening a visit the spool does not hold names spool and visit, and reaches no other directory."""
    spool = Spool(tmp_path, ROOMY, FaultFiles(tmp_path))
    with pytest.raises(InputError, match="holds no visit"):
        spool.open("../elsewhere")


def test_the_least_useful_goes_first_and_among_equals_the_oldest(tmp_path: Path) -> None:
    """Room under max_bytes is made by usefulness, then by age; each drop is counted."""
    spool = Spool(tmp_path, SpoolConfig(max_bytes=3 * SMALL, min_free_bytes=0), FaultFiles(tmp_path))
    for name, worth in (("a", USEFUL), ("b", DULL), ("c", DULL), ("d", URGENT), ("e", URGENT)):
        spool.put(a_visit(name), worth)
    assert ["a", "d", "e"] == ids(spool)
    assert Counts(max_bytes=2) == spool.counts


def test_the_newest_is_stored_however_dull_it_is(tmp_path: Path) -> None:
    """The newest verdict's evidence finds room, and is the last to go for the next one."""
    spool = Spool(tmp_path, SpoolConfig(max_bytes=2 * SMALL, min_free_bytes=0), FaultFiles(tmp_path))
    for name, worth in (("a", URGENT), ("b", USEFUL), ("c", DULL), ("d", USEFUL)):
        assert isinstance(spool.put(a_visit(name), worth), Stored)
        assert name == ids(spool)[-1]
    assert ["c", "d"] == ids(spool)


def test_room_is_made_for_the_free_bytes_of_the_disk(tmp_path: Path) -> None:
    """A disk that fills up costs old records, so that min_free_bytes stay free."""
    files = FaultFiles(tmp_path)
    spool = Spool(tmp_path / "spool", SpoolConfig(max_bytes=10**9, min_free_bytes=5000), files)
    for name in ("a", "b", "c"):
        spool.put(a_visit(name), USEFUL)
    files.capacity_bytes = 3 * SMALL + 5000 + 200
    assert isinstance(spool.put(a_visit("d"), USEFUL), Stored)
    assert ["b", "c", "d"] == ids(spool)
    assert Counts(min_free=1) == spool.counts
    assert files.free_bytes(tmp_path) >= 5000 - 200  # what the spool's own counts take


def test_nothing_is_dropped_for_a_visit_that_does_not_fit_even_then(tmp_path: Path) -> None:
    """Where somebody else filled the disk the new visit is refused and what is stored stays."""
    files = FaultFiles(tmp_path)
    spool = Spool(tmp_path / "spool", SpoolConfig(max_bytes=10**9, min_free_bytes=5000), files)
    spool.put(a_visit("a"), DULL)
    files.capacity_bytes = 6000
    outcome = spool.put(a_visit("b"), URGENT)
    assert isinstance(outcome, Dropped)
    assert Reason.DISK_FULL == outcome.reason
    assert ["a"] == ids(spool)
    assert Counts(disk_full=1) == spool.counts


def test_a_disk_without_room_for_both_gives_up_the_old_one_first(tmp_path: Path) -> None:
    """Where old and new do not fit the disk together, the old one goes before the new one is written."""
    files = FaultFiles(tmp_path, capacity_bytes=ONE + ONE // 2)
    spool = Spool(tmp_path / "spool", SpoolConfig(max_bytes=10**9, min_free_bytes=0), files)
    spool.put(a_visit("a"), USEFUL)
    assert isinstance(spool.put(a_visit("b"), USEFUL), Stored)
    assert ["b"] == ids(spool)


def test_key_frames_are_given_up_before_the_evidence(tmp_path: Path) -> None:
    """A visit that fits only without its pictures for people is stored without them."""
    bare = record_bytes(replace(a_visit("a"), key_frames=()))
    spool = Spool(tmp_path, SpoolConfig(max_bytes=bare + 40, min_free_bytes=0), FaultFiles(tmp_path))
    assert Stored(bare, 0) == spool.put(a_visit("a"), USEFUL)
    assert () == spool.open("a").key_frames


def test_a_visit_larger_than_the_spool_is_refused(tmp_path: Path) -> None:
    """What cannot fit alone is refused and counted, and the newest before it stays."""
    spool = Spool(tmp_path, SpoolConfig(max_bytes=SMALL, min_free_bytes=0), FaultFiles(tmp_path))
    spool.put(a_visit("a"), DULL)
    outcome = spool.put(a_visit("b", frames=40), URGENT)
    assert isinstance(outcome, Dropped)
    assert (Reason.TOO_LARGE, "dropped: too_large") == (outcome.reason, str(outcome))
    assert ["a"] == ids(spool)


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    """A second visit of the same id is refused, and so is one named as something foreign in the directory."""
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"sand")
    spool = Spool(tmp_path, ROOMY, FaultFiles(tmp_path))
    outcomes = [spool.put(a_visit(name), USEFUL) for name in ("a", "a", "holiday")]
    assert ["stored", "dropped: duplicate", "dropped: duplicate"] == [str(outcome) for outcome in outcomes]
    assert ("holiday",) == spool.foreign
    assert (tmp_path / "holiday" / "beach.jpg").exists()


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    """A visit that cannot be written as a record is counted as that, and the spool goes on."""
    spool = Spool(tmp_path, ROOMY, FaultFiles(tmp_path))
    outcome = spool.put(a_visit("../a"), USEFUL)
    assert isinstance(outcome, Dropped)
    assert Reason.MALFORMED == outcome.reason
    assert "../a" in outcome.detail
    assert isinstance(spool.put(a_visit("a"), USEFUL), Stored)


def test_counts_outlive_the_process(tmp_path: Path) -> None:
    """What was dropped is still counted when the spool is opened again, and counted on."""
    for name in ("a", "b", "c"):
        Spool(tmp_path, SpoolConfig(max_bytes=SMALL, min_free_bytes=0), FaultFiles(tmp_path)).put(a_visit(name), DULL)
    spool = Spool(tmp_path, ROOMY, FaultFiles(tmp_path))
    assert Counts(max_bytes=2) == spool.counts
    assert 2 == spool.counts.total()


def test_damaged_counts_begin_anew(tmp_path: Path) -> None:
    """Counts that cannot be read cost the counts and nothing else."""
    Spool(tmp_path, ROOMY, FaultFiles(tmp_path)).put(a_visit("a"), DULL)
    (tmp_path / "counts.json").write_text('{"generation": ')
    spool = Spool(tmp_path, ROOMY, FaultFiles(tmp_path))
    assert (Counts(), ["a"]) == (spool.counts, ids(spool))


def test_the_order_of_putting_does_not_trust_the_clock(tmp_path: Path) -> None:
    """After the clock went back the record put last is still the newest."""
    early = replace(a_visit("2001"), started=a_visit("b").started.replace(year=2001))
    for visit in (a_visit("2026"), early):
        Spool(tmp_path, ROOMY, FaultFiles(tmp_path)).put(visit, USEFUL)
    assert ["2026", "2001"] == ids(Spool(tmp_path, ROOMY, FaultFiles(tmp_path)))


def test_a_put_does_not_walk_the_disk(tmp_path: Path) -> None:
    """Sizes are known from the opening on: a put with many records in the spool costs as many calls as with few."""
    files = FaultFiles(tmp_path)
    spool = Spool(tmp_path, ROOMY, files)
    costs = []
    for number in range(12):
        before = files.calls
        spool.put(a_visit(f"v{number}"), USEFUL)
        costs.append(files.calls - before)
    assert 1 == len(set(costs))


@given(
    puts=st.lists(st.tuples(st.sampled_from((0.1, 0.5, 0.9)), st.integers(1, 6)), max_size=8), room=st.integers(1, 4)
)
@settings(max_examples=25)
def test_the_bounds_hold_and_the_useful_stay(puts: list[tuple[float, int]], room: int) -> None:
    """The bytes stay under the bound, the newest stays, and nothing goes that is more useful than what is kept."""
    with tempfile.TemporaryDirectory() as directory:
        bound = room * SMALL
        spool = Spool(Path(directory), SpoolConfig(max_bytes=bound, min_free_bytes=0), FaultFiles(Path(directory)))
        stored = 0
        for number, (usefulness, frames) in enumerate(puts):
            before = spool.list()
            outcome = spool.put(a_visit(f"v{number}", frames), Worth(Rule.RANDOM, usefulness))
            after = spool.list()
            assert spool.stored_bytes <= bound
            if isinstance(outcome, Dropped):
                assert before == after
                continue
            stored += 1
            assert f"v{number}" == after[-1].visit_id
            gone = [(entry.usefulness, entry.sequence) for entry in before[:-1] if entry not in after]
            kept = [(entry.usefulness, entry.sequence) for entry in before[:-1] if entry in after]
            assert max(gone, default=(0.0, 0)) <= min(kept, default=(1.0, 0))
            assert stored == len(after) + spool.counts.max_bytes
        assert spool.list() == Spool(Path(directory), ROOMY, FaultFiles(Path(directory))).list()


# The power goes, or the disk fails, at every call there is.

OLD = {name: a_visit(name) for name in ("old1", "old2", "old3")}
NEW = {name: a_visit(name) for name in ("new1", "new2")}
TIGHT = SpoolConfig(max_bytes=3 * SMALL, min_free_bytes=0)  # each new one costs an old one


@pytest.fixture
def memory() -> Iterator[Path]:
    """Return a directory in memory where there is such a place: these tests make thousands of small files."""
    place = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
    with tempfile.TemporaryDirectory(dir=place if place.is_dir() else None) as directory:
        yield Path(directory)


@pytest.fixture
def full(memory: Path) -> Path:
    """Return a spool that is full, with one drop counted."""
    directory = memory / "full"
    spool = Spool(directory, TIGHT, FaultFiles(directory))
    for visit in (a_visit("first"), *OLD.values()):
        spool.put(visit, USEFUL)
    assert (list(OLD), Counts(max_bytes=1)) == (ids(spool), spool.counts)
    return directory


@dataclass
class Night:
    """What two puts came to before the power went, if it went."""

    acknowledged: list[str]
    cut: bool


def two_puts(directory: Path, files: FaultFiles) -> Night:
    """Open the spool and put two visits, as far as the power lasts."""
    night = Night(list(OLD), cut=False)
    try:
        spool = Spool(directory, TIGHT, files)
        for name, visit in NEW.items():
            if isinstance(spool.put(visit, USEFUL), Stored):
                night.acknowledged.append(name)
    except PowerCut:
        night.cut = True
    return night


def check_whole(directory: Path, spool: Spool) -> None:
    """Check that all that is listed is whole, nothing unfinished is left, and the bytes are those on the disk."""
    for name in ids(spool):
        assert plain(({**OLD, **NEW})[name]) == plain(spool.open(name))
    assert [] == list((directory / ".incoming").iterdir())
    assert [] == list((directory / ".leaving").iterdir())
    assert () == spool.foreign
    on_disk = sum(path.stat().st_size for path in directory.glob("*/*") if not path.parent.name.startswith("."))
    assert on_disk == spool.stored_bytes
    assert spool.stored_bytes <= TIGHT.max_bytes


@pytest.mark.parametrize("fate", Fate)
def test_the_power_may_go_at_any_call(fate: Fate, full: Path, memory: Path) -> None:
    """After a cut every record that was reported stored is there whole or counted as dropped, and putting works."""
    cuts = 0
    night = Night([], cut=True)
    while night.cut:
        cuts += 1
        directory = memory / f"{cuts}" / "spool"
        shutil.copytree(full, directory)
        night = two_puts(directory, CutFiles(directory, cuts, fate))
        spool = Spool(directory, TIGHT, FaultFiles(directory))
        check_whole(directory, spool)
        missing = [name for name in night.acknowledged if name not in ids(spool)]
        assert 1 + len(missing) == spool.counts.max_bytes, f"cut at call {cuts}"
        assert spool.counts.unfinished <= 1
        assert spool.counts.total() == spool.counts.max_bytes + spool.counts.unfinished
        assert isinstance(spool.put(a_visit("later"), USEFUL), Stored)
        assert spool.counts == Spool(directory, TIGHT, FaultFiles(directory)).counts
    assert cuts > 50


@pytest.mark.parametrize("fate", Fate)
def test_the_power_may_go_during_the_recovery(fate: Fate, full: Path, memory: Path) -> None:
    """A cut while the traces of a cut are cleared away loses and double-counts nothing either."""
    torn = memory / "torn"
    shutil.copytree(full, torn)
    (torn / ".incoming" / "half").mkdir()
    (torn / ".incoming" / "half" / "visit.json").write_text("{")
    (torn / "old1").rename(torn / ".leaving" / "2.max_bytes.old1")
    (torn / "old2").rename(torn / ".leaving" / "1.min_free.old2")  # generation 1 is on the disk: counted already
    cuts, cut = 0, True
    while cut:
        cuts += 1
        directory = memory / f"{cuts}"
        shutil.copytree(torn, directory)
        try:
            Spool(directory, TIGHT, CutFiles(directory, cuts, fate))
            cut = False
        except PowerCut:
            pass
        spool = Spool(directory, TIGHT, FaultFiles(directory))
        check_whole(directory, spool)
        assert (["old3"], Counts(max_bytes=2, unfinished=1)) == (ids(spool), spool.counts), f"cut at call {cuts}"
    assert cuts > 20


@pytest.mark.parametrize(
    ("number", "reason", "lasting"),
    [
        (errno.ENOSPC, Reason.DISK_FULL, False),
        (errno.EROFS, Reason.READ_ONLY, True),
        (errno.EIO, Reason.IO_ERROR, False),
        (errno.EIO, Reason.IO_ERROR, True),
    ],
)
def test_the_disk_may_fail_at_any_call(number: int, reason: Reason, lasting: bool, full: Path, memory: Path) -> None:
    """A call that fails, once or for good, is a reason and a count, never an exception; then the spool goes on."""
    failures, reached = 0, True
    while reached:
        failures += 1
        directory = memory / f"{failures}" / "spool"
        shutil.copytree(full, directory)
        files = ErrnoFiles(directory, failures, number, lasting=lasting, reads_too=number == errno.EIO)
        spool = Spool(directory, TIGHT, files)
        outcomes = {name: spool.put(visit, USEFUL) for name, visit in NEW.items()}
        reached = files.calls >= failures
        refused = [outcome.reason for outcome in outcomes.values() if isinstance(outcome, Dropped)]
        assert set(refused) <= {reason}
        assert len(refused) == spool.counts.of(reason)
        files.mend()
        assert isinstance(spool.put(a_visit("later"), USEFUL), Stored)
        again = Spool(directory, TIGHT, FaultFiles(directory))
        # A record that could not be read when the spool was opened is foreign to it until the next opening.
        known = [entry for entry in again.list() if entry.visit_id not in spool.foreign]
        assert (list(spool.list()), spool.counts) == (known, again.counts), f"failed at call {failures}"
        for name, outcome in outcomes.items():
            if isinstance(outcome, Stored) and name in ids(again):
                assert plain(NEW[name]) == plain(again.open(name))
        assert [] == list((directory / ".incoming").iterdir())
    assert failures > 30
