"""The repository on plain stores: a directory, a web server that takes PUT, a bucket."""

from __future__ import annotations

import gc
import hashlib
import warnings
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from push_stores import COMMIT, FileStore, HttpsStore, S3Store, open_store, serve
from web_made import QuietHandler, web

from edge.errors import InputError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from pathlib import Path

OLD = {"metadata/1.root.json": b"r", "metadata/1.targets.json": b"t", COMMIT: b"first"}
NEW = {**OLD, "metadata/2.targets.json": b"t2", COMMIT: b"other"}


class _Recording:
    """A bucket that remembers; boto3's two calls."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.order: list[str] = []

    def head_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]:  # noqa: N803 - boto3's names
        """Return the length, or fail as boto3 does."""
        assert Bucket == "flaps"
        if Key not in self.objects:
            raise _NotFoundError
        data = self.objects[Key]
        return {"ContentLength": len(data), "ETag": f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> object:  # noqa: N803 - boto3's names
        """Keep an object."""
        assert Bucket == "flaps"
        self.objects[Key] = Body
        self.order.append(Key)
        return {}


class _NotFoundError(Exception):
    response = {"Error": {"Code": "404"}}  # noqa: RUF012 - as botocore's ClientError has it


def test_a_directory_has_the_repository(tmp_path: Path) -> None:
    """A store is brought up to the repository; the second time there is nothing to do, the next time only news."""
    store = FileStore(tmp_path / "web")
    assert [3, 0, 2] == [serve(OLD, store), serve(OLD, store), serve(NEW, store)]
    assert NEW == {path.relative_to(tmp_path / "web").as_posix(): path.read_bytes()
                   for path in (tmp_path / "web").rglob("*.json")}  # fmt: skip


def test_the_timestamp_comes_last() -> None:
    """Whoever reads while a store is written finds the old repository whole: the timestamp is written last."""
    bucket = _Recording()
    store = S3Store("s3://flaps/home", bucket)
    serve(OLD, store)
    assert f"home/{COMMIT}" == bucket.order[-1]
    assert [2, 0] == [serve(NEW, store), serve(NEW, store)]
    assert ["home/metadata/2.targets.json", f"home/{COMMIT}"] == bucket.order[-2:]


def test_a_store_that_is_full_is_one_line(tmp_path: Path) -> None:
    """A directory that cannot be written is named, with why."""
    (tmp_path / "web").write_text("a file", encoding="utf-8")
    with pytest.raises(InputError, match=r"metadata/.*json: "):
        serve(OLD, FileStore(tmp_path / "web"))


@pytest.mark.parametrize("address", ["http://host/x", "file:", "https://", "s3:///x", "rsync://host/x", "/srv/x"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """Only the three kinds of stores are known, and plain HTTP is not one of them."""
    with pytest.raises(InputError, match="is not file:/DIR, https://HOST/DIR or s3://BUCKET/PREFIX"):
        open_store(address)


def test_a_web_server_takes_it_by_put(tmp_path: Path) -> None:
    """Files go below the address by PUT, with its signed permission on each, over TLS that is verified."""
    with _web(tmp_path) as (address, context, got):
        store = HttpsStore(f"{address}/flaps?sig=s%2Fecret", context)
        assert [3, 1] == [serve(OLD, store), serve(OLD, store)]
        assert {f"/flaps/{name}" for name in OLD} == set(got)
        with pytest.raises(InputError, match="certificate"):
            serve(OLD, HttpsStore(f"{address}/flaps?sig=s%2Fecret"))


def test_a_refused_put_does_not_show_the_permission(tmp_path: Path) -> None:
    """A server's refusal is one line, and the signed permission is not in it."""
    with _web(tmp_path) as (address, context, _), pytest.raises(InputError, match="403") as caught:
        serve(OLD, HttpsStore(f"{address}/flaps?sig=wrong", context))
    assert "wrong" not in str(caught.value)


class _Put(QuietHandler, BaseHTTPRequestHandler):
    got: dict[str, bytes]

    def do_PUT(self) -> None:
        """Keep a file where the permission is right."""
        parts, data = urlsplit(self.path), self.rfile.read(int(self.headers["Content-Length"]))
        good = parts.query == "sig=s%2Fecret"
        if good:
            self.got[parts.path] = data
        self.say(201 if good else 403, b"")

    def do_HEAD(self) -> None:
        """Say how long a file is."""
        data = self.got.get(urlsplit(self.path).path)
        self.say(404 if data is None else 200, data or b"")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Collect here what a failed TLS handshake leaves behind, so that no later test is blamed for it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@contextmanager
def _web(root: Path) -> Iterator[tuple[str, ssl.SSLContext, dict[str, bytes]]]:
    """Yield the address of a TLS server on this machine, who believes it, and what it was given."""
    got: dict[str, bytes] = {}
    with web(root, type("Handler", (_Put,), {"got": got})) as (address, context):
        yield address, context, got
