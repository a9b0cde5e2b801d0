"""The flap's own TUF client over loopback HTTP, in the groups of the public conformance suite.

The suite itself runs ``tests/tuf_client`` from outside; here the same program runs in this process (and once as it is).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import tuf_client_main
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import SlowRetrievalError
from tuf.api.metadata import Delegations, Metadata, SuccinctRoles, Targets
from tuf_made import KEYS, NOW, Repository, new_key, served

from edge.adapters.tuf_fetch import HttpFetcher
from edge.errors import TrustError
from edge.files import DiskFiles
from edge.updater import DeviceUpdater, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

TOP = ("metadata/2.root.json", "metadata/timestamp.json", "metadata/1.snapshot.json", "metadata/1.targets.json")


@dataclass
class Client:
    """The program under test, with its directories and the server it talks to."""

    place: Path
    repository: Repository
    url: str

    @property
    def metadata(self) -> Path:
        """Where it keeps what it trusts."""
        return self.place / "metadata"

    def init(self, root: bytes | None = None) -> int:
        """Trust the first root, or another."""
        self.metadata.mkdir(exist_ok=True)
        (self.place / "targets").mkdir(exist_ok=True)
        path = self.place / "first.json"
        path.write_bytes(self.repository.files["metadata/1.root.json"] if root is None else root)
        return tuf_client_main.main(["--metadata-dir", str(self.metadata), "init", str(path)])

    def arguments(self) -> list[str]:
        """Where everything is."""
        return ["--metadata-dir", str(self.metadata), "--metadata-url", f"{self.url}/metadata"]

    def refresh(self) -> int:
        """Run `refresh`."""
        return tuf_client_main.main([*self.arguments(), "refresh"])

    def refresh_at(self, when: datetime) -> int:
        """Refresh as the program does, at another time."""
        source = Source(f"{self.url}/metadata", "")
        with DeviceUpdater(self.metadata, source, HttpFetcher(60.0), DiskFiles(), lambda: when) as updater:
            try:
                updater.refresh()
            except TrustError:
                return 1
        return 0

    def download(self, name: str) -> int:
        """Run `download`."""
        where = ["--target-base-url", f"{self.url}/targets", "--target-dir", str(self.place / "targets")]
        return tuf_client_main.main([*self.arguments(), "--target-name", name, *where, "download"])

    def downloaded(self) -> list[bytes]:
        """What lies in the target directory."""
        return sorted(path.read_bytes() for path in (self.place / "targets").rglob("*") if path.is_file())

    def versions(self) -> dict[str, int]:
        """The versions that are trusted, as the suite reads them: from every ``*.json`` in the directory."""
        return {path.stem: Metadata.from_file(str(path)).signed.version for path in self.metadata.glob("*.json")}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A client before a repository that was published once."""
    repository = Repository()
    with served(repository) as url:
        yield Client(tmp_path, repository, url)


@pytest.fixture
def ready(client: Client) -> Client:
    """A client that has refreshed once."""
    assert (0, 0) == (client.init(), client.refresh())
    client.repository.asked.clear()
    return client


ONES = {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}


# --- basic -----------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("basic")
def test_the_wrapper_runs_as_the_suite_runs_it(client: Client) -> None:
    """The executable takes the three commands of CLIENT-CLI.md and says by its status what came of them."""
    client.repository.add_target("file.txt", b"content")
    client.repository.release()
    program = str(Path(__file__).parent / "tuf_client")
    (client.place / "first.json").write_bytes(client.repository.files["metadata/1.root.json"])
    client.metadata.mkdir()
    init = [program, "--metadata-dir", str(client.metadata), "init", str(client.place / "first.json")]
    where = ["--target-base-url", f"{client.url}/targets", "--target-dir", str(client.place / "targets")]
    download = [program, *client.arguments(), "--target-name", "file.txt", *where, "download"]
    codes = [subprocess.run(command, check=False).returncode for command in (init, download)]
    assert ([0, 0], [b"content"]) == (codes, client.downloaded())


@pytest.mark.conformance("basic")
def test_a_refresh_asks_for_each_role_once_and_in_order(client: Client) -> None:
    """Root, timestamp, snapshot, targets: one request each, each before what it vouches for."""
    assert (0, 0) == (client.init(), client.refresh())
    assert (list(TOP), ONES) == (client.repository.asked, client.versions())


@pytest.mark.conformance("basic")
def test_a_download_refreshes_first(client: Client) -> None:
    """A target nobody offers fails the download, and the metadata is up to date all the same."""
    client.init()
    assert (1, ONES) == (client.download("nothing"), client.versions())


def _without_version(root: dict[str, Any]) -> None:
    del root["signed"]["version"]


def _other_signature(root: dict[str, Any]) -> None:
    root["signatures"][0]["sig"] = "00" * 64


@pytest.mark.conformance("basic")
@pytest.mark.parametrize("spoil", [_without_version, _other_signature])
def test_a_first_root_that_does_not_vouch_for_itself_is_not_used(
    client: Client, spoil: Callable[[dict[str, Any]], None]
) -> None:
    """A broken or unsigned first root fails every refresh before anything is asked for."""
    root = json.loads(client.repository.files["metadata/1.root.json"])
    spoil(root)
    client.init(json.dumps(root).encode())
    assert (1, []) == (client.refresh(), client.repository.asked)


@pytest.mark.conformance("basic")
def test_a_timestamp_of_the_same_version_changes_nothing(ready: Client) -> None:
    """Other content under the version that is trusted already is ignored, and is no failure."""
    ready.repository.signed["timestamp"].snapshot_meta.version = 100
    before = (ready.metadata / "timestamp.json").read_bytes()
    ready.repository.publish("timestamp", bump=False)
    assert (0, before) == (ready.refresh(), (ready.metadata / "timestamp.json").read_bytes())


@pytest.mark.conformance("basic")
def test_unknown_fields_are_signed_and_borne(ready: Client) -> None:
    """What the specification does not know is part of what is signed and no reason to refuse."""
    root = ready.repository.root
    root.unrecognized_fields["custom"] = "value"
    root.keys[root.roles["root"].keyids[0]].unrecognized_fields["extra"] = {"a": 1}
    root.roles["root"].unrecognized_fields["another"] = "value"
    ready.repository.publish("root")
    assert (0, 2) == (ready.refresh(), ready.versions()["root"])


@pytest.mark.conformance("basic")
def test_trusted_metadata_is_kept_byte_for_byte(ready: Client) -> None:
    """What is on the disk is what was signed, not what was understood of it."""
    kept = {name: (ready.metadata / f"{name}.json").read_bytes() for name in ONES}
    files = ready.repository.files
    sent = {name: files[f"metadata/{'' if name == 'timestamp' else '1.'}{name}.json"] for name in ONES}
    assert sent == kept


def _targets_behind_the_snapshot(repository: Repository) -> None:
    """The snapshot names a version of the targets whose content is another than it gives the hash of."""
    repository.publish("targets", "snapshot", "timestamp")
    repository.add_target("more", b"more")
    version = repository.signed["targets"].version
    repository.files[f"metadata/{version}.targets.json"] = repository.sign("targets")


def _another_version_inside(repository: Repository) -> None:
    """The file of the version that the snapshot names holds another."""
    repository.hashes = False
    repository.publish("targets", "snapshot", "timestamp")
    version = repository.signed["targets"].version
    repository.signed["targets"].version += 5
    repository.files[f"metadata/{version}.targets.json"] = repository.sign("targets")


@pytest.mark.conformance("basic")
@pytest.mark.parametrize("spoil", [_targets_behind_the_snapshot, _another_version_inside])
def test_targets_are_what_the_snapshot_says(ready: Client, spoil: Callable[[Repository], None]) -> None:
    """A hash or a version that is not the snapshot's word keeps the targets that are trusted."""
    spoil(ready.repository)
    assert (1, 1) == (ready.refresh(), ready.versions()["targets"])


@pytest.mark.conformance("basic")
def test_addresses_may_end_with_a_slash(client: Client) -> None:
    """The suite gives both base addresses with one, and options in any order."""
    client.repository.add_target("file", b"content")
    client.repository.release()
    client.init()
    where = ["--metadata-url", f"{client.url}/metadata/", "--metadata-dir", str(client.metadata)]
    assert 0 == tuf_client_main.main([*where, "refresh"])
    more = ["--target-name", "file", "--target-dir", str(client.place / "targets"), "--target-base-url"]
    assert 0 == tuf_client_main.main([*where, *more, f"{client.url}/targets/", "download"])
    assert [b"content"] == client.downloaded()


# --- expiration ------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("expiration")
@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_what_has_expired_ends_the_refresh(ready: Client, role: str) -> None:
    """An expired root is kept, because the next one needs it; nothing else that has expired becomes trusted."""
    ready.repository.signed[role].expires = NOW - timedelta(days=5)
    if role == "root":
        ready.repository.publish("root")
    ready.repository.release()
    assert 1 == ready.refresh()
    assert (2 if role == "root" else 1) == ready.versions()[role]


@pytest.mark.conformance("expiration")
def test_an_expired_delegated_role_offers_nothing(ready: Client) -> None:
    """A role that was out of date when it was first seen is neither used nor kept."""
    repository = ready.repository
    repository.delegate("targets", "late")
    repository.signed["late"].expires = NOW - timedelta(days=1)
    repository.add_target("file", b"content", role="late")
    repository.release("late")
    assert (0, 1, []) == (ready.refresh(), ready.download("file"), ready.downloaded())
    assert "late" not in ready.versions()


@pytest.mark.conformance("expiration")
def test_what_has_expired_here_still_leads_to_what_is_new(client: Client) -> None:
    """Trusted metadata that are past their date are the ground on which newer ones are judged."""
    repository = client.repository
    repository.signed["timestamp"].expires = NOW + timedelta(days=7)
    repository.publish("timestamp")
    assert (0, 0) == (client.init(), client.refresh())
    repository.signed["timestamp"].expires = NOW + timedelta(days=21)
    repository.release()
    assert (0, 2, 2) == (client.refresh_at(NOW + timedelta(days=18)), client.versions()["targets"],
                         client.versions()["snapshot"])  # fmt: skip


@pytest.mark.conformance("expiration")
@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")
@pytest.mark.parametrize(("days", "status"), [(0, 0), (31, 1)])
def test_the_wrapper_goes_by_the_time_it_is_given(client: Client, days: int, status: int) -> None:
    """The suite sets the client's clock with faketime(1) around the whole command."""
    client.init()
    when = (NOW + timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S")
    command = ["faketime", when, str(Path(__file__).parent / "tuf_client"), *client.arguments(), "refresh"]
    assert (
        status == subprocess.run(command, check=False, capture_output=True, env={**os.environ, "TZ": "UTC"}).returncode
    )


@pytest.mark.conformance("expiration")
def test_a_delegated_role_that_expires_later_offers_nothing_any_more(ready: Client) -> None:
    """That it was in date when it was first trusted does not keep it good."""
    repository = ready.repository
    repository.delegate("targets", "team")
    repository.add_target("file", b"content", role="team")
    repository.release("team")
    assert 0 == ready.download("file")
    repository.signed["team"].expires = NOW - timedelta(days=1)
    repository.add_target("other", b"content", role="team")
    repository.release("team")
    assert (1, 1) == (ready.download("other"), ready.versions()["team"])


# --- download --------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("download")
@pytest.mark.parametrize("name", ["file.txt", "path/to/a/file.txt", "with space.txt", "häßlich.txt"])
def test_a_target_is_downloaded_once(ready: Client, name: str) -> None:
    """A target arrives whole under whatever name, and one that is there already is not asked for again."""
    ready.repository.add_target(name, b"content")
    ready.repository.release()
    assert (0, [b"content"]) == (ready.download(name), ready.downloaded())
    ready.repository.asked.clear()
    assert 0 == ready.download(name)
    assert [] == [path for path in ready.repository.asked if path.startswith("targets/")]


@pytest.mark.conformance("download")
def test_a_new_version_of_a_target_takes_the_place_of_the_old(ready: Client) -> None:
    """The same name stays one file."""
    for content in (b"one", b"two"):
        ready.repository.add_target("file", content)
        ready.repository.release()
        assert (0, [content]) == (ready.download("file"), ready.downloaded())


@pytest.mark.conformance("download")
@pytest.mark.parametrize("content", [b"", b"cont", b"Content", b"content and more", b"x" * 10**6])
def test_a_target_that_is_not_what_was_signed_is_not_kept(ready: Client, content: bytes) -> None:
    """Shorter, longer, much longer or other content: nothing of it reaches the target directory."""
    ready.repository.add_target("file", b"content")
    ready.repository.release()
    path = next(name for name in ready.repository.files if name.startswith("targets/"))
    ready.repository.files[path] = content
    assert (1, []) == (ready.download("file"), ready.downloaded())


@pytest.mark.conformance("download")
def test_a_target_that_is_here_is_not_replaced_by_a_wrong_one(ready: Client) -> None:
    """What the repository serves under a name it had signed for changes nothing of what was downloaded."""
    ready.repository.add_target("one", b"content")
    ready.repository.add_target("two", b"another")
    ready.repository.release()
    assert 0 == ready.download("one")
    for name in [name for name in ready.repository.files if name.startswith("targets/")]:
        ready.repository.files[name] = b"malicious"
    ready.download("one")
    assert (1, [b"content"]) == (ready.download("two"), ready.downloaded())


@pytest.mark.conformance("download")
def test_a_target_follows_many_changes(ready: Client) -> None:
    """Through versions that the client saw and versions that it missed, the last that was signed is what lies there."""
    for number in range(11):
        ready.repository.add_target("file", b"content %d" % number)
        ready.repository.release()
        if number % 5 == 0:
            assert (0, [b"content %d" % number]) == (ready.download("file"), ready.downloaded())


@pytest.mark.conformance("download")
def test_a_repository_without_consistent_snapshots_serves(client: Client) -> None:
    """Where the root says so, names carry neither versions nor hashes."""
    repository = client.repository
    repository.root.consistent_snapshot = False
    repository.publish("root")
    repository.add_target("file", b"content")
    repository.release()
    for role in ("snapshot", "targets"):
        version = repository.signed[role].version
        repository.files[f"metadata/{role}.json"] = repository.files[f"metadata/{version}.{role}.json"]
    repository.files["targets/file"] = b"content"
    client.init(repository.files["metadata/2.root.json"])
    assert (0, [b"content"]) == (client.download("file"), client.downloaded())
    assert ["metadata/timestamp.json", "metadata/snapshot.json", "metadata/targets.json"] == client.repository.asked[
        1:4
    ]


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("keys")
@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_fewer_signatures_than_the_threshold_are_none(ready: Client, role: str) -> None:
    """Two keys of three where three are asked for, and a stranger's signature beside them, are not enough."""
    repository = ready.repository
    repository.set_keys(role, KEYS[4:7], threshold=3)
    repository.keys[role] = [*KEYS[4:6], KEYS[9]]
    repository.publish("root")
    repository.release()
    assert (1, 2, 1) == (ready.refresh(), ready.versions()["root"], ready.versions()[role])


@pytest.mark.conformance("keys")
def test_one_key_counts_once_however_often_it_signs(ready: Client) -> None:
    """A signature that is there twice under one key id is refused, or counts once."""
    repository = ready.repository
    repository.set_keys("timestamp", KEYS[4:6], threshold=2)
    repository.publish("root")
    timestamp = json.loads(repository.sign("timestamp", KEYS[4:5]))
    timestamp["signatures"] *= 2
    repository.files["metadata/timestamp.json"] = json.dumps(timestamp).encode()
    assert (1, 1) == (ready.refresh(), ready.versions()["timestamp"])


@pytest.mark.conformance("keys")
def test_a_key_id_in_a_role_without_its_key_does_not_count(ready: Client) -> None:
    """A threshold is reached by keys, not by ids."""
    repository = ready.repository
    repository.root.roles["snapshot"].keyids.append(new_key().public_key.keyid)
    repository.root.roles["snapshot"].threshold = 2
    repository.publish("root")
    repository.release()
    assert (1, 1) == (ready.refresh(), ready.versions()["snapshot"])


@pytest.mark.conformance("keys")
def test_a_key_may_say_what_nobody_asks(ready: Client) -> None:
    """``keyid_hash_algorithms`` is no part of the specification: its nonsense is signed and ignored."""
    root = ready.repository.root
    root.keys[root.roles["snapshot"].keyids[0]].unrecognized_fields["keyid_hash_algorithms"] = ["md5"]
    ready.repository.release("root")
    assert (0, 2) == (ready.refresh(), ready.versions()["snapshot"])


@pytest.mark.conformance("keys")
def test_more_signatures_than_there_are_keys_cannot_be_had(ready: Client) -> None:
    """A threshold above the number of keys is reached by nobody."""
    ready.repository.set_keys("snapshot", KEYS[4:9], threshold=6)
    ready.repository.release("root")
    assert (1, 1) == (ready.refresh(), ready.versions()["snapshot"])


@pytest.mark.conformance("keys")
def test_a_role_may_not_list_a_key_twice(ready: Client) -> None:
    """Ten times the same id is no ten keys: such a root is none, and the one before it stands."""
    role = ready.repository.root.roles["snapshot"]
    role.keyids, role.threshold = role.keyids * 10, 6
    ready.repository.release("root")
    assert (1, 1) == (ready.refresh(), ready.versions()["snapshot"])


@pytest.mark.conformance("keys")
@pytest.mark.parametrize(
    "make",
    [CryptoSigner.generate_ed25519, CryptoSigner.generate_ecdsa, CryptoSigner.generate_rsa,
     partial(CryptoSigner.generate_rsa, scheme="rsa-pkcs1v15-sha256")],
)  # fmt: skip
def test_keys_of_every_usual_kind_sign(ready: Client, make: Callable[[], CryptoSigner]) -> None:
    """Ed25519, ECDSA on P-256, and RSA by both schemes."""
    ready.repository.set_keys("snapshot", [make()])
    ready.repository.release("root")
    assert (0, 2) == (ready.refresh(), ready.versions()["snapshot"])


# --- quoting ---------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("quoting")
@pytest.mark.parametrize("role", ["?", "#", "/role", "../role", "..", "a/b/../../c", "%2e%2e", "adopted"])
def test_a_role_of_any_name_is_asked_for_quoted_and_kept_inside(ready: Client, role: str) -> None:
    """No name of a role leads a request or a file astray, nor into a file that is the house's own."""
    repository = ready.repository
    repository.delegate("targets", role)
    repository.release(role)
    assert 1 == ready.download("nothing")
    assert f"metadata/1.{quote(role, '')}.json" in repository.asked
    assert {"metadata", "targets", "first.json"} == {path.name for path in ready.place.iterdir()}
    inside = {"root", "timestamp", "snapshot", "targets"}
    kept = set() if role == "adopted" else {quote(role, "")}
    assert inside | kept == {path.stem for path in ready.metadata.glob("*.json")}


# --- rollback --------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("rollback")
@pytest.mark.parametrize("hashes", [False, True])
@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_no_role_goes_back(client: Client, role: str, *, hashes: bool) -> None:
    """A lower version than was seen is refused, whether or not hashes are given for it."""
    repository = client.repository
    repository.hashes = hashes
    repository.release()
    repository.release()
    assert (0, 0) == (client.init(), client.refresh())
    before = client.versions()[role]
    repository.signed[role].version = 0
    after = {"timestamp": ["timestamp"], "snapshot": ["snapshot", "timestamp"]}.get(role, ["targets", "snapshot"])
    repository.publish(*after)
    if role == "targets":
        repository.publish("timestamp")
    assert (1, before) == (client.refresh(), client.versions()[role])


@pytest.mark.conformance("rollback")
def test_a_snapshot_may_not_forget_a_role(ready: Client) -> None:
    """A role that vanishes from the snapshot is a rollback of that role."""
    repository = ready.repository
    repository.delegate("targets", "one")
    repository.release("one")
    assert 0 == ready.refresh()
    del repository.signed["snapshot"].meta["one.json"]
    repository.publish("snapshot", "timestamp")
    assert (1, 2) == (ready.refresh(), ready.versions()["snapshot"])


@pytest.mark.conformance("rollback")
def test_a_snapshot_of_another_version_than_the_timestamp_says_is_not_taken(client: Client) -> None:
    """The timestamp's word on the snapshot's version is part of what is verified."""
    repository = client.repository
    repository.signed["snapshot"].version = 2
    repository.files["metadata/1.snapshot.json"] = repository.sign("snapshot")
    client.init()
    assert (1, {"root": 1, "timestamp": 1}) == (client.refresh(), client.versions())


@pytest.mark.conformance("rollback")
@pytest.mark.attack("fast-forward and its recovery")
@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_fast_forward_is_recovered_from_by_new_keys(ready: Client, role: str) -> None:
    """After somebody with a key has signed huge versions, new keys in the root let the versions begin low again."""
    repository = ready.repository
    repository.signed[role].version = 99_999
    repository.release()
    assert (0, 100_000) == (ready.refresh(), ready.versions()[role])
    repository.set_keys("timestamp", KEYS[5:6])
    repository.set_keys("snapshot", KEYS[6:7])
    repository.signed[role].version = 1
    repository.release("root")
    assert (0, 2) == (ready.refresh(), ready.versions()[role])


@pytest.mark.conformance("rollback")
def test_a_lower_snapshot_that_the_timestamp_does_not_name_is_not_asked_for(client: Client) -> None:
    """As long as the timestamp is the one that is trusted, nothing below it is fetched again."""
    repository = client.repository
    repository.release()
    assert (0, 0) == (client.init(), client.refresh())
    repository.signed["snapshot"].version = 1
    repository.files["metadata/2.snapshot.json"] = repository.sign("snapshot")
    client.repository.asked.clear()
    assert (0, 2, "metadata/timestamp.json") == (client.refresh(), client.versions()["snapshot"],
                                                 client.repository.asked[-1])  # fmt: skip


# --- static repositories ---------------------------------------------------------------------------------------------


@pytest.mark.conformance("static repositories")
def test_a_repository_of_plain_files_serves(client: Client) -> None:
    """Files written once and served by a server that knows nothing of TUF: root steps, a delegation, hashed names."""
    repository = client.repository
    repository.set_keys("root", KEYS[3:5], threshold=2)
    repository.keys["root"] += KEYS[3:4]
    repository.keys["root"] = [*KEYS[:1], *KEYS[3:5]]
    repository.publish("root")
    repository.delegate("targets", "team", ["team/*"])
    repository.add_target("team/model.tar", b"model", role="team")
    repository.release("team")
    assert (0, 0, 0) == (client.init(), client.refresh(), client.download("team/model.tar"))
    assert [b"model"] == client.downloaded()


# --- delegation graphs -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Graph:
    """Delegations as (above, role, paths, terminating), and the order in which roles are to be asked for."""

    name: str
    edges: tuple[tuple[Any, ...], ...]
    visited: str


PAIR = (("targets", "A"), ("targets", "B"))
GRAPHS = (
    Graph("one", (("targets", "A"),), "A"),
    Graph("two beside each other", PAIR, "AB"),
    Graph("two levels", (*PAIR, ("B", "C")), "ABC"),
    Graph("depth first", (*PAIR, ("A", "C"), ("A", "D")), "ACDB"),
    Graph("three levels, depth first", (*PAIR, ("A", "C"), ("C", "D")), "ACDB"),
    Graph("terminating ends it", (*PAIR, ("A", "C", None, True), ("A", "D")), "AC"),
    Graph("terminating, but not what is below", (*PAIR, ("A", "C", None, True), ("C", "D")), "ACD"),
    Graph("a path that does not match", (("targets", "A", ["*.py"]), ("targets", "B"), ("A", "C")), "B"),
    Graph("a path that does not match, deeper", (*PAIR, ("A", "C", ["*.py"]), ("C", "D")), "AB"),
    Graph("a circle", (*PAIR, ("B", "C"), ("C", "D"), ("D", "B")), "ABCD"),
    Graph("two to one", (*PAIR, ("B", "C"), ("A", "C")), "ACB"),
    Graph("two to one by other paths", (*PAIR, ("B", "C"), ("A", "C", ["*.py"])), "ABC"),
)  # fmt: skip


def _grow(repository: Repository, edges: tuple[tuple[Any, ...], ...]) -> None:
    for above, role, *more in edges:
        repository.delegate(above, role, *more[:1], terminating=bool(more[1:]))
    repository.release(*sorted({str(edge[1]) for edge in edges}))


@pytest.mark.conformance("delegation graphs")
@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.name)
def test_delegations_are_walked_in_their_order(ready: Client, graph: Graph) -> None:
    """Pre-order and depth first, in the order the delegator gives, no role twice."""
    _grow(ready.repository, graph.edges)
    assert 1 == ready.download("missing")
    asked = [path.split(".")[1] for path in ready.repository.asked if path.split(".")[1] not in ONES]
    assert list(graph.visited) == [role for role in asked if len(role) == 1]


@pytest.mark.conformance("delegation graphs")
@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("top", True),
        ("README.md", True),
        ("releases/x/v1", True),
        ("releases/y/v1.zip", True),
        ("releases/z/v1", False),
    ],
)
def test_a_target_counts_only_through_roles_that_may_sign_for_its_path(
    ready: Client, path: str, *, found: bool
) -> None:
    """A role that signs for what was not delegated to it all the way down is not heard."""
    repository = ready.repository
    repository.delegate("targets", "A", ["*.doc", "*.md"])
    repository.delegate("targets", "B", ["releases/*/*"])
    repository.delegate("B", "C", ["releases/x/*"])
    repository.delegate("B", "D", ["releases/y/*.zip"])
    role = {"top": "targets", "README.md": "A", "releases/x/v1": "C"}.get(path, "D")
    repository.add_target(path, b"content", role=role)
    repository.release("A", "C", "D", "B")
    assert (0 if found else 1, [b"content"] * found) == (ready.download(path), ready.downloaded())


@pytest.mark.conformance("delegation graphs")
@pytest.mark.parametrize("path", ["model.tar", "other/file", "x"])
def test_a_target_is_found_in_its_bin(ready: Client, path: str) -> None:
    """Succinct delegation: the first bits of a path's hash say which bin answers for it, and no other is asked."""
    repository = ready.repository
    bins = SuccinctRoles([], 1, 2, "bin")
    repository.signed["targets"].delegations = Delegations({}, succinct_roles=bins)
    repository.signed["targets"].add_key(KEYS[7].public_key)
    for name in bins.get_roles():
        repository.keys[name] = [KEYS[7]]
        repository.signed[name] = Targets(expires=NOW + timedelta(days=30))
    repository.add_target(path, b"content", role=bins.get_role_for_target(path))
    repository.release(*bins.get_roles())
    assert (0, [b"content"]) == (ready.download(path), ready.downloaded())
    assert 1 == len([asked for asked in repository.asked if "bin" in asked])


# --- key rotations ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One version of a role: which keys count, how many are asked for, and who signed."""

    keys: tuple[int, ...]
    threshold: int
    signers: tuple[int, ...]


@dataclass(frozen=True)
class Rotation:
    """Versions of the root one after the other; ``good`` says whether the last one is to be believed."""

    name: str
    steps: tuple[Step, ...]
    good: bool = field(default=True)


FIVE, NEXT, OTHER = (0, 1, 2, 3, 4), (0, 1, 3, 4, 5), (5, 6, 7, 8, 9)
FIRST = Step(FIVE, 3, (0, 2, 4))
ROTATIONS = (
    Rotation("one by one", (Step((1,), 1, (1,)), Step((2,), 1, (2, 1)), Step((2,), 1, (2,)))),
    Rotation(
        "signatures nobody asked for", (Step((1,), 1, (3, 1, 4)), Step((2,), 1, (3, 2, 1, 4)), Step((2,), 1, (3, 2, 4)))
    ),
    Rotation("three of five, others each time", (FIRST, Step(FIVE, 3, (0, 4, 1)), Step(FIVE, 3, (0, 1, 3)))),
    Rotation(
        "forty in one refresh", tuple(Step((number % 10,), 1, (number % 10, (number - 1) % 10)) for number in range(41))
    ),
    Rotation("one of five replaced", (FIRST, Step(NEXT, 3, (0, 4, 1)))),
    Rotation("one of five, by both sets", (FIRST, Step(NEXT, 3, (0, 2, 4, 5)), Step(NEXT, 3, (0, 4, 5)))),
    Rotation("all of five", (FIRST, Step(OTHER, 3, (0, 2, 4, 5, 6, 7)), Step(OTHER, 3, (5, 6, 7)))),
    Rotation("threshold up", (Step((1, 2, 3), 1, (1,)), Step((1, 2, 3), 2, (1, 2)))),
    Rotation("threshold down", (Step((1, 2, 3), 2, (1, 2)), Step((1, 2, 3), 1, (1, 2)), Step((1, 2, 3), 1, (1,)))),
    Rotation("one more key", (Step((1,), 1, (1,)), Step((1, 2), 2, (1, 2)))),
    Rotation("not signed by the old key", (Step((1,), 1, (1,)), Step((2,), 1, (2, 3, 4))), good=False),
    Rotation("not signed by the new key", (Step((1,), 1, (1,)), Step((2,), 1, (1, 3, 4))), good=False),
    Rotation("too few of the new", (FIRST, Step(NEXT, 3, (0, 2, 4))), good=False),
    Rotation("too few of the old", (FIRST, Step(NEXT, 3, (0, 4, 5))), good=False),
    Rotation("new threshold not reached", (Step((1, 2, 3), 1, (1,)), Step((1, 2, 3), 2, (2,))), good=False),
    Rotation("old threshold not reached", (Step((1, 2, 3), 2, (1, 2)), Step((1, 2, 3), 1, (1,))), good=False),
)


@pytest.mark.conformance("key rotations")
@pytest.mark.parametrize("rotation", ROTATIONS, ids=lambda rotation: rotation.name)
def test_roots_follow_one_another(client: Client, rotation: Rotation) -> None:
    """A root is believed when enough keys of the one before it and enough of its own have signed it."""
    repository = client.repository
    repository.published.discard("root")
    repository.root.version = 1
    for step in rotation.steps:
        repository.set_keys("root", [KEYS[10 + index] for index in step.keys], step.threshold)
        repository.keys["root"] = [KEYS[10 + index] for index in step.signers]
        repository.publish("root")
    client.init()
    last = len(rotation.steps) if rotation.good else len(rotation.steps) - 1
    assert (0 if rotation.good else 1, last) == (client.refresh(), client.versions()["root"])
    kept = (client.metadata / "root.json").read_bytes()
    assert repository.files[f"metadata/{last}.root.json"] == kept


STEPS = (
    (Step((2,), 1, (2,)), True),
    (Step((1,), 1, (3, 1, 4)), True),
    (Step((2,), 1, (1, 3, 4)), False),
    (Step((0, 1, 3, 4, 5), 3, (0, 2, 4)), False),
    (Step((0, 1, 3, 4, 5), 3, (0, 4)), False),
    (Step(FIVE, 3, (0, 2, 4)), True),
    (Step(FIVE, 3, (0, 4, 1)), True),
    (Step(FIVE, 3, (0, 1, 3)), True),
    (Step(FIVE, 3, (1, 2, 3)), True),
    (Step(FIVE, 3, (2, 3, 4)), True),
)


@pytest.mark.conformance("key rotations")
@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
@pytest.mark.parametrize(("step", "good"), STEPS)
def test_other_roles_follow_the_root(ready: Client, role: str, step: Step, *, good: bool) -> None:
    """A role's new keys count from the root that names them on, and only with enough signatures."""
    repository = ready.repository
    repository.set_keys(role, [KEYS[10 + index] for index in step.keys], step.threshold)
    repository.keys[role] = [KEYS[10 + index] for index in step.signers]
    repository.release("root")
    assert (0 if good else 1, 2 if good else 1) == (ready.refresh(), ready.versions()[role])


# --- slow retrieval --------------------------------------------------------------------------------------------------


@pytest.mark.attack("slow data")
def test_a_server_that_trickles_is_given_up(client: Client) -> None:
    """Every read may be in time and the whole still too late: the limit is on the file."""
    times = iter(range(0, 10_000, 20))
    fetcher = HttpFetcher(10.0, lambda: float(next(times)))
    with pytest.raises(SlowRetrievalError):
        fetcher.download_bytes(f"{client.url}/metadata/1.root.json", 10**6)
