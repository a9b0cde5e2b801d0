"""A TUF repository that a test may publish, spoil, write to a directory or serve over loopback HTTP."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    TOP_LEVEL_ROLE_NAMES,
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from edge.updater import SIGNED_AT, TIME_FORM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

NOW = datetime.now(UTC).replace(microsecond=0)
KEYS = tuple(CryptoSigner.generate_ed25519() for _ in range(24))
"""Keys for the tests to hand out: making them is what a repository costs."""
DEVELOPMENT_KEY = CryptoSigner(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"catflap development").digest()))


def new_key() -> CryptoSigner:
    """A key that nobody has."""
    return CryptoSigner.generate_ed25519()


@dataclass
class Repository:
    """Four top-level roles with one key each, published once; every published file by its path."""

    now: datetime = NOW
    days: int = 30
    hashes: bool = True
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Sign the first version of everything."""
        until = self.now + timedelta(days=self.days)
        self.signed: dict[str, Any] = {
            "root": Root(expires=until, consistent_snapshot=True),
            "targets": Targets(expires=until),
            "snapshot": Snapshot(expires=until),
            "timestamp": Timestamp(expires=until),
        }
        self.keys: dict[str, list[CryptoSigner]] = {}
        self.published: set[str] = set()
        for role, key in zip(sorted(TOP_LEVEL_ROLE_NAMES), KEYS, strict=False):
            self.set_keys(role, [key])
        self.publish("root", "targets", "snapshot", "timestamp")

    @property
    def root(self) -> Root:
        """The root, unsigned, to be changed."""
        root: Root = self.signed["root"]
        return root

    def set_keys(self, role: str, keys: Iterable[CryptoSigner], threshold: int = 1) -> None:
        """Let these keys, and only these, sign for a top-level role."""
        self.keys[role] = list(keys)
        self.root.roles[role].keyids.clear()
        self.root.roles[role].threshold = threshold
        for key in self.keys[role]:
            self.root.add_key(key.public_key, role)

    def publish(self, *roles: str, bump: bool = True, tell: bool = True) -> None:
        """Sign roles anew, in this order; with ``tell`` the role above is told of the new version."""
        for role in roles:
            signed = self.signed[role]
            if bump and role in self.published:
                signed.version += 1
            self.published.add(role)
            if role == "timestamp":
                signed.unrecognized_fields[SIGNED_AT] = self.now.strftime(TIME_FORM)
            data = self.sign(role)
            name = "timestamp.json" if role == "timestamp" else f"{signed.version}.{quote(role, '')}.json"
            self.files[f"metadata/{name}"] = data
            if tell:
                self._tell(role, signed.version, data)

    def release(self, *roles: str) -> None:
        """Publish targets (and ``roles`` before them) down to the timestamp."""
        self.publish(*roles, "targets", "snapshot", "timestamp")

    def sign(self, role: str, keys: Iterable[CryptoSigner] | None = None) -> bytes:
        """Return a role's metadata, signed."""
        metadata: Metadata[Any] = Metadata(self.signed[role])
        for key in self.keys[role] if keys is None else keys:
            metadata.sign(key, append=True)
        return metadata.to_bytes()

    def _tell(self, role: str, version: int, data: bytes) -> None:
        digest = {"sha256": hashlib.sha256(data).hexdigest()} if self.hashes else None
        about = MetaFile(version, len(data) if self.hashes else None, digest)
        if role == "snapshot":
            self.signed["timestamp"].snapshot_meta = about
        elif role not in ("root", "timestamp"):
            self.signed["snapshot"].meta[f"{role}.json"] = about

    def add_target(self, path: str, data: bytes, custom: object = None, role: str = "targets") -> None:
        """Offer a target; to be published."""
        target = TargetFile.from_data(path, data, ["sha256"])
        if custom is not None:
            target.unrecognized_fields["custom"] = custom
        self.signed[role].targets[path] = target
        self.files[f"targets/{target.get_prefixed_paths()[0]}"] = data

    def delegate(self, above: str, role: str, paths: list[str] | None = None, *, terminating: bool = False) -> None:
        """Let ``role`` answer for ``paths``."""
        delegator: Targets = self.signed[above]
        if delegator.delegations is None:
            delegator.delegations = Delegations({}, roles={})
        assert delegator.delegations.roles is not None
        delegator.delegations.roles[role] = DelegatedRole(role, [], 1, terminating, paths or ["*"])
        self.keys.setdefault(role, [KEYS[len(self.keys)]])
        self.signed.setdefault(role, Targets(expires=self.now + timedelta(days=self.days)))
        for key in self.keys[role]:
            delegator.add_key(key.public_key, role)

    def write(self, directory: Path) -> None:
        """Write what was published, as a push leaves it."""
        for name, data in self.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


@contextmanager
def served(repository: Repository) -> Iterator[str]:
    """Serve a repository on loopback and yield its address; what is asked for is noted in ``asked``."""

    class Handler(BaseHTTPRequestHandler):
        """Serves the published files, whose names are asked for quoted once where they are quoted in it."""

        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            repository.asked.append(path)
            data = repository.files.get(path, repository.files.get(unquote(path)))
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def tar(entries: Iterable[tuple[tarfile.TarInfo | str, bytes]]) -> bytes:
    """A plain tar; an entry is a name, or a header that says what no honest one does."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for entry, data in entries:
            info = tarfile.TarInfo(entry) if isinstance(entry, str) else entry
            if info.isreg() and not info.size:
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
