"""The language of the control socket: one JSON object a line, a command in, a reply out. Floor 5; pure.

========================= ===========================================================================================
``command``               other keys
========================= ===========================================================================================
``mode``                  ``mode``, one of `edge.messages.Mode`
``let_in``                ``cat``, a name, and ``for_s``, seconds; both may be left out
``label``                 ``visit``, a visit's id, and ``label``, one of `edge.messages.Label`
every other kind          none
========================= ===========================================================================================

A key or a word that is not listed is refused, as is a value out of its bounds; then nothing is done. A scene's
``[[command]]`` and the command line are read by the same function as the socket.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from edge import codec
from edge.errors import InputError
from edge.messages import LET_IN_HIGH_S, LET_IN_LOW_S, LET_IN_USUAL_S, Command, CommandKind, Label, Mode, Reply

if TYPE_CHECKING:
    from enum import StrEnum
    from pathlib import Path

    from edge.messages import Status

    Word = TypeVar("Word", bound=StrEnum)

LINE_BYTES = 1024
"""A command's line is no longer than this, its end not counted."""

_KEYS: dict[CommandKind, tuple[str, ...]] = {
    CommandKind.MODE: ("command", "mode"),
    CommandKind.LET_IN: ("command", "cat", "for_s"),
    CommandKind.LABEL: ("command", "visit", "label"),
}
_VISIT = re.compile(r"\d{8}T\d{6}-\d{4,9}", re.ASCII)
_NAME = re.compile(r"|[\w][\w .'-]{0,31}")


def command_of(line: bytes) -> Command:
    """Return the command that a line says.

    Raises:
        InputError: it says none; the text is one line: key, what is wrong, what is allowed.
    """
    try:
        table = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}") from error
    if not isinstance(table, dict):
        raise InputError(f'{repr(table)[:60]} is not an object such as {{"command": "status"}}')
    return command_from(table)


def command_from(table: dict[str, Any]) -> Command:
    """Return the command that a table says.

    Raises:
        InputError: as ``command_of``.
    """
    kind = _word(CommandKind, table, "command")
    _refuse_unknown(table, _KEYS.get(kind, ("command",)))
    if kind is CommandKind.MODE:
        return Command(kind, mode=_word(Mode, table, "mode"))
    if kind is CommandKind.LET_IN:
        return Command(kind, cat=_cat(table), for_s=_for_s(table))
    if kind is CommandKind.LABEL:
        return Command(kind, visit=_visit(table), label=_word(Label, table, "label"))
    return Command(kind)


def line_of(command: Command) -> bytes:
    """Return a command as a line, with its end."""
    said = {"command": command.kind} | {
        key: getattr(command, key) for key in _KEYS.get(command.kind, ()) if key != "command"
    }
    return json.dumps(said).encode() + b"\n"


def reply_line(reply: Reply) -> bytes:
    """Return a reply as a line, with its end. One that JSON has no words for becomes the refusal that says so."""
    try:
        return codec.to_json(reply) + b"\n"
    except InputError as error:
        return codec.to_json(Reply(ok=False, says=str(error))) + b"\n"


def reply_of(line: bytes, path: Path) -> Reply:
    """Return the reply that a line from the socket ``path`` says.

    Raises:
        InputError: it says none.
    """
    return codec.from_json(Reply, line, path)


def status_text(status: Status) -> str:
    """Return a status as one line for people; what is wrong comes first."""
    verdict = status.last_verdict
    parts = [
        status.fault and f"FAULT: {status.fault}",
        status.camera_lost and f"camera lost: {status.camera_lost}",
        status.drift and f"drift: {status.drift}",
        "panic lock on" if status.panic else None,
        f"door {status.door}",
        f"mode {status.mode}",
        f"coil at {status.heat_share:.0%} of its heat"
        + (f", refused ({status.coil_refusal})" if status.coil_refusal else ""),
        f"model {status.model_id}",
        f"last verdict {verdict.kind}: {verdict.because}" if verdict else "no verdict yet",
    ]
    return "; ".join(part for part in parts if part)


def _word(kind: type[Word], table: dict[str, Any], key: str) -> Word:
    value = table.get(key)
    if not isinstance(value, str) or value not in list(kind):
        near = difflib.get_close_matches(str(value), list(kind), n=1)
        _refuse(key, value, f"one of {', '.join(kind)}" + (f"; did you mean {near[0]}?" if near else ""))
    return kind(value)


def _cat(table: dict[str, Any]) -> str:
    value = table.get("cat", "")
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        _refuse("cat", value, "the name of a cat")
    return value


def _visit(table: dict[str, Any]) -> str:
    value = table.get("visit")
    if not isinstance(value, str) or _VISIT.fullmatch(value) is None:
        _refuse("visit", value, "the id of a visit, such as 20261121T210000-0001; `catflap visit list` has them")
    return value


def _for_s(table: dict[str, Any]) -> float:
    value = table.get("for_s", LET_IN_USUAL_S)
    if not isinstance(value, int | float) or not LET_IN_LOW_S <= value <= LET_IN_HIGH_S:
        _refuse("for_s", value, f"a number from {LET_IN_LOW_S:g} to {LET_IN_HIGH_S:g}")
    return float(value)


def _refuse_unknown(table: dict[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise InputError(f"{repr(key)[1:-1][:40]}: no such key (known here: {', '.join(known)})")


def _refuse(key: str, value: object, allowed: str) -> NoReturn:
    raise InputError(f"{key}: {repr(value)[:60]} is not {allowed}")
