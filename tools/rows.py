"""``metadata.jsonl``, one picture a line, and what may stand in a line."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from edge.messages import LABELS, Box, Label

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PARTIAL: dict[str, frozenset[Label]] = {"cat": frozenset({Label.CAT_HIDDEN, Label.CAT_CLEAR})}
"""Labels that leave open which of several classes it is."""

UNLABELLED = "unlabelled"
"""What stands for the label of a picture that nobody has looked at yet: every class is open."""

CARD_FIELDS = ("source", "licence", "licence_clear")
"""What a model's card has to say of every picture."""


class DataSetError(Exception):
    """The data set cannot be used; its text is one sentence that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of ``metadata.jsonl``, counted from 1; ``cat`` is ``home/name`` or empty, ``held`` as in a sample."""

    line: int
    file_name: str
    label: str
    home: str
    visit: str
    source: str
    licence: str
    licence_clear: str
    taken: str
    modality: str
    cat: str
    held: Box | None


def refuse(faults: Sequence[str]) -> None:
    """Do nothing if there is no fault.

    Raises:
        DataSetError: the first of these sentences, and how many more there are.
    """
    if faults:
        more = f" (and {len(faults) - 1} more: see tools/check_data.py)" if len(faults) > 1 else ""
        raise DataSetError(f"{faults[0]}{more}")


def rows_of(path: Path, raw: bytes) -> tuple[Row, ...]:
    """Return the rows of ``metadata.jsonl``, of which ``raw`` are the bytes.

    Raises:
        DataSetError: there is none, a line is none, or two name one file.
    """
    rows, faults, lines = list[Row](), list[str](), dict[PurePosixPath, int]()
    for number, line in enumerate(raw.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = _row(f"{path}:{number}", number, line)
        except DataSetError as fault:
            faults.append(str(fault))
            continue
        if (before := lines.setdefault(PurePosixPath(row.file_name), number)) != number:
            faults.append(f"{path}:{number}: {row.file_name!r} stands on line {before} already; keep one of them")
        rows.append(row)
    refuse(faults)
    if not rows:
        raise DataSetError(f"{path}: names no picture; write a line for each, or name another folder")
    return tuple(rows)


_REQUIRED = {
    "file_name": "name it, from the folder on",
    "label": "name it; tools/label.py helps",
    "home": "name it: homes are left out as a whole to see how strangers fare",
    "visit": "name it: frames of one visit must not be split, and a picture alone is a visit too",
    **dict.fromkeys(CARD_FIELDS, "name it: the model's card has to account for every picture"),
}


def _row(where: str, number: int, line: bytes) -> Row:
    try:
        table = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataSetError(f"{where}: is not JSON; write one object a line") from error
    if not isinstance(table, dict):
        raise DataSetError(f"{where}: is not an object; write one object a line")
    for key, remedy in _REQUIRED.items():
        if not _text(table, key):
            raise DataSetError(f"{where}: has no {key}; {remedy}")
    allowed_by(table["label"], where)
    cat = _text(table, "individual")
    return Row(
        line=number,
        file_name=_inner(where, table["file_name"]),
        taken=_time(where, table.get("taken") or ""),
        modality=_text(table, "modality") or "grey",
        cat=f"{table['home']}/{cat}" if cat else "",
        held=_held(where, table),
        **{key: table[key] for key in ("label", "home", "visit", *CARD_FIELDS)},
    )


def _text(table: dict[str, Any], key: str) -> str:
    """Return a field; empty where it is missing, blank or no text."""
    value = table.get(key)
    return value.strip() if isinstance(value, str) else ""


def _inner(where: str, file_name: str) -> str:
    path = PurePosixPath(file_name)
    if path.is_absolute() or ".." in path.parts:
        raise DataSetError(f"{where}: {file_name!r} leaves the folder; move the picture into it and name it from there")
    if not file_name.isprintable():
        raise DataSetError(f"{where}: {file_name!r} holds what cannot be printed; rename the picture")
    return file_name


def _time(where: str, taken: object) -> str:
    """Return a time as it is written, in which form earlier ones sort before later ones; empty where there is none."""
    if not taken:
        return ""
    try:
        dt.datetime.fromisoformat(text := taken if isinstance(taken, str) else "")
    except ValueError as error:
        remedy = "write it like 2014-03-01T18:00:00, or leave it out"
        raise DataSetError(f"{where}: taken {taken!r} is not a time; {remedy}") from error
    return text


def _held(where: str, table: dict[str, Any]) -> Box | None:
    """Return the box of what was composed into a picture; None for a photograph as it was taken."""
    if table.get("composed") is not True:
        return None
    match table.get("box"):
        case [int(x), int(y), int(width), int(height)] if min(x, y) >= 0 and min(width, height) > 0:
            return Box(x, y, width, height)
    raise DataSetError(f"{where}: is composed and has no box in its picture; compose it anew (tools/compose_prey.py)")


def allowed_by(label: str, where: str) -> frozenset[Label]:
    """Return the classes a label leaves open.

    Raises:
        DataSetError: there is no such label.
    """
    if label in PARTIAL:
        return PARTIAL[label]
    if label == UNLABELLED:
        return frozenset(Label)
    if label not in list(Label):
        known = ", ".join([*LABELS, *PARTIAL, UNLABELLED])
        raise DataSetError(f"{where}: label {label!r} is not one of {known}; correct it")
    return frozenset({Label(label)})
