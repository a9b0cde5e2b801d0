"""The flap's TUF client: what it trusts, what it is offered, and what time it is at least. Floor 4.

python-tuf decides what is believed; this class decides where that is kept. The client works on a copy of the trusted
metadata, and what it accepted is carried into ``trust`` file by file, each replaced as a whole and synced, roots before
what they vouch for: a power cut leaves what python-tuf itself would leave between two of its own steps.

The time floor: a Pi has no clock battery, and a clock that is wrong by decades must neither revive what has expired nor
be believed for it. The owner's PC writes the time of signing into every timestamp (``SIGNED_AT``); the latest one that
was ever verified is kept, and time is the later of that and the system's clock. The floor belongs to the keys that
signed it: once the root no longer lists any of them, it is forgotten (as TUF forgets their versions).
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tuf.api.exceptions import DownloadError, ExpiredMetadataError, RepositoryError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets, Timestamp
from tuf.ngclient import Updater

from edge.codec import from_json, to_json
from edge.errors import TrustError
from edge.files import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from tuf.ngclient import FetcherInterface

    from edge.files import Files

SIGNED_AT = "x-catflap-signed-at"
"""The field of a timestamp's signed part that says when it was signed, as ``TIME_FORM``, in UTC."""
TIME_FORM = "%Y-%m-%dT%H:%M:%SZ"
FLOOR = "time_floor"
"""Its file in ``trust``: JSON, without the suffix by which TUF's own files are known there."""
_OURS = frozenset({"adopted.json"})
"""Files of the house in ``trust``; a delegated role that is called like one is believed, and fetched anew each time."""
_ORDER = ("root", "timestamp", "snapshot", "targets")


class ExpiredError(TrustError):
    """What is signed has expired: nothing new is installed, and somebody should look why nobody signs."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a repository is, as its fetcher understands addresses."""

    metadata_url: str
    target_url: str


INBOX = Source("metadata/", "targets/")
"""A repository in a directory, for ``DirectoryFetcher``."""


@dataclass(frozen=True, slots=True)
class TimeFloor:
    """The latest signed time seen, and the ids of the keys that vouch for it."""

    signed_at: str
    key_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A target of the repository: its path, its length in bytes, what its maker says of it, and its hashes."""

    path: str
    bytes: int
    custom: dict[str, Any]
    hashes: dict[str, str]


def bind(trust: Path, root: bytes, files: Files) -> None:
    """Begin to trust this root.

    Nothing of it is checked here: a root that does not even vouch for itself fails every ``refresh``.

    Raises:
        OSError: it could not be written.
    """
    files.make_directory(trust)
    files.sync_directory(trust.parent)
    replace(files, trust / "root.json", root)


class DeviceUpdater:
    """One update run: refresh, look what is offered, fetch. A context manager; use it for one run only."""

    def __init__(
        self, trust: Path, source: Source, fetcher: FetcherInterface, files: Files, wall: Callable[[], datetime]
    ) -> None:
        """Trust what ``trust/root.json`` says.

        Args:
            trust: what is trusted: TUF's metadata and the time floor; see ``bind``.
            source: the repository.
            fetcher: how its files are had.
            files: the disk.
            wall: the system's clock, UTC; it is asked once a run, as the specification fixes the time of an update.
        """
        self._trust = trust
        self._source = source
        self._fetcher = fetcher
        self._files = files
        self._clock = wall()
        self._work = tempfile.TemporaryDirectory(prefix="catflap-tuf-")
        self._updater: Updater | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the working copy."""
        self._work.cleanup()

    @property
    def now(self) -> datetime:
        """The time this run goes by: the system's clock, or the latest signed time seen where that is later."""
        floor = self._floor()
        return self._clock if floor is None else max(self._clock, floor)

    def root(self) -> Root:
        """Return the root that is trusted now.

        Raises:
            TrustError: none is, or it cannot be read.
        """
        root: Root = self._signed("root", Root)
        return root

    def versions(self) -> dict[str, int]:
        """Return the versions of the four top-level roles that are trusted now; a role that is not has none."""
        return {role: _metadata(self._read(role)).signed.version for role in _ORDER if self._has(role)}

    def key_ids(self) -> tuple[str, ...]:
        """Return the ids of the keys whose signatures of the trusted targets hold, sorted.

        Raises:
            TrustError: nothing was refreshed yet.
        """
        targets = _metadata(self._read("targets"))
        result = self.root().get_verification_result(Targets.type, targets.signed_bytes, targets.signatures)
        return tuple(sorted(result.signed))

    def refresh(self) -> None:
        """Bring the trusted metadata up to date, as the specification's client workflow says.

        A floor that only retired keys vouched for falls with the root that retires them, within this one run.

        Raises:
            ExpiredError: something is past its date at ``now``.
            TrustError: something is not signed, not whole, older than what was seen, or missing.
            OSError: what was accepted could not be kept.
        """
        before = self._floor()
        try:
            self._attempt()
        except ExpiredError:
            if before is None or self._floor() is not None:
                raise
            self._attempt()

    def offers(self) -> tuple[Offer, ...]:
        """Return the targets that the top-level role lists, by path.

        Raises:
            TrustError: nothing was refreshed yet.
        """
        listed = self._signed("targets", Targets).targets
        return tuple(_offer(listed[path]) for path in sorted(listed))

    def download(self, path: str, directory: Path, name: str | None = None) -> Path:
        """Fetch one target, of whichever role answers for its path, and return where it lies.

        Args:
            path: the target.
            directory: where to put it; a file that is there already and is right is not fetched again.
            name: of the file; None for the path, quoted.

        Raises:
            ExpiredError: a delegated role is past its date.
            TrustError: no role offers it, or what is there is not what was signed.
            OSError: it could not be written.
        """
        updater = self._updater or self._begin()
        try:
            with _as_trust():
                info = updater.get_targetinfo(path)
                if info is None:
                    raise TrustError(f"{path}: nobody who may has signed such a target")
                updater.target_dir = str(directory)
                where = None if name is None else str(directory / name)
                found = updater.find_cached_target(info, where)
                return Path(found or updater.download_target(info, where))
        finally:
            self._keep()

    # --- the copy that python-tuf works on -------------------------------------------------------------------------

    def _attempt(self) -> None:
        updater = self._begin()
        try:
            with _as_trust():
                updater.refresh()
        finally:
            self._keep()

    def _begin(self) -> Updater:
        work = self._copy()
        with _as_trust():
            self._updater = Updater(
                str(work),
                self._source.metadata_url,
                target_base_url=self._source.target_url,
                fetcher=self._fetcher,
                bootstrap=self._read("root"),
            )
        # The library offers no other way to say what time it is; tests hold this to what it does with it.
        self._updater._trusted_set.reference_time = self.now  # noqa: SLF001 - see above
        return self._updater

    def _copy(self) -> Path:
        work = Path(tempfile.mkdtemp(dir=self._work.name))
        for name in self._kept():
            (work / name).write_bytes((self._trust / name).read_bytes())
        self._here = work
        return work

    def _kept(self) -> list[str]:
        return [path.name for path in self._trust.glob("*.json") if path.name not in _OURS]

    def _keep(self) -> None:
        """Carry what python-tuf accepted into ``trust``, in the order in which it accepts."""
        names = {path.stem for path in self._here.glob("*.json")}
        for role in [*_ORDER, *sorted(names - set(_ORDER))]:
            path = self._here / f"{role}.json"
            if path.exists() and path.name not in _OURS:
                self._keep_one(path)
        self._raise_floor()

    def _keep_one(self, path: Path) -> None:
        data, kept = path.read_bytes(), self._trust / path.name
        if not kept.exists() or kept.read_bytes() != data:
            replace(self._files, kept, data)

    # --- the time floor ----------------------------------------------------------------------------------------------

    def _floor(self) -> datetime | None:
        path = self._trust / FLOOR
        if not path.exists():
            return None
        kept = from_json(TimeFloor, path.read_bytes(), path)
        vouched = set(kept.key_ids) & set(self.root().roles[Timestamp.type].keyids)
        return _time(kept.signed_at, path) if vouched else None

    def _raise_floor(self) -> None:
        """Keep the signed time of the timestamp that was accepted, if it is the latest."""
        if not self._has("timestamp"):
            return
        kept = _metadata(self._read("timestamp"))
        said = kept.signed.unrecognized_fields.get(SIGNED_AT)
        key_ids = tuple(sorted(set(kept.signatures) & set(self.root().roles[Timestamp.type].keyids)))
        if said is None or not key_ids:
            return
        at, floor = _time(said, self._trust / "timestamp.json"), self._floor()
        if at > kept.signed.expires:
            raise TrustError(f"timestamp.json: is signed at {said}, after its own end")
        if floor is None or at > floor:
            replace(self._files, self._trust / FLOOR, to_json(TimeFloor(said, key_ids)))

    # --- reading -----------------------------------------------------------------------------------------------------

    def _has(self, role: str) -> bool:
        return (self._trust / f"{role}.json").exists()

    def _read(self, role: str) -> bytes:
        try:
            return (self._trust / f"{role}.json").read_bytes()
        except FileNotFoundError as error:
            what = "no owner: adopt the flap first" if role == "root" else f"no {role}: refresh first"
            raise TrustError(f"{self._trust}: there is {what}") from error

    def _signed(self, role: str, kind: type[Any]) -> Any:  # noqa: ANN401 - one of TUF's four payloads
        signed = _metadata(self._read(role)).signed
        if not isinstance(signed, kind):
            raise TrustError(f"{role}.json: is {signed.type} metadata")
        return signed


@contextmanager
def _as_trust() -> Iterator[None]:
    """Say what python-tuf refuses in the house's words; the disk's own failures pass."""
    try:
        yield
    except ExpiredMetadataError as error:
        raise ExpiredError(f"TUF: {_line(error)}") from error
    except (RepositoryError, DownloadError) as error:
        raise TrustError(f"TUF: {_line(error)}") from error


def _line(error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= 300 else said[:300] + "…"


def _metadata(raw: bytes) -> Metadata[Any]:
    with _as_trust():
        return Metadata.from_bytes(raw)


def _offer(target: TargetFile) -> Offer:
    custom = target.custom
    return Offer(target.path, target.length, custom if isinstance(custom, dict) else {}, dict(target.hashes))


def _time(text: object, where: Path) -> datetime:
    try:
        return datetime.strptime(str(text), TIME_FORM).replace(tzinfo=UTC)
    except ValueError as error:
        raise TrustError(f"{where.name}: {text!r:.40} is not a time like 2026-11-21T12:00:00Z") from error
