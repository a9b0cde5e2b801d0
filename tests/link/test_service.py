"""The loop of the network process: what it fetches, how often it asks, and what it says."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from flap_made import Flap as UpdatedFlap
from flap_made import bundle_of
from stand_ins import PATIENCE_S, clock_at_1000_s
from structlog.testing import capture_logs

from edge.answers import AnswerStatus
from edge.errors import InputError
from edge.files import DiskFiles
from edge.inbox import RESERVE_BYTES, Inbox
from edge.link import Host, Link, StoreError
from edge.link.repository import COMMIT
from edge.link.service import JITTER, Outcome, poll
from edge.link.stores import FolderStore, Limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from structlog.typing import EventDict
    from tuf_made import Repository

    from edge.adapters.clock import SimClock

EVERY_S = 100.0
CHANCE = random.Random(1)  # noqa: S311 - it spreads requests, and keeps no secret


@dataclass
class Store:
    """A repository in memory that counts what it is asked for; ``broken`` makes it fail."""

    repository: Repository
    asked: list[str] = field(default_factory=list)
    broken: bool = False
    shown: str = "https://models.example/flaps"

    def read(self, name: str, most_bytes: int, limit: Limit) -> bytes | None:
        """Return a file."""
        limit.left_s()
        self.asked.append(name)
        if self.broken:
            raise StoreError(f"{self.shown}: {name}: timed out")
        data = self.repository.files.get(name)
        assert data is None or len(data) <= most_bytes
        return data


@dataclass
class Heart:
    """What the service manager hears."""

    said: list[str] = field(default_factory=list)

    def ready(self) -> None:
        """Note it."""
        self.said.append("ready")

    def beat(self) -> None:
        """Note it."""
        self.said.append("beat")

    def status(self, text: str) -> None:
        """Note it."""
        self.said.append(text)

    def stopping(self) -> None:
        """Never said."""

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Network:
    """A link before a store with one honest model, and the flap whose inbox it fills."""

    state: Path
    clock: SimClock = field(default_factory=clock_at_1000_s)
    heart: Heart = field(default_factory=Heart)

    def __post_init__(self) -> None:
        """Build it."""
        self.flap = UpdatedFlap(self.state)
        self.flap.offer(bundle_of("0.4.0"))
        self.store = Store(self.flap.repository)
        self.inbox = Inbox(self.flap.inbox, DiskFiles())
        host = Host(self.clock, self.heart, CHANCE, structlog.get_logger())
        self.link = Link(self.store, self.inbox, EVERY_S, host)

    def polls_within(self, seconds: float) -> list[EventDict]:
        """Turn for so long; return what was said of each round."""
        until_ns = self.clock.monotonic_ns() + round(seconds * 1e9)
        with capture_logs() as logs:
            while self.clock.monotonic_ns() < until_ns:
                self.link.turn()
        return [entry for entry in logs if entry["event"] == "poll"]

    def lies(self) -> dict[str, bytes]:
        """Return what the update service would find."""
        found = (path for part in ("metadata", "targets") for path in (self.flap.inbox / part).glob("*"))
        return {path.relative_to(self.flap.inbox).as_posix(): path.read_bytes() for path in found}


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """A link that has not asked yet."""
    return Network(tmp_path / "state")


def _poll(network: Network) -> Any:  # noqa: ANN401 - a Round
    return poll(network.store, network.inbox, Limit(PATIENCE_S, lambda: None))


# --- what it fetches -------------------------------------------------------------------------------------------------


def test_what_the_store_has_lies_in_the_inbox_and_is_believed(network: Network) -> None:
    """Every root, the metadata of today and their target, and nothing else; the update service takes it from there."""
    network.flap.repository.publish("root")
    network.flap.repository.release()
    done = _poll(network)
    now = {name: network.flap.repository.signed[name].version for name in ("snapshot", "targets")}
    wanted = {name: data for name, data in network.flap.repository.files.items()
              if name.startswith(("targets/", "metadata/1.root", "metadata/2.root", "metadata/timestamp"))
              or name in {f"metadata/{version}.{role}.json" for role, version in now.items()}}  # fmt: skip
    assert (Outcome.FETCHED, wanted) == (done.outcome, network.lies())
    assert (len(wanted), sum(map(len, wanted.values()))) == (done.files, done.bytes)
    assert AnswerStatus.ON_TRIAL is network.flap.update().status


def test_what_lies_there_already_is_not_fetched_again(network: Network) -> None:
    """As long as the timestamp is the one in the inbox, it is the only thing asked for."""
    _poll(network)
    network.store.asked.clear()
    assert (Outcome.UNCHANGED, [COMMIT]) == (_poll(network).outcome, network.store.asked)


def test_the_answer_stays_until_there_is_news(network: Network) -> None:
    """A round without news does not touch the inbox; the next model takes the place of the one before."""
    _poll(network)
    network.flap.update()
    _poll(network)
    assert (network.flap.inbox / "answer.json").exists()
    network.flap.offer(bundle_of("0.5.0"))
    assert Outcome.FETCHED is _poll(network).outcome
    assert not (network.flap.inbox / "answer.json").exists()
    assert AnswerStatus.ON_TRIAL is network.flap.update().status


def test_an_inbox_that_somebody_spoilt_is_put_right(network: Network) -> None:
    """Whatever else came in over SSH, the next round brings the store's own repository."""
    _poll(network)
    (network.flap.inbox / COMMIT).write_bytes(b"{}")
    assert (Outcome.FETCHED, True) == (_poll(network).outcome, AnswerStatus.ON_TRIAL is network.flap.update().status)


def _signed(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        metadata = json.loads(data)
        change(metadata["signed"])
        return json.dumps(metadata).encode()

    return changed


def _set(*keys: str, to: object) -> Callable[[bytes], bytes]:
    def change(signed: dict[str, Any]) -> None:
        for key in keys[:-1]:
            signed = signed[key]
        signed[keys[-1]] = to

    return _signed(change)


SPOILT: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("timestamp", lambda _: b"no JSON", "has no version"),
    ("timestamp", lambda _: b"[" * 16_000, "has no version"),
    ("timestamp", _set("version", to="7"), "no whole number"),
    ("timestamp", _set("meta", to=[]), "has no signed.meta.snapshot.json"),
    ("timestamp", _set("meta", "snapshot.json", "version", to="../../x"), "its version is no number"),
    ("timestamp", _set("meta", "snapshot.json", "version", to=77), "77.snapshot.json: is not there"),
    ("snapshot", lambda data: data + b" ", "is not what metadata/timestamp.json says it is"),
    ("targets", lambda data: data[:-1], "is not what metadata/"),
    ("target", lambda data: data[:-1], "is not what it is listed as"),
    ("target", lambda data: data[:-1] + b"x", "is not what it is listed as"),
]


@pytest.mark.parametrize(("what", "spoil", "says"), SPOILT)
def test_what_does_not_fit_together_is_left_where_it_is(
    network: Network, what: str, spoil: Callable[[bytes], bytes], says: str
) -> None:
    """What was damaged on its way, or was never whole, does not reach the inbox, and is asked for again."""
    _poll(network)
    before = network.lies()
    network.flap.offer(bundle_of("0.5.0"))
    files = network.flap.repository.files
    part = "targets/" if what == "target" else "metadata/"
    key = max(name for name in files if name.startswith(part) and what in name)
    honest, files[key] = files[key], spoil(files[key])
    with pytest.raises((StoreError, InputError), match=says):
        _poll(network)
    assert before == network.lies()
    files[key] = honest
    assert Outcome.FETCHED is _poll(network).outcome


@pytest.mark.attack("names")
@pytest.mark.parametrize(
    ("path", "length", "says"),
    [
        ("../../x.tar", 3, "is no name of a repository's file"),
        ("/etc/passwd", 3, "is no name of a repository's file"),
        ("a\x1b[2J.tar", 3, "is no name of a repository's file"),
        ("big.tar", 10**12, "has no length from 0 to"),
        ("big.tar", -1, "has no length from 0 to"),
        ("big.tar", True, "has no length from 0 to"),
        ("big.tar", 47_999_999, "lists .* bytes; a push has at most"),
    ],
)
def test_a_list_that_no_push_could_be_is_not_followed(network: Network, path: str, length: int, says: str) -> None:
    """Names and sizes are bounded before anything is asked for: the store may say what it likes."""
    repository = network.flap.repository
    repository.add_target(path, b"gift")
    repository.release()
    name = f"metadata/{repository.signed['targets'].version}.targets.json"
    repository.files[name] = _set("targets", path, "length", to=length)(repository.files[name])
    repository.signed["snapshot"].meta["targets.json"].hashes = None
    repository.publish("snapshot", "timestamp")
    with pytest.raises((StoreError, InputError), match=says):
        _poll(network)
    assert ({}, False) == (network.lies(), any("gift" in asked or path in asked for asked in network.store.asked))


def test_many_targets_are_no_push(network: Network) -> None:
    """More files than a repository can need are refused."""
    for number in range(400):
        network.flap.repository.add_target(f"{number}.tar", b"")
    network.flap.repository.release()
    with pytest.raises(InputError, match="has more than 300 files"):
        _poll(network)


def test_a_full_disk_takes_nothing(network: Network) -> None:
    """Room for journal and spool comes first."""

    class Full(DiskFiles):
        """A disk with almost nothing left."""

        def free_bytes(self, path: Path) -> int:
            del path
            return RESERVE_BYTES

    network.inbox = Inbox(network.flap.inbox, Full())
    with pytest.raises(InputError, match="too little to take a push in"):
        _poll(network)


@pytest.mark.attack("two pushes at once")
def test_a_push_that_is_being_received_goes_first(network: Network) -> None:
    """Two who fill one inbox do it one after the other; the round is tried again soon."""
    with network.inbox.held():
        done = _poll(network)
    assert (Outcome.BUSY, Outcome.FETCHED) == (done.outcome, _poll(network).outcome)


# --- how often, and what it says -------------------------------------------------------------------------------------


def test_the_store_is_asked_at_its_interval_give_or_take(network: Network) -> None:
    """The first time soon after the start, then at the interval; no two flaps keep step."""
    first = network.polls_within(EVERY_S * JITTER + 2.0)
    assert ["fetched"] == [entry["outcome"] for entry in first]
    network.store.asked.clear()
    network.polls_within(10_000.0)
    assert 90 <= network.store.asked.count(COMMIT) <= 110


def test_a_store_that_fails_is_asked_ever_more_rarely(network: Network) -> None:
    """One, two, four … minutes, up to an hour; once it answers, at the interval again. Each failure is one line."""
    network.store.broken = True
    pauses = [entry["next_s"] for entry in network.polls_within(20_000.0)]
    even = [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]
    assert [True] * 8 == [0.9 * wanted <= pause <= 1.1 * wanted for wanted, pause in zip(even, pauses, strict=False)]
    network.store.broken = False
    works = network.polls_within(4000.0)[0]
    assert ("fetched", "info", True) == (works["outcome"], works["log_level"], works["next_s"] <= 110.0)


def test_each_round_is_one_line(network: Network) -> None:
    """What was fetched is info with its figures, a failure a warning with its reason; no news are no noise."""
    said = network.polls_within(150.0)
    network.store.broken = True
    said += network.polls_within(150.0)
    assert ["fetched", "unchanged", "failed"] == [entry["outcome"] for entry in said[:2] + said[-1:]]
    assert ["info", "debug", "warning"] == [entry["log_level"] for entry in said[:2] + said[-1:]]
    assert {"models", "outcome", "took_s", "next_s", "version", "files", "bytes"} <= set(said[0])
    assert "https://models.example/flaps: metadata/timestamp.json: timed out" == said[-1]["why"]


def test_a_disk_that_fails_ends_the_round_and_not_the_process(network: Network) -> None:
    """An inbox that cannot be written is a line, and is tried again."""
    network.flap.inbox.parent.mkdir(parents=True, exist_ok=True)
    network.flap.inbox.write_text("in the way", encoding="utf-8")
    (said,) = network.polls_within(12.0)
    assert ("failed", True) == (said["outcome"], "the flap's disk" in said["why"])


def test_the_loop_says_that_it_lives(network: Network) -> None:
    """READY once, a beat each turn and with each file, and a status that names the store."""
    network.link.begin()
    assert ["ready"] == network.heart.said
    network.link.turn()
    assert "beat" == network.heart.said[-1]
    network.polls_within(20.0)
    assert "https://models.example/flaps: fetched" in network.heart.said
    assert network.heart.said.count("beat") > len(network.store.asked)


def test_without_a_store_it_idles_and_says_so(network: Network) -> None:
    """Nothing configured is no failure: it lives, and does nothing."""
    host = Host(network.clock, network.heart, CHANCE, structlog.get_logger())
    link = Link(None, network.inbox, EVERY_S, host)
    with capture_logs() as logs:
        link.begin()
        for _ in range(100):
            link.turn()
    assert (["link_idles"], 100) == ([entry["event"] for entry in logs], network.heart.said.count("beat"))
    assert not network.flap.inbox.exists()


# --- the process -----------------------------------------------------------------------------------------------------


CONFIG = """
[pins]
factory = "mock"
bolt = 17
[door]
identity = "any_cat"
[state]
directory = "{place}/state"
[link]
models = "{models}"
poll_every_s = 10.0
"""


def _command(place: Path, models: str) -> tuple[list[str], dict[str, str]]:
    """Return how systemd starts it, with everything in ``place``."""
    (place / "catflap.toml").write_text(CONFIG.format(place=place, models=models), encoding="utf-8")
    environment = {**os.environ, "NOTIFY_SOCKET": str(place / "notify"), "CREDENTIALS_DIRECTORY": str(place)}
    return [sys.executable, "-m", "edge.cli", "link", "--config", str(place / "catflap.toml")], environment


@contextmanager
def _process(place: Path, models: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``catflap link`` under a service manager; begin once it is ready."""
    command, environment = _command(place, models)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(PATIENCE_S)
        manager.bind(environment["NOTIFY_SOCKET"])
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as process:
            assert b"READY=1\n" == manager.recv(4096)
            yield process
            process.terminate()


def test_sigterm_ends_it_at_once_whatever_it_waits_for(tmp_path: Path) -> None:
    """Before a server that never answers, SIGTERM is the end, and the inbox is as it was."""
    (tmp_path / "models_access").write_text("?sig=secret", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.settimeout(PATIENCE_S)
        with _process(tmp_path, f"https://127.0.0.1:{deaf.getsockname()[1]}/flaps") as process:
            connection, _ = deaf.accept()
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=PATIENCE_S)
        connection.close()
    assert (-signal.SIGTERM, True, False) == (process.returncode, b"link_polls" in said, b"secret" in said)
    assert not (tmp_path / "state" / "incoming" / COMMIT).exists()


def test_the_process_fetches_from_a_directory(tmp_path: Path) -> None:
    """From its configuration to the inbox, readable and writable by its group, by nobody else."""
    flap = UpdatedFlap(tmp_path / "other")
    flap.offer(bundle_of("0.4.0"))
    flap.repository.write(tmp_path / "shop")
    with _process(tmp_path, f"file:{tmp_path}/shop") as process:
        assert process.stderr is not None
        said = next(json.loads(line) for line in iter(process.stderr.readline, b"") if b'"poll"' in line)
    here = tmp_path / "state" / "incoming"
    modes = {oct(path.stat().st_mode & 0o777) for path in (here / "metadata", here / COMMIT, here / ".lock")}
    assert ("fetched", {"0o770", "0o660"}) == (said["outcome"], modes)


def test_a_credential_that_is_none_is_one_line(tmp_path: Path) -> None:
    """It does not start with a permission that it cannot use, and does not show it."""
    (tmp_path / "models_access").write_text("two\nlines", encoding="utf-8")
    command, environment = _command(tmp_path, "https://models.example/flaps")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    said = "catflap: credential models_access: is not one line of 1 to 4096 printable characters\n"
    assert (2, said) == (done.returncode, done.stderr)


def test_a_directory_is_read_as_a_server_is(tmp_path: Path) -> None:
    """The same repository on a mounted share is taken whole."""
    network = Network(tmp_path / "state")
    network.flap.repository.write(tmp_path / "shop")
    done = poll(FolderStore(tmp_path / "shop"), network.inbox, Limit(PATIENCE_S, lambda: None))
    target = next(data for name, data in network.lies().items() if name.startswith("targets/"))
    assert (Outcome.FETCHED, hashlib.sha256(target).hexdigest()) == (
        done.outcome, network.flap.repository.signed["targets"].targets["model.tar"].hashes["sha256"])  # fmt: skip
