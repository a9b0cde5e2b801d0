"""What every store that the network process reads from owes it."""

from __future__ import annotations

import gc
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from web_made import QuietHandler, web

from edge.link import StoreError
from edge.link.stores import Access, FolderStore, HttpsStore, Limit, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Shop:
    """A store, and the directory that it shows."""

    store: Store
    directory: Path

    def limit(self, patience_s: float = 20.0) -> Limit:
        """Return a limit that nobody is told of."""
        return Limit(patience_s, lambda: None)


@contextmanager
def _folder(root: Path) -> Iterator[Shop]:
    yield Shop(FolderStore(root / "shop"), root / "shop")


@contextmanager
def _server(root: Path) -> Iterator[Shop]:
    class Handler(QuietHandler, BaseHTTPRequestHandler):
        """Serves the directory."""

        def do_GET(self) -> None:
            path = root / unquote(self.path.lstrip("/"))
            self.say(200, path.read_bytes()) if path.is_file() else self.say(404, b"no such thing")

    with web(root, Handler) as (address, context):
        yield Shop(HttpsStore(f"{address}/shop", Access(), context), root / "shop")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # what a client that hung up leaves at the server is no later test's fault


@pytest.fixture(params=[_folder, _server])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """A store with one file of a thousand bytes."""
    (tmp_path / "shop" / "metadata").mkdir(parents=True)
    (tmp_path / "shop" / "metadata" / "timestamp.json").write_bytes(b"x" * 1000)
    with request.param(tmp_path) as made:
        yield made


def test_a_file_comes_whole(shop: Shop) -> None:
    """A file is read to its last byte, also where exactly as much is allowed, and an empty one is no missing one."""
    (shop.directory / "empty").touch()
    assert [b"x" * 1000, b""] == [
        shop.store.read("metadata/timestamp.json", 1000, shop.limit()),
        shop.store.read("empty", 0, shop.limit()),
    ]


def test_a_file_that_is_not_there_is_none(shop: Shop) -> None:
    """That a file is missing is an answer, not a failure: it is how the last root is found."""
    assert None is shop.store.read("metadata/1.root.json", 1000, shop.limit())


def test_a_file_that_is_too_long_is_not_read_to_its_end(shop: Shop) -> None:
    """One byte more than allowed is refused, and so is a file that never ends for all anybody knows."""
    (shop.directory / "huge").write_bytes(bytes(3_000_000))
    for name, most in (("metadata/timestamp.json", 999), ("huge", 100_000)):
        with pytest.raises(StoreError, match=f"{name}: is longer than {most} bytes"):
            shop.store.read(name, most, shop.limit())


def test_a_name_is_asked_for_as_it_is(shop: Shop) -> None:
    """Names with signs that mean something in an address lead to the file of that name."""
    (shop.directory / "a+b c%41?#.tar").write_bytes(b"odd")
    assert b"odd" == shop.store.read("a+b c%41?#.tar", 10, shop.limit())


def test_nothing_is_read_once_the_time_is_over(shop: Shop) -> None:
    """A round that has used up its time is a failure in words."""
    with pytest.raises(StoreError, match=r"timestamp\.json: was not all here within 0 s"):
        shop.store.read("metadata/timestamp.json", 1000, shop.limit(0.0))


def test_what_is_shown_of_an_address_leads_to_the_store(shop: Shop) -> None:
    """The log names the store as the configuration does."""
    assert shop.store.shown.startswith(("file:/", "https://127.0.0.1:"))
