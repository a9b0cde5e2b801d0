"""The repository in a bucket of a real S3 server on this machine: written with boto3, polled over TLS.

``make s3-test`` runs it in an environment of its own; without one it is skipped.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import push_model
import pytest
from bundles_renamed import with_version
from stand_ins import PATIENCE_S
from web_made import certificate

from edge.bundle import factory_directory
from edge.files import DiskFiles
from edge.inbox import Inbox
from edge.link.service import Outcome, poll
from edge.link.stores import Access, HttpsStore, Limit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Client = Any
"""boto3 makes its classes at run time."""

boto3 = pytest.importorskip("boto3")
pytest.importorskip("moto.server")


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an S3 server with TLS, told to boto3 as an owner would tell it."""
    certificate(tmp_path)
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0", "-s",
             "-c", str(tmp_path / "cert.pem"), "-k", str(tmp_path / "key.pem")]  # fmt: skip
    with subprocess.Popen(words, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": ""}) as server:
        assert server.stderr is not None
        lines = iter(server.stderr.readline, b"")
        address = next(line.split()[-1].decode() for line in lines if b"Running on https://" in line)
        settings = {"ENDPOINT_URL": address, "CA_BUNDLE": str(tmp_path / "cert.pem"), "DEFAULT_REGION": "us-east-1",
                    "ACCESS_KEY_ID": "owner", "SECRET_ACCESS_KEY": "any"}  # fmt: skip
        for name, value in settings.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        yield address
        server.terminate()


@pytest.fixture
def bucket(endpoint: str) -> Iterator[Client]:
    """A client of the server, with an empty bucket."""
    del endpoint
    client = boto3.client("s3")
    client.create_bucket(Bucket="flaps")
    yield client
    client.close()


def _names(client: Client) -> list[str]:
    return sorted(entry["Key"] for entry in client.list_objects_v2(Bucket="flaps").get("Contents", []))


def test_a_push_to_a_bucket_is_polled(
    endpoint: str,
    bucket: Client,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Written once, nothing to do the second time, mended where a part is gone; and the link fetches it whole."""
    (tmp_path / "words").write_text("six plain words in a row", encoding="utf-8")
    higher = str(with_version(factory_directory(), tmp_path / "higher", "9.0.0"))
    push = [higher, "--via", "s3://flaps/home", "--home", str(tmp_path / "owner"),
            "--passphrase-file", str(tmp_path / "words")]  # fmt: skip
    assert 0 == push_model.main(push), capsys.readouterr().err
    first, names = capsys.readouterr().out, _names(bucket)
    assert 0 == push_model.main(push)
    again = capsys.readouterr().out
    bucket.delete_object(Bucket="flaps", Key=names[-1])
    assert 0 == push_model.main(push)
    mended = capsys.readouterr().out
    said = [text.splitlines()[-1].removeprefix("s3://flaps/home: ") for text in (first, again, mended)]
    assert ["5 files written", "nothing to do: it is all there", "2 files written"] == said
    store = HttpsStore(
        f"{endpoint}/flaps/home", Access(), ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    )
    inbox = Inbox(tmp_path / "incoming", DiskFiles())
    done = [poll(store, inbox, Limit(PATIENCE_S, lambda: None)) for _ in range(2)]
    assert [(Outcome.FETCHED, 5), (Outcome.UNCHANGED, 0)] == [(one.outcome, one.files) for one in done]
    lies = {path.relative_to(inbox.directory).as_posix() for path in inbox.directory.rglob("*.*r")}
    assert {name.removeprefix("home/") for name in names if name.endswith(".tar")} == lies
    with capsys.disabled():
        print(f"\nS3 server at {endpoint}: {len(names)} objects, {done[0].bytes} bytes written, then polled whole")


def test_a_bucket_that_is_not_there_is_one_line(
    bucket: Client,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the server says against it is one line and status 2."""
    del bucket
    (tmp_path / "words").write_text("six plain words in a row", encoding="utf-8")
    push = [str(factory_directory()), "--via", "s3://nowhere/home", "--home", str(tmp_path / "owner"),
            "--passphrase-file", str(tmp_path / "words")]  # fmt: skip
    assert 2 == push_model.main(push)
    said = capsys.readouterr().err
    assert (1, True) == (len(said.splitlines()), said.startswith("push_model: s3://nowhere: "))
