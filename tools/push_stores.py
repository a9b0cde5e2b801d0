"""A TUF repository on a plain store, for flaps that poll: ``file:``, ``https:`` and ``s3:``.

Everything but ``timestamp.json`` never changes under its name, so it is written once and first; ``timestamp.json``
comes last, and a flap that reads in between finds the old repository whole. A store needs no trust: it can withhold a
model, not forge one.
"""

from __future__ import annotations

import hashlib
import importlib
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from edge.errors import InputError
from edge.files import DiskFiles, replace
from edge.inbox import METADATA, TIMESTAMP

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

COMMIT = f"{METADATA}/{TIMESTAMP}"
TIMEOUT_S = 60.0


class Store(Protocol):
    """Where files are put by name."""

    def has(self, name: str, data: bytes) -> bool:
        """Return whether ``name`` is there with this content, as far as can be told cheaply.

        Raises:
            InputError: the store cannot be reached.
        """

    def put(self, name: str, data: bytes) -> None:
        """Write one file.

        Raises:
            InputError: the store does not take it.
        """


class FileStore:
    """A directory, such as one that a web server serves or a share that flaps mount."""

    def __init__(self, directory: Path) -> None:
        """Touch nothing yet."""
        self._directory = directory

    def has(self, name: str, data: bytes) -> bool:
        """Compare the content."""
        try:
            return (self._directory / name).read_bytes() == data
        except FileNotFoundError:
            return False
        except OSError as error:
            raise InputError(f"{self._directory / name}: {error.strerror}") from error

    def put(self, name: str, data: bytes) -> None:
        """Write the file as a whole, readable by everybody."""
        path = self._directory / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(DiskFiles(), path, data)
            path.chmod(0o644)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from error


class HttpsStore:
    """A web server that takes PUT below one address. What stands behind ``?``, such as a signed permission, is kept.

    The permission must hold for the whole folder (a shared access signature, WebDAV behind a token), since the names
    of the files are those of TUF.
    """

    def __init__(self, address: str, context: ssl.SSLContext | None = None) -> None:
        """Take the folder's address; ``context`` says which servers are believed, as the system does by default."""
        self._parts = urlsplit(address)
        self._context = context

    def has(self, name: str, data: bytes) -> bool:
        """Ask by HEAD; a server that does not say counts as one that has not."""
        if name == COMMIT:
            return False
        try:
            with self._ask("HEAD", name, None) as answer:
                return int(answer.headers.get("Content-Length", -1)) == len(data)
        except urllib.error.HTTPError:
            return False
        except OSError as error:
            raise self._failed(name, error) from error

    def put(self, name: str, data: bytes) -> None:
        """PUT the file."""
        try:
            with self._ask("PUT", name, data):
                return
        except OSError as error:
            raise self._failed(name, error) from error

    def _ask(self, method: str, name: str, data: bytes | None) -> Any:  # noqa: ANN401 - as urlopen is typed
        path = f"{self._parts.path.rstrip('/')}/{quote(name)}"
        address = urlunsplit((self._parts.scheme, self._parts.netloc, path, self._parts.query, ""))
        headers = {"Content-Type": "application/octet-stream", "x-ms-blob-type": "BlockBlob"}  # the latter for Azure
        request = urllib.request.Request(address, data, headers, method=method)  # noqa: S310 - https only: see open_store
        return urllib.request.urlopen(request, timeout=TIMEOUT_S, context=self._context)  # noqa: S310 - as above

    def _failed(self, name: str, error: OSError) -> InputError:
        status = isinstance(error, urllib.error.HTTPError)
        why = error if status else getattr(error, "reason", None) or error  # without the query: it may be a permission
        return InputError(f"https://{self._parts.netloc}{self._parts.path}: {name}: {why}")


class S3Client(Protocol):
    """What is used of boto3's client."""

    def head_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]:  # noqa: N803 - boto3's names
        """Return what is known of an object; raises where there is none."""

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> object:  # noqa: N803 - boto3's names
        """Write an object."""


class S3Store:
    """A bucket, or what speaks the same language; credentials and endpoint are boto3's own settings."""

    def __init__(self, address: str, client: S3Client | None = None) -> None:
        """Take ``s3://bucket/prefix``.

        Raises:
            InputError: boto3 is not installed, or has no settings.
        """
        parts = urlsplit(address)
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/")
        self._client = client or _boto3_client()

    def has(self, name: str, data: bytes) -> bool:
        """Ask for the length; everything but the last file is named after its content or its version.

        Of that one the MD5 is asked, which is an object's tag where it was put in one piece (S3 API, "Common Response
        Headers"); a bucket that makes its tags otherwise is given the file again.
        """
        try:
            about = self._client.head_object(Bucket=self._bucket, Key=self._key(name))
            if name != COMMIT:
                return bool(about["ContentLength"] == len(data))
            return str(about.get("ETag")).strip('"') == hashlib.md5(data, usedforsecurity=False).hexdigest()
        except Exception as error:  # boto3 makes its exceptions' classes at run time
            if getattr(error, "response", {}).get("Error", {}).get("Code") in ("404", "NoSuchKey", "403"):
                return False
            raise InputError(f"s3://{self._bucket}: {name}: {error}") from error

    def put(self, name: str, data: bytes) -> None:
        """Write the object."""
        try:
            self._client.put_object(Bucket=self._bucket, Key=self._key(name), Body=data)
        except Exception as error:  # boto3 makes its exceptions' classes at run time
            raise InputError(f"s3://{self._bucket}: {name}: {error}") from error

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name


def open_store(address: str) -> Store:
    """Return the store at an address.

    Raises:
        InputError: it is none that is known here.
    """
    parts = urlsplit(address)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return FileStore(Path(unquote(parts.path)))
    if parts.scheme == "https" and parts.netloc:
        return HttpsStore(address)
    if parts.scheme == "s3" and parts.netloc:
        return S3Store(address)
    raise InputError(f"--via {address}: is not file:/DIR, https://HOST/DIR or s3://BUCKET/PREFIX")


def serve(files: Mapping[str, bytes], store: Store) -> int:
    """Bring a store up to the repository; return how many files were written, 0 where it has them all.

    Raises:
        InputError: the store does not take them; flaps still find the old repository there.
    """
    missing = [name for name in files if name != COMMIT and not store.has(name, files[name])]
    if not missing and store.has(COMMIT, files[COMMIT]):
        return 0
    for name in (*missing, COMMIT):
        store.put(name, files[name])
    return len(missing) + 1


def _boto3_client() -> S3Client:
    try:
        boto3 = importlib.import_module("boto3")
    except ImportError as error:
        raise InputError("s3: needs boto3, which is not installed here; pip install 'catflap[s3]'") from error
    try:
        client: S3Client = boto3.client("s3")
    except Exception as error:  # boto3 makes its exceptions' classes at run time
        raise InputError(f"s3: {error}") from error
    return client
