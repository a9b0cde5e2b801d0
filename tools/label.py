"""Label pictures in the browser, on this machine only; nothing leaves it.

    python tools/label.py DIR                          every JPEG and PNG below DIR that has no answer yet
    python tools/label.py DIR --blind 120 --who ANN    a sample, compared with metadata.jsonl at the end
    python tools/label.py DIR --report                 that comparison again

Keys 1 to 6 are the classes, 0 is "cannot tell", backspace takes the last answer back. Every answer is on the disk
before the next picture is shown, as a line of DIR/labels.jsonl (``file_name``, ``label``, ``who``, ``at``; label null
takes an answer back); started again, the tool goes on where it was. No picture is shown with its label or its name.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import math
import os
import secrets
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import zip_longest
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from check_data import at_least_one, inside, read_rows
from dataset import PARTIAL, DataSetError, allowed_by

from edge.evaluation import bootstrap, wilson
from edge.files import DiskFiles
from edge.messages import LABELS, Label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from io import FileIO

    from check_data import Row

    from edge.evaluation import Flags, Indices
    from edge.messages import Metric

CANNOT_TELL = "cannot_tell"
ANSWERS: tuple[str, ...] = (*LABELS, CANNOT_TELL)
PAGE = Path(__file__).with_name("label.html")
LOOPBACK = "127.0.0.1"
MAX_BODY_BYTES = 4096
TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


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


class Session:
    """One person before one queue of pictures. Safe to call from several threads."""

    def __init__(self, folder: Path, queue: Sequence[str], answers: Answers, who: str) -> None:
        """Go on where the answers leave off."""
        self.folder, self.queue, self.who = folder, tuple(queue), who
        self._answers, self._lock = answers, Lock()
        self._place = {name: place for place, name in enumerate(self.queue)}

    def state(self) -> dict[str, int | str | None]:
        """Return the place of the picture that is to be answered (None: no more), how many are, and the last label."""
        kept = self._mine()
        place = next((place for place, name in enumerate(self.queue) if name not in kept), None)
        last = list(kept.values())[-1] if kept else None
        return {"place": place, "done": len(kept), "total": len(self.queue), "last": last}

    def answer(self, place: int, label: str) -> bool:
        """Keep an answer; False where another picture is to be answered (two windows, two clicks).

        Raises:
            OSError: it could not be kept.
        """
        with self._lock:
            if self.state()["place"] != place:
                return False
            self._answers.add(Answer(self.queue[place], label, self.who, _now()))
            return True

    def undo(self) -> None:
        """Take the last answer back, if there is one.

        Raises:
            OSError: it could not be taken back.
        """
        with self._lock:
            if kept := self._mine():
                self._answers.add(Answer(list(kept)[-1], None, self.who, _now()))

    def given(self) -> tuple[Answer, ...]:
        """Return every line of the file of answers, other people's too."""
        return tuple(self._answers.given)

    def _mine(self) -> dict[str, str]:
        return {name: label for name, label in standing(self._answers.given, self.who).items() if name in self._place}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Server(ThreadingHTTPServer):
    """Serves one session to whoever knows the token, on the loopback address.

    Threads, because a browser opens connections that it may never use; one of them would hold up all others.
    """

    daemon_threads = True

    def __init__(self, session: Session, port: int) -> None:
        """Listen; port 0 takes a free one.

        Raises:
            OSError: the port is taken.
        """
        super().__init__((LOOPBACK, port), _Handler)
        self.session, self.token = session, secrets.token_urlsafe(16)

    @property
    def address(self) -> str:
        """The page's address, with the token."""
        return f"http://{LOOPBACK}:{self.server_port}/{self.token}/"


class _RefusalError(Exception):
    """A request that is answered with a status and one line."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    """Answers a request only if it knows the token and was sent to this address.

    The token keeps out other pages and other users of the machine; the Host header keeps out a foreign name that was
    made to point here (DNS rebinding).
    """

    server: Server
    timeout = 30.0  # seconds: a connection that says nothing is let go

    def do_GET(self) -> None:
        self._reply(self._get)

    def do_POST(self) -> None:
        self._reply(self._post)

    def log_message(self, *_: object) -> None:
        """Say nothing: every address holds the token."""

    def version_string(self) -> str:
        """Name the tool, not the versions beneath it."""
        return "catflap-label"

    def _reply(self, respond: Callable[[str], None]) -> None:
        try:
            respond(self._admitted())
        except _RefusalError as refused:
            self._send(refused.status, "text/plain; charset=utf-8", f"{refused}\n".encode())
        except OSError as error:
            why = f"{error.strerror or error}: free some space or correct the folder's rights\n"
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", why.encode())

    def _admitted(self) -> str:
        """Return what is asked for, without the token."""
        port = self.server.server_port
        if self.headers.get("Host") not in {f"{LOOPBACK}:{port}", f"localhost:{port}"}:
            raise _RefusalError(HTTPStatus.FORBIDDEN, "this is not the address of label.py")
        token, slash, asked = self.path.removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(token.encode(), self.server.token.encode()):
            raise _RefusalError(HTTPStatus.FORBIDDEN, "open the address that label.py printed")
        return asked

    def _get(self, asked: str) -> None:
        kind, _, place = asked.partition("/")
        if asked == "":
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", PAGE.read_bytes())
        elif asked == "state":
            self._send_json(HTTPStatus.OK, self.server.session.state())
        elif kind == "picture":
            self._send_picture(place)
        else:
            raise _RefusalError(HTTPStatus.NOT_FOUND, "there is no such page")

    def _send_picture(self, place: str) -> None:
        """Pictures are asked for by their place in the queue: no address holds a name, or a label in a name."""
        session = self.server.session
        places = [str(number) for number in range(len(session.queue))]
        path = inside(session.folder, session.queue[int(place)]) if place in places else None
        if path is None or not path.is_file():
            raise _RefusalError(HTTPStatus.NOT_FOUND, "there is no such picture")
        self._send(HTTPStatus.OK, TYPES.get(path.suffix.lower(), "application/octet-stream"), path.read_bytes())

    def _post(self, asked: str) -> None:
        session, body = self.server.session, self._body()
        if asked == "answer":
            kept = session.answer(*_checked(body))
            self._send_json(HTTPStatus.OK if kept else HTTPStatus.CONFLICT, session.state())
        elif asked == "undo":
            session.undo()
            self._send_json(HTTPStatus.OK, session.state())
        elif asked == "finish":
            self._send_json(HTTPStatus.OK, {"report": report(session.folder, session.given())})
            self.server.shutdown()  # not from the thread that serves: this one is the request's own
        else:
            raise _RefusalError(HTTPStatus.NOT_FOUND, "there is no such page")

    def _body(self) -> object:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > MAX_BODY_BYTES:
            raise _RefusalError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send at most {MAX_BODY_BYTES} bytes")
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise _RefusalError(HTTPStatus.BAD_REQUEST, "send JSON") from error

    def _send_json(self, status: HTTPStatus, value: object) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _checked(body: object) -> tuple[int, str]:
    table = body if isinstance(body, dict) else {}
    place, label = table.get("place"), table.get("label")
    if type(place) is not int or label not in ANSWERS:
        raise _RefusalError(HTTPStatus.BAD_REQUEST, f"send a place and a label, one of {', '.join(ANSWERS)}")
    return place, str(label)


def pictures(folder: Path) -> tuple[str, ...]:
    """Return the JPEG and PNG files below a folder by their names from there, sorted, none that a link leads out of."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in TYPES and path.is_file())
    names = sorted(path.relative_to(folder).as_posix() for path in found)
    return tuple(name for name in names if inside(folder, name) is not None)


def drawn(folder: Path, count: int, seed: int) -> tuple[str, ...]:
    """Return a random sample of the labelled pictures, in random order: of every label as many, or all there are.

    Raises:
        DataSetError: ``metadata.jsonl`` cannot be read.
    """
    rng, by_label = np.random.default_rng(seed), dict[str, list[str]]()
    for row in _labelled(folder).values():
        path = inside(folder, row.file_name)
        if path is not None and path.is_file():
            by_label.setdefault(row.label, []).append(row.file_name)
    shuffled = [[names[i] for i in rng.permutation(len(names))] for _, names in sorted(by_label.items())]
    in_turn = [name for turn in zip_longest(*shuffled) for name in turn if name is not None][:count]
    return tuple(in_turn[i] for i in rng.permutation(len(in_turn)))


def _labelled(folder: Path) -> dict[str, Row]:
    """Return the rows whose label is known, by file name; ``check_data`` names the others."""
    return {row.file_name: row for row in read_rows(folder)[0] if row.label in [*LABELS, *PARTIAL]}


def report(folder: Path, given: Sequence[Answer]) -> str:
    """Return, for everyone who answered, how far they agree with ``metadata.jsonl``; without one, the counts."""
    try:
        rows = _labelled(folder)
    except DataSetError:
        rows = {}
    people = dict.fromkeys(answer.who for answer in given)
    return "\n\n".join(_of_one(who, rows, standing(given, who)) for who in people) or "No answers yet."


def _of_one(who: str, rows: Mapping[str, Row], mine: Mapping[str, str]) -> str:
    counts = Counter(mine.values())
    said = ", ".join(f"{label} {counts[label]}" for label in ANSWERS if counts[label])
    lines = [f"{who}: {len(mine)} pictures{': ' if said else ''}{said}"]
    known = {name: label for name, label in mine.items() if name in rows}
    judged = {name: label for name, label in known.items() if label != CANNOT_TELL}
    if judged:
        lines += _agreement(rows, judged)
    if known:
        lines += ["", *_confusion([(rows[name].label, label) for name, label in known.items()])]
    return "\n".join(lines)


def _agreement(rows: Mapping[str, Row], judged: Mapping[str, str]) -> list[str]:
    """Return the figures over the pictures that have a label and an answer other than ``cannot_tell``."""
    said = np.array([LABELS.index(Label(label)) for label in judged.values()])
    allowed = np.array([[label in allowed_by(rows[name].label, name) for label in LABELS] for name in judged])
    right = allowed[np.arange(len(said)), said]
    figures = [_figure(wilson("agreement", int(right.sum()), len(right)))]
    if not math.isnan(kappa(said, allowed)):
        visits = [f"{rows[name].home}/{rows[name].visit or name}" for name in judged]
        figures.append(_figure(bootstrap("Cohen's kappa", lambda i: kappa(said[i], allowed[i]), visits)))
    labels = np.array([rows[name].label for name in judged])
    total = Counter(row.label for row in rows.values())
    shares = {label: float(right[labels == label].mean()) for label in sorted(set(labels.tolist()))}
    weighted = sum(total[label] * share for label, share in shares.items()) / sum(total[label] for label in shares)
    return [*figures, f"agreement, each label weighted by how often it occurs: {weighted:.3f}"]


def _figure(metric: Metric) -> str:
    return f"{metric.name} {metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f}), {metric.count} pictures"


def kappa(said: Indices, allowed: Flags) -> float:
    """Return how far answers agree with labels beyond chance, at most 1; nan where chance would agree always.

    Cohen's kappa (Cohen, 1960), for labels that may leave several classes open: an answer agrees if it is one of them,
    and by chance as often as answers drawn from their own shares would. ``said`` is (count,), ``allowed`` (count,
    labels).
    """
    shares = np.bincount(said, minlength=allowed.shape[1]) / len(said)
    agreed, by_chance = float(np.mean(allowed[np.arange(len(said)), said])), float(np.mean(allowed @ shares))
    return (agreed - by_chance) / (1 - by_chance) if by_chance < 1 - 1e-12 else math.nan


def _confusion(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return a table of (label, answer) counts, a row for each label that was drawn."""
    counts, there = Counter(pairs), {label for label, _ in pairs}
    heads = ["label, answer", *ANSWERS]
    names = [name for name in (*LABELS, *PARTIAL) if name in there]
    table = [[name, *(str(counts[name, answer]) for answer in ANSWERS)] for name in names]
    return ["  ".join(f"{cell:>{len(head)}}" for head, cell in zip(heads, row, strict=True)) for row in [heads, *table]]


def main(arguments: list[str]) -> int:
    """Run; 0 done, 2 where it cannot start."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (LabelError, DataSetError, OSError) as error:
        print(f"label: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    folder: Path = options.folder
    file = options.answers or folder / "labels.jsonl"
    if options.report:
        print(report(folder, read_answers(file)[0]))
        return 0
    queue = pictures(folder) if options.blind is None else drawn(folder, options.blind, options.seed)
    if not queue:
        raise LabelError(f"{folder}: holds no pictures to label; name a folder with JPEG or PNG files")
    session = Session(folder, queue, Answers(file), options.who)
    with Server(session, options.port) as server:
        print(f"Open {server.address}  (Ctrl-C stops; every answer is kept)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    print(report(folder, session.given()))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the pictures are")
    parser.add_argument("--who", default="owner", metavar="NAME", help="whose answers these are")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="instead of DIR/labels.jsonl")
    parser.add_argument("--port", type=int, default=0, help="instead of a free one")
    parser.add_argument("--blind", type=at_least_one, metavar="N", help="a sample of N, of every label as many")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of that sample; the same again to go on")
    parser.add_argument("--report", action="store_true", help="print how far the answers agree with metadata.jsonl")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
