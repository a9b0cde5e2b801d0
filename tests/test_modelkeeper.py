"""Which model decides: promoted when it has shown that it is no worse, out of the loop at once when it has not."""

from __future__ import annotations

import errno
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from candidates import candidate, push
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from playing import Memo
from stand_ins import clock_at_1000_s
from trials_made import Reader, judging, visit

from edge.errors import TrustError
from edge.files import DiskFiles, replace
from edge.journal import Journal
from edge.messages import CommandKind, Label, VerdictKind
from edge.modelkeeper import SETTLE_NS, KeeperParts, ModelKeeper, TrialWishes
from edge.slots import MODELS, POINTER, Slots, SlotsState
from edge.trialbook import MAX_REPORTS, SECRET, SECRET_BYTES, TRIALS, TrialBook
from edge.trials import Gates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.bundle import Bundle
    from edge.messages import Reply
    from edge.pipeline import Judging

GATES = Gates(min_visits=20, min_prey=1, ab_visits=3)
MOUSE_EVERY = 5
SHUFFLED = {
    Label.CAT_CLEAR: Label.CAT_PREY, Label.CAT_PREY: Label.PERSON, Label.PERSON: Label.CAT_CLEAR,
}  # fmt: skip


class Disk(DiskFiles):
    """A disk that does not wait for itself, until it is full."""

    full = False

    def write(self, path: Path, data: bytes) -> None:
        """Write, or refuse."""
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        path.write_bytes(data)

    def sync_directory(self, path: Path) -> None:
        """Return at once: no power is cut here."""


@dataclass
class Flap:
    """A flap as far as its models go; it dies and starts again."""

    folder: Path
    promote: str = "auto"
    ab_share: float = 0.0
    gates: Gates = GATES
    readers: dict[str, Reader] = field(default_factory=dict)  # by version; any other is right
    sides: dict[str, int] = field(default_factory=dict)
    unloadable: set[str] = field(default_factory=set)
    boots: int = 0

    def __post_init__(self) -> None:
        """Start for the first time."""
        self.clock, self.disk, self.memo, self.number = clock_at_1000_s(), Disk(), Memo(), 0
        self.state = self.folder / "state"
        self.disk.make_directory(self.state / TRIALS)
        replace(self.disk, self.state / TRIALS / SECRET, bytes(SECRET_BYTES))  # whose visit is whose must not be chance
        self.slots = Slots(self.state / MODELS, self.disk, now=self.clock.wall, wait_s=0.0)
        self.start()

    def start(self, *, boot: str = "boot") -> None:
        """Start the daemon."""
        self.journal = Journal.open(self.state / "journal.sqlite")
        parts = KeeperParts(
            self.slots,
            self.state / MODELS / POINTER,
            self.load,
            judging("rules only", Reader()),
            TrialBook(self.journal, self.disk, self.state / TRIALS),
            self.memo,
            self.clock,
            TrialWishes(self.promote, self.ab_share, self.gates),
        )
        self.keeper = ModelKeeper(parts, boot)

    def die(self) -> None:
        """End without a word."""
        self.journal.close()

    def stop(self) -> None:
        """End in order."""
        self.keeper.stopped()
        self.journal.close()

    def load(self, bundle: Bundle) -> Iterator[Judging | None]:
        """Load what stands for a bundle's model."""
        version = bundle.manifest.version
        if version in self.unloadable:
            raise TrustError(f"{version}: the runtime refuses it")
        yield None
        yield judging(bundle.model_id, self.readers.setdefault(version, Reader()), self.sides.get(version, 32))

    def push(self, version: str, reader: Reader | None = None) -> None:
        """Put a candidate on trial."""
        if reader is not None:
            self.readers[version] = reader
        source = candidate(self.folder / f"push-{version}", version)
        try:
            push(self.slots, source)
        finally:
            shutil.rmtree(source)
        self.rest()

    def rest(self, ticks: int = 40) -> None:
        """Let nobody be there for some seconds."""
        for _ in range(ticks):
            self.clock.advance(0.1)
            self.keeper.idle(self.clock.monotonic_ns())

    def come(self, label: Label) -> str:
        """Let somebody come, and nobody be there afterwards; return who decided and what."""
        self.number += 1
        by = self.keeper.judging(f"visit {self.number}")
        told = visit(self.number, label, by)
        self.keeper.finished(told)
        self.rest(20)
        return f"{told.model_id.split()[1]} {told.verdict.kind}"

    def visits(self, count: int) -> list[str]:
        """Let Mimi come so often, now and then with a mouse."""
        return [self.come(Label.CAT_PREY if i % MOUSE_EVERY == 2 else Label.CAT_CLEAR) for i in range(count)]

    @property
    def champion(self) -> str:
        """The version of what decides."""
        return self.keeper.champion.provenance.model_id.split()[1]

    def happened(self, *kinds: str) -> int:
        """Return how often events of these kinds were told."""
        return sum(self.memo.events.count(kind) for kind in kinds)

    def reports(self) -> list[Path]:
        """Return the reports there are."""
        return sorted((self.state / TRIALS).glob("*.json"))


@pytest.fixture
def flap(tmp_path: Path) -> Iterator[Flap]:
    """A flap that runs what it came with."""
    one = Flap(tmp_path)
    yield one
    one.die()


def test_what_is_no_worse_is_promoted_between_two_visits(flap: Flap) -> None:
    """After its visits the candidate takes over without a restart, with a row and a report."""
    own = flap.champion
    flap.push("9.0.0")
    decided = flap.visits(GATES.min_visits)
    assert ({own}, "9.0.0") == ({line.split()[0] for line in decided}, flap.champion)
    assert (1, 1, 1) == (flap.happened("model_promoted"), flap.happened("trial_report"), len(flap.reports()))


def test_shuffled_scores_are_thrown_out_after_a_few_visits(flap: Flap) -> None:
    """A candidate whose labels are mixed up is gone within eight visits, and decided none of them."""
    own = flap.champion
    flap.push("9.0.0", Reader(SHUFFLED))
    assert {own} == {line.split()[0] for line in flap.visits(8)}
    assert (1, 0, None) == (
        flap.happened("model_thrown_out"),
        flap.happened("model_promoted"),
        flap.slots.state().trial,
    )


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        (lambda flap: flap.readers.update({"9.0.0": Reader(dies_at=4)}), "it failed: the runtime gave up"),
        (lambda flap: flap.unloadable.add("9.0.0"), "it cannot be loaded: 9.0.0: the runtime refuses it"),
        (
            lambda flap: flap.sides.update({"9.0.0": 48}),
            "its patches are 48x48, the champion's 32x32: it cannot be shown the same visits",
        ),
    ],
    ids=["fails", "unloadable", "other recipe"],
)
def test_what_cannot_be_tried_is_thrown_out_by_name(flap: Flap, prepare: object, why: str) -> None:
    """A runtime that fails, a model that cannot be loaded and a recipe that does not fit each end the trial at once."""
    prepare(flap)  # type: ignore[operator] # one of the functions above
    flap.push("9.0.0")
    flap.visits(1)
    thrown = flap.slots.state().thrown_out
    assert thrown is not None
    assert (why, 1) == (thrown.why, len(flap.reports()))


def test_a_full_disk_keeps_nothing_bad_in_the_loop(flap: Flap) -> None:
    """Where the slot cannot be emptied the candidate is out of the loop all the same, and its slot is emptied later."""
    flap.push("9.0.0", Reader(SHUFFLED))
    flap.disk.full = True
    flap.visits(8)
    reader = flap.readers["9.0.0"]
    asked = reader.asked
    assert flap.slots.state().trial is not None
    flap.visits(2)
    assert (asked, 1) == (reader.asked, flap.happened("slots_failed"))
    flap.disk.full = False
    flap.rest()
    assert (None, 1) == (flap.slots.state().trial, flap.happened("model_thrown_out"))


def says(flap: Flap, kind: CommandKind) -> Reply:
    """Say a word, and let it be done."""
    reply = flap.keeper.obey(kind)
    flap.rest(2)
    return reply


def test_the_owners_word_is_obeyed_when_nobody_is_there(flap: Flap) -> None:
    """Promote and rollback are answered at once and done in the next idle tick; what cannot be done is refused."""
    own = flap.champion
    refused = [flap.keeper.obey(kind).ok for kind in (CommandKind.PROMOTE, CommandKind.ROLLBACK)]
    flap.push("9.0.0")
    reply = flap.keeper.obey(CommandKind.PROMOTE)
    before = flap.champion
    flap.rest(2)
    assert ([False, False], True, own, "9.0.0") == (refused, reply.ok, before, flap.champion)
    assert says(flap, CommandKind.ROLLBACK).ok
    flap.rest()
    assert own == flap.champion


def test_it_waits_for_the_owner_where_he_wishes_so(tmp_path: Path) -> None:
    """With promote = "owner" what has passed is told once, and takes over by his word only."""
    flap = Flap(tmp_path, promote="owner")
    own = flap.champion
    flap.push("9.0.0")
    flap.visits(GATES.min_visits + 3)
    assert (own, 1) == (flap.champion, flap.happened("trial_passed"))
    assert says(flap, CommandKind.PROMOTE).ok
    assert "9.0.0" == flap.champion
    flap.die()


def test_what_has_passed_is_tried_at_the_door_where_the_owner_wishes_so(tmp_path: Path) -> None:
    """After the shadow's gate the challenger decides its share of the visits, then takes over."""
    flap = Flap(tmp_path, ab_share=0.5)
    own = flap.champion
    flap.push("9.0.0")
    shadowed = flap.visits(GATES.min_visits)
    decided: list[str] = []
    while flap.champion == own and len(decided) < 60:
        decided.append(flap.come(Label.CAT_CLEAR))
    assert ({own}, {own, "9.0.0"}, "9.0.0") == (
        {line.split()[0] for line in shadowed}, {line.split()[0] for line in decided}, flap.champion,
    )  # fmt: skip
    assert GATES.ab_visits == sum(line.startswith("9.0.0") for line in decided)


def test_a_trial_goes_on_after_a_restart(flap: Flap) -> None:
    """A daemon that ended in order finds what the trial has shown, and promotes after the visits that were missing."""
    flap.push("9.0.0")
    flap.visits(12)
    flap.stop()
    flap.start(boot="another")
    flap.rest()
    flap.visits(GATES.min_visits - 13)
    before = flap.champion
    flap.visits(1)
    assert (True, "9.0.0") == (before != "9.0.0", flap.champion)


def test_one_that_dies_after_its_promotion_is_rolled_back_and_never_comes_back(flap: Flap) -> None:
    """A champion on probation has one attempt; the next starts run the one before it, and where those die too, none."""
    own = flap.champion
    flap.push("9.0.0")
    flap.visits(GATES.min_visits)
    seen = [flap.champion]
    for _ in range(6):
        flap.die()
        flap.start()
        seen.append(flap.champion)
    assert ["9.0.0", own, own, own, "only", "only", "only"] == seen
    assert 1 == flap.happened("model_rolled_back")


def test_one_that_has_settled_is_not_held_to_one_attempt(flap: Flap) -> None:
    """After ten minutes without a fault a champion keeps its place when the daemon dies once."""
    flap.push("9.0.0")
    flap.visits(GATES.min_visits)
    flap.clock.advance(SETTLE_NS / 1e9)
    flap.rest(12)
    flap.die()
    flap.start()
    assert "9.0.0" == flap.champion


def test_a_drift_alarm_costs_a_trial_and_a_champion_on_probation(flap: Flap) -> None:
    """An alarm ends a trial; it sends a new champion back; and it leaves one that has settled alone."""
    own = flap.champion
    flap.push("8.0.0")
    flap.keeper.drifted("scores moved")
    flap.rest()
    assert (own, None) == (flap.champion, flap.slots.state().trial)
    flap.push("9.0.0")
    flap.visits(GATES.min_visits)
    flap.keeper.drifted("scores moved")
    flap.rest()
    assert own == flap.champion
    flap.keeper.drifted("scores moved")
    flap.rest()
    assert (own, 1) == (flap.champion, flap.happened("model_rolled_back"))


def test_another_process_at_the_slots_is_followed_within_a_second(flap: Flap) -> None:
    """What `catflap model rollback` or the updater did to the pointer is in force a second later."""
    own = flap.champion
    flap.push("9.0.0")
    says(flap, CommandKind.PROMOTE)
    Slots(flap.state / MODELS, DiskFiles()).roll_back("another process")
    flap.rest(14)
    assert own == flap.champion


def test_a_champion_that_its_runtime_refuses_gives_way_down_to_rules_only(flap: Flap) -> None:
    """The next start goes one slot down; with the factory's refused too it goes by rules alone, and says so."""
    own = flap.champion
    flap.push("9.0.0")
    says(flap, CommandKind.PROMOTE)
    flap.unloadable.add("9.0.0")
    flap.stop()
    flap.start()
    first = flap.champion
    flap.unloadable.add(own)
    flap.stop()
    flap.start()
    assert (own, "only") == (first, flap.champion)
    assert 2 <= flap.happened("model_alarm")


def test_a_bad_start_puts_nothing_on_trial(flap: Flap) -> None:
    """Where a start cannot be counted a crash could not be held against a candidate: none is tried."""
    flap.push("9.0.0")
    flap.stop()
    flap.disk.full = True
    flap.start()
    flap.visits(2)
    assert (1, 0) == (flap.happened("slots_alarm"), len(flap.keeper._tally.pairs))


def test_reports_are_bounded(flap: Flap, tmp_path: Path) -> None:
    """Of more reports than are kept the oldest go."""
    for number in range(MAX_REPORTS + 2):
        flap.clock.advance(2.0)
        name = f"old-{number:02d}"
        (tmp_path / "state" / TRIALS).mkdir(exist_ok=True)
        (tmp_path / "state" / TRIALS / f"20000101T0000{number:02d}-{name}.json").write_text("{}")
    flap.push("9.0.0", Reader(SHUFFLED))
    flap.visits(8)
    assert (MAX_REPORTS, True) == (len(flap.reports()), "thrown_out" in flap.reports()[-1].name)


class Trials(RuleBasedStateMachine):
    """A flap through pushes, visits, deaths, power cuts, full disks, alarms and words, in any order."""

    @initialize()
    def begin(self) -> None:
        """Start a flap that runs what it came with."""
        self.folder = Path(tempfile.mkdtemp())
        self.flap = Flap(self.folder)
        self.pushed = 0
        self.bad: set[str] = set()
        self.out: set[str] = set()

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.flap.die()
        shutil.rmtree(self.folder)

    @precondition(lambda self: not self.flap.disk.full and self.pushed < 6)
    @rule(bad=st.booleans())
    def push(self, bad: bool) -> None:
        """Somebody pushes."""
        self.pushed += 1
        version = f"9.{self.pushed}.0"
        self.bad |= {version} if bad else set()
        self.flap.push(version, Reader(SHUFFLED if bad else {}))

    @rule(count=st.sampled_from([1, 8, GATES.min_visits]))
    def visits(self, count: int) -> None:
        """Mimi comes and goes; with a mouse she stays out."""
        self.flap.visits(count)
        assert self.flap.come(Label.CAT_PREY).split()[1] == VerdictKind.REFUSE_PREY

    @rule(boot=st.sampled_from(["same", "other"]), in_order=st.booleans())
    def restart(self, boot: str, in_order: bool) -> None:
        """The daemon ends and starts again."""
        self.flap.boots += boot == "other"
        (self.flap.stop if in_order else self.flap.die)()
        self.flap.start(boot=f"boot {self.flap.boots}")
        self.flap.rest()

    @rule(full=st.booleans())
    def fill(self, full: bool) -> None:
        """The disk fills up, or is emptied."""
        self.flap.disk.full = full
        self.flap.rest()

    @rule()
    def drift(self) -> None:
        """Something drifts."""
        self.flap.keeper.drifted("scores moved")
        self.flap.rest()

    @rule()
    def roll_back(self) -> None:
        """The owner wants the one before."""
        says(self.flap, CommandKind.ROLLBACK)
        self.flap.rest()

    @invariant()
    def nothing_bad_decides(self) -> None:
        """No model that mixes up its labels is ever champion."""
        assert self.flap.champion not in self.bad

    @invariant()
    def nothing_comes_back(self) -> None:
        """What was thrown out once is neither champion nor on trial again."""
        state: SlotsState | None = None
        with suppress(OSError):
            state = self.flap.slots.state()
        assert state is not None
        if state.thrown_out is not None:
            self.out.add(state.thrown_out.record.version)
        there = [state.record(slot) for slot in (state.champion, state.candidate)]
        assert set() == self.out & {record.version for record in there if record is not None}

    @invariant()
    def what_decides_is_what_the_pointer_says(self) -> None:
        """While the disk takes what is written, memory and pointer name the same champion."""
        if not self.flap.disk.full:
            bundle = self.flap.slots.champion().bundle
            assert self.flap.champion == ("only" if bundle is None else bundle.manifest.version)


TestTrials = Trials.TestCase
TestTrials.settings = settings(
    max_examples=10,
    stateful_step_count=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a step is too slow to be shrunk a thousand times
)
