"""A push to a running flap: the update service's own process, the real daemon, and what becomes of the model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bench_rollback import daemon, started
from flap_made import Flap, bundle_of
from test_trial_nights import QUICK, events, night

from edge import simulation
from edge.adapters.absent import AbsentHeartbeat
from edge.answers import AnswerStatus
from edge.assembly import Host
from edge.daemon import Daemon, StopFlag, Stores
from edge.slots import SlotName

if TYPE_CHECKING:
    from edge.canonical import VisitSummary
    from edge.messages import Visit

ROOT = Path(__file__).parent.parent


class Owner:
    """Pushes a bundle to a flap, whose update service runs in a process of its own, beside the daemon."""

    def __init__(self, folder: Path) -> None:
        """Adopt the flap."""
        self.flap = Flap(folder / "state")
        self.config = folder / "catflap.toml"
        self.config.write_text(
            f"[state]\ndirectory = '{self.flap.state}'\n[pins]\nbolt = 17\n[door]\nidentity = 'any_cat'\n",
            encoding="utf-8",
        )
        self.verdicts: list[str] = []
        self.answer: dict[str, str] = {}

    def push(self, version: str) -> None:
        """Sign, send, and let the path unit start the update service."""
        self.flap.offer(bundle_of(version))
        self.flap.deliver()
        command = [sys.executable, "-m", "edge.update", "--config", str(self.config)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
        self.answer = json.loads(done.stdout.splitlines()[-1])

    def __call__(self, visit: Visit, line: VisitSummary) -> None:
        """Hear of a visit; push when the first has ended."""
        del line
        self.verdicts.append(f"{visit.model_id.split()[1]} {visit.verdict.kind}")
        if not self.answer:
            self.push("9.0.0")


def test_a_push_beside_the_running_daemon_ends_promoted(tmp_path: Path) -> None:
    """Verified and tried by one process, followed, compared and promoted by the other, between visits and by itself.

    The daemon is never restarted, nobody is kept out or let in by it, and every step is a row of the journal.
    """
    owner = Owner(tmp_path)
    stage = simulation.stage(night(tmp_path, [False, True, False, False, False]), owner.flap.state, None)
    stores = Stores(files=stage.files, listener=owner, gates=QUICK)
    Daemon(stage.config, stage.devices, Host(stage.clock, AbsentHeartbeat()), stores).run(StopFlag())

    assert AnswerStatus.ON_TRIAL == owner.answer["status"], owner.answer["why"]
    state = owner.flap.slots.state()
    assert (SlotName.A, SlotName.FACTORY, None) == (state.champion, state.previous, state.trial)
    assert ["admit", "refuse_prey", "admit", "admit", "admit"] == [line.split()[1] for line in owner.verdicts]
    assert "9.0.0 admit" == owner.verdicts[-1]
    told = [kind for kind, _ in events(owner.flap.state) if kind.startswith(("model_", "update_"))]
    assert {"update_on_trial", "model_installed", "model_trial_begun", "model_promoted"} == set(told)


@pytest.mark.parametrize("promoted", [False, True], ids=["on trial", "on probation"])
def test_a_daemon_that_is_killed_comes_back_with_the_model_before(tmp_path: Path, promoted: bool) -> None:
    """One attempt: the real process dies by SIGKILL, and the next one runs the model that was champion before."""
    owner, scene = Owner(tmp_path), night(tmp_path, [False])
    owner.push("9.0.0")
    slots = owner.flap.slots
    if promoted:
        slots.promote("by the owner's word")
    with daemon(scene, owner.flap.state) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
    with daemon(scene, owner.flap.state):
        models = [detail.split()[1] for detail in started(owner.flap.state)]
    assert ["9.0.0" if promoted else "0.3.0", "0.3.0"] == models
    state = slots.state()
    how = "the daemon died before it had settled once" if promoted else "the daemon died during its trial"
    assert (SlotName.FACTORY, None, how) == (state.champion, state.trial, state.thrown_out.why)  # type: ignore[union-attr] # it was
