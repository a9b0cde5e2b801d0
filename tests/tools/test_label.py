"""Labelling in the browser: over real HTTP, on the loopback address, and every answer on the disk at once."""

from __future__ import annotations

import json
import re
import socket
from collections import Counter
from contextlib import contextmanager
from html.parser import HTMLParser
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import cv2
import label
import label_server
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label import drawn, pictures
from label_answers import ANSWERS, Answer, Answers, LabelError, standing
from label_report import kappa, report
from label_server import PAGE, Server, Session
from samples_made import sample

from edge.evaluation import cohens_kappa
from edge.messages import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def folder_of(folder: Path, labels: list[str]) -> Path:
    """An imagefolder: ``0.png`` and on, one for each label, each of a visit of its own."""
    cv2.imwrite(str(folder / "picture.png"), sample().grey)
    for number in range(len(labels)):
        (folder / f"{number}.png").write_bytes((folder / "picture.png").read_bytes())
    (folder / "picture.png").unlink()
    rows = [
        {"file_name": f"{number}.png", "label": name, "home": "h", "visit": f"v{number}"}
        for number, name in enumerate(labels)
    ]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


class Browser:
    """What the page's script does."""

    def __init__(self, server: Server) -> None:
        """Know the printed address."""
        self.server = server

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """Status and content of an address below the token."""
        return self.fetch(Request(self.server.address + path, headers=headers))  # noqa: S310 - the server's own address

    def post(self, path: str, body: object) -> tuple[int, Any]:
        """Status and what is said to a request with a body."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, said = self.fetch(Request(self.server.address + path, data=data))  # noqa: S310 - as above
        return status, json.loads(said) if said.startswith(b"{") else said.decode()

    def fetch(self, request: Request) -> tuple[int, bytes]:
        """Status and content."""
        try:
            with urlopen(request, timeout=10) as reply:  # noqa: S310 - as above
                return reply.status, reply.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()

    def raw(self, path: str) -> int:
        """Status of a path that is sent as it stands."""
        port = self.server.server_port
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            with connection.makefile("rb") as reply:
                return int(reply.readline().split()[1])

    def state(self) -> dict[str, Any]:
        """What the page is to show."""
        found: dict[str, Any] = json.loads(self.get("state")[1])
        return found


@contextmanager
def browsing(folder: Path, queue: tuple[str, ...] | None = None, who: str = "ann") -> Iterator[Browser]:
    """A browser before a server that is really there."""
    session = Session(folder, pictures(folder) if queue is None else queue, Answers(folder / "labels.jsonl"), who)
    with Server(session, 0) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Browser(server)
        finally:
            server.shutdown()
            thread.join()


def kept(folder: Path) -> list[tuple[str, str | None]]:
    """What lies on the disk."""
    lines = (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    return [(line["file_name"], line["label"]) for line in map(json.loads, lines)]


def test_an_answer_is_on_the_disk_before_the_next_picture(tmp_path: Path) -> None:
    """Each answer is a line with name, label, person and moment, and the state moves on."""
    with browsing(folder_of(tmp_path, ["empty"] * 3)) as browser:
        assert {"place": 0, "done": 0, "total": 3, "last": None} == browser.state()
        said = browser.post("answer", {"place": 0, "label": "cat_prey"})
        assert (200, {"place": 1, "done": 1, "total": 3, "last": "cat_prey"}) == said
        line = json.loads((tmp_path / "labels.jsonl").read_text(encoding="utf-8"))
    assert {"file_name": "0.png", "label": "cat_prey", "who": "ann", "at": line["at"]} == line
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", line["at"])


def test_the_picture_is_sent_as_it_is(tmp_path: Path) -> None:
    """What is shown is the file itself, asked for by its place."""
    with browsing(folder_of(tmp_path, ["empty"])) as browser:
        assert (200, (tmp_path / "0.png").read_bytes()) == browser.get("picture/0")


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    """What was answered is not asked again, what was torn by a power cut is, and undo reaches back."""
    folder_of(tmp_path, ["empty"] * 3)
    with browsing(tmp_path) as browser:
        browser.post("answer", {"place": 0, "label": "person"})
    with (tmp_path / "labels.jsonl").open("ab") as file:
        file.write(b'{"file_name": "1.png", "la')
    with browsing(tmp_path) as browser:
        assert {"place": 1, "done": 1, "total": 3, "last": "person"} == browser.state()
        browser.post("answer", {"place": 1, "label": "empty"})
        browser.post("undo", {})
        assert {"place": 0, "done": 0, "total": 3, "last": None} == browser.post("undo", {})[1]
    assert [("0.png", "person"), ("1.png", "empty"), ("1.png", None), ("0.png", None)] == kept(tmp_path)


def test_undo_without_an_answer_changes_nothing(tmp_path: Path) -> None:
    """Backspace on the first picture writes no line."""
    with browsing(folder_of(tmp_path, ["empty"])) as browser:
        assert (200, {"place": 0, "done": 0, "total": 1, "last": None}) == browser.post("undo", {})
    assert not (tmp_path / "labels.jsonl").exists()


def test_one_picture_is_answered_once(tmp_path: Path) -> None:
    """A second click, or a second window, does not answer a picture that nobody has looked at."""
    with browsing(folder_of(tmp_path, ["empty"] * 2)) as browser:
        statuses = [browser.post("answer", {"place": 0, "label": name})[0] for name in ("empty", "person")]
    assert [200, 409] == statuses
    assert [("0.png", "empty")] == kept(tmp_path)


def test_two_people_do_not_see_each_others_answers(tmp_path: Path) -> None:
    """Each begins with the first picture, and both stay in the one file."""
    folder_of(tmp_path, ["empty"])
    for who in ("ann", "ben"):
        with browsing(tmp_path, who=who) as browser:
            assert 200 == browser.post("answer", {"place": 0, "label": "empty"})[0]
    assert [("0.png", "empty")] * 2 == kept(tmp_path)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"place": 0, "label": "wolf"}, 400),
        ({"place": 0, "label": None}, 400),
        ({"place": 0, "label": ["empty"]}, 400),
        ({"place": "0", "label": "empty"}, 400),
        ({"place": True, "label": "empty"}, 400),
        ([], 400),
        (b"{", 400),
        (b"[" * 4096, 400),
        (b"\xff", 400),
        (b" " * 4097, 413),
        ({"place": 7, "label": "empty"}, 409),
    ],
)
def test_what_is_no_answer_is_not_kept(tmp_path: Path, body: object, status: int) -> None:
    """An unknown label, a place that is not asked for, no JSON and too much of it are refused."""
    with browsing(folder_of(tmp_path, ["empty"])) as browser:
        assert status == browser.post("answer", body)[0]
        assert 0 == browser.state()["done"]
    assert not (tmp_path / "labels.jsonl").exists()


@pytest.mark.parametrize("token", ["", "wrong", "%00", "ä"])
@pytest.mark.parametrize("path", ["", "state", "picture/0"])
def test_a_wrong_token_sees_nothing(tmp_path: Path, token: str, path: str) -> None:
    """Page, state and pictures are for whoever has the printed address."""
    with browsing(folder_of(tmp_path, ["empty"])) as browser:
        assert 403 == browser.raw(f"/{token}/{path}")


def test_a_wrong_token_changes_nothing(tmp_path: Path) -> None:
    """Another page on the machine cannot answer."""
    with browsing(folder_of(tmp_path, ["empty"])) as browser:
        address = browser.server.address.replace(browser.server.token, "x" * 22)
        body = json.dumps({"place": 0, "label": "empty"}).encode()
        assert 403 == browser.fetch(Request(address + "answer", data=body))[0]  # noqa: S310 - as above
        assert 0 == browser.state()["done"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", ""])
def test_a_foreign_host_is_refused(tmp_path: Path, host: str) -> None:
    """A name that was made to point here knows the token no better for it."""
    with browsing(folder_of(tmp_path, ["empty"])) as browser:
        assert 403 == browser.get("state", Host=host)[0]


@pytest.mark.parametrize(
    "path",
    ["../secret.png", "%2e%2e/secret.png", "-1", "1", "\u0660", "0/../../secret.png", "00", "", "metadata.jsonl"],
)
def test_no_address_leads_out_of_the_queue(tmp_path: Path, path: str) -> None:
    """Only places in the queue are served, whatever stands in the address."""
    folder = tmp_path / "data"
    folder.mkdir()
    cv2.imwrite(str(tmp_path / "secret.png"), sample().grey)
    with browsing(folder_of(folder, ["empty"])) as browser:
        assert 404 == browser.raw(f"/{browser.server.token}/picture/{path}")


def test_no_file_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    """Neither a row of metadata.jsonl nor a link makes the tool show another folder's file."""
    folder = tmp_path / "data"
    folder.mkdir()
    folder_of(folder, ["empty"])
    cv2.imwrite(str(tmp_path / "secret.png"), sample().grey)
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    row = {"label": "empty", "home": "h", "visit": "v"}
    names = ("../secret.png", str(tmp_path / "secret.png"), "link.png")
    with (folder / "metadata.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({**row, "file_name": name}) + "\n" for name in names)
    assert ("0.png",) == pictures(folder)
    assert ("0.png",) == drawn(folder, 9, 0)
    with browsing(folder, names) as browser:  # and if one got into the queue all the same
        assert [404] * 3 == [browser.get(f"picture/{place}")[0] for place in range(3)]


def test_neither_label_nor_name_is_told(tmp_path: Path) -> None:
    """Folders are often named after labels: who answers blindly must not read it in an address."""
    (tmp_path / "cat_prey").mkdir()
    folder_of(tmp_path / "cat_prey", ["cat_prey"])
    with browsing(tmp_path) as browser:
        assert b"cat_prey" not in browser.get("state")[1]
        assert 200 == browser.get("picture/0")[0]


def test_stopping_tells_the_agreement_and_ends(tmp_path: Path) -> None:
    """The button's reply holds the report, and the server ends by itself."""
    folder_of(tmp_path, ["empty"])
    session = Session(tmp_path, pictures(tmp_path), Answers(tmp_path / "labels.jsonl"), "ann")
    with Server(session, 0) as server:
        # A daemon: a server that does not stop is to fail this test and not to hold up the rest.
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        browser = Browser(server)
        browser.post("answer", {"place": 0, "label": "empty"})
        status, said = browser.post("finish", {})
        thread.join(10)
        assert not thread.is_alive()
    assert 200 == status
    assert "agreement 1.000" in said["report"]


class _Page(HTMLParser):
    """Collects the buttons' labels and every address."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, str] = {}
        self.addresses: list[str] = []
        self.live: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        found = {name: value or "" for name, value in attrs}
        if tag == "button" and "data-label" in found:
            self.keys[found["data-key"]] = found["data-label"]
        self.addresses += [found[name] for name in ("src", "href", "action") if name in found]
        self.live += [found["id"]] if "aria-live" in found else []


def test_the_page_has_a_button_for_every_answer_and_nothing_foreign(tmp_path: Path) -> None:
    """Keys 1 to 6 in the order of the classes, 0 for none of them, progress that is read aloud, no other address."""
    with browsing(folder_of(tmp_path, ["empty"])) as browser:
        text = browser.get("")[1].decode()
    page = _Page()
    page.feed(text)
    assert dict(zip("1234560", ANSWERS, strict=True)) == page.keys
    assert ["data:,"] == page.addresses
    assert ["told"] == page.live
    assert [] == re.findall(r"(?:https?:)?//\w", text)
    assert text == PAGE.read_text(encoding="utf-8")


def test_every_reply_keeps_the_address_to_itself(tmp_path: Path) -> None:
    """No referrer, no cache, no frame, no resource from elsewhere, whatever is asked for."""
    with browsing(folder_of(tmp_path, ["empty"])) as browser, urlopen(browser.server.address, timeout=10) as reply:  # noqa: S310 - as above
        assert label_server.HEADERS == {name: reply.headers[name] for name in label_server.HEADERS}


def test_a_sample_takes_labels_in_turn_and_is_repeatable(tmp_path: Path) -> None:
    """Rare labels come whole, the others alike; one seed draws one sample, another seed another."""
    labels = ["cat_prey"] * 2 + ["cat_clear"] * 20 + ["empty"] * 20
    folder_of(tmp_path, labels)
    sample_of = drawn(tmp_path, 12, 1)
    counts = Counter(labels[int(name.removesuffix(".png"))] for name in sample_of)
    assert {"cat_prey": 2, "cat_clear": 5, "empty": 5} == counts
    assert sample_of == drawn(tmp_path, 12, 1)
    assert sample_of != drawn(tmp_path, 12, 2)


def answered(pairs: list[tuple[str, str | None]]) -> list[Answer]:
    """Answers of one person."""
    return [Answer(name, said, "ann", "2026-01-01T00:00:00+00:00") for name, said in pairs]


def test_the_report_compares_and_counts(tmp_path: Path) -> None:
    """``cat`` agrees with hidden and clear, ``cannot_tell`` is counted apart, and each label weighs what it has."""
    folder_of(tmp_path, ["cat", "cat", "empty", "person", "person", "person"])
    given = answered(
        [
            ("0.png", "cat_clear"),
            ("1.png", "cat_prey"),
            ("2.png", "empty"),
            ("3.png", "person"),
            ("4.png", "cannot_tell"),
        ]
    )
    lines = report(tmp_path, given).splitlines()
    assert "ann: 5 pictures: empty 1, cat_clear 1, cat_prey 1, person 1, cannot_tell 1" == lines[0]
    assert lines[1].startswith("agreement 0.750 (0.301 to 0.954), 4 pictures")
    assert lines[2].startswith("Cohen's kappa 0.667 (")
    assert "agreement, each label weighted by how often it occurs: 0.833" == lines[3]
    assert ["cat", "0", "0", "1", "1", "0", "0", "0"] == lines[-1].split()


def test_without_labels_the_report_counts(tmp_path: Path) -> None:
    """A folder of plain pictures has nothing to be compared with."""
    assert "ann: 1 pictures: person 1" == report(tmp_path, answered([("a.png", "person")]))
    assert "No answers yet." == report(tmp_path, [])


def test_a_single_class_has_no_kappa(tmp_path: Path) -> None:
    """Where chance would agree always, agreement says nothing, and no figure is made up."""
    folder_of(tmp_path, ["empty"] * 2)
    assert "kappa" not in report(tmp_path, answered([("0.png", "empty"), ("1.png", "empty")]))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=40))
def test_kappa_of_whole_labels_is_cohens(pairs: list[tuple[int, int]]) -> None:
    """Where a label leaves one class open, the figure is the one everybody knows."""
    truth, said = (np.array(each) for each in zip(*pairs, strict=True))
    allowed = truth[:, None] == np.arange(len(LABELS))
    assert pytest.approx(cohens_kappa(truth, said), nan_ok=True) == kappa(said, allowed)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([*ANSWERS, None])), max_size=20))
def test_the_last_word_on_a_picture_stands(pairs: list[tuple[str, str | None]]) -> None:
    """An answer replaces the one before, and what was taken back is not answered."""
    expected = {name: said for name, said in dict(pairs).items() if said is not None}
    assert expected == standing(answered(pairs), "ann")
    assert {} == standing(answered(pairs), "ben")


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b'{"file_name": "a", "label": "wolf", "who": "ann", "at": ""}',
        b'{"file_name": 1, "label": "empty", "who": "ann", "at": ""}',
    ],
)
def test_a_foreign_line_is_named_not_lost(tmp_path: Path, line: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """A whole line that is no answer stops the tool, which leaves the file as it is."""
    path = folder_of(tmp_path, ["empty"]) / "labels.jsonl"
    path.write_bytes(line + b"\n")
    with pytest.raises(LabelError, match=r"labels\.jsonl:1"):
        Answers(path)
    assert 2 == label.main([str(tmp_path), "--report"])
    assert "labels.jsonl:1" in capsys.readouterr().err
    assert line + b"\n" == path.read_bytes()


def test_the_report_is_printed_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--report`` needs no browser and writes nothing."""
    folder_of(tmp_path, ["empty"])
    Answers(tmp_path / "labels.jsonl").add(answered([("0.png", "empty")])[0])
    assert 0 == label.main([str(tmp_path), "--report"])
    assert "agreement 1.000" in capsys.readouterr().out


@pytest.mark.parametrize("option", [["--blind", "0"], ["--blind", "-3"], ["--blind", "x"]])
def test_a_sample_is_of_at_least_one(tmp_path: Path, option: list[str]) -> None:
    """What cannot be drawn is refused before anything is read."""
    with pytest.raises(SystemExit, match="2"):
        label.main([str(tmp_path), *option])


def test_a_folder_without_pictures_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, and no server."""
    assert 2 == label.main([str(tmp_path)])
    assert "holds no pictures" in capsys.readouterr().err
