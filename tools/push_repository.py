"""The owner's TUF repository, made and signed by python-tuf's Metadata API.

Metadata are consistent snapshots: a version once written is never written again with other content, and
``timestamp.json`` comes last. The state is the files: whatever was cut off is found by what verifies under the newest
root, and the next signing goes on from there. ``targets`` names exactly one bundle, the one that flaps shall have.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from push_keys import KeyRole
from push_tar import manifest_sha256
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp

from edge.errors import InputError
from edge.files import DiskFiles, replace
from edge.inbox import METADATA, TARGETS, TIMESTAMP, fingerprint
from edge.updater import SIGNED_AT, TIME_FORM

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from push_keys import Keyring
    from push_tar import Packed
    from securesystemslib.signer import CryptoSigner
    from tuf.api.metadata import Key

AnySigned = TypeVar("AnySigned", Root, Timestamp, Snapshot, Targets)

LIFE = {
    Root.type: timedelta(days=3 * 365),
    Targets.type: timedelta(days=365),
    Snapshot.type: timedelta(days=30),
    Timestamp.type: timedelta(days=30),
}
"""How long a signature is good for. An expired one refuses new installs and stops no model that works."""

KEEP = 3
"""Old snapshots and targets that stay, for whoever reads a plain store at that moment."""

TUF_ROLES = {
    KeyRole.ROOT: (Root.type,),
    KeyRole.TARGETS: (Targets.type,),
    KeyRole.TIMESTAMP: (Snapshot.type, Timestamp.type),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The bundle that the repository names; ``sha256`` is of its manifest."""

    path: str
    model_id: str
    version: str
    sha256: str
    step_back: bool


class Repository:
    """The repository in one directory, signed with the keys of one ring. One process at a time may change it."""

    def __init__(self, directory: Path, keys: Keyring, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Touch nothing yet."""
        self._metadata = directory / METADATA
        self._targets = directory / TARGETS
        self._keys = keys
        self._now = now
        self._files = DiskFiles()

    # What there is.

    @property
    def exists(self) -> bool:
        """Whether there is a root."""
        return (self._metadata / "1.root.json").exists()

    def root_bytes(self) -> bytes:
        """Return the newest root as it is in its file.

        Raises:
            InputError: there is none.
        """
        version = max(self._versions(Root.type), default=None)
        if version is None:
            raise InputError(f"{self._metadata}: there are no keys and no repository yet; the first push makes them")
        return (self._metadata / f"{version}.root.json").read_bytes()

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the newest root."""
        return fingerprint(self.root_bytes())

    def fingerprints(self) -> frozenset[str]:
        """Return those of all roots: a flap bound to any of them follows to the newest."""
        found = sorted(self._metadata.glob("*.root.json"))
        return frozenset(fingerprint(path.read_bytes()) for path in found)

    def key_ids(self, role: KeyRole) -> tuple[str, ...]:
        """Return the ids of the keys that a role has."""
        return tuple(self._root().signed.get_delegated_role(TUF_ROLES[role][0]).keyids)

    def expires(self) -> dict[str, datetime]:
        """Return until when each role's newest metadata are good."""
        latest = (self._root(), self._latest(Targets), self._latest(Snapshot), self._latest(Timestamp))
        return {found.signed.type: found.signed.expires for found in latest if found is not None}

    def wanted(self) -> Wanted | None:
        """Return the bundle that flaps shall have, None before the first."""
        targets = self._latest(Targets)
        entries = [] if targets is None else list(targets.signed.targets.values())
        if not entries:
            return None
        entry, custom = entries[0], entries[0].custom
        sha256 = manifest_sha256((self._targets / entry.get_prefixed_paths()[0]).read_bytes())
        return Wanted(entry.path, custom["model_id"], custom["version"], sha256, bool(custom.get("step_back")))

    def files(self) -> dict[str, bytes]:
        """Return every file that a client needs, by its name in the repository."""
        timestamp = self._must(Timestamp)
        snapshot = self._must(Snapshot)
        targets = self._must(Targets)
        names = [f"{version}.root.json" for version in self._versions(Root.type)]
        names += [f"{targets.signed.version}.targets.json", f"{snapshot.signed.version}.snapshot.json", TIMESTAMP]
        found = {f"{METADATA}/{name}": (self._metadata / name).read_bytes() for name in names}
        if timestamp.signed.snapshot_meta.version != snapshot.signed.version:
            raise InputError(f"{self._metadata}: was cut off while it was written; say push_model.py --refresh")
        for target in targets.signed.targets.values():
            name = target.get_prefixed_paths()[0]
            found[f"{TARGETS}/{name}"] = (self._targets / name).read_bytes()
        return found

    # What changes it.

    def create(self) -> None:
        """Make the keys and the first, empty repository.

        Raises:
            InputError: there is one, or a key cannot be made.
        """
        if self.exists:
            raise InputError(f"{self._metadata}: there is a repository already")
        root = Root(expires=self._until(Root), consistent_snapshot=True)
        signers = {role: self._keys.make(role) for role in KeyRole}
        for role, signer in signers.items():
            for name in TUF_ROLES[role]:
                root.add_key(signer.public_key, name)
        self._store(Metadata(Targets(expires=self._until(Targets))), signers[KeyRole.TARGETS])
        self._store(Metadata(root), signers[KeyRole.ROOT])
        self._sign_news(signers[KeyRole.TIMESTAMP])

    def publish(self, bundle: Packed, *, step_back: bool = False) -> bool:
        """Name a bundle as the one to have; return False where it is that already and nothing was signed.

        Raises:
            InputError: a key is missing or its passphrase wrong.
        """
        target = TargetFile.from_data(bundle.path, bundle.data, ["sha256"])
        target.unrecognized_fields["custom"] = bundle.custom(step_back=step_back)
        replace(self._files, self._made(self._targets) / target.get_prefixed_paths()[0], bundle.data)
        targets = self._latest(Targets)
        if targets is not None and targets.signed.targets == {target.path: target} and self._fresh(targets):
            self.refresh()
            return False
        self._sign_targets(self._signer(KeyRole.TARGETS), {target.path: target})
        self._sign_news(self._signer(KeyRole.TIMESTAMP))
        self._tidy()
        return True

    def refresh(self) -> bool:
        """Sign snapshot and timestamp anew where half of their life is over or they do not fit; say whether.

        Needs the daily key only.

        Raises:
            InputError: the daily key is missing, or the targets must be signed first.
        """
        self._must(Targets)
        if self._consistent():
            return False
        self._sign_news(self._signer(KeyRole.TIMESTAMP))
        self._tidy()
        return True

    def rotate(self, role: KeyRole) -> str:
        """Put a new key in the place of a role's, and return its id. Flaps follow with the next push.

        Raises:
            InputError: a key that must sign is missing, or its passphrase wrong.
        """
        return self._replace_keys({role})[role]

    def revoke(self, key_id: str) -> tuple[KeyRole, ...]:
        """Take a key that is in wrong hands out of every role; return the roles that got a new one.

        The daily key is replaced with it: whoever had a key may have signed numbers so high that no honest one
        follows, and clients forget those when snapshot's and timestamp's keys change (TUF specification, 5.3.11).

        Raises:
            InputError: no role has such a key, or a key that must sign is missing.
        """
        found = {role for role in KeyRole for known in self.key_ids(role) if key_id and known.startswith(key_id)}
        if not found:
            raise InputError(f"key {key_id!r}: no role has it; push_model.py --status lists them")
        gone = [(role, known) for role in found for known in self.key_ids(role) if known.startswith(key_id)]
        replaced = self._replace_keys(found | {KeyRole.TIMESTAMP})
        for role, known in gone:
            self._keys.remove(role, known)
        return tuple(sorted(replaced))

    # How it is done.

    def _replace_keys(self, roles: set[KeyRole]) -> dict[KeyRole, str]:
        old = self._root()
        masters = [self._signer(KeyRole.ROOT)]
        targets_signer = None if KeyRole.TARGETS in roles else self._signer_if_needed()
        made = {role: self._keys.make(role) for role in sorted(roles)}
        root = Metadata[Root].from_bytes(old.to_bytes()).signed
        for role, signer in made.items():
            for name in TUF_ROLES[role]:
                _exchange_keys(root, name, signer.public_key)
        root.version, root.expires = root.version + 1, self._until(Root)
        masters += [made[KeyRole.ROOT]] if KeyRole.ROOT in made else []
        targets_signer = made.get(KeyRole.TARGETS, targets_signer)
        if targets_signer is not None:
            # Before the root: nobody looks at a version that no snapshot names.
            self._sign_targets(targets_signer, self._must(Targets).signed.targets)
        self._store(Metadata(root), *masters)
        self._sign_news(made.get(KeyRole.TIMESTAMP) or self._signer(KeyRole.TIMESTAMP))
        self._tidy()
        return {role: signer.public_key.keyid for role, signer in made.items()}

    def _signer_if_needed(self) -> CryptoSigner | None:
        """Return the targets signer where the targets in force are not signed by today's key."""
        return None if self._latest(Targets) is not None else self._signer(KeyRole.TARGETS)

    def _sign_targets(self, signer: CryptoSigner, entries: dict[str, TargetFile]) -> None:
        version = max(self._versions(Targets.type), default=0) + 1
        self._store(Metadata(Targets(version, expires=self._until(Targets), targets=entries)), signer)

    def _sign_news(self, signer: CryptoSigner) -> None:
        """Sign a snapshot of the targets in force, and a timestamp of that."""
        targets = self._must(Targets)
        version = max(self._versions(Snapshot.type), default=0) + 1
        meta = {f"{Targets.type}.json": self._meta(f"{targets.signed.version}.targets.json", targets.signed.version)}
        self._store(Metadata(Snapshot(version, expires=self._until(Snapshot), meta=meta)), signer)
        newest = self._meta(f"{version}.snapshot.json", version)
        last = self._timestamp_version()
        timestamp = Timestamp(last + 1, expires=self._until(Timestamp), snapshot_meta=newest)
        timestamp.unrecognized_fields[SIGNED_AT] = self._now().strftime(TIME_FORM)
        self._store(Metadata(timestamp), signer)

    def _meta(self, name: str, version: int) -> MetaFile:
        data = (self._metadata / name).read_bytes()
        return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})

    def _timestamp_version(self) -> int:
        path = self._metadata / TIMESTAMP
        return Metadata[Timestamp].from_file(str(path)).signed.version if path.exists() else 0

    def _store(self, metadata: Metadata[Any], *signers: CryptoSigner) -> None:
        for signer in signers:
            metadata.sign(signer, append=True)
        kind, version = metadata.signed.type, metadata.signed.version
        name = TIMESTAMP if kind == Timestamp.type else f"{version}.{kind}.json"
        replace(self._files, self._made(self._metadata) / name, metadata.to_bytes())

    def _signer(self, role: KeyRole) -> CryptoSigner:
        return self._keys.load(role, self.key_ids(role))

    def _root(self) -> Metadata[Root]:
        return Metadata[Root].from_bytes(self.root_bytes())

    def _must(self, kind: type[AnySigned]) -> Metadata[AnySigned]:
        found = self._latest(kind)
        if found is None:
            raise InputError(f"{self._metadata}: no {kind.type} signed by the key of today; push the bundle once more")
        return found

    def _latest(self, kind: type[AnySigned]) -> Metadata[AnySigned] | None:
        """Return the newest metadata of a kind that verify under the newest root."""
        root = self._root().signed
        for name in self._names(kind.type):
            path = self._metadata / name
            try:
                found = Metadata[AnySigned].from_bytes(path.read_bytes())
                root.verify_delegate(kind.type, found.signed_bytes, found.signatures)
            except (RepositoryError, OSError):
                continue
            return found
        return None

    def _names(self, kind: str) -> list[str]:
        if kind == Timestamp.type:
            return [TIMESTAMP]
        return [f"{version}.{kind}.json" for version in sorted(self._versions(kind), reverse=True)]

    def _versions(self, kind: str) -> list[int]:
        found = (path.name.split(".")[0] for path in self._metadata.glob(f"*.{kind}.json"))
        return sorted(int(number) for number in found if number.isdigit())

    def _consistent(self) -> bool:
        targets, snapshot, timestamp = self._latest(Targets), self._latest(Snapshot), self._latest(Timestamp)
        if targets is None or snapshot is None or timestamp is None:
            return False
        named = snapshot.signed.meta[f"{Targets.type}.json"].version == targets.signed.version
        fits = named and timestamp.signed.snapshot_meta.version == snapshot.signed.version
        return fits and self._fresh(snapshot) and self._fresh(timestamp)

    def _fresh(self, metadata: Metadata[Any]) -> bool:
        """Return whether more than half of its life is left."""
        left: timedelta = metadata.signed.expires - self._now()
        return left > LIFE[metadata.signed.type] / 2

    def _until(self, kind: type[Signed]) -> datetime:
        return self._now().replace(microsecond=0) + LIFE[kind.type]

    def _made(self, directory: Path) -> Path:
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def _tidy(self) -> None:
        """Remove what no client will ask for any more; every root stays."""
        for kind in (Targets.type, Snapshot.type):
            for name in self._names(kind)[KEEP:]:
                (self._metadata / name).unlink()
        wanted = {target.get_prefixed_paths()[0] for target in self._must(Targets).signed.targets.values()}
        stale = sorted(
            (path for path in self._targets.glob("*.tar") if path.name not in wanted),
            key=lambda path: path.stat().st_mtime_ns,
        )
        for path in stale[: -KEEP or None]:
            path.unlink()


def _exchange_keys(root: Root, role: str, new: Key) -> None:
    for key_id in list(root.get_delegated_role(role).keyids):
        root.revoke_key(key_id, role)
    root.add_key(new, role)
