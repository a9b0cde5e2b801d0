"""``catflap visit``: what visits there were, and the owner's word on what one of them was. Floor 9.

A label goes to the running daemon, whose journal it is. Where none runs the journal is written here.
"""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge import codec, config
from edge.adapters.control_client import NobodyListensError, ask
from edge.adapters.control_lines import command_from
from edge.errors import HardwareError, InputError
from edge.journal import Journal
from edge.messages import Command, Label, Reply

if TYPE_CHECKING:
    import argparse

    from edge.config import Config
    from edge.journal import VisitRow

FINDING = 1


def list_all(arguments: argparse.Namespace) -> int:
    """Show the last visits, the newest first: id, verdict and why, the model's word and the owner's."""
    with closing(_journal(config.load(arguments.config))) as journal:
        for row in journal.visits(arguments.limit):
            print(json.dumps(_fields(row)) if arguments.json else _line(row))
    return 0


def label(arguments: argparse.Namespace) -> int:
    """Say what a visit was; a refusal is a finding."""
    wanted = config.load(arguments.config)
    command = command_from({"command": "label", "visit": arguments.visit, "label": arguments.label})
    reply = _said(wanted, command)
    print(codec.to_json(reply).decode() if arguments.json else reply.says)
    return 0 if reply.ok else FINDING


def _said(wanted: Config, command: Command) -> Reply:
    if not wanted.control.path:
        return _done_here(wanted, command)
    try:
        return ask(Path(wanted.control.path), command)
    except NobodyListensError:
        return _done_here(wanted, command)


def _done_here(wanted: Config, command: Command) -> Reply:
    now, said = datetime.now(UTC), Label(command.label or "")
    with closing(_journal(wanted)) as journal:
        if not journal.label(now, command.visit, said):
            return Reply(ok=False, says=f"the journal knows no visit {command.visit}")
        says = f"visit {command.visit} was {said}"
        journal.add_event(now, "owner", f"label: done, {says}, with no daemon running")
        if journal.failure is not None:
            raise HardwareError(f"the journal cannot be written: {journal.failure}")
    return Reply(ok=True, says=says)


def _journal(wanted: Config) -> Journal:
    path = Path(wanted.state.directory) / "journal.sqlite"
    if not path.exists():
        raise InputError(f"{path}: there is no journal yet, so there are no visits")
    return Journal(path)


def _fields(row: VisitRow) -> dict[str, object]:
    line = row.line
    return {
        "visit": line.visit,
        "started": row.started.isoformat(timespec="seconds"),
        "verdict": line.verdict,
        "because": line.because,
        "resident": line.resident,
        "top_label": line.top_label,
        "owner_label": row.owner_label,
        "model": line.model,
    }


def _line(row: VisitRow) -> str:
    line = row.line
    said = f"you said {row.owner_label}" if row.owner_label is not None else "not labelled"
    who = f" {line.resident}" if line.resident else ""
    return f"{line.visit}  {line.verdict}{who}: {line.because}; looked like {line.top_label or 'nothing'}; {said}"
