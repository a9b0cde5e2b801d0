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
from edge.assembly import Memory
from edge.files import DiskFiles, Files
from edge.house import HouseState, Lasting
from edge.journal import HouseFound, Journal
from edge.recorder import Keeping, Listener, Recorder, no_listener
from edge.spool import Spool
from edge.worth import Thresholds

if TYPE_CHECKING:
    from types import FrameType

    from edge.assembly import Devices, Host, LoadedModel
    from edge.config import Config


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


@dataclass(frozen=True, slots=True)
class Stores:
    """The disk that is written to, and who hears of a visit once it is kept."""

    files: Files = field(default_factory=DiskFiles)
    listener: Listener = no_listener


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
            loaded = assembly.load_model(config.model.bundle, config.model.runtime, config.model.threads)
            journal = Journal.open(Path(config.state.directory) / "journal.sqlite")
            stack.callback(journal.close)
            memory = _memory(config, loaded, journal, host, stores)
            self.pipeline = assembly.pipeline(config, loaded, devices, host, memory)
            stack.callback(self.pipeline.close)
            self._log.info("started", model=loaded.model_id, runtime=loaded.runtime, config=config.digest())
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


def _memory(config: Config, loaded: LoadedModel, journal: Journal, host: Host, stores: Stores) -> Memory:
    """Note in the journal under what this run stands, and put the record together."""
    now = host.clock.wall()
    journal.note_settings(now, config.digest(), json.dumps(dataclasses.asdict(config), sort_keys=True))
    journal.add_event(now, "started", f"{loaded.model_id} on {loaded.runtime}")
    bounds = assembly.rules(config, loaded.evidence).bounds
    keeping = Keeping(Thresholds(bounds.admit, bounds.prey), config.spool.random_share)
    spool = Spool(Path(config.state.directory) / "spool", config.spool, stores.files)
    record = Recorder(journal, spool, host.clock, keeping, stores.listener)
    shelf = assembly.galleries(config, stores.files).shelf()
    for why in shelf.broken:
        record.event("gallery_broken", why)
    return Memory(record, journal.load_heat(host.clock.boot(), config.lock), _house(journal, record), shelf.galleries)


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
