"""Every scene of tests/scenarios, played to the real daemon with the factory model, ends as its file says."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import playing
import pytest

from edge import simulation
from edge.adapters.absent import AbsentHeartbeat
from edge.adapters.sim import shipped_scene
from edge.assembly import Host
from edge.canonical import summary
from edge.daemon import Daemon, StopFlag, Stores
from edge.journal import Journal

if TYPE_CHECKING:
    from edge.adapters.sim import ExpectedVisit
    from edge.canonical import VisitSummary
    from edge.messages import Visit

SCENES = sorted((Path(__file__).parent / "scenarios").glob("*.toml"))
NIGHT = shipped_scene("night")
CLEAN_CAT = Path(__file__).parent / "scenarios" / "opens_for_own_clean_cat.toml"


class Heard:
    """Hears the visits of a scene."""

    def __init__(self) -> None:
        """Start with none."""
        self.lines: list[VisitSummary] = []

    def __call__(self, visit: Visit, line: VisitSummary) -> None:  # noqa: ARG002 - the listener's form
        """Keep one."""
        self.lines.append(line)


def play(scene: Path, state: Path) -> tuple[simulation.Stage, list[VisitSummary], list[str]]:
    """Run a scene to its end and return it with the visits the flap made of it and the journal's events."""
    stage = simulation.stage(scene, state, None)
    heard = Heard()
    stores = Stores(files=stage.files, listener=heard)
    Daemon(stage.config, stage.devices, Host(stage.clock, AbsentHeartbeat()), stores).run(StopFlag())
    journal = Journal.open(state / "journal.sqlite")
    events = [row.kind for row in journal.events(1000)]
    journal.close()
    return stage, heard.lines, events


def fits(line: VisitSummary, expected: ExpectedVisit) -> bool:
    """Return whether a visit is what a scene expects."""
    named = not expected.resident or line.resident == expected.resident
    return line.verdict in expected.verdicts and named


def unmatched(lines: list[VisitSummary], expected: tuple[ExpectedVisit, ...]) -> tuple[list[str], list[str]]:
    """Walk both lists in order; return the expected visits that never came, and unexpected ones that opened the bolt.

    A flap may make two visits of one coming and going; what it may not do is miss one, or open for one nobody expects.
    """
    waiting, opened = list(expected), []
    for line in lines:
        if waiting and fits(line, waiting[0]):
            waiting.pop(0)
        elif line.bolt_s > 0:
            opened.append(f"{line.verdict} {line.because}")
    return [", ".join(visit.verdicts) for visit in waiting], opened


def check_bolt(stage: simulation.Stage, events: list[str]) -> None:
    """Hold what bolt and coil did, and what was told of them, against what the scene's file says."""
    expect, world = stage.scene.expect, stage.world
    told = {*events, *(entry.what for entry in world.log)}
    assert ([], []) == (sorted(expect.told - told), sorted(expect.never & told))
    if expect.bolt_openings is not None:
        low, high = expect.bolt_openings
        assert low <= world.bolt_openings <= high
    for most, coils in (
        (expect.coil_total_s, [bolt.total_s for bolt in world.bolts]),
        (expect.coil_longest_s, [bolt.longest_s for bolt in world.bolts]),
    ):
        assert most is None or max(coils) <= most


def check(stage: simulation.Stage, lines: list[VisitSummary], events: list[str]) -> None:
    """Hold what happened against what the scene's file says."""
    expect, world = stage.scene.expect, stage.world
    told = [f"{line.verdict} ({line.because}, {line.frames} frames)" for line in lines]
    if expect.visits is not None:
        assert ([], []) == unmatched(lines, expect.visits), told
    if expect.inside is not None:
        assert expect.inside == frozenset(world.inside), told
    check_bolt(stage, events)


@pytest.mark.parametrize("scene", [*SCENES, NIGHT], ids=lambda path: path.stem)
def test_the_flap_does_right_where_the_model_does(scene: Path, tmp_path: Path) -> None:
    """With a model that is never wrong, every scene ends as its file says: all but the model is right."""
    played = playing.play(scene, tmp_path)
    check(played.stage, [summary(visit, None, "") for visit in played.memo.visits], played.memo.events)


@pytest.mark.parametrize("scene", SCENES, ids=lambda path: path.stem)
def test_the_scene_ends_as_it_should(scene: Path, tmp_path: Path) -> None:
    """The real daemon with the factory model: visits, who is inside and the bolt's openings are as the file says."""
    check(*play(scene, tmp_path))


def test_a_scene_of_no_visits_expects_none() -> None:
    """The walk over expected and real visits finds what is missing and what opened for nobody."""
    assert ([], []) == unmatched([], ())


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ('command = "lock"', "panic lock on, mode the configuration's own, as commanded"),
        ('command = "mode"\nmode = "out_only"', "panic lock off, mode out_only, as commanded"),
    ],
    ids=["panic lock", "mode"],
)
def test_settings_survive_a_restart(words: str, kept: str, tmp_path: Path) -> None:
    """What was commanded before the daemon ended keeps a clean cat of ours out after it began again, and is told."""
    evening = CLEAN_CAT.read_text(encoding="utf-8")
    (tmp_path / "evening.toml").write_text(f"{evening}\n[[command]]\nat_s = 0\n{words}\n", encoding="utf-8")
    ended = [play(scene, tmp_path / "state")[0] for scene in (tmp_path / "evening.toml", CLEAN_CAT)]
    journal = Journal.open(tmp_path / "state" / "journal.sqlite")
    told = [row.detail for row in journal.events(1000) if row.kind == "house_kept"]
    journal.close()
    assert ([(set(), 0)] * 2, [kept]) == ([(stage.world.inside, stage.world.bolt_openings) for stage in ended], told)


@pytest.mark.parametrize("scene", SCENES[:1], ids=lambda path: path.stem)
def test_a_scene_is_the_same_twice(scene: Path, tmp_path: Path) -> None:
    """The same scene gives the same canonical lines: nothing in the flap depends on the machine's own time."""
    told = []
    for _ in range(2):
        shutil.rmtree(tmp_path)
        told.append([line.fields() for line in play(scene, tmp_path)[1]])
    assert told[0] == told[1]
