"""``catflap model``: what is in the slots, and the owner's word on it. Floor 9.

A word goes to the running daemon, which obeys it between two visits. Where none runs the slots are changed here, and
the daemon's next start puts that into its journal.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from edge import assembly, codec, config, trials
from edge.adapters.control_client import NobodyListensError, ask
from edge.errors import ConfigError, InputError
from edge.files import DiskFiles
from edge.journal import Journal
from edge.messages import Command, CommandKind, Reply
from edge.slots import SlotName, slots_report
from edge.trialbook import TRIALS, TrialBook

if TYPE_CHECKING:
    import argparse

    from edge.config import Config
    from edge.slots import SlotRow, SlotsReport
    from edge.trials import Figures

FINDING = 1
_OWNERS_WORD = "by the owner's word, with no daemon running"


def list_all(arguments: argparse.Namespace) -> int:
    """Show every slot in one line; a slot that is not usable is a finding."""
    wanted = config.load(arguments.config)
    report = _report(wanted)
    told = _figures(wanted, report)
    for row in report.rows:
        print(json.dumps(_fields(row, told.get(row.slot))) if arguments.json else _line(row, told.get(row.slot)))
    return _alarms(report)


def show(arguments: argparse.Namespace) -> int:
    """Show one slot, or the one that decides: its record, its trial, its history and its card."""
    wanted = config.load(arguments.config)
    report = _report(wanted)
    told = _figures(wanted, report)
    row = _chosen(report, arguments.slot)
    history = [str(entry) for entry in report.history if entry.slot is row.slot]
    card = row.card.read_text(encoding="utf-8") if row.card is not None else ""
    drift = _drift(wanted, row.model_id)
    if arguments.json:
        print(json.dumps({**_fields(row, told.get(row.slot)), "drift": drift, "history": history, "card": card}))
    else:
        alarm = [f"DRIFT: {drift}"] if drift is not None else []
        print("\n".join([_line(row, told.get(row.slot)), *alarm, *history, "", card.rstrip()]).rstrip())
    return _alarms(report)


def speak(arguments: argparse.Namespace) -> int:
    """Promote the model on trial, or end its trial, or go back to the model before; a refusal is a finding."""
    wanted, kind = config.load(arguments.config), CommandKind(arguments.command)
    if wanted.model.bundle not in assembly.SLOTS:
        raise ConfigError(
            f"{arguments.config}: model.bundle: {wanted.model.bundle!r} names one bundle; there are no slots"
        )
    try:
        reply = ask(Path(wanted.control.path), Command(kind))
    except NobodyListensError:
        reply = Reply(ok=True, says=_done_here(wanted, kind))
    print(codec.to_json(reply).decode() if arguments.json else reply.says)
    return 0 if reply.ok else FINDING


def _done_here(wanted: Config, kind: CommandKind) -> str:
    slots = assembly.slots(wanted, DiskFiles())
    try:
        step = slots.promote if kind is CommandKind.PROMOTE else slots.roll_back
        return str(step(_OWNERS_WORD))
    except OSError as error:
        raise InputError(f"{error.filename or wanted.state.directory}: {error.strerror or error}") from error


def _report(wanted: Config) -> SlotsReport:
    try:
        return slots_report(assembly.slots(wanted, DiskFiles()))
    except OSError as error:
        raise InputError(f"{error.filename or wanted.state.directory}: {error.strerror or error}") from error


def _drift(wanted: Config, model_id: str) -> str | None:
    """Return the last that the journal says of a model's drift, None where there is none or it is over."""
    path = Path(wanted.state.directory) / "journal.sqlite"
    if not model_id or not path.exists():
        return None
    with closing(Journal(path)) as journal:
        last = journal.last_event(("drift_alarm", "drift_over"), model_id)
    return last.detail if last is not None and last.kind == "drift_alarm" else None


def _chosen(report: SlotsReport, slot: str | None) -> SlotRow:
    wanted = next((row.slot for row in report.rows if row.running), SlotName.FACTORY) if slot is None else slot
    return next(row for row in report.rows if row.slot == wanted)


def _figures(wanted: Config, report: SlotsReport) -> dict[SlotName, Figures]:
    """Return what the last trial of each slot's bundle came to, as far as the journal has one."""
    path = Path(wanted.state.directory) / "journal.sqlite"
    if not path.exists():
        return {}
    journal = Journal(path)
    book = TrialBook(journal, DiskFiles(), Path(wanted.state.directory) / TRIALS)
    found = {row.slot: book.last(row.model_id) for row in report.rows if row.model_id}
    journal.close()
    return {slot: trials.figures(last[1]) for slot, last in found.items() if last is not None}


def _fields(row: SlotRow, told: Figures | None) -> dict[str, object]:
    return {
        "slot": row.slot,
        "standing": row.standing,
        "running": row.running,
        "model": row.model_id or None,
        "version": row.version or None,
        "since": row.since or None,
        "keys": list(row.key_ids),
        "why": row.why or None,
        "complaint": row.complaint,
        "trial": None if row.trial is None else dataclasses.asdict(row.trial),
        "figures": None if told is None else dataclasses.asdict(told),
    }


def _line(row: SlotRow, told: Figures | None) -> str:
    if not row.model_id and row.complaint is None:
        return f"{row.slot:8}{row.standing}"
    parts = [f"{row.slot:8}{row.standing:10}{row.model_id}"]
    parts += [f"since {row.since}, verified by {', '.join(row.key_ids) or 'no key'}"] if row.since else []
    parts += [row.why] if row.why else []
    parts += [f"NOT USABLE: {row.complaint}"] if row.complaint is not None else []
    parts += [f"trial: {row.trial.kind} since {row.trial.since}"] if row.trial is not None else []
    parts += [trials.summary(told)] if told is not None else []
    return "; ".join(" ".join(part.split()) if index else part for index, part in enumerate(parts))


def _alarms(report: SlotsReport) -> int:
    for why in report.alarms:
        print(f"catflap: {why}", file=sys.stderr)
    return FINDING if report.alarms else 0
