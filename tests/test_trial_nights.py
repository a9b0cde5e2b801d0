"""Nights in front of the simulated flap with a model on trial: real daemon, real models, real slots."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from candidates import candidate, push
from playing import Memo

from edge import assembly, simulation
from edge.adapters.absent import AbsentControl, AbsentHeartbeat
from edge.assembly import Host, Memory
from edge.daemon import Daemon, StopFlag, Stores
from edge.drift import VISITS
from edge.files import DiskFiles
from edge.journal import Journal
from edge.messages import Command, CommandKind, Label, Request, VerdictKind
from edge.modelkeeper import KeeperParts, ModelKeeper, TrialWishes
from edge.pipeline import OneModel
from edge.policy import VisitJudge
from edge.slots import MAX_RESETS, MODELS, POINTER, SlotName, Slots
from edge.trialbook import TRIALS, TrialBook
from edge.trials import Gates
from edge.visits import replayed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edge.bundle import Bundle
    from edge.canonical import VisitSummary
    from edge.journal import VisitRow
    from edge.messages import Reply, Visit
    from edge.pipeline import Judging, Pipeline
    from edge.ports import Interpreter

HEAD = """
title = "A trial"
about = "Mimi comes and goes, now with a mouse and now without."
seed = 3
duration_s = {duration_s}

[config.chip]
kind = "sim"

[config.door]
hold_off_s = 0.0

[config.model]
ab_share = {share}

[[config.cat]]
name = "Mimi"
chip = "276098100000001"
"""
VISIT = """
[[actor]]
name = "Mimi {number}"
coat = "tabby"
chip = "276098100000001"
arrives_s = {at_s}
patience_s = 2
behaviour = ["approach", "look 1", "push"]
"""
EVERY_S = 14
QUICK = Gates(
    min_visits=3, max_visits=6, min_prey=1, agree=0.95, agree_bad=0.5, alpha=0.2, beta=0.2, max_released=0, ab_visits=2
)
"""Gates for nights of a minute: three visits alike pass, one that is not ends a trial."""


def night(folder: Path, mice: list[bool], share: float = 0.0) -> Path:
    """Write a scene in which Mimi comes as often as the list is long, with a mouse where it says so."""
    head = HEAD.format(duration_s=EVERY_S * len(mice) + 2, share=share)
    visits = [
        VISIT.format(number=i, at_s=EVERY_S * i + 2) + ('carries = "mouse"\n' if mouse else "")
        for i, mouse in enumerate(mice)
    ]
    path = folder / "night.toml"
    path.write_text(head + "".join(visits), encoding="utf-8")
    return path


class Pusher:
    """Pushes the next bundle as soon as nothing is on trial any more."""

    def __init__(self, slots: Slots, waiting: list[Path]) -> None:
        """Push the first."""
        self.slots, self.waiting = slots, waiting
        self.champions: list[str] = []
        self.push()

    def push(self) -> None:
        """Push one."""
        push(self.slots, self.waiting.pop(0))

    def __call__(self, visit: Visit, line: VisitSummary) -> None:
        """Hear of a visit: who decided it, and whether the trial has ended."""
        self.champions.append(f"{line.model.split()[1]} {visit.verdict.kind}")
        if self.waiting and self.slots.state().trial is None:
            self.push()


def events(state: Path) -> list[tuple[str, str]]:
    """Return the journal's events, the oldest first."""
    journal = Journal.open(state / "journal.sqlite")
    rows = [(row.kind, row.detail) for row in reversed(journal.events(1000))]
    journal.close()
    return rows


def visits(state: Path) -> tuple[VisitRow, ...]:
    """Return the journal's visits."""
    with closing(Journal.open(state / "journal.sqlite")) as journal:
        return journal.visits(100)


def run(scene: Path, state: Path, listener: Pusher) -> simulation.Stage:
    """Run a night to its end with the real daemon."""
    stage = simulation.stage(scene, state, None)
    stores = Stores(files=stage.files, listener=listener, gates=QUICK)
    Daemon(stage.config, stage.devices, Host(stage.clock, AbsentHeartbeat()), stores).run(StopFlag())
    return stage


def test_a_bad_candidate_goes_and_a_good_one_takes_over_in_one_night(tmp_path: Path) -> None:
    """One that calls every mouth clear is thrown out at its first mouse; one as good as ours is then promoted.

    Neither needs a restart, no mouse gets in meanwhile, and both leave a report and their rows in the journal.
    """
    state = tmp_path / "state"
    slots = Slots(state / MODELS, DiskFiles())
    bad = candidate(tmp_path / "bad", "8.0.0", favours=Label.CAT_CLEAR)
    good = candidate(tmp_path / "good", "9.0.0")
    pusher = Pusher(slots, [bad, good])
    mice = [True, False, False, True, False, False]
    run(night(tmp_path, mice), state, pusher)

    kinds = [kind for kind, _ in events(state) if kind.startswith("model_")]
    assert [
        "model_installed", "model_trial_begun", "model_thrown_out",
        "model_installed", "model_trial_begun", "model_promoted",
    ] == kinds  # fmt: skip
    assert "9.0.0" == slots.state().record(slots.state().champion).version  # type: ignore[union-attr] # it is there
    verdicts = [line.split()[1] for line in pusher.champions]
    assert ["refuse_prey" if mouse else "admit" for mouse in mice] == verdicts
    assert {"9.0.0"} == {pusher.champions[-1].split()[0]}
    reports = [json.loads(path.read_bytes()) for path in sorted((state / TRIALS).glob("*.json"))]
    assert ["promoted", "thrown_out"] == sorted(report["step"] for report in reports)
    assert all(report["figures"]["visits"] >= 1 for report in reports)


@dataclass
class Neighbour:
    """The Control port: says of every visit that has ended what it was, once there is one."""

    visits: list[Visit] = field(default_factory=list)
    said: int = 0
    replies: list[Reply] = field(default_factory=list)

    def __call__(self, visit: Visit, line: VisitSummary) -> None:
        """Hear of a visit; who comes without a mouse is clear."""
        del line
        self.visits.append(visit)

    def poll(self) -> tuple[Request, ...]:
        """Say the labels that are not said yet."""
        new, self.said = self.visits[self.said :], len(self.visits)
        labels = (Command(CommandKind.LABEL, visit=entry.visit_id, label=Label.CAT_CLEAR) for entry in new)
        return tuple(Request(0, command) for command in labels)

    def answer(self, request: Request, reply: Reply) -> None:
        """Keep it."""
        del request
        self.replies.append(reply)

    def close(self) -> None:
        """Nothing to release."""


LENIENT = Gates(min_visits=50, agree=0.5, agree_bad=0.45, alpha=0.2, beta=0.2, max_released=9)
"""Gates by which models may differ on every visit of a night: only the owner's labels tell which of them is right."""


@pytest.mark.parametrize("labels", [True, False], ids=["labelled", "not labelled"])
def test_what_is_worse_on_labelled_visits_is_thrown_out(tmp_path: Path, labels: bool) -> None:
    """The owner's word, said to the running daemon, reaches the paired test: a candidate that keeps Mimi out goes.

    Without a label the same night decides nothing. The champion decides every visit of it.
    """
    state = tmp_path / "state"
    slots = Slots(state / MODELS, DiskFiles())
    push(slots, candidate(tmp_path / "bad", "9.0.0", favours=Label.CAT_PREY))
    stage, owner = simulation.stage(night(tmp_path, [False] * 4), state, None), Neighbour()
    devices = replace(stage.devices, open_control=lambda: owner if labels else AbsentControl())
    stores = Stores(files=stage.files, listener=owner, gates=LENIENT)
    Daemon(stage.config, devices, Host(stage.clock, AbsentHeartbeat()), stores).run(StopFlag())

    told = slots.state().thrown_out
    assert labels == (told is not None and told.why.startswith("worse on labelled visits: "))
    assert [VerdictKind.ADMIT] * 4 == [visit.verdict.kind for visit in owner.visits]
    assert {True} if labels else set() == {reply.ok for reply in owner.replies}
    kept = {row.owner_label for row in visits(state)}
    says = f"label: done, visit {owner.visits[0].visit_id} was cat_clear"
    assert (labels, labels) == (Label.CAT_CLEAR in kept, ("owner", says) in events(state))


def test_a_candidate_whose_scores_collapse_is_thrown_out_by_its_drift(tmp_path: Path) -> None:
    """One that is sure of nothing goes for that, whatever the comparison thinks; nobody is kept out meanwhile."""
    state = tmp_path / "state"
    slots = Slots(state / MODELS, DiskFiles())
    flat = candidate(tmp_path / "flat", "9.0.0", temperature=40.0)
    push(slots, flat)
    stage, owner = simulation.stage(night(tmp_path, [False] * (VISITS + 1)), state, None), Neighbour()
    stores = Stores(files=stage.files, listener=owner, gates=replace(LENIENT, agree=0.011, agree_bad=0.01))
    Daemon(stage.config, stage.devices, Host(stage.clock, AbsentHeartbeat()), stores).run(StopFlag())

    told = slots.state().thrown_out
    assert told is not None
    assert told.why.startswith("drift alarm: sureness: ")
    assert {VerdictKind.ADMIT} == {entry.verdict.kind for entry in owner.visits}
    alarms = [detail for kind, detail in events(state) if kind == "drift_alarm"]
    assert [True] == [detail.startswith("catflap-student 9.0.0 ") for detail in alarms]


@dataclass
class Watching:
    """An interpreter that notes whether somebody was at the flap whenever it was asked."""

    inner: Interpreter
    loop: list[Pipeline]
    asked: list[bool] = field(default_factory=list)

    @property
    def runtime(self) -> str:
        """The inner one's."""
        return self.inner.runtime

    def invoke(self, tensor: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int8], ...]:
        """Note it, and ask."""
        self.asked.extend(loop._visit is not None or loop._entry.open for loop in self.loop)
        return self.inner.invoke(tensor)


class Rig:
    """A loop with a keeper whose models are watched, by their versions."""

    def __init__(self, scene: Path, state: Path, gates: Gates) -> None:
        """Put it together."""
        self.stage = simulation.stage(scene, state, None)
        self.watched: dict[str, Watching] = {}
        self.memo = Memo()
        self.loops: list[Pipeline] = []
        self.most_a_tick = 0
        parts = KeeperParts(
            Slots(state / MODELS, DiskFiles()),
            state / MODELS / POINTER,
            self.load,
            assembly.without_model(self.stage.config),
            TrialBook(Journal.open(state / "journal.sqlite"), DiskFiles(), state / TRIALS),
            self.memo,
            self.stage.clock,
            TrialWishes("auto", self.stage.config.model.ab_share, gates),
        )
        self.keeper = ModelKeeper(parts, "boot")
        host = Host(self.stage.clock, AbsentHeartbeat())
        loop = assembly.pipeline(self.stage.config, self.keeper, self.stage.devices, host, Memory(self.memo, 0.0))
        self.loops.append(loop)

    def load(self, bundle: Bundle) -> Iterator[Judging | None]:
        """Load a bundle as the daemon does, with its interpreter watched."""
        for piece in assembly.prepared(self.stage.config, bundle, ()):
            if piece is None:
                yield None
                continue
            watch = self.watched.setdefault(bundle.manifest.version, Watching(piece.model.interpreter, self.loops))
            yield replace(piece, model=replace(piece.model, interpreter=watch))

    def asked(self, version: str) -> list[bool]:
        """Return, for every time a model was asked, whether somebody was at the flap."""
        return self.watched[version].asked if version in self.watched else []

    def play(self, version: str) -> None:
        """Turn to the scene's end; note how often one model was asked in a tick."""
        (loop,) = self.loops
        with closing(loop):
            try:
                while True:
                    before = len(self.asked(version))
                    loop.tick()
                    self.most_a_tick = max(self.most_a_tick, len(self.asked(version)) - before)
            except EOFError:
                loop.stop()


def test_a_shadow_never_scores_while_a_visit_is_open(tmp_path: Path) -> None:
    """While anybody is at the flap or the bolt is drawn the candidate is not asked once; afterwards once a tick."""
    push(Slots(tmp_path / "state" / MODELS, DiskFiles()), candidate(tmp_path / "new", "9.0.0"))
    rig = Rig(night(tmp_path, [False, True]), tmp_path / "state", Gates())
    rig.play("9.0.0")
    patches = sum(entry.scores is not None for visit in rig.memo.visits for entry in visit.observations)
    asked = rig.asked("9.0.0")
    assert (0, patches, 1) == (sum(asked), len(asked), rig.most_a_tick)
    assert [VerdictKind.ADMIT, VerdictKind.REFUSE_PREY] == [pair.candidate for pair in rig.keeper._tally.pairs]


def test_at_the_door_the_champion_watches_over_the_challenger(tmp_path: Path) -> None:
    """A challenger that calls every mouth clear decides its visits, and the mouse stays out all the same."""
    favours = candidate(tmp_path / "new", "9.0.0", favours=Label.CAT_CLEAR)
    push(Slots(tmp_path / "state" / MODELS, DiskFiles()), favours, share=0.999)
    lenient = Gates(agree_bad=0.01, agree=0.5, max_released=9)
    rig = Rig(night(tmp_path, [False, True], share=0.5), tmp_path / "state", lenient)
    rig.play("9.0.0")
    decided = [(visit.model_id.split()[1], visit.verdict.kind) for visit in rig.memo.visits]
    assert [("9.0.0", VerdictKind.ADMIT), ("9.0.0", VerdictKind.REFUSE_PREY)] == decided
    assert 1 == rig.stage.world.bolt.openings
    judge = VisitJudge(rig.memo.visits[1].rules)
    assert rig.memo.visits[1].verdict == replayed(rig.memo.visits[1].observations, rig.memo.visits[1].chips, judge)


def test_a_daemon_that_died_during_a_trial_has_thrown_it_out_before_it_turns(tmp_path: Path) -> None:
    """A crash or a watchdog's reset is one attempt: the next start runs the champion, tells why, and writes a report.

    However often it dies after that, no slot changes any more.
    """
    state = tmp_path / "state"
    slots = Slots(state / MODELS, DiskFiles())
    push(slots, candidate(tmp_path / "new", "9.0.0"))
    scene = night(tmp_path, [False])
    pointers = []
    for _ in range(4):
        rig = Rig(scene, state, Gates())
        for loop in rig.loops:
            for _ in range(30):
                loop.tick()
            loop.close()  # and no word to the slots: it died
        pointers.append((slots.state().champion, slots.state().trial is None))
    assert [(SlotName.FACTORY, False)] + [(SlotName.FACTORY, True)] * 3 == pointers
    report = next((state / TRIALS).glob("*thrown_out*.json"))
    assert "the daemon died during its trial" == json.loads(report.read_bytes())["why"]


STRANGER = """
[[actor]]
name = "Otto"
coat = "black"
chip = "276098100000009"
arrives_s = 16
patience_s = 2
behaviour = ["approach", "look 1", "push"]
"""


@pytest.mark.parametrize(
    ("on_blind", "reader", "inside"),
    [
        ("shut", True, {"Mimi 0"}),
        ("chip", True, {"Mimi 0"}),
        ("open", True, {"Mimi 0", "Otto"}),
        ("shut", False, set()),
    ],
)
def test_below_the_factorys_bundle_there_are_the_rules(
    tmp_path: Path, on_blind: str, reader: bool, inside: set[str]
) -> None:
    """Three starts that never settled leave chip and schedule: "shut" becomes "chip" where there is a reader.

    No other word of the owner's changes, and a chip that nobody listed opens nothing but where all is open.
    """
    state, scene = tmp_path / "state", night(tmp_path, [False])
    text = scene.read_text(encoding="utf-8").replace("hold_off_s = 0.0", f'hold_off_s = 0.0\non_blind = "{on_blind}"')
    text = text.replace("duration_s = 16", "duration_s = 32") + STRANGER
    if not reader:
        text = text.replace('kind = "sim"', 'kind = "none"').replace("hold_off_s", 'identity = "any_cat"\nhold_off_s')
    scene.write_text(text, encoding="utf-8")
    slots = Slots(state / MODELS, DiskFiles())
    for _ in range(MAX_RESETS):
        slots.started("boot")
    stage = simulation.stage(scene, state, None)
    Daemon(stage.config, stage.devices, Host(stage.clock, AbsentHeartbeat()), Stores(files=stage.files)).run(StopFlag())
    assert inside == stage.world.inside
    assert {VerdictKind.BLIND} == {row.line.verdict for row in visits(state)}
    told = events(state)
    assert ("blind_admitted" in dict(told)) == bool(inside)
    assert "rules only" in next(detail for kind, detail in told if kind == "model_alarm")


def test_with_no_usable_model_the_chip_decides(tmp_path: Path) -> None:
    """With the factory's bundle broken and no other the flap goes by chip and schedule, says so, and lets Mimi in."""
    stage = simulation.stage(night(tmp_path, [False]), tmp_path / "state", None)
    memo = Memo()
    judging = assembly.without_model(stage.config)
    host = Host(stage.clock, AbsentHeartbeat())
    loop = assembly.pipeline(stage.config, OneModel(judging), stage.devices, host, Memory(memo, 0.0))
    with closing(loop):
        try:
            while True:
                loop.tick()
        except EOFError:
            loop.stop()
    assert ({"Mimi 0"}, {VerdictKind.BLIND}) == (stage.world.inside, {visit.verdict.kind for visit in memo.visits})
    assert (1, 1) == (memo.events.count("model_failed"), memo.events.count("blind_admitted"))
