"""The page of tools/label.py, served to whoever knows its token, on this machine only."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from check_data import inside
from label_answers import ANSWERS, Answer, Answers, standing
from label_report import report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


PAGE = Path(__file__).with_name("label.html")
LOOPBACK = "127.0.0.1"
MAX_BODY_BYTES = 4096

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}


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
