"""``catflap-update``: what lies in the inbox is verified, tried, put into the spare slot and on trial. Floor 7.

One shot, without network or devices; a path unit starts it when a push has arrived, and it may be started at any time:
the same repository again has the same answer. The champion is never touched here. Whatever is refused leaves the slots
as they were; what was learnt of the repository (which keys, versions and times not to go back behind) is kept.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import stat
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from edge import bundle, config
from edge.adapters.logs import set_up
from edge.adapters.tuf_fetch import DirectoryFetcher
from edge.answers import ANSWER, Answer, AnswerStatus
from edge.codec import to_json
from edge.errors import CatflapError, TrustError
from edge.files import DiskFiles, replace
from edge.journal import Journal
from edge.slots import MODELS, SlotName, SlotRecord, Slots, TrialKind
from edge.trying import DeviceBudget, Tried, try_bundle
from edge.unpacking import MAX_ARCHIVE_BYTES, unpack
from edge.updater import INBOX, DeviceUpdater, ExpiredError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edge.bundle import Bundle
    from edge.files import Files
    from edge.updater import Offer

DEFAULT_CONFIG = Path("/etc/catflap/catflap.toml")
FINDING, USAGE = 1, 2
KIND = "catflap-bundle"
HARDWARE = "catflap-1"
MAX_INBOX_FILES = 600
"""Twice what one push may bring: the new repository lies beside the old one for a moment."""
MAX_INBOX_BYTES = 2 * MAX_ARCHIVE_BYTES
MAX_ROUNDS = 8
"""How often one run looks again because something new came meanwhile; whoever sends faster waits for the next run."""
RESERVE_BYTES = 32_000_000
"""Left free for the journal, whatever a bundle needs."""
DEVELOPMENT_KEYS = frozenset({"66609e4a8c8e4846ec2419039f4af47a9c9a9a0d032a1dc4812366beb41d2d99"})
"""Public halves of keys whose private halves are in this repository (tests): no flap of an owner may trust one."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What an update is made of. ``tell`` takes an event's kind and detail, for journal and log."""

    files: Files
    wall: Callable[[], datetime]
    tell: Callable[[str, str], None]
    try_out: Callable[[Path], Tried]
    slots: Slots


def update(state: Path, parts: Parts) -> Answer:
    """Answer what lies in ``<state>/incoming``, and leave the answer there.

    Raises:
        OSError: the answer could not be written.
    """
    parts.files.make_directory(state / "trust")
    with _alone(state / "trust" / ".lock") as ours:
        if not ours:
            return Answer(AnswerStatus.REFUSED, "another update is under way; start this one again after it")
        answer = _answered(state, parts)
        parts.files.make_directory(state / "incoming")
        replace(parts.files, state / "incoming" / ANSWER, to_json(answer))
        return answer


def _answered(state: Path, parts: Parts) -> Answer:
    """Update, and put every way it can end into words: what is refused is refused here, once."""
    heard = _Heard()
    try:
        answer = _update(state, parts, heard)
    except ExpiredError as error:
        # Somebody keeps new signatures from the flap, or nobody signs any more: the owner must hear of either.
        answer = heard.refuses("update_expired", f"{error}; the model that works goes on")
    except CatflapError as error:
        answer = heard.refuses("update_refused", str(error))
    except OSError as error:
        answer = heard.refuses("update_failed", f"the flap's disk: {error}")
    finally:
        shutil.rmtree(_work(state), ignore_errors=True)
    parts.tell(heard.kind, f"{answer.model_id}: {answer.why}" if answer.model_id else answer.why)
    return answer


@dataclass(slots=True)
class _Heard:
    """What is known so far of what lies in the inbox."""

    model_id: str = ""
    timestamp: int = 0
    at: str = ""
    kind: str = ""

    def refuses(self, kind: str, why: str) -> Answer:
        self.kind = kind
        return self._answer(AnswerStatus.REFUSED, why)

    def takes(self, status: AnswerStatus, why: str) -> Answer:
        self.kind = f"update_{status}"
        return self._answer(status, why)

    def _answer(self, status: AnswerStatus, why: str) -> Answer:
        return Answer(status, " ".join(why.split()), self.model_id, self.timestamp, self.at)


def _update(state: Path, parts: Parts, heard: _Heard) -> Answer:
    check_inbox(state / "incoming")
    fetcher = DirectoryFetcher(state / "incoming")
    with DeviceUpdater(state / "trust", INBOX, fetcher, parts.files, parts.wall) as updater:
        try:
            updater.refresh()
        finally:
            heard.at = updater.now.isoformat(timespec="seconds")
        heard.timestamp = updater.versions()["timestamp"]
        vet_keys(updater)
        offer = chosen(updater.offers())
        heard.model_id = str(offer.custom.get("model_id", ""))[:200]
        there = _there_already(parts.slots, heard)
        if there is not None:
            return there
        loaded = _fetched(state, parts, updater, offer)
        tried = parts.try_out(loaded.directory)
        if not tried.ok:
            raise TrustError(f"tried and thrown away: {tried.why}")
        record = _record(loaded, updater.key_ids(), offer)
        parts.slots.install(loaded.directory, record, step_back=offer.custom.get("step_back") is True)
        parts.slots.begin_trial(TrialKind.SHADOW)
        says = f"tried: {tried.why}; {tried.latency_p95_ms:.1f} ms, {tried.rss_bytes // 10**6} MB"
        return heard.takes(AnswerStatus.ON_TRIAL, says)


def check_inbox(incoming: Path) -> None:
    """Check that the inbox holds a bounded number of bounded plain files, before any of them is read.

    Raises:
        TrustError: it does not, or there is none.
    """
    count, total = 0, 0
    for part in ("metadata", "targets"):
        for name, status in _entries(incoming / part):
            count, total = count + 1, total + status.st_size
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or not name.isprintable():
                raise TrustError(f"incoming/{part}/{name!r}: must be a plain file with one name")
            if count > MAX_INBOX_FILES or total > MAX_INBOX_BYTES:
                raise TrustError(f"incoming: has more than {MAX_INBOX_FILES} files or {MAX_INBOX_BYTES} bytes")


def _entries(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    try:
        if not stat.S_ISDIR(directory.lstat().st_mode):
            raise TrustError(f"incoming/{directory.name}: must be a directory")
        with os.scandir(directory) as entries:
            for entry in entries:
                yield entry.name, entry.stat(follow_symlinks=False)
    except FileNotFoundError as error:
        raise TrustError(f"incoming/{directory.name}: there is nothing, or it is just being replaced") from error


def vet_keys(updater: DeviceUpdater) -> None:
    """Check what TUF leaves to its user: one key is one vote, and a key that everybody has is none.

    Raises:
        TrustError: the root lists a public key under two ids, or one of ``DEVELOPMENT_KEYS``.
    """
    seen: dict[str, str] = {}
    for key_id, key in updater.root().keys.items():
        public = str(key.keyval.get("public", ""))
        if public in seen:
            raise TrustError(f"root.json: keys {seen[public][:12]} and {key_id[:12]} are one key under two ids")
        if public in DEVELOPMENT_KEYS:
            raise TrustError(f"root.json: key {key_id[:12]} is a development key, whose private half everybody has")
        seen[public] = key_id


def chosen(offers: Sequence[Offer]) -> Offer:
    """Return the one bundle that is offered to this kind of flap.

    Raises:
        TrustError: none or more than one is, or it is longer than a bundle can be.
    """
    bundles = [offer for offer in offers if offer.custom.get("kind") == KIND]
    ours = [offer for offer in bundles if offer.custom.get("hardware") == HARDWARE]
    if bundles and not ours:
        other = ", ".join(sorted({str(offer.custom.get("hardware"))[:40] for offer in bundles}))
        raise TrustError(f"the bundle is for hardware {other}; this is {HARDWARE}")
    if len(ours) != 1:
        raise TrustError(f"the repository offers {len(ours)} bundles for {HARDWARE}; it must be one")
    if ours[0].bytes > MAX_ARCHIVE_BYTES:
        raise TrustError(f"{ours[0].path}: has {ours[0].bytes} bytes; at most {MAX_ARCHIVE_BYTES} are allowed")
    return ours[0]


def _there_already(slots: Slots, heard: _Heard) -> Answer | None:
    """Return the answer where the flap has this very bundle: the model's id covers its manifest's hash."""
    state = slots.state()
    for record in state.records:
        if record.model_id == heard.model_id and record.slot is state.champion:
            return heard.takes(AnswerStatus.ACCEPTED, f"is champion already, in slot {record.slot}")
        if record.model_id == heard.model_id and state.trial is not None and record.slot is state.trial.slot:
            return heard.takes(AnswerStatus.ON_TRIAL, f"is on trial already, in slot {record.slot}")
    return None


def _fetched(state: Path, parts: Parts, updater: DeviceUpdater, offer: Offer) -> Bundle:
    """Fetch, unpack and verify the bundle, and hold it against what was signed beside it."""
    work = _work(state)
    free, needed = parts.files.free_bytes(state), 3 * offer.bytes + RESERVE_BYTES
    if free < needed:
        raise TrustError(f"{state}: has {free // 10**6} MB free; this bundle needs {needed // 10**6} MB")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    unpack(updater.download(offer.path, work, "bundle.tar"), work / "bundle", parts.files)
    loaded = bundle.load(work / "bundle")
    manifest = loaded.manifest
    for key, is_ in (
        ("model_id", loaded.model_id),
        ("version", manifest.version),
        ("runtimes", list(manifest.runtimes)),
    ):
        said: Any = offer.custom.get(key)
        if said != is_:
            raise TrustError(f"{offer.path}: {key}: the bundle says {is_!r}, what was signed for it {said!r:.200}")
    return loaded


def _record(loaded: Bundle, key_ids: tuple[str, ...], offer: Offer) -> SlotRecord:
    """Return what the slot's record says; the slot itself and the time are filled in by whoever fills the slot."""
    why = "signed as a step back" if offer.custom.get("step_back") is True else "pushed by the owner"
    version, digest = loaded.manifest.version, loaded.manifest_sha256
    return SlotRecord(SlotName.A, loaded.model_id, version, digest, "", key_ids, why)


def _work(state: Path) -> Path:
    """Return the place for what is not yet a bundle of anybody: on the slots' file system, beside them."""
    return state / "update"


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Hold the lock that makes this the only update, or yield False; it lies where the push account cannot reach."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def main(arguments: Sequence[str] | None = None) -> int:
    """Update once and print the answer as a line of JSON: 0 taken, 1 refused, 2 no usable configuration."""
    parser = argparse.ArgumentParser(prog="catflap-update", description="Verify and try what lies in the inbox.")
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE")
    try:
        wanted = config.load(parser.parse_args(arguments).config)
        answer = _once(wanted)
    except (CatflapError, OSError) as error:
        print(f"catflap-update: {error}", file=sys.stderr)
        return USAGE
    print(to_json(answer).decode())
    return FINDING if answer.status is AnswerStatus.REFUSED else 0


def _once(wanted: config.Config) -> Answer:
    set_up(wanted.log.format, wanted.log.level)
    state, files = Path(wanted.state.directory), DiskFiles()
    budget = DeviceBudget(runtime=wanted.model.runtime, threads=wanted.model.threads)
    with closing(Journal.open(state / "journal.sqlite")) as journal:
        log = structlog.get_logger("catflap-update")

        def tell(kind: str, detail: str) -> None:
            journal.add_event(datetime.now(UTC), kind, detail)
            log.warning(kind, detail=detail)

        slots = Slots(state / MODELS, files)
        parts = Parts(files, lambda: datetime.now(UTC), tell, lambda where: try_bundle(where, budget), slots)
        return until_answered(state, lambda: update(state, parts))


def until_answered(state: Path, look: Callable[[], Answer]) -> Answer:
    """Answer what lies in the inbox, and what came while that was done: the path unit does not watch meanwhile."""
    for _ in range(MAX_ROUNDS):
        seen = _arrival(state)
        answer = look()
        if _arrival(state) == seen:
            break
    return answer


def _arrival(state: Path) -> tuple[int, int] | None:
    """Return what tells one push from the next: the file that a push puts in place last is another one each time."""
    try:
        status = (state / "incoming" / "metadata" / "timestamp.json").lstat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


if __name__ == "__main__":
    sys.exit(main())
