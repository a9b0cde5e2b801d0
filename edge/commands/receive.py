"""``catflap receive``: the one command that the push account may run. Floor 9.

It reads one request on standard input, writes nowhere but into the inbox, and prints one line of JSON. It decides
nothing: whether what lies in the inbox is ever run is the update service's business.
"""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge import config
from edge.answers import ANSWER, Answer
from edge.codec import from_json, to_json
from edge.errors import CatflapError, InputError
from edge.files import DiskFiles
from edge.inbox import UMASK, Act, Held, Inbox, Reply, Said, Standing, bound_to, read_request
from edge.slots import MODELS, Slots

if TYPE_CHECKING:
    import argparse

    from edge.inbox import Request, Stream
    from edge.slots import SlotName, SlotRecord, SlotsState

FINDING = 1
PATIENCE_S = 300.0
"""For the whole stream. Slower is no link, but somebody who wants to hold the inbox."""
LOOK_EVERY_S = 0.05


class Patient:
    """A file descriptor that is read until a deadline, so that slow data end as endless data do."""

    def __init__(self, handle: int, patience_s: float) -> None:
        """Start the clock."""
        self._handle = handle
        self._until = time.monotonic() + patience_s
        self._patience_s = patience_s

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end.

        Raises:
            InputError: the time is over.
        """
        left_s = self._until - time.monotonic()
        ready, _, _ = select.select([self._handle], [], [], max(left_s, 0.0))
        if not ready:
            raise InputError(f"the push: was not all here within {self._patience_s:g} s")
        return os.read(self._handle, size)


def receive(arguments: argparse.Namespace) -> int:
    """Serve one request; 0 where it was done and nothing was refused."""
    os.umask(UMASK)
    state = Path(config.load(arguments.config).state.directory)
    reply = serve(Patient(sys.stdin.fileno(), PATIENCE_S), state)
    print(to_json(reply).decode(), flush=True)
    return 0 if reply.said in (Said.STANDING, Said.ACCEPTED, Said.ON_TRIAL) else FINDING


def serve(stream: Stream, state: Path) -> Reply:
    """Serve the request that ``stream`` holds for the flap whose state lies in ``state``."""
    try:
        request = read_request(stream)
        if request.act is Act.STATUS:
            return Reply(Said.STANDING, "", _standing(state))
        return _push(stream, request, state)
    except OSError as error:
        where = f" {error.filename}:" if error.filename else ""
        return Reply(Said.NOT_TAKEN, f"the flap's disk:{where} {error.strerror or error}")
    except CatflapError as error:
        return Reply(Said.NOT_TAKEN, str(error))


def _push(stream: Stream, request: Request, state: Path) -> Reply:
    inbox = Inbox(state / "incoming", DiskFiles())
    with inbox.held() as ours:
        if not ours:
            return Reply(Said.BUSY, "another push is being received; say it again when that has its answer")
        version = inbox.take(stream, request.bytes)
        answer = _awaited(inbox, version, request.wait_s)
    if answer is None:
        why = f"it lies in the inbox; the update service said nothing within {request.wait_s:g} s"
        return Reply(Said.SILENT, why, _standing(state))
    return Reply(Said(answer.status), answer.why, _standing(state))


def _awaited(inbox: Inbox, version: int, wait_s: float) -> Answer | None:
    """Wait for the answer to this push: one about another timestamp is of a run that had begun before it."""
    until = time.monotonic() + wait_s
    while True:
        found = inbox.answer()
        answer = None if found is None else from_json(Answer, found, inbox.directory / ANSWER)
        if answer is not None and answer.timestamp in (0, version):
            return answer
        if time.monotonic() >= until:
            return None
        time.sleep(LOOK_EVERY_S)


def _standing(state: Path) -> Standing:
    said = Slots(state / MODELS, DiskFiles()).state()
    out = said.thrown_out
    return Standing(
        root=bound_to(state / "trust"),
        champion=_held(said, said.champion),
        trial=_held(said, said.candidate),
        previous=_held(said, said.previous),
        thrown_out=None if out is None else _as_held(out.record),
        why=f"{out.at}: {out.why}" if out is not None else "",
    )


def _held(said: SlotsState, slot: SlotName | None) -> Held | None:
    record = said.record(slot)
    return None if record is None else _as_held(record)


def _as_held(record: SlotRecord) -> Held:
    return Held(record.slot, record.model_id, record.version, record.sha256, record.since)
