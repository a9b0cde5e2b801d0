"""Which files a store's repository is made of, read off its metadata as they say it; nobody has verified them.

The way is a TUF client's (specification 1.0, section 5): timestamp, roots, snapshot, targets, then what they list. That
lengths and hashes fit is looked at all the same: what a line or a proxy damaged is to be fetched again, not refused.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from edge.inbox import MAX_STREAM_BYTES, METADATA, TARGETS, TIMESTAMP
from edge.link.stores import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.inbox import Entry
    from edge.link.stores import Limit, Store

COMMIT = f"{METADATA}/{TIMESTAMP}"
MAX_TIMESTAMP_BYTES, MAX_ROOT_BYTES, MAX_SNAPSHOT_BYTES, MAX_TARGETS_BYTES = 16_384, 512_000, 2_000_000, 5_000_000
"""As python-tuf's client has them (``UpdaterConfig``): what is longer would be refused anyway."""
MAX_ROOTS = 256
"""As many rotations as that client follows."""
MAX_VERSION = 10**9


@dataclass(frozen=True, slots=True)
class Named:
    """A file that is still to be fetched; ``sha256`` in hex."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """A repository: metadata in full, and the targets that they list."""

    metadata: dict[str, bytes] = field(repr=False)
    targets: tuple[Named, ...]

    @property
    def bytes(self) -> int:
        """How long all of it is."""
        return sum(map(len, self.metadata.values())) + sum(target.bytes for target in self.targets)

    def entries(self, store: Store, limit: Limit) -> Iterator[Entry]:
        """Yield every file for the inbox; a target is fetched when its turn comes."""
        for name, data in self.metadata.items():
            yield name, partial(bytes, data)
        for target in self.targets:
            yield target.name, partial(_fetched, store, target, limit)


def timestamp_of(store: Store, limit: Limit) -> bytes:
    """Return the store's timestamp, which changes with every change of the repository.

    Raises:
        StoreError: it cannot be had.
    """
    return _must(store, COMMIT, MAX_TIMESTAMP_BYTES, limit)


def listing(store: Store, timestamp: bytes, limit: Limit) -> Listing:
    """Return what belongs to a timestamp.

    Raises:
        StoreError: something cannot be had, or is not what the file above says of it.
    """
    snapshot_name, snapshot = _below(store, timestamp, COMMIT, ("snapshot", MAX_SNAPSHOT_BYTES), limit)
    targets_name, targets = _below(store, snapshot, snapshot_name, ("targets", MAX_TARGETS_BYTES), limit)
    metadata = {COMMIT: timestamp, **_roots(store, limit), snapshot_name: snapshot, targets_name: targets}
    found = Listing(metadata, tuple(_targets(targets, targets_name)))
    if found.bytes > MAX_STREAM_BYTES:
        raise StoreError(f"{targets_name}: lists {found.bytes} bytes; a push has at most {MAX_STREAM_BYTES}")
    return found


def _roots(store: Store, limit: Limit) -> dict[str, bytes]:
    """Return every root: a flap may be bound to any of them, and follows one by one."""
    found: dict[str, bytes] = {}
    for version in range(1, MAX_ROOTS + 1):
        name = f"{METADATA}/{version}.root.json"
        data = store.read(name, MAX_ROOT_BYTES, limit)
        if data is None:
            break
        found[name] = data
    return found


def _below(store: Store, above: bytes, where: str, role: tuple[str, int], limit: Limit) -> tuple[str, bytes]:
    """Return name and content of the metadata that ``above`` names, held against the length and hash it gives."""
    kind, most_bytes = role
    about = _at(_json(above, where), where, "signed", "meta", f"{kind}.json")
    version = _at(about, where, "version")
    if type(version) is not int or not 0 < version < MAX_VERSION:
        raise StoreError(f"{where}: {kind}: its version is no number from 1 to {MAX_VERSION - 1}")
    name = f"{METADATA}/{version}.{kind}.json"
    data = _must(store, name, most_bytes, limit)
    said = about.get("hashes", {}) if isinstance(about, dict) else {}
    sha256 = said.get("sha256") if isinstance(said, dict) else None
    if sha256 is not None and sha256 != hashlib.sha256(data).hexdigest():
        raise StoreError(f"{store.shown}: {name}: is not what {where} says it is")
    return name, data


def _targets(targets: bytes, where: str) -> Iterator[Named]:
    listed = _at(_json(targets, where), where, "signed", "targets")
    if not isinstance(listed, dict):
        raise StoreError(f"{where}: its targets are no table")
    for path, about in listed.items():
        length, sha256 = _at(about, where, "length"), _at(about, where, "hashes", "sha256")
        if type(length) is not int or not 0 <= length <= MAX_STREAM_BYTES or not isinstance(sha256, str):
            raise StoreError(f"{where}: {path!r:.80}: has no length from 0 to {MAX_STREAM_BYTES}, or no hash")
        yield Named(f"{TARGETS}/{sha256}.{path}", length, sha256)


def _fetched(store: Store, target: Named, limit: Limit) -> bytes:
    data = _must(store, target.name, target.bytes, limit)
    if len(data) != target.bytes or hashlib.sha256(data).hexdigest() != target.sha256:
        raise StoreError(f"{store.shown}: {target.name}: is not what it is listed as; {len(data)} bytes came")
    return data


def _must(store: Store, name: str, most_bytes: int, limit: Limit) -> bytes:
    data = store.read(name, most_bytes, limit)
    if data is None:
        raise StoreError(f"{store.shown}: {name}: is not there, or may not be read")
    return data


def _json(data: bytes, where: str) -> object:
    try:
        found: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{where}: is no JSON") from error
    return found


def _at(value: object, where: str, *keys: str) -> Any:  # noqa: ANN401 - whatever JSON holds there
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            raise StoreError(f"{where}: has no {'.'.join(keys)}")
        value = value[key]
    return value
