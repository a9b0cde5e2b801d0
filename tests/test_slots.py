"""The model slots: old or new and nothing between, versions that never go back, and failures that only lead down."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from faults import CutFiles, Fate, FaultFiles, PowerCut
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from slot_faults import STEPS, Bench, Fault, Step
from small_bundles import KEY, record_of, small_bundle

from edge.errors import CatflapError, TrustError
from edge.files import DiskFiles
from edge.slots import (
    MAX_EXCUSES,
    MAX_RESETS,
    SlotName,
    SlotRefusedError,
    Slots,
    Standing,
    TransitionKind,
    TrialKind,
    rank,
    slots_report,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
A, B, FACTORY = SlotName.A, SlotName.B, SlotName.FACTORY


class Flap:
    """The slots of one flap, and bundles to put into them."""

    def __init__(self, place: Path) -> None:
        """Work in ``place``; the factory's version is 0.1.0."""
        self.place = place
        self.models = place / "state" / "models"
        self.factory = small_bundle(place / "factory", "0.1.0")

    @property
    def slots(self) -> Slots:
        """The slots as a process just started would open them."""
        return self.open(FaultFiles(self.place))

    def open(self, files: FaultFiles) -> Slots:
        """Open the slots on a disk."""
        return Slots(self.models, files, factory=self.factory, now=lambda: NOON, wait_s=0)

    def bundle(self, version: str, content: str = "") -> Path:
        """Return a bundle to install."""
        path = self.place / "sent" / f"{version}{content}"
        return path if path.is_dir() else small_bundle(path, version, content)

    def install(self, version: str, content: str = "", *, step_back: bool = False) -> SlotName:
        """Install one; return the slot."""
        path = self.bundle(version, content)
        return self.slots.install(path, record_of(path), step_back=step_back).slot

    def on_trial(self, version: str) -> None:
        """Install one and begin its trial."""
        self.install(version)
        self.slots.begin_trial(TrialKind.SHADOW)

    def champion(self, version: str) -> None:
        """Bring one all the way to a champion that has settled."""
        self.on_trial(version)
        self.slots.promote("the gate")
        self.slots.settled()

    def running(self) -> tuple[SlotName | None, str]:
        """Return the slot and version that decide."""
        champion = self.slots.champion()
        return champion.slot, "" if champion.bundle is None else champion.bundle.manifest.version

    def damage(self, slot: SlotName) -> None:
        """Wear a slot's model out."""
        path = self.factory if slot is FACTORY else self.models / slot
        (path / "model.tflite").write_bytes(b"worn out")


@pytest.fixture
def flap(tmp_path: Path) -> Flap:
    """A flap as it comes."""
    return Flap(tmp_path)


# The course of things.


def test_a_flap_as_it_comes_runs_the_factory_bundle(flap: Flap) -> None:
    """Without a pointer the factory's bundle is champion, nothing is alarming, and nothing is written."""
    assert (FACTORY, "0.1.0") == flap.running()
    assert () == flap.slots.champion().alarms
    assert not flap.models.exists()


def test_a_bundle_is_installed_tried_and_promoted_on_the_real_disk(flap: Flap) -> None:
    """The whole way on the real disk, two times: the champions change slots, and the previous one stays."""
    for version, slot, previous in (("1.0.0", A, FACTORY), ("2.0.0", B, A)):
        slots = Slots(flap.models, DiskFiles(), factory=flap.factory)
        kinds = (
            slots.install(flap.bundle(version), record_of(flap.bundle(version))).kind,
            slots.begin_trial(TrialKind.SHADOW).kind,
            slots.begin_trial(TrialKind.AB, 0.2).kind,
            slots.promote("the gate").kind,
        )
        installed, begun = TransitionKind.INSTALLED, TransitionKind.TRIAL_BEGUN
        assert (installed, begun, begun, TransitionKind.PROMOTED) == kinds
        assert (slot, version) == flap.running()
        assert previous == slots.state().previous
    assert {".lock", "a", "b", "slots.json"} == {path.name for path in flap.models.iterdir()}


def test_a_candidate_changes_nothing_until_it_is_promoted(flap: Flap) -> None:
    """Installed and on trial, a bundle lies in the spare slot and the champion stays what it was."""
    flap.champion("1.0.0")
    flap.on_trial("2.0.0")
    assert (A, "1.0.0") == flap.running()
    assert (B, B) == (flap.slots.state().candidate, flap.slots.spare())


def test_a_later_push_takes_the_place_of_the_one_on_trial(flap: Flap) -> None:
    """A candidate that is superseded is gone with its trial; champion and previous are not touched."""
    flap.champion("1.0.0")
    flap.on_trial("2.0.0")
    flap.install("3.0.0")
    state = flap.slots.state()
    assert (A, FACTORY, None, B) == (state.champion, state.previous, state.trial, state.candidate)


def test_what_was_judged_is_what_is_promoted(flap: Flap) -> None:
    """A verdict about a bundle that was superseded meanwhile promotes and rolls back nothing."""
    flap.on_trial("1.0.0")
    judged = record_of(flap.bundle("1.0.0")).sha256
    flap.on_trial("2.0.0")
    with pytest.raises(SlotRefusedError, match="not the bundle that was judged"):
        flap.slots.promote("the gate", judged=judged)
    with pytest.raises(SlotRefusedError, match="the bundle that was judged"):
        flap.slots.roll_back("worse", judged=judged)
    assert TransitionKind.PROMOTED == flap.slots.promote("the gate", judged=record_of(flap.bundle("2.0.0")).sha256).kind


def test_a_rollback_takes_the_trial_first_then_the_champion(flap: Flap) -> None:
    """Said again and again it leads from candidate and champion down to the factory's, and then it is refused."""
    flap.champion("1.0.0")
    flap.on_trial("2.0.0")
    seen = [(flap.slots.roll_back("worse").kind, *flap.running()) for _ in range(2)]
    assert [(TransitionKind.THROWN_OUT, A, "1.0.0"), (TransitionKind.ROLLED_BACK, FACTORY, "0.1.0")] == seen
    with pytest.raises(SlotRefusedError, match="nothing to roll back"):
        flap.slots.roll_back("worse")


def test_a_champion_that_goes_gives_way_to_the_one_before_it(flap: Flap) -> None:
    """The previous bundle is champion again, verified, and what is below it is the factory's."""
    for version in ("1.0.0", "2.0.0"):
        flap.champion(version)
    flap.slots.roll_back("drift")
    assert (A, "1.0.0") == flap.running()
    assert (None, {".lock", "a", "slots.json"}) == (
        flap.slots.state().previous, {path.name for path in flap.models.iterdir()}
    )  # fmt: skip


def test_a_champion_that_drifts_can_go_while_another_is_tried(flap: Flap) -> None:
    """A rollback that names the champion leaves the candidate, whose trial begins anew against another champion."""
    flap.champion("1.0.0")
    flap.on_trial("2.0.0")
    flap.slots.begin_trial(TrialKind.AB, 0.2)
    flap.slots.roll_back("drift", judged=record_of(flap.bundle("1.0.0")).sha256)
    trial = flap.slots.state().trial
    assert trial is not None
    assert (FACTORY, B, TrialKind.SHADOW) == (flap.slots.state().champion, trial.slot, trial.kind)


@pytest.mark.parametrize(("kind", "share"), [(TrialKind.AB, 0.0), (TrialKind.AB, 1.0), (TrialKind.SHADOW, 0.5)])
def test_a_share_fits_its_kind(flap: Flap, kind: TrialKind, share: float) -> None:
    """A shadow decides nothing, and a challenger some visits but not all."""
    flap.install("1.0.0")
    with pytest.raises(SlotRefusedError, match="share"):
        flap.slots.begin_trial(kind, share)


def test_a_step_without_its_bundle_is_refused(flap: Flap) -> None:
    """Nothing can be tried or promoted where nothing is installed."""
    with pytest.raises(SlotRefusedError, match="no candidate"):
        flap.slots.begin_trial(TrialKind.SHADOW)
    with pytest.raises(SlotRefusedError, match="nothing is on trial"):
        flap.slots.promote("the gate")


# What may be installed.


def test_versions_have_an_order() -> None:
    """Versions are compared number by number, one adapted to a home after the one it came from."""
    rising = ["0", "0.1", "0.9.0", "0.10.0", "0.10.0+home.1", "0.10.0+home.12", "0.10.1", "1", "10.0.0"]
    assert rising == sorted(rising, key=rank)
    assert rank("1") == rank("1.0.0")
    with pytest.raises(TrustError, match=r"MAJOR\.MINOR\.PATCH"):
        rank("1.0.0-rc1")


@pytest.mark.parametrize("version", ["1.9.0", "0.1.0", "0.0.9"])
def test_a_version_never_goes_back(flap: Flap, version: str) -> None:
    """Below what was ever in a slot nothing is installed, thrown out or not, unless the owner signed the step back."""
    flap.on_trial("2.0.0")
    flap.slots.roll_back("worse")
    with pytest.raises(TrustError, match=r"is not above 2\.0\.0"):
        flap.install(version)
    flap.install(version, step_back=True)
    assert rank("2.0.0") == flap.slots.state().highest_version


def test_a_version_never_goes_below_the_factory(flap: Flap) -> None:
    """A flap that never had another bundle does not take one older than it came with."""
    with pytest.raises(TrustError, match=r"is not above 0\.1\.0"):
        flap.install("0.0.9")


def test_a_version_names_one_bundle(flap: Flap) -> None:
    """Another bundle under the version that is there already is refused."""
    flap.install("1.0.0")
    with pytest.raises(TrustError, match=r"is not above 1\.0\.0"):
        flap.install("1.0.0", "changed")


def test_the_same_bytes_may_come_again_until_they_were_judged(flap: Flap) -> None:
    """An install that went no further is done again; on trial or champion it is said so; thrown out it stays out."""
    assert (A, A) == (flap.install("1.0.0"), flap.install("1.0.0"))
    flap.slots.begin_trial(TrialKind.SHADOW)
    with pytest.raises(SlotRefusedError, match="on trial already"):
        flap.install("1.0.0")
    flap.slots.promote("the gate")
    with pytest.raises(SlotRefusedError, match="champion already"):
        flap.install("1.0.0")
    flap.slots.roll_back("drift")
    with pytest.raises(TrustError, match=r"was thrown out on .*: drift"):
        flap.install("1.0.0")
    flap.install("1.0.0", step_back=True)


def test_what_is_installed_is_what_was_signed_for(flap: Flap) -> None:
    """A bundle that is sound but not the recorded one, and one that is damaged, are refused and leave no trace."""
    with pytest.raises(TrustError, match="SHA-256"):
        flap.slots.install(flap.bundle("1.0.0"), record_of(flap.bundle("1.0.0", "other")))
    record = record_of(flap.bundle("1.0.0"))
    (flap.bundle("1.0.0") / "golden.png").write_bytes(b"")
    with pytest.raises(TrustError, match=r"golden\.png"):
        flap.slots.install(flap.bundle("1.0.0"), record)
    assert not flap.models.exists()


def test_a_disk_without_room_is_left_alone(flap: Flap) -> None:
    """Free space is asked for before anything is written, and what is there runs on."""
    flap.champion("1.0.0")
    files = FaultFiles(flap.place, capacity_bytes=2**20)
    path = flap.bundle("2.0.0")
    with pytest.raises(SlotRefusedError, match="bytes are needed"):
        flap.open(files).install(path, record_of(path))
    assert (A, "1.0.0") == flap.running()


def test_two_processes_take_turns(flap: Flap) -> None:
    """While one process changes the slots another one's step fails in time, and a start goes on without a trial."""
    flap.on_trial("1.0.0")
    with DiskFiles().locked(flap.models / ".lock", 0):
        with pytest.raises(BlockingIOError):
            flap.slots.promote("the gate")
        start = flap.slots.started("boot")
    assert (None, True) == (start.trial, start.alarm is not None)
    assert flap.slots.started("boot").trial is not None


# What is not usable.


def test_a_damaged_champion_gives_way_down_to_rules_only(flap: Flap) -> None:
    """Champion, previous, factory, rules only: each that is damaged is an alarm, and what is left runs."""
    for version in ("1.0.0", "2.0.0"):
        flap.champion(version)
    seen = []
    for slot in (B, A, FACTORY):
        flap.damage(slot)
        champion = flap.slots.champion()
        seen.append((champion.slot, len(champion.alarms)))
        assert f"slot {slot} is not usable" in champion.alarms[[B, A, FACTORY].index(slot)]
    assert [(A, 1), (FACTORY, 2), (None, 4)] == seen
    assert flap.slots.champion().alarms[-1].startswith("rules only")


def test_a_sound_bundle_in_another_ones_place_is_not_run(flap: Flap) -> None:
    """A bundle that somebody put into a slot past the updater verifies by itself, and is still not believed."""
    flap.champion("1.0.0")
    shutil.rmtree(flap.models / A)
    shutil.copytree(flap.bundle("9.0.0"), flap.models / A)
    assert (FACTORY, "0.1.0") == flap.running()
    assert "SHA-256" in flap.slots.champion().alarms[0]


def test_an_install_fills_the_damaged_slot_not_the_one_in_use(flap: Flap) -> None:
    """While the previous bundle stands in for a damaged champion, the spare slot is the champion's."""
    for version in ("1.0.0", "2.0.0"):
        flap.champion(version)
    flap.damage(B)
    assert (A, "1.0.0") == flap.running()
    assert B == flap.install("3.0.0")
    assert (A, "1.0.0") == flap.running()
    assert () == flap.slots.champion().alarms


def test_a_damaged_candidate_is_thrown_out_at_the_start(flap: Flap) -> None:
    """A candidate whose slot is damaged is not tried, and cannot be promoted before that."""
    flap.on_trial("1.0.0")
    flap.damage(A)
    with pytest.raises(TrustError):
        flap.slots.promote("the owner's word")
    assert None is flap.slots.started("boot").trial
    assert None is flap.slots.state().candidate


DAMAGES: dict[str, Callable[[str], str]] = {
    "cut off": lambda text: text[: len(text) // 2],
    "too large": lambda text: text + " " * 2**20,
    "another format": lambda text: text.replace('"format": 1', '"format": 9', 1),
    "an empty slot": lambda text: json.dumps({**json.loads(text), "champion": "b"}),
    "its own previous": lambda text: json.dumps({**json.loads(text), "previous": "a"}),
    "two in one slot": lambda text: json.dumps({**json.loads(text), "records": json.loads(text)["records"] * 2}),
    "no order": lambda text: json.dumps({**json.loads(text), "history": json.loads(text)["history"][::-1]}),
    "a trial of nothing": lambda text: json.dumps(
        {**json.loads(text), "trial": {"slot": "b", "kind": "ab", "since": "", "share": 0.5, "attempts": 0}}
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_pointer_means_the_factory_and_no_older_version(flap: Flap, name: str) -> None:
    """What cannot be read names nothing; it is a transition for the journal, and versions do not go back for it."""
    flap.champion("2.0.0")
    pointer = flap.models / "slots.json"
    pointer.write_text(DAMAGES[name](pointer.read_text()))
    assert (FACTORY, "0.1.0") == flap.running()
    with pytest.raises(TrustError, match=r"is not above 2\.0\.0"):
        flap.install("1.0.0")
    assert [TransitionKind.LOST] == [entry.kind for entry in flap.slots.started("boot").transitions]
    flap.champion("3.0.0")
    assert ((A, "3.0.0"), rank("3.0.0")) == (flap.running(), flap.slots.state().highest_version)


def test_a_pointer_that_the_disk_cannot_read_is_an_alarm(flap: Flap) -> None:
    """The factory's bundle runs where the disk gives nothing else, and nothing is raised."""
    flap.champion("1.0.0")
    (flap.models / "slots.json").unlink()
    (flap.models / "slots.json").mkdir()
    champion = flap.slots.champion()
    assert (FACTORY, 1) == (champion.slot, len(champion.alarms))


# Starts that did not end in order.


def test_a_daemon_that_dies_costs_the_candidate_its_one_attempt(flap: Flap) -> None:
    """Settled or not, the trial in which the daemon died is over at the next start, and the champion stays."""
    for settles in (False, True):
        flap.on_trial(f"{1 + settles}.0.0")
        flap.slots.started("boot")
        if settles:
            flap.slots.settled()
        start = flap.slots.started("boot")
        assert None is start.trial
        assert ("the daemon died during its trial", FACTORY) == (start.transitions[-1].why, flap.running()[0])
        flap.slots.stopped()


def test_power_cuts_are_excused_so_many_times(flap: Flap) -> None:
    """A trial survives a reset of the machine that had run well, but neither one that had not nor too many."""
    flap.on_trial("1.0.0")
    tries = [flap.slots.started("boot 0").trial]
    for boot in range(1, MAX_EXCUSES + 2):
        flap.slots.settled()
        tries.append(flap.slots.started(f"boot {boot}").trial)
    assert [0, 1, 2, None] == [trial and trial.attempts for trial in tries]
    flap.on_trial("2.0.0")
    flap.slots.started("boot 8")
    assert None is flap.slots.started("boot 9").trial


def test_an_end_in_order_is_held_against_nobody(flap: Flap) -> None:
    """However often the daemon is stopped and started, the trial goes on."""
    flap.on_trial("1.0.0")
    for _ in range(5):
        assert flap.slots.started("boot").trial is not None
        flap.slots.stopped()


def test_a_promoted_model_has_one_attempt_until_it_settles(flap: Flap) -> None:
    """The first run that ends badly after a promotion brings the previous model back; once settled it takes three."""
    flap.champion("1.0.0")
    flap.on_trial("2.0.0")
    flap.slots.started("boot")
    flap.slots.promote("the gate")
    flap.slots.started("boot")
    assert (A, "1.0.0") == flap.running()
    flap.slots.settled()
    seen = []
    for _ in range(MAX_RESETS + 1):
        flap.slots.started("boot")
        seen.append(flap.running()[0])
    assert [A, A, A, FACTORY] == seen


def test_resets_without_end_come_to_rest(flap: Flap) -> None:
    """Resets lead down, slot by slot, to rules only and stay there; one settled run gives the factory's a chance."""
    for version in ("1.0.0", "2.0.0"):
        flap.champion(version)
    seen = []
    for boot in range(20):
        flap.slots.started(f"boot {boot % 2}")
        seen.append(flap.running()[0])
    assert [B] * 3 + [A] * 3 + [FACTORY] * 3 + [None] * 11 == seen
    assert "rules only" in flap.slots.champion().alarms[-1]
    flap.slots.settled()
    assert (FACTORY, "0.1.0") == flap.running()


# The journal and the report.


def test_every_transition_is_kept_until_the_journal_has_it(flap: Flap) -> None:
    """Whoever made it, a transition waits for the daemon's journal, once, in order, and in one line."""
    flap.champion("1.0.0")
    waiting = flap.slots.started("boot").transitions
    assert [1, 2, 3] == [entry.sequence for entry in waiting]
    assert waiting == flap.slots.unwritten()
    flap.slots.written(2)
    assert waiting[2:] == flap.slots.unwritten()
    model_id = record_of(flap.bundle("1.0.0")).model_id
    assert f"promoted: {model_id} in slot a: the gate; champion: slot a" == str(waiting[2])


def test_the_report_says_what_is_in_each_slot(flap: Flap) -> None:
    """Factory, champion and candidate are told of with since, key, card, trial and the figures of the trial."""
    flap.champion("1.0.0")
    flap.install("2.0.0")
    flap.slots.begin_trial(TrialKind.AB, 0.2)
    sha256 = record_of(flap.bundle("2.0.0")).sha256
    report = slots_report(flap.slots, {sha256: ("12 visits, 11 agree",)})
    factory, champion, candidate = report.rows
    assert ["0.1.0", "1.0.0", "2.0.0"] == [row.version for row in report.rows]
    assert [Standing.PREVIOUS, Standing.CHAMPION, Standing.ON_TRIAL] == [row.standing for row in report.rows]
    assert [False, True, False] == [row.running for row in report.rows]
    assert (("", ()), ((KEY,), NOON.isoformat(), "pushed")) == (
        (factory.since, factory.key_ids),
        (champion.key_ids, champion.since, champion.why),
    )
    assert flap.models / "a" / "MODEL_CARD.md" == champion.card
    assert (flap.slots.state().trial, ("12 visits, 11 agree",)) == (candidate.trial, candidate.figures)
    assert ((), None) == (report.alarms, report.thrown_out)


def test_the_report_says_what_is_wrong(flap: Flap) -> None:
    """A damaged slot, an empty one, one that waits, and what was thrown out last are said as that."""
    flap.champion("1.0.0")
    flap.on_trial("2.0.0")
    flap.slots.roll_back("worse on 3 of 40 visits")
    flap.damage(A)
    factory, damaged, empty = slots_report(flap.slots).rows
    assert (True, Standing.EMPTY, None) == (factory.running, empty.standing, empty.card)
    assert "model.tflite" in str(damaged.complaint)
    out = slots_report(flap.slots).thrown_out
    assert out is not None
    assert ("2.0.0", "worse on 3 of 40 visits") == (out.record.version, out.why)
    flap.install("3.0.0")
    assert Standing.WAITING in [row.standing for row in slots_report(flap.slots).rows]


# The power goes, or the disk fails, at every call there is: `make slot-faults` does all of it, and this a part.


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Where steps are disturbed, in memory where there is such a place."""
    place = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
    with tempfile.TemporaryDirectory(dir=place if place.is_dir() else None) as directory:
        yield Bench(Path(directory))


@pytest.mark.parametrize("step", [STEPS[1], STEPS[4], STEPS[6], STEPS[8], STEPS[10]], ids=lambda step: step.name)
def test_faults_leave_old_or_new(bench: Bench, step: Step) -> None:
    """After a fault at any of these calls the state is the old or the new one, and the flap can be updated again."""
    outcome = bench.outcome(step, (Fault.KILL_LOST, Fault.ENOSPC_LASTING), stride=3)
    assert [] == outcome.broken
    assert min(outcome.ends["old"], outcome.ends["new"]) > 0


def test_a_cut_while_a_cut_is_put_right_is_one_cut(bench: Bench) -> None:
    """The power may go once more at the calls of the start that follows."""
    outcome = bench.twice(STEPS[1], (Fate.HALF,), stride=17)
    assert ([], True) == (outcome.broken, outcome.faults.total() > 10)


# Everything in any order.


class Life(RuleBasedStateMachine):
    """A flap through pushes, trials, crashes, cuts, wear and restarts in any order."""

    @initialize()
    def begin(self) -> None:
        """Begin with a flap as it comes."""
        self.directory = tempfile.TemporaryDirectory()
        self.flap = Flap(Path(self.directory.name))
        self.highest, self.boot = rank("0.1.0"), 0
        self.left: set[str] = set()  # what was thrown out or rolled back since the last install

    def teardown(self) -> None:
        """Remove it."""
        if hasattr(self, "directory"):
            self.directory.cleanup()

    @rule(version=st.integers(1, 9), step_back=st.booleans())
    def push(self, version: int, step_back: bool) -> None:
        """Push a version, signed as a step back or not."""
        name = f"{version}.0.0"
        try:
            self.flap.install(name, step_back=step_back)
        except (TrustError, SlotRefusedError):
            return
        assert step_back or rank(name) >= self.highest
        self.highest = max(self.highest, rank(name))
        self.left.clear()

    @rule(kind=st.sampled_from(TrialKind))
    def try_out(self, kind: TrialKind) -> None:
        """Begin a trial where there is something to try."""
        self.attempt(lambda slots: slots.begin_trial(kind, 0.3 if kind is TrialKind.AB else 0.0))

    @rule()
    def promote(self) -> None:
        """Promote what is on trial."""
        self.attempt(lambda slots: slots.promote("the gate"))

    @rule()
    def roll_back(self) -> None:
        """Roll back what there is."""
        self.attempt(lambda slots: slots.roll_back("worse"))

    @rule(new_kernel=st.booleans())
    def crash(self, new_kernel: bool) -> None:
        """The daemon starts, whatever became of it before."""
        self.boot += new_kernel
        before = self.flap.slots.state().trial
        trial = self.flap.slots.started(f"boot {self.boot}").trial
        assert trial is None or (before is not None and trial.slot == before.slot)

    @rule()
    def settle(self) -> None:
        """The run goes well."""
        self.flap.slots.settled()

    @rule()
    def stop(self) -> None:
        """The daemon ends in order."""
        self.flap.slots.stopped()

    @rule(version=st.integers(1, 9), call=st.integers(1, 60), fate=st.sampled_from(Fate))
    def cut(self, version: int, call: int, fate: Fate) -> None:
        """The power goes at some call of an install."""
        path = self.flap.bundle(f"{version}.0.0")
        before = self.flap.slots.state()
        with suppress(PowerCut, CatflapError):
            self.flap.open(CutFiles(self.flap.place, call, fate)).install(path, record_of(path))
        after = self.flap.slots.state()
        if after != before:
            assert rank(f"{version}.0.0") >= self.highest
            self.highest = max(self.highest, rank(f"{version}.0.0"))
            self.left.clear()

    @rule(slot=st.sampled_from((A, B)))
    def wear(self, slot: SlotName) -> None:
        """A slot's bundle is damaged."""
        if (self.flap.models / slot).is_dir():
            self.flap.damage(slot)

    @invariant()
    def somebody_decides_or_an_alarm_says_why(self) -> None:
        """What runs is verified; where it is not the champion's bundle there is an alarm."""
        if not hasattr(self, "flap"):
            return
        champion = self.flap.slots.champion()
        if champion.bundle is None or champion.slot is not self.flap.slots.state().champion:
            assert champion.alarms
        else:
            assert () == champion.alarms

    @invariant()
    def versions_do_not_go_back(self) -> None:
        """The highest version only grows, and is that of the highest bundle that was ever installed."""
        if hasattr(self, "flap"):
            assert self.highest == max(self.flap.slots.state().highest_version, rank("0.1.0"))

    @invariant()
    def what_gave_way_does_not_come_back(self) -> None:
        """A bundle that was thrown out or rolled back is in no slot again without an install."""
        if not hasattr(self, "flap"):
            return
        out = self.flap.slots.state().thrown_out
        self.left |= set() if out is None else {out.record.sha256}
        assert set() == self.left & {record.sha256 for record in self.flap.slots.state().records}

    def attempt(self, step: Callable[[Slots], object]) -> None:
        """Do a step that may be refused."""
        with suppress(SlotRefusedError, TrustError):
            step(self.flap.slots)


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
