"""Answers to pictures, kept as they are given: one line of JSON each, on the disk before the call returns."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.files import DiskFiles
from edge.messages import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import FileIO
    from pathlib import Path


CANNOT_TELL = "cannot_tell"
ANSWERS: tuple[str, ...] = (*LABELS, CANNOT_TELL)


class LabelError(Exception):
    """The tool cannot start; its text is one sentence that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of ``labels.jsonl``. ``label`` is one of ``ANSWERS``, or None: taken back; ``at`` is ISO 8601, UTC."""

    file_name: str
    label: str | None
    who: str
    at: str


class Answers:
    """The file of answers: read once, then only appended to."""

    def __init__(self, path: Path) -> None:
        """Read what is there; an end that a power cut tore is cut off: it was never acknowledged.

        Raises:
            LabelError: a line is no answer.
            OSError: the file cannot be read or mended.
        """
        self._path = path
        self.given, whole_bytes = read_answers(path)
        if path.exists() and path.stat().st_size > whole_bytes:
            os.truncate(path, whole_bytes)

    def add(self, answer: Answer) -> None:
        """Append an answer; it is on the disk when this returns.

        Raises:
            OSError: it is not; what was kept before stands.
        """
        line = {"file_name": answer.file_name, "label": answer.label, "who": answer.who, "at": answer.at}
        new = not self._path.exists()
        with self._path.open("ab", buffering=0) as file:  # one write a line: two people may share the file
            start = file.tell()
            try:
                _write_whole(file, json.dumps(line).encode() + b"\n")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(start)  # half a line would spoil the next one
                raise
        if new:
            DiskFiles().sync_directory(self._path.parent)
        self.given.append(answer)


def _write_whole(file: FileIO, data: bytes) -> None:
    """Write everything, or fail: a raw file takes less than it is given when the disk is full."""
    if file.write(data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_answers(path: Path) -> tuple[list[Answer], int]:
    """Return the answers, and how many bytes of the file are whole lines.

    Raises:
        LabelError: a line is no answer.
        OSError: the file cannot be read.
    """
    raw = path.read_bytes() if path.exists() else b""
    whole = raw[: raw.rfind(b"\n") + 1]
    lines = enumerate(whole.splitlines(), 1)
    return [_answer(path, number, line) for number, line in lines if line.strip()], len(whole)


def _answer(path: Path, number: int, line: bytes) -> Answer:
    try:
        table = json.loads(line)
        answer = Answer(*(table[key] for key in ("file_name", "label", "who", "at")))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LabelError(f"{path}:{number}: is not an answer ({error!r}); correct the line or remove it") from error
    texts = all(isinstance(text, str) for text in (answer.file_name, answer.who, answer.at))
    if not texts or (answer.label is not None and answer.label not in ANSWERS):
        raise LabelError(
            f"{path}:{number}: label {answer.label!r} is not one of {', '.join(ANSWERS)}; correct the line"
        )
    return answer


def standing(given: Iterable[Answer], who: str) -> dict[str, str]:
    """Return one person's last answer on each picture, in the order in which they were given."""
    kept: dict[str, str] = {}
    for answer in given:
        if answer.who == who:
            kept.pop(answer.file_name, None)
            if answer.label is not None:
                kept[answer.file_name] = answer.label
    return kept
