"""The daemon's composition root: one quiet loop from READY to rest. Floor 7."""

from __future__ import annotations

import dataclasses
import json
import signal
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from edge import assembly
from edge.adapters.logs import set_up
from edge.assembly import SLOTS, Memory
from edge.files import DiskFiles, Files
from edge.house import HouseState, Lasting
from edge.journal import HouseFound, Journal
from edge.modelkeeper import KeeperParts, ModelKeeper, TrialWishes
from edge.recorder import Keeping, Listener, Recorder, no_listener
from edge.slots import MODELS, POINTER, Slots
from edge.spool import Spool
from edge.trialbook import TRIALS, TrialBook
from edge.trials import Gates
from edge.worth import Thresholds

if TYPE_CHECKING:
    from types import FrameType

    from edge.assembly import Devices, Host
    from edge.config import Config
    from edge.messages import Bounds
    from edge.pipeline import OneModel


class StopFlag:
    """Set by SIGTERM or SIGINT, read once a tick: the loop ends between two ticks, never within one."""

    def __init__(self) -> None:
        """Start unset."""
        self._set = False

    def __call__(self) -> bool:
        """Return whether it is time to stop."""
        return self._set

    def set(self) -> None:
        """Ask the loop to end."""
        self._set = True

    def listen(self) -> None:
        """Let SIGTERM and SIGINT set it."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the form signal() asks for
        self._set = True


SLOTS_WAIT_S = 0.2
"""How long the loop waits for another process at the slots; then it goes on, and asks again a second later."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The disk that is written to, who hears of a visit once it is kept, and what a trial must show."""

    files: Files = field(default_factory=DiskFiles)
    listener: Listener = no_listener
    gates: Gates = field(default_factory=Gates)


class Daemon:
    """A loop with its stores. Build it, ``run`` it once; ``run`` closes everything."""

    def __init__(self, config: Config, devices: Devices, host: Host, stores: Stores) -> None:
        """Open journal and spool, load the model, open the camera.

        Raises:
            CatflapError: one sentence; everything that was opened is closed again.
        """
        self._heartbeat = host.heartbeat
        self._log = structlog.get_logger("catflap")
        with ExitStack() as stack:
            stack.callback(host.heartbeat.close)
            stack.callback(devices.close)
            journal = Journal.open(Path(config.state.directory) / "journal.sqlite", config.state.journal_rows)
            stack.callback(journal.close)
            memory = _memory(config, journal, host, stores)
            self.models = _models(config, journal, host, stores, memory)
            self.pipeline = assembly.pipeline(config, self.models, devices, host, memory)
            stack.callback(self.pipeline.close)
            under = self.models.champion.provenance
            journal.add_event(host.clock.wall(), "started", f"{under.model_id} on {under.runtime}")
            self._log.info("started", model=under.model_id, runtime=under.runtime, config=config.digest())
            self._closing = stack.pop_all()

    def run(self, stop: StopFlag) -> None:
        """Turn until told to stop or until a recorded source ends; the bolt rests on every way out."""
        with self._closing:
            self._heartbeat.ready()
            try:
                while not stop():
                    self.pipeline.tick()
            except EOFError:
                self._log.info("source_ended")
            finally:
                self._heartbeat.stopping()
                self.pipeline.stop()
            if isinstance(self.models, ModelKeeper):
                self.models.stopped()  # an end that is no failure: only then


def _memory(config: Config, journal: Journal, host: Host, stores: Stores) -> Memory:
    """Note in the journal under what this run stands, and put the record together."""
    now = host.clock.wall()
    journal.note_settings(now, config.digest(), json.dumps(dataclasses.asdict(config), sort_keys=True))
    bounds: Bounds = assembly.bounds(config)
    keeping = Keeping(Thresholds(bounds.admit, bounds.prey), config.spool.random_share)
    spool = Spool(Path(config.state.directory) / "spool", config.spool, stores.files)
    record = Recorder(journal, spool, host.clock, keeping, stores.listener)
    shelf = assembly.galleries(config, stores.files).shelf()
    for why in shelf.broken:
        record.event("gallery_broken", why)
    return Memory(record, journal.load_heat(host.clock.boot(), config.lock), _house(journal, record), shelf.galleries)


def _models(config: Config, journal: Journal, host: Host, stores: Stores, memory: Memory) -> ModelKeeper | OneModel:
    """Return what chooses the model: the slots, or the one bundle that the configuration names."""
    if config.model.bundle not in SLOTS:
        return assembly.one_model(config, assembly.model_of(config), memory.galleries)
    models = Path(config.state.directory) / MODELS
    parts = KeeperParts(
        slots=Slots(models, stores.files, now=host.clock.wall, wait_s=SLOTS_WAIT_S),
        pointer=models / POINTER,
        load=lambda bundle: assembly.prepared(config, bundle, memory.galleries),
        without=assembly.without_model(config),
        book=TrialBook(journal, stores.files, Path(config.state.directory) / TRIALS),
        record=memory.record,
        clock=host.clock,
        wishes=TrialWishes(config.model.promote, config.model.ab_share, stores.gates),
    )
    return ModelKeeper(parts, host.clock.boot().boot_id)


def _house(journal: Journal, record: Recorder) -> HouseState:
    """Return what the owner said last, and tell of it; of what was lost, too, and what is left is written again."""
    kept = journal.load_house()
    if kept.found in (HouseFound.DAMAGED, HouseFound.LOST):
        held = "the panic lock is still on" if kept.lasting.panic else "the configuration's own mode holds"
        record.event("house_state_lost", f"what was kept of mode and panic lock is {kept.found}; {held}")
        record.house(kept.lasting.mode, panic=kept.lasting.panic)
    elif kept.lasting != Lasting():
        mode = kept.lasting.mode or "the configuration's own"
        record.event("house_kept", f"panic lock {'on' if kept.lasting.panic else 'off'}, mode {mode}, as commanded")
    return HouseState(kept.lasting)


def prepare_logs(config: Config) -> None:
    """Set the process's log up as the configuration says."""
    set_up(config.log.format, config.log.level)
