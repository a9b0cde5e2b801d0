"""What is particular to a directory, to a web server, and to the permission to read."""

from __future__ import annotations

import gc
import os
import socket
import warnings
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from web_made import QuietHandler, web

from edge.errors import ConfigError
from edge.link import StoreError, access_from, open_store
from edge.link.stores import ACCESS, CREDENTIALS, Access, FolderStore, HttpsStore, Limit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator


def _limit(patience_s: float = 20.0) -> Limit:
    return Limit(patience_s, lambda: None)


@contextmanager
def _served(root: Path, answer: Callable[[QuietHandler], None]) -> Iterator[tuple[str, ssl.SSLContext]]:
    class Handler(QuietHandler, BaseHTTPRequestHandler):
        """Answers as the test says."""

        def do_GET(self) -> None:
            answer(self)

    with web(root, Handler) as made:
        yield made
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # what a client that hung up leaves at the server is no later test's fault


# --- a directory -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_store_gives_plain_files_only(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A pipe would hold the process for ever, a device never end."""
    make(tmp_path / "odd")
    with pytest.raises(StoreError, match="odd: "):
        FolderStore(tmp_path).read("odd", 100, _limit())


def test_a_share_that_is_not_mounted_is_no_empty_store(tmp_path: Path) -> None:
    """Where the directory itself is missing, that is said."""
    with pytest.raises(StoreError, match="is it mounted"):
        FolderStore(tmp_path / "share").read("metadata/timestamp.json", 100, _limit())


# --- a web server ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 500, 503])
def test_a_server_that_is_not_well_is_not_one_without_the_file(tmp_path: Path, status: int) -> None:
    """Only 403, 404 and 410 say that there is no such file; anything else ends the round."""
    with (
        _served(tmp_path, lambda handler: handler.say(status, b"")) as (address, context),
        pytest.raises(StoreError, match=f"the server answers {status}"),
    ):
        HttpsStore(address, Access(), context).read("x", 10, _limit())


def test_no_redirection_is_followed(tmp_path: Path) -> None:
    """Wherever it leads, the permission to read does not go there."""
    asked: list[str] = []

    def answer(handler: QuietHandler) -> None:
        asked.append(handler.path)
        handler.say(302, b"", Location="/elsewhere")

    with _served(tmp_path, answer) as (address, context), pytest.raises(StoreError, match="answers 302"):
        HttpsStore(address, Access(), context).read("x", 10, _limit())
    assert ["/x"] == asked


def test_a_server_nobody_vouches_for_is_told_nothing(tmp_path: Path) -> None:
    """A certificate that the system does not believe ends the connection before anything is asked."""
    asked: list[str] = []
    with (
        _served(tmp_path, lambda handler: asked.append(handler.path)) as (address, _),
        pytest.raises(StoreError, match="certificate verify failed"),
    ):
        HttpsStore(address, Access(authorization="Bearer secret")).read("x", 10, _limit())
    assert [] == asked


def test_an_answer_that_ends_early_is_no_file(tmp_path: Path) -> None:
    """Half of a file is a failure of the line, to be asked for again."""

    def answer(handler: QuietHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")

    with _served(tmp_path, answer) as (address, context), pytest.raises(StoreError, match="ended 96 bytes early"):
        HttpsStore(address, Access(), context).read("x", 1000, _limit())


@pytest.mark.attack("slow data")
@pytest.mark.parametrize("part", ["status line", "headers", "body"])
def test_a_server_that_trickles_is_given_up(tmp_path: Path, part: str) -> None:
    """Every read may be in time and the whole still never end: the limit holds for all of it, headers too."""
    first = {"status line": b"", "headers": b"HTTP/1.0 200 OK\r\n", "body": b"HTTP/1.0 200 OK\r\n\r\n"}[part]
    told: list[bool] = []
    times = iter(range(10_000))

    def answer(handler: QuietHandler) -> None:
        try:
            handler.wfile.write(first)
            while True:
                handler.wfile.write(b"x")
        except OSError:
            return

    limit = Limit(30.0, lambda: told.append(True), lambda: float(next(times)))
    late = pytest.raises(StoreError, match="x: was not all here within 30 s")
    with _served(tmp_path, answer) as (address, context), late:
        HttpsStore(address, Access(), context).read("x", 10**9, limit)
    assert len(told) < 31


@pytest.mark.attack("slow data")
def test_a_server_that_says_nothing_is_hung_up_on(tmp_path: Path) -> None:
    """The wait for the first byte is as bounded as the rest, before the handshake too."""
    del tmp_path
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        store = HttpsStore(f"https://127.0.0.1:{deaf.getsockname()[1]}/flaps", Access())
        with pytest.raises(StoreError, match="timed out"):
            store.read("x", 10, _limit(0.2))


def test_a_host_that_is_not_there_is_one_line() -> None:
    """What cannot be reached is named, with why."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(StoreError, match=rf"^https://127\.0\.0\.1:{port}/flaps: x: Connection refused$"):
        HttpsStore(f"https://127.0.0.1:{port}/flaps", Access()).read("x", 10, _limit())


# --- the permission --------------------------------------------------------------------------------------------------


def _credential(directory: Path, text: str) -> Access:
    (directory / ACCESS).write_text(text, encoding="utf-8")
    return access_from({CREDENTIALS: str(directory)})


@pytest.mark.parametrize(
    ("text", "path", "header"),
    [("?sig=a%2Fb&se=1\n", "/flaps/metadata/1.root.json?sig=a%2Fb&se=1", None),
     ("Bearer abc def\n", "/flaps/metadata/1.root.json", "Bearer abc def")],
)  # fmt: skip
def test_a_permission_goes_with_every_request(tmp_path: Path, text: str, path: str, header: str | None) -> None:
    """A credential that begins with ? stands behind each address, any other is the header Authorization."""
    seen: list[tuple[str, str | None]] = []

    def answer(handler: QuietHandler) -> None:
        seen.append((handler.path, handler.headers["Authorization"]))
        handler.say(200, b"")

    with _served(tmp_path, answer) as (address, context):
        store = HttpsStore(f"{address}/flaps/", _credential(tmp_path, text), context)
        store.read("metadata/1.root.json", 10, _limit())
    assert [(path, header)] == seen


@pytest.mark.parametrize("text", ["?sig=secret", "Bearer secret", "?sig=secret\x7f", "?sig=secr\u00e9t"])
def test_a_permission_is_in_no_message(tmp_path: Path, text: str) -> None:
    """Neither a failure, nor the address that is shown, nor the value's own text gives it away."""
    said: list[str] = []
    with _served(tmp_path, lambda handler: handler.say(500, b"")) as (address, context):
        try:
            access = _credential(tmp_path, text)
            store = HttpsStore(f"{address}/flaps", access, context)
            said += [repr(access), store.shown]
            store.read("x", 10, _limit())
        except (ConfigError, StoreError) as error:
            said.append(str(error))
    assert [] == [line for line in said if "secr" in line]
    assert said


@pytest.mark.parametrize("text", ["", "\n", "two\nlines", "?with space", "x" * 5000])
def test_what_is_no_permission_is_refused(tmp_path: Path, text: str) -> None:
    """One line of printable characters, or one line that says so."""
    with pytest.raises(ConfigError, match="credential models_access: is not one line"):
        _credential(tmp_path, text)


def test_without_a_credential_nothing_is_sent() -> None:
    """Most stores need none."""
    assert [Access(), Access()] == [access_from({}), access_from({CREDENTIALS: "/nonexistent"})]


def test_an_address_says_which_store_it_is() -> None:
    """file: is a directory, with its escapes undone; https: is a server."""
    shown = [open_store(address, Access()).shown for address in ("file:/a%20b", "https://h.example/x/")]
    assert ["file:/a b", "https://h.example/x"] == shown
