"""The owner's keys and repository: made, kept, rotated, revoked, cut off."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from bundles_renamed import with_version
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from push_keys import Keyring, KeyRole, PassphraseFile
from push_repository import LIFE, Repository
from push_tar import pack, ustar
from tuf.api.metadata import Metadata, Root, Targets, Timestamp
from tuf.ngclient import FetcherInterface, Updater

from edge.bundle import factory_directory
from edge.errors import InputError
from edge.inbox import fingerprint
from edge.updater import SIGNED_AT, TIME_FORM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSPHRASE = "six plain words in a row"  # noqa: S105 - of keys that live as long as a test


class _Directory(FetcherInterface):
    """A client's view of the repository's files."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _fetch(self, url: str) -> Iterator[bytes]:
        from tuf.api.exceptions import DownloadHTTPError  # noqa: PLC0415 - as ngclient's fetchers answer

        path = self._root / url
        if not path.exists():
            raise DownloadHTTPError(url, 404)
        yield path.read_bytes()


class _Home:
    """An owner's place with a clock that can be set."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = datetime.now(UTC)
        words = root / "words"
        root.mkdir(exist_ok=True)
        words.write_text(PASSPHRASE + "\n", encoding="utf-8")
        self.keys = Keyring(root / "offline", root / "daily", PassphraseFile(words))
        self.repository = Repository(root / "repository", self.keys, lambda: self.now)

    def client(self, trust: Path, bootstrap: bytes | None) -> Updater:
        """Return python-tuf's client over the repository."""
        for part in (trust, trust / "got"):
            part.mkdir(exist_ok=True)
        fetcher = _Directory(self.root / "repository")
        return Updater(str(trust), "metadata/", str(trust / "got"), "targets/", fetcher, bootstrap=bootstrap)


@pytest.fixture
def home(tmp_path: Path) -> _Home:
    """An owner whose keys were just made."""
    made = _Home(tmp_path / "home")
    made.repository.create()
    return made


def _fetched(home: _Home, trust: Path, bootstrap: bytes | None = None) -> list[str]:
    updater = home.client(trust, bootstrap)
    updater.refresh()
    wanted = home.repository.wanted()
    assert wanted is not None
    info = updater.get_targetinfo(wanted.path)
    assert info is not None
    return [updater.download_target(info), str(info.custom["version"])]


def test_first_use_makes_keys_that_only_the_owner_reads(home: _Home) -> None:
    """Root and targets keys open with the passphrase only, the daily one without; all are private files."""
    for role in KeyRole:
        path = home.keys.path(role, home.repository.key_ids(role)[0])
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
        if role is KeyRole.TIMESTAMP:
            load_pem_private_key(path.read_bytes(), None)
        else:
            with pytest.raises(TypeError):
                load_pem_private_key(path.read_bytes(), None)
            load_pem_private_key(path.read_bytes(), PASSPHRASE.encode())


def test_the_roles_have_different_keys(home: _Home) -> None:
    """Whoever steals the daily key has neither of the others."""
    assert 3 == len({home.repository.key_ids(role) for role in KeyRole})


@pytest.mark.parametrize("words", ["short", "not the passphrase at all"])
def test_a_wrong_passphrase_is_one_line(home: _Home, words: str) -> None:
    """A passphrase that does not open a key is named with the key's file, and nothing is signed."""
    (home.root / "words").write_text(words, encoding="utf-8")
    before = home.repository.files()
    with pytest.raises(InputError, match=r"targets-[0-9a-f]{12}\.pem: the passphrase does not open it"):
        home.repository.publish(pack(factory_directory()))
    assert before == home.repository.files()


def test_a_short_passphrase_makes_no_repository(tmp_path: Path) -> None:
    """The passphrase carries the weight, so one of a few letters is refused and there is no root."""
    made = _Home(tmp_path / "home")
    (made.root / "words").write_text("kitty", encoding="utf-8")
    with pytest.raises(InputError, match="has 5 characters; 16 or more"):
        made.repository.create()
    assert not made.repository.exists


def test_a_tuf_client_fetches_what_was_published(home: _Home, tmp_path: Path) -> None:
    """python-tuf's own client follows the repository from the adopted root to the very bytes of the bundle."""
    bundle = pack(factory_directory())
    assert home.repository.publish(bundle)
    path, version = _fetched(home, tmp_path / "trust", home.repository.root_bytes())
    with open(path, "rb") as file:  # noqa: PTH123 - a path as the client gives it
        assert bundle.data == file.read()
    assert bundle.version == version


def test_publishing_the_same_again_signs_nothing(home: _Home) -> None:
    """The same bundle again needs no passphrase and changes no byte."""
    home.repository.publish(pack(factory_directory()))
    before = home.repository.files()
    (home.root / "words").unlink()
    assert not home.repository.publish(pack(factory_directory()))
    assert before == home.repository.files()


def test_the_same_bundle_makes_the_same_target(tmp_path: Path) -> None:
    """A target's bytes depend on the bundle's files only, whatever their order or their times."""
    copy = with_version(factory_directory(), tmp_path / "copy", None)
    assert pack(factory_directory()).data == pack(copy).data
    assert ustar([("b", b"1"), ("a", b"2")]) == ustar([("a", b"2"), ("b", b"1")])


def test_targets_name_one_bundle(home: _Home, tmp_path: Path) -> None:
    """After a second model there is one target, and the versions have only grown."""
    home.repository.publish(pack(factory_directory()))
    home.repository.publish(pack(with_version(factory_directory(), tmp_path / "next", "9.0.0")))
    files = home.repository.files()
    assert 1 == sum(name.startswith("targets/") for name in files)
    assert ["3.targets.json"] == [name[9:] for name in files if name.endswith(".targets.json")]
    found = home.repository.wanted()
    assert found is not None
    assert "9.0.0" == found.version


def test_a_step_back_is_signed_for(home: _Home) -> None:
    """The permission to go to a lower version stands beside the target's hash, under the targets key."""
    home.repository.publish(pack(factory_directory()), step_back=True)
    data = next(data for name, data in home.repository.files().items() if name.endswith(".targets.json"))
    target = next(iter(Metadata[Targets].from_bytes(data).signed.targets.values()))
    assert {"kind": "catflap-bundle", "hardware": "catflap-1", "step_back": True}.items() <= target.custom.items()


def test_a_timestamp_says_when_it_was_signed(home: _Home) -> None:
    """A flap without a clock learns the time from the signed timestamp."""
    timestamp = Metadata[Timestamp].from_bytes(home.repository.files()["metadata/timestamp.json"])
    assert home.now.strftime(TIME_FORM) == timestamp.signed.unrecognized_fields[SIGNED_AT]


def test_dates_are_signed_anew_before_they_end(home: _Home) -> None:
    """The daily key alone signs the dates anew once half of their life is over, and not before."""
    home.repository.publish(pack(factory_directory()))
    (home.root / "words").unlink()
    assert not home.repository.refresh()
    home.now += LIFE["timestamp"] * 0.6
    assert home.repository.refresh()
    until = home.repository.expires()["timestamp"]
    assert timedelta(0) <= home.now + LIFE["timestamp"] - until < timedelta(seconds=1)


@pytest.mark.attack("revoked and rotated keys")
@pytest.mark.parametrize("role", list(KeyRole))
def test_a_flap_follows_a_rotation(home: _Home, tmp_path: Path, role: KeyRole) -> None:
    """A client bound to the first root follows a rotated key of any role, and takes the next model under it."""
    home.repository.publish(pack(factory_directory()))
    trust, old = tmp_path / "trust", home.repository.key_ids(role)
    _fetched(home, trust, home.repository.root_bytes())
    new = home.repository.rotate(role)
    home.repository.publish(pack(with_version(factory_directory(), tmp_path / "next", "9.0.0")))
    assert "9.0.0" == _fetched(home, trust)[1]
    assert ((new,), False) == (home.repository.key_ids(role), new in old)


def test_rotated_twice_the_chain_of_roots_is_whole(home: _Home) -> None:
    """Every root that ever was travels, each signed by the one before it."""
    home.repository.rotate(KeyRole.ROOT)
    home.repository.publish(pack(factory_directory()))
    home.repository.rotate(KeyRole.ROOT)
    files = home.repository.files()
    roots = [Metadata[Root].from_bytes(files[f"metadata/{version}.root.json"]) for version in (1, 2, 3)]
    for before, after in ((roots[0], roots[1]), (roots[1], roots[2]), (roots[2], roots[2])):
        before.verify_delegate("root", after)


@pytest.mark.attack("revoked and rotated keys")
def test_a_revoked_key_is_trusted_no_more(home: _Home, tmp_path: Path) -> None:
    """What a revoked targets key signs is refused by a client that has heard of it, and its private half is gone."""
    home.repository.publish(pack(factory_directory()))
    trust, stolen = tmp_path / "trust", home.repository.key_ids(KeyRole.TARGETS)[0]
    _fetched(home, trust, home.repository.root_bytes())
    assert (KeyRole.TARGETS, KeyRole.TIMESTAMP) == home.repository.revoke(stolen[:8])
    assert not home.keys.has(KeyRole.TARGETS, stolen)
    _fetched(home, trust)
    root = Metadata[Root].from_bytes((trust / "root.json").read_bytes())
    assert stolen not in root.signed.keys


@pytest.mark.attack("fast-forward and its recovery")
def test_revoking_recovers_from_numbers_that_ran_away(home: _Home, tmp_path: Path) -> None:
    """A thief's huge version numbers (fast-forward) are forgotten once the keys that vouched for them are revoked."""
    home.repository.publish(pack(factory_directory()))
    trust = tmp_path / "trust"
    thief = Repository(home.root / "repository", home.keys, lambda: home.now)
    (home.root / "repository" / "metadata" / "99999.targets.json").write_bytes(
        next(data for name, data in home.repository.files().items() if name.endswith(".targets.json"))
    )
    thief.publish(pack(with_version(factory_directory(), tmp_path / "evil", "8.0.0")))
    _fetched(home, trust, home.repository.root_bytes())
    for path in (home.root / "repository" / "metadata").glob("?????*.targets.json"):
        path.unlink()
    home.repository.revoke(home.repository.key_ids(KeyRole.TARGETS)[0])
    home.repository.publish(pack(with_version(factory_directory(), tmp_path / "next", "9.0.0")))
    assert ["9.0.0", 4] == [_fetched(home, trust)[1], _newest(home, "targets")]


def _newest(home: _Home, kind: str) -> int:
    return max(int(name[9:].split(".")[0]) for name in home.repository.files() if name.endswith(f".{kind}.json"))


def test_a_key_that_nobody_has_is_not_revoked(home: _Home) -> None:
    """An id that no role lists is one line that says where the ids are."""
    with pytest.raises(InputError, match=r"no role has it; push_model\.py --status"):
        home.repository.revoke("0123456789")


def test_without_the_root_key_no_key_changes(home: _Home) -> None:
    """Where the root key is in a drawer, rotation says which file it misses and nothing changes."""
    path = home.keys.path(KeyRole.ROOT, home.repository.key_ids(KeyRole.ROOT)[0])
    path.rename(path.with_suffix(".away"))
    before = home.repository.files()
    with pytest.raises(InputError, match=r"the root key \(root-.*\.pem\) is not here; where .* --offline DIR"):
        home.repository.rotate(KeyRole.TARGETS)
    assert before == home.repository.files()


@pytest.mark.parametrize("role", list(KeyRole))
def test_a_rotation_that_was_cut_off_goes_on(home: _Home, tmp_path: Path, role: KeyRole) -> None:
    """Power gone after any file of a rotation leaves a repository that the next signing makes whole."""
    home.repository.publish(pack(factory_directory()))
    trust, metadata = tmp_path / "trust", home.root / "repository" / "metadata"
    _fetched(home, trust, home.repository.root_bytes())
    old = {path.name: path.read_bytes() for path in metadata.iterdir()}
    home.repository.rotate(role)
    new = {path.name: path.read_bytes() for path in metadata.iterdir()}
    order = sorted(
        (name for name in new if new[name] != old.get(name)),
        key=lambda name: ("targets.json" not in name, "root.json" not in name, "snapshot.json" not in name),
    )
    for count in range(len(order)):
        for path in metadata.iterdir():
            path.unlink()
        for name, data in {**old, **{name: new[name] for name in order[:count]}}.items():
            (metadata / name).write_bytes(data)
        home.repository.publish(pack(factory_directory()))
        assert pack(factory_directory()).version == _fetched(home, tmp_path / f"trust{count}", old["1.root.json"])[1]


def test_a_fingerprint_is_of_the_very_root(home: _Home) -> None:
    """Eight groups of four digits that change with any byte of the root."""
    root = home.repository.root_bytes()
    assert [4] * 8 == [len(group) for group in fingerprint(root).split()]
    assert fingerprint(root) != fingerprint(root + b" ")
