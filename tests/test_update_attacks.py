"""What may lie in the inbox and must not get in: the TUF specification's attacks, and the project's own list.

Each attack is one named test. It must be refused for its own reason, before the bundle is tried, leave the slots as
they were, be told, and not keep the owner's next honest push out. ``make attacks`` counts them.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import socket
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flap_made import FACTORY, Flap, bundle_of, custom_of
from tuf_made import DEVELOPMENT_KEY, KEYS, NOW, Repository, new_key, tar

from edge.adapters.tflite import open_interpreter
from edge.answers import AnswerStatus
from edge.bundle import MAX_FILE_BYTES, factory_directory, golden, load
from edge.features import tensor
from edge.messages import Box, Patch
from edge.slots import SlotName
from edge.trying import Tried
from edge.updater import SIGNED_AT

if TYPE_CHECKING:
    from collections.abc import Callable

ON_TRIAL, REFUSED, ACCEPTED = AnswerStatus.ON_TRIAL, AnswerStatus.REFUSED, AnswerStatus.ACCEPTED
TUF_ATTACKS = frozenset({
    "arbitrary installation", "endless data", "extraneous dependencies", "fast-forward", "indefinite freeze",
    "malicious mirror", "mix-and-match", "rollback", "slow retrieval", "key compromise", "wrong software",
})  # fmt: skip
"""The goals of the specification's section 1.5.2, and the names of the attacks in TUF's own list of them."""


@dataclass(frozen=True)
class Attack:
    """One attack: what it does to a flap with an honest push in its inbox, and what is said of it."""

    name: str
    act: Callable[[Flap], None]
    says: str
    tuf: str = ""
    tried: tuple[str, ...] = ()


@pytest.fixture
def flap(tmp_path: Path) -> Flap:
    """A flap with an honest push in its inbox that nobody has looked at yet."""
    made = Flap(tmp_path / "state")
    made.offer(bundle_of("0.4.0"))
    made.deliver()
    return made


# --- what the attacks do ---------------------------------------------------------------------------------------------


def _flip(where: str, share: float, flap: Flap) -> None:
    path = _found(flap, where)
    data = bytearray(path.read_bytes())
    data[min(int(share * len(data)), len(data) - 1)] ^= 1
    path.write_bytes(data)


def _cut(where: str, keep: Callable[[int], int], flap: Flap) -> None:
    path = _found(flap, where)
    data = path.read_bytes()
    path.write_bytes(data[: keep(len(data))])


def _append(where: str, more: bytes, flap: Flap) -> None:
    path = _found(flap, where)
    path.write_bytes(path.read_bytes() + more)


def _remove(where: str, flap: Flap) -> None:
    _found(flap, where).unlink()


def _found(flap: Flap, where: str) -> Path:
    if where == "target":
        return flap.target
    found: Path = max((flap.inbox / "metadata").glob(f"*{where}.json"))
    return found


def _resign(role: str, keys: tuple[Any, ...], flap: Flap) -> None:
    """Let others sign what is honest otherwise; what is below it fits."""
    repository = flap.repository
    honest, repository.keys[role] = repository.keys[role], list(keys)
    repository.release()
    flap.deliver()
    repository.keys[role] = honest


def _below_threshold(role: str, flap: Flap) -> None:
    flap.repository.set_keys(role, KEYS[4:7], threshold=2)
    flap.repository.publish("root")
    _resign(role, KEYS[4:5], flap)


def _new_root(keys: tuple[Any, ...], flap: Flap) -> None:
    """A new root that nobody, or a stranger, has signed; the honest one of that version comes later."""
    repository = flap.repository
    repository.root.version += 1
    flap.deliver()
    path = flap.inbox / "metadata" / f"{repository.root.version}.root.json"
    path.write_bytes(repository.sign("root", keys))
    repository.root.version -= 1


def _root_below_threshold(flap: Flap) -> None:
    """A new root that asks for two signatures and has one."""
    repository = flap.repository
    before, version = repository.keys["root"], repository.root.version
    repository.set_keys("root", [*before, KEYS[9]], threshold=2)
    repository.root.version += 1
    flap.deliver()
    (flap.inbox / "metadata" / f"{version + 1}.root.json").write_bytes(repository.sign("root", before))
    repository.set_keys("root", before)
    repository.root.version = version


def _other_roles_key(flap: Flap) -> None:
    """The daily key, which lies unencrypted on the owner's PC, signs a model."""
    _resign("targets", tuple(flap.repository.keys["timestamp"]), flap)


def _one_key_twice(flap: Flap) -> None:
    flap.repository.set_keys("targets", KEYS[4:6], threshold=2)
    flap.repository.publish("root")
    metadata = json.loads(flap.repository.sign("targets", KEYS[4:5]))
    metadata["signatures"] *= 2
    path = f"metadata/{flap.repository.signed['targets'].version}.targets.json"
    flap.repository.files[path] = json.dumps(metadata).encode()
    flap.deliver()
    flap.repository.signed["targets"].version += 1


def _one_key_two_ids(flap: Flap) -> None:
    root = flap.repository.root
    root.keys["00" * 32] = root.keys[root.roles["targets"].keyids[0]]
    root.roles["targets"].keyids.append("00" * 32)
    flap.repository.release("root")
    flap.deliver()
    root.roles["targets"].keyids.remove("00" * 32)
    del root.keys["00" * 32]
    flap.repository.publish("root")


def _one_id_listed_twice(flap: Flap) -> None:
    """A role that reaches its threshold of two by naming one key twice."""
    repository = flap.repository
    role = repository.root.roles["targets"]
    role.keyids, role.threshold = role.keyids * 2, 2
    repository.release("root")
    flap.deliver()
    repository.set_keys("targets", repository.keys["targets"])
    repository.root.version -= 1  # that root was none: the honest one takes its number
    repository.publish("root")


def _revoked_root(flap: Flap) -> None:
    """The root key was taken back, the flap knows; whoever stole it signs one more root."""
    repository = flap.repository
    stolen = repository.keys["root"]
    repository.set_keys("root", [new_key()])
    repository.keys["root"] = [*stolen, *repository.keys["root"]]
    repository.release("root")
    flap.deliver()
    assert ON_TRIAL == flap.update().status
    repository.keys["root"] = repository.keys["root"][1:]
    flap.tried.clear()
    _new_root(tuple(stolen), flap)


def _revoked(role: str, flap: Flap) -> None:
    """The key was taken back; whoever stole it signs one more push."""
    stolen = flap.repository.keys[role]
    flap.repository.set_keys(role, [new_key()])
    flap.repository.publish("root")
    _resign(role, tuple(stolen), flap)


def _root_by_strangers(flap: Flap) -> None:
    """A new root that the old root's keys have not signed."""
    other = Repository()
    other.set_keys("root", [new_key()])
    other.publish("root")
    flap.deliver()
    (flap.inbox / "metadata" / "2.root.json").write_bytes(other.files["metadata/2.root.json"])


def _whole_other_repository(flap: Flap) -> None:
    """Everything is signed and fits, by an owner whom this flap does not know."""
    thief = Flap(flap.state.parent / "thief", Repository())
    for role in ("root", "targets", "snapshot", "timestamp"):
        thief.repository.set_keys(role, [new_key()])
    thief.repository.published.clear()
    thief.repository.publish("root")
    thief.offer(bundle_of("0.9.0"))
    thief.repository.write(flap.inbox)


def _development_key(role: str, flap: Flap) -> None:
    """Beside the honest key, as a careless owner would leave it."""
    repository = flap.repository
    before = repository.keys[role]
    repository.set_keys(role, [*before, DEVELOPMENT_KEY])
    repository.release("root")
    flap.deliver()
    repository.set_keys(role, before)
    repository.root.keys.pop(DEVELOPMENT_KEY.public_key.keyid)
    repository.publish("root")


def _replay(flap: Flap) -> None:
    """Yesterday's whole push, after today's."""
    old = dict(flap.repository.files)
    assert ON_TRIAL == flap.push("0.5.0").status
    now, flap.repository.files = flap.repository.files, old
    flap.deliver()
    flap.repository.files = now
    flap.tried.clear()


def _lower(role: str, flap: Flap) -> None:
    """The keys sign a lower version of one role."""
    assert ON_TRIAL == flap.push("0.5.0").status
    was = flap.repository.signed[role].version
    flap.repository.signed[role].version = 0
    flap.repository.publish("targets", "snapshot", "timestamp")
    flap.deliver()
    flap.tried.clear()
    flap.repository.signed[role].version = was + 1


def _older_model(flap: Flap) -> None:
    """A new signature under an older model: not a step back unless it says so."""
    assert ON_TRIAL == flap.push("0.5.0").status
    flap.tried.clear()
    flap.offer(bundle_of("0.4.0"))
    flap.deliver()


def _looks_higher(flap: Flap) -> None:
    """Letter by letter 0.5.9 is above 0.5.10; it is the older one all the same."""
    assert ON_TRIAL == flap.push("0.5.10").status
    flap.offer(bundle_of("0.5.9"))
    flap.deliver()


def _older_model_after_reinstall(flap: Flap) -> None:
    """As above, after everything that TUF knew was lost: the slots know it too."""
    assert ON_TRIAL == flap.push("0.5.0").status
    for path in flap.trust.glob("*"):
        path.unlink()
    flap.tried.clear()
    flap.__post_init__()
    flap.offer(bundle_of("0.4.0"))
    flap.deliver()


def _frozen(flap: Flap) -> None:
    """Nobody lets newer signatures through."""
    assert ON_TRIAL == flap.update().status
    flap.clock = NOW + timedelta(days=31)
    flap.tried.clear()
    flap.repository.now = flap.clock
    for signed in flap.repository.signed.values():
        signed.expires = flap.clock + timedelta(days=30)
    flap.repository.publish("root")


def _expired(role: str, flap: Flap) -> None:
    signed = flap.repository.signed[role]
    signed.expires = NOW - timedelta(seconds=1)
    flap.repository.release("root")
    flap.deliver()
    signed.expires = NOW + timedelta(days=30)
    if role == "root":
        flap.repository.publish("root")


def _clock(at: datetime, flap: Flap) -> None:
    """The clock is wrong: what has expired by the signed time comes back, or all of it has."""
    flap.clock = at


def _revived_by_the_clock(flap: Flap) -> None:
    """The clock fell back to 1970, and the targets have expired since; the floor remembers when it is."""
    assert ON_TRIAL == flap.update().status
    repository = flap.repository
    repository.now = NOW + timedelta(days=60)
    for role in ("root", "snapshot", "timestamp"):
        repository.signed[role].expires = repository.now + timedelta(days=30)
    repository.publish("root", "timestamp")
    flap.deliver()
    flap.clock = repository.now
    flap.update()
    flap.clock = datetime(1970, 1, 1, tzinfo=UTC)
    flap.offer(bundle_of("0.5.0"))
    flap.deliver()
    flap.tried.clear()
    repository.signed["targets"].expires = repository.now + timedelta(days=30)


def _time_after_its_end(flap: Flap) -> None:
    """A signed time that would bar everything that is signed before it."""
    repository = flap.repository
    repository.now = NOW + timedelta(days=999)
    repository.release()
    flap.deliver()
    repository.now = NOW


def _no_time(flap: Flap) -> None:
    timestamp = flap.repository.signed["timestamp"]
    timestamp.version += 1
    timestamp.unrecognized_fields[SIGNED_AT] = "yesterday"
    flap.repository.files["metadata/timestamp.json"] = flap.repository.sign("timestamp")
    flap.deliver()


def _mixed_metadata(role: str, flap: Flap) -> None:
    """One role of the push before among those of today."""
    version = flap.repository.signed[role].version
    old = flap.repository.files[f"metadata/{version}.{role}.json"]
    flap.offer(bundle_of("0.5.0"))
    flap.deliver()
    _found(flap, role).write_bytes(old)


def _mixed_parts(name: str, flap: Flap) -> None:
    """A file of one bundle among those of another, each of them honest."""
    other = bundle_of("0.4.0") | {name: FACTORY[name][:-1] + b" "}
    flap.offer(other)
    flap.deliver()


def _other_label(flap: Flap) -> None:
    """Another bundle than the signed words about it say."""
    flap.offer(bundle_of("0.5.0"), custom_of(bundle_of("0.4.0")))
    flap.deliver()


def _without(name: str, flap: Flap) -> None:
    entries = bundle_of("0.4.0")
    custom = custom_of(entries)
    del entries[name]
    flap.offer(tar(sorted(entries.items())), custom)
    flap.deliver()


def _two_bundles(flap: Flap) -> None:
    flap.repository.add_target("another.tar", b"x", {"kind": "catflap-bundle", "hardware": "catflap-1"})
    flap.repository.release()
    flap.deliver()
    del flap.repository.signed["targets"].targets["another.tar"]


def _nothing_for_us(custom: object, flap: Flap) -> None:
    entries = bundle_of("0.4.0")
    flap.offer(tar(sorted(entries.items())), custom)
    flap.deliver()


def _manifest(change: Callable[[dict[str, Any]], None], flap: Flap) -> None:
    flap.offer(bundle_of("0.4.0", change))
    flap.deliver()


def _labels(manifest: dict[str, Any]) -> None:
    manifest["labels"] = [*manifest["labels"][1:], manifest["labels"][0]]


def _exchanged(manifest: dict[str, Any]) -> None:
    """The worst of all: prey would be let in, and nothing else."""
    labels = manifest["labels"]
    clear, prey = labels.index("cat_clear"), labels.index("cat_prey")
    labels[clear], labels[prey] = labels[prey], labels[clear]


def _label_missing(manifest: dict[str, Any]) -> None:
    manifest["labels"].pop()


def _recipe(manifest: dict[str, Any]) -> None:
    manifest["recipe"]["width_px"] = 128


def _format(manifest: dict[str, Any]) -> None:
    manifest["format"] = 2


def _not_a_number(manifest: dict[str, Any]) -> None:
    manifest["calibration"]["temperature"] = float("nan")


def _runtimes(manifest: dict[str, Any]) -> None:
    manifest["runtimes"] = []


def _other_runtimes(flap: Flap) -> None:
    entries = bundle_of("0.4.0", _runtimes)
    flap.offer(entries, {**custom_of(entries), "runtimes": custom_of(bundle_of("0.4.0"))["runtimes"]})
    flap.deliver()


def _twice(flap: Flap) -> None:
    _archive([*sorted(bundle_of("0.4.0").items()), ("model.tflite", b"x")], flap)


def _stranger(name: str, flap: Flap) -> None:
    _archive([*sorted(bundle_of("0.4.0").items()), (name, b"gift")], flap)


def _kind(kind: bytes, flap: Flap) -> None:
    """The model is a link or a device by its header."""
    entries: list[tuple[tarfile.TarInfo | str, bytes]] = sorted(bundle_of("0.4.0").items())
    info = tarfile.TarInfo("model.tflite")
    info.type, info.linkname = kind, "/etc/passwd"
    _archive([(info, b""), *entries], flap)


def _archive(entries: list[Any], flap: Flap) -> None:
    flap.offer(tar(entries), custom_of(bundle_of("0.4.0")))
    flap.deliver()


def _raw(data: bytes, flap: Flap) -> None:
    flap.offer(data, custom_of(bundle_of("0.4.0")))
    flap.deliver()


def _promised(size: int) -> bytes:
    """A header that promises so many bytes, and nothing behind it."""
    info = tarfile.TarInfo("model.tflite")
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)


def _compressed(form: str) -> bytes:
    """Hundreds of megabytes of zeros in a few kilobytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{form}") as archive:  # type: ignore[call-overload] # mypy knows the modes as literals
        info = tarfile.TarInfo("model.tflite")
        info.size = 4_000_000
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    return buffer.getvalue()


def _replaced(where: str, how: Callable[[Path], object], flap: Flap) -> None:
    """Something that is no plain file takes the place of one."""
    path = _found(flap, where)
    path.rename(flap.state / "aside")
    how(path)


def _symlink(path: Path) -> None:
    path.symlink_to("../../aside")


def _hard_link(path: Path) -> None:
    path.hardlink_to(path.parent.parent.parent / "aside")


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(50_000_000_000)


def _many(flap: Flap) -> None:
    for number in range(700):
        (flap.inbox / "targets" / f"{number}.tar").touch()


def _linked_directory(flap: Flap) -> None:
    (flap.inbox / "targets").rename(flap.state / "elsewhere")
    (flap.inbox / "targets").symlink_to(flap.state / "elsewhere")


def _climbing_target(path: str, flap: Flap) -> None:
    """The target's own path leads out of the inbox."""
    data = tar(sorted(bundle_of("0.4.0").items()))
    flap.repository.signed["targets"].targets.clear()
    flap.repository.add_target(path, data, custom_of(bundle_of("0.4.0")))
    flap.repository.files = {name: data for name, data in flap.repository.files.items() if "targets/" not in name}
    flap.repository.release()
    flap.deliver()


def _long_promise(flap: Flap) -> None:
    target = flap.repository.signed["targets"].targets["model.tar"]
    length, target.length = target.length, 10**12
    flap.repository.release()
    flap.deliver()
    target.length = length


def _nothing(flap: Flap) -> None:
    """A mirror that gives nothing at all."""
    for path in (flap.inbox / "metadata").iterdir():
        path.unlink()


def _nested(flap: Flap) -> None:
    (flap.inbox / "metadata" / "timestamp.json").write_bytes(b"[" * 16_000)


def _huge_timestamp(flap: Flap) -> None:
    (flap.inbox / "metadata" / "timestamp.json").write_bytes(b" " * 17_000)


def _stolen_account(flap: Flap) -> None:
    """The push account's key is in other hands: they may write what they like, but sign nothing."""
    data = tar(sorted(bundle_of("9.9.9").items()))
    (flap.inbox / "targets" / flap.target.name).write_bytes(data)
    (flap.inbox / "answer.json").write_text('{"status": "on_trial", "why": "says the thief"}')
    (flap.inbox / "metadata" / "2.root.json").write_bytes(b"{}")


ROLES = ("timestamp", "snapshot", "targets")
CUTS: dict[str, Callable[[int], int]] = {
    "nothing left": lambda _: 0,
    "one byte left": lambda _: 1,
    "one block left": lambda length: min(512, length - 1),
    "half left": lambda length: length // 2,
    "one byte missing": lambda length: length - 1,
}
BAD_NAMES = (
    "../model.tflite", "../../../../etc/passwd", "/etc/passwd", "./model.tflite", "a/model.tflite", "model.tflite/",
    "model.tflite\x01", "new\nline", "\x1b[2J", "model.tflite ", "..", ".", "manifest.JSON", "x" * 90,
)  # fmt: skip
KINDS = {
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "directory": tarfile.DIRTYPE,
    "contiguous file": tarfile.CONTTYPE,
    "sparse file": tarfile.GNUTYPE_SPARSE,
    "long name": tarfile.GNUTYPE_LONGNAME,
    "pax header": tarfile.XHDTYPE,
    "global pax header": tarfile.XGLTYPE,
    "unknown kind": b"Z",
}
NO_FILES: dict[str, Callable[[Path], object]] = {
    "fifo": os.mkfifo,
    "socket": _socket,
    "directory": Path.mkdir,
}
DOG = {"kind": "catflap-bundle", "hardware": "dog-door"}
NONE, STEP_BACK = "offers 0 bundles", "step back must be signed"
NO_FILE = "is no file of a bundle"
IN_THE_INBOX = ("timestamp", "target")
BY_CASE: dict[str, tuple[Attack, ...]] = {
    "tampered by one bit": tuple(
        Attack(f"one bit of the {where} at {share:.0%}", partial(_flip, where, share), "TUF", "malicious mirror")
        for where in (*ROLES, "target")
        for share in (0.0, 0.5, 1.0)
    ),
    "truncated": tuple(
        Attack(f"{where} truncated, {what}", partial(_cut, where, keep), "TUF", "malicious mirror")
        for where in (*ROLES, "target")
        for what, keep in CUTS.items()
    ),
    "appended": (
        *(Attack(f"a byte after the {where}", partial(_append, where, b"x"), "TUF") for where in (*ROLES, "target")),
        Attack("a megabyte after the target", partial(_append, "target", bytes(10**6)), "TUF", "endless data"),
        Attack("data after the archive's end", partial(_raw, bytes(512) + b"x" * 512), "after its end"),
    ),
    "unsigned": (
        *(
            Attack(f"{role} unsigned", partial(_resign, role, ()), "signed by 0/1", "arbitrary installation")
            for role in ROLES
        ),
        Attack("a new root unsigned", partial(_new_root, ()), "signed by 0/1", "arbitrary installation"),
    ),
    "wrong key": (
        *(
            Attack(
                f"{role} by a wrong key", partial(_resign, role, KEYS[9:10]), "signed by 0/1", "arbitrary installation"
            )
            for role in ROLES
        ),
        Attack("a new root by a wrong key", partial(_new_root, KEYS[9:10]), "signed by 0/1", "arbitrary installation"),
        Attack("a root its predecessor never signed", _root_by_strangers, "signed by", "key compromise"),
        Attack("another owner's repository", _whole_other_repository, "signed by 0/1", "arbitrary installation"),
        Attack("the key of another role", _other_roles_key, "signed by 0/1", "key compromise"),
    ),
    "below threshold": (
        *(
            Attack(
                f"{role} signed below the threshold", partial(_below_threshold, role), "signed by 1/2", "key compromise"
            )
            for role in ROLES
        ),
        Attack("a root below its new threshold", _root_below_threshold, "signed by 1/2", "key compromise"),
    ),
    "duplicate key id": (
        Attack("one key id signs twice", _one_key_twice, "TUF", "key compromise"),
        Attack("one key under two ids", _one_key_two_ids, "one key under two ids", "key compromise"),
        Attack("one key id listed twice", _one_id_listed_twice, "TUF", "key compromise"),
    ),
    "revoked and rotated keys": (
        *(
            Attack(f"{role} by a revoked key", partial(_revoked, role), "signed by 0/1", "key compromise")
            for role in ROLES
        ),
        Attack("a root by a revoked key", _revoked_root, "signed by 0/1", "key compromise"),
    ),
    "development key": tuple(
        Attack(
            f"a development key for the {role}",
            partial(_development_key, role),
            "development key",
            "arbitrary installation",
        )
        for role in ("root", *ROLES)
    ),
    "rollback": (
        Attack("yesterday's push again", _replay, "version 2 must be >=", "rollback"),
        *(Attack(f"a lower version of the {role}", partial(_lower, role), "version", "rollback") for role in ROLES),
        Attack("an older model under a new signature", _older_model, STEP_BACK, "rollback", ("0.4.0",)),
        Attack("an older model after a reinstall", _older_model_after_reinstall, STEP_BACK, "rollback", ("0.4.0",)),
        Attack("a version that only looks higher", _looks_higher, STEP_BACK, "rollback", ("0.5.10", "0.5.9")),
    ),
    "fast-forward and its recovery": (
        Attack("a signed time after its own end", _time_after_its_end, "after its own end", "fast-forward"),
        Attack("a signed time that is none", _no_time, "is not a time"),
    ),
    "freeze": (
        Attack("nobody lets new signatures through", _frozen, "expired", "indefinite freeze"),
        *(
            Attack(f"{role} has expired", partial(_expired, role), "expired", "indefinite freeze")
            for role in ("root", *ROLES)
        ),
    ),
    "mix-and-match of bundle parts": (
        *(
            Attack(f"the {role} of the push before", partial(_mixed_metadata, role), "TUF", "mix-and-match")
            for role in ("snapshot", "targets")
        ),
        *(
            Attack(f"{name} of another bundle", partial(_mixed_parts, name), name, "mix-and-match")
            for name in ("model.tflite", "golden.png", "golden.json", "reference.json", "MODEL_CARD.md")
        ),
        Attack("another bundle than was said", _other_label, "what was signed for it", "wrong software"),
        Attack("two bundles at once", _two_bundles, "offers 2 bundles", "extraneous dependencies"),
        Attack("a file that comes twice", _twice, "comes twice"),
    ),
    "partial bundle": (
        *(Attack(f"a bundle without {name}", partial(_without, name), f"lacks {name}") for name in FACTORY),
        *(
            Attack(f"{where} missing", partial(_remove, where), "is not in the inbox", "malicious mirror")
            for where in (*ROLES, "target")
        ),
        Attack("nothing at all", _nothing, "is not in the inbox", "malicious mirror"),
        Attack("an empty archive", partial(_raw, bytes(1024)), "lacks"),
        Attack("an archive that is none", partial(_raw, b"PK\x03\x04" + bytes(600)), "is not a plain tar"),
        Attack("a header that promises what is not there", partial(_raw, _promised(1000)), "ends in the middle"),
        Attack("a header of half a block", partial(_raw, _promised(1)[:300]), "is not a plain tar"),
    ),
    "wrong device": (
        Attack("another device's bundle", partial(_nothing_for_us, DOG), "hardware dog-door", "wrong software"),
        Attack("no bundle among the targets", partial(_nothing_for_us, {"kind": "wallpaper"}), NONE, "wrong software"),
        Attack("a target that says nothing of itself", partial(_nothing_for_us, ["kind"]), NONE, "wrong software"),
    ),
    "wrong runtime": (Attack("other runtimes than were signed for", _other_runtimes, "runtimes", "wrong software"),),
    "wrong recipe": (
        Attack("another recipe", partial(_manifest, _recipe), "recipe"),
        Attack("another format", partial(_manifest, _format), "format"),
        Attack("a calibration that is no number", partial(_manifest, _not_a_number), "manifest.json"),
    ),
    "wrong label order": (
        Attack("another label order", partial(_manifest, _labels), "labels"),
        Attack("prey and clear exchanged", partial(_manifest, _exchanged), "labels"),
        Attack("a label missing", partial(_manifest, _label_missing), "labels"),
    ),
    "endless data": (
        Attack(
            "fifty gigabytes of nothing", partial(_replaced, "target", _sparse), "or 96000000 bytes", "endless data"
        ),
        Attack("more files than a push can have", _many, "more than 600 files", "endless data"),
        Attack("a target of a terabyte, as signed", _long_promise, "at most", "endless data"),
        Attack(
            "a header that promises too much", partial(_raw, _promised(MAX_FILE_BYTES + 1)), "at most", "endless data"
        ),
        Attack("brackets without end", _nested, "TUF"),
        Attack("a timestamp without end", _huge_timestamp, "exceeding", "endless data"),
        *(
            Attack(
                f"the {where} is a link to an endless device",
                partial(_replaced, where, _endless),
                "must be a plain file",
            )
            for where in IN_THE_INBOX
        ),
    ),
    "names": (
        *(Attack(f"a file named {name!r:.40}", partial(_stranger, name), NO_FILE) for name in BAD_NAMES),
        *(
            Attack(f"a target at {path!r}", partial(_climbing_target, path), "is not a plain path")
            for path in ("../model.tar", "a/../../model.tar", "/etc/model.tar", "a//b.tar", "a\x01b/model.tar")
        ),
    ),
    "symlinks": (
        *(
            Attack(f"the {where} is a symlink", partial(_replaced, where, _symlink), "must be a plain file")
            for where in IN_THE_INBOX
        ),
        Attack("the targets' directory is a link", _linked_directory, "must be a directory"),
        Attack("a symlink in the archive", partial(_kind, tarfile.SYMTYPE), "is not a plain file"),
    ),
    "hard links": (
        *(
            Attack(f"the {where} is a hard link", partial(_replaced, where, _hard_link), "must be a plain file")
            for where in IN_THE_INBOX
        ),
        Attack("a hard link in the archive", partial(_kind, tarfile.LNKTYPE), "is not a plain file"),
    ),
    "device nodes": (
        *(
            Attack(f"the {where} is a {what}", partial(_replaced, where, how), "must be a plain file")
            for where in IN_THE_INBOX
            for what, how in NO_FILES.items()
        ),
        *(Attack(f"a {what} in the archive", partial(_kind, kind), "") for what, kind in KINDS.items()),
    ),
    "decompression bombs": tuple(
        Attack(f"a {form} archive", partial(_raw, _compressed(form)), "is not a plain tar", "endless data")
        for form in ("gz", "bz2", "xz")
    ),
    "clock at 1970": (
        Attack("the clock in 1970 after a signed time", _revived_by_the_clock, "expired", "indefinite freeze"),
    ),
    "clock in 2100": (
        Attack("the clock in 2100", partial(_clock, datetime(2100, 1, 1, tzinfo=UTC)), "expired", "indefinite freeze"),
    ),
    "stolen push account": (Attack("a stolen push account", _stolen_account, "TUF", "key compromise"),),
}
"""By the words in which the project's list names them; what is no single push to refuse has tests of its own."""
ATTACKS = tuple(attack for attacks in BY_CASE.values() for attack in attacks)


@pytest.mark.parametrize(
    "attack",
    [pytest.param(attack, id=attack.name, marks=pytest.mark.attack(case))
     for case, attacks in BY_CASE.items() for attack in attacks],
)  # fmt: skip
def test_an_attack_is_refused_and_leaves_no_trace(flap: Flap, attack: Attack) -> None:
    """It is refused for its own reason, untried and told; the slots stand, and the next honest push gets in."""
    attack.act(flap)
    before = flap.slots.state()
    answer = flap.update()
    assert (REFUSED, [*attack.tried], before) == (answer.status, flap.tried, flap.slots.state())
    assert attack.says in answer.why
    assert flap.events[-1][0] in ("update_refused", "update_expired")
    assert json.loads((flap.inbox / "answer.json").read_bytes())["why"] == answer.why
    assert SlotName.FACTORY is flap.slots.champion().slot
    flap.clock = max(flap.repository.now, NOW)
    assert ON_TRIAL == flap.push("0.6.0").status


def test_every_attack_of_the_specification_is_there() -> None:
    """Each attack that TUF names has a test here; slow retrieval is the fetcher's, in ``test_tuf_client``."""
    assert TUF_ATTACKS - {"slow retrieval"} == {attack.tuf for attack in ATTACKS} - {""}


def test_no_two_attacks_have_one_name() -> None:
    """What is counted is counted once."""
    assert len(ATTACKS) == len({attack.name for attack in ATTACKS})


# --- what is no attack, or no file -----------------------------------------------------------------------------------


def test_an_honest_push_is_tried_and_goes_on_trial(flap: Flap) -> None:
    """The control: with nothing wrong, the bundle is tried once, lies in the spare slot, and is on trial."""
    answer = flap.update()
    record = flap.slots.state().record(SlotName.A)
    assert record is not None
    assert (ON_TRIAL, ["0.4.0"], "0.4.0", 2) == (answer.status, flap.tried, record.version, answer.timestamp)
    assert (flap.repository.keys["targets"][0].public_key.keyid,) == record.key_ids
    assert SlotName.FACTORY is flap.slots.champion().slot


def test_the_same_push_again_says_so(flap: Flap) -> None:
    """What is on trial, or champion, is neither tried nor installed again."""
    flap.update()
    assert (ON_TRIAL, "is on trial already, in slot a") == (flap.update().status, flap.update().why)
    flap.slots.promote("by the test")
    assert (ACCEPTED, ["0.4.0"]) == (flap.update().status, flap.tried)


def test_a_step_back_that_is_signed_for_is_taken(flap: Flap) -> None:
    """The owner's word, and only that, brings an older version back."""
    flap.push("0.5.0")
    flap.offer(bundle_of("0.4.0"), step_back=True)
    flap.deliver()
    assert ON_TRIAL == flap.update().status


def test_a_bundle_that_fails_its_trial_is_thrown_away(flap: Flap) -> None:
    """What the child process refuses is not installed, and its reason is the answer."""
    flap.verdict = Tried(ok=False, why="golden patches: off by 9")
    before, answer = flap.slots.state(), flap.update()
    assert (REFUSED, ["0.4.0"], before) == (answer.status, flap.tried, flap.slots.state())
    assert "off by 9" in answer.why


@pytest.mark.attack("fast-forward and its recovery")
def test_a_fast_forward_of_the_floor_is_recovered_from(flap: Flap) -> None:
    """A stolen timestamp key signs the year 2090; the root that retires it lets honest signatures in, in one run."""
    repository = flap.repository
    repository.signed["timestamp"].expires = datetime(2099, 1, 1, tzinfo=UTC)
    repository.now = datetime(2090, 1, 1, tzinfo=UTC)
    repository.release()
    flap.deliver()
    flap.update()
    repository.now = NOW
    assert (REFUSED, "update_expired") == (flap.push("0.5.0").status, flap.events[-1][0])
    repository.signed["timestamp"].expires = NOW + timedelta(days=30)
    repository.set_keys("timestamp", KEYS[5:6])
    repository.publish("root")
    assert ON_TRIAL == flap.push("0.5.0").status


@pytest.mark.attack("clock stepping during the update")
def test_the_clock_may_step_during_an_update(flap: Flap) -> None:
    """One update goes by one time: the clock is asked once, before anything is read."""
    flap.update()
    assert 1 == flap.asked


@pytest.mark.attack("clock stepping during the update")
@pytest.mark.parametrize("year", [1970, 2100])
@pytest.mark.parametrize("good", [True, False])
def test_where_the_clock_steps_to_during_an_update_changes_nothing(flap: Flap, year: int, *, good: bool) -> None:
    """NTP sets the clock while an update runs: what was in date stays so, and what had expired is not revived."""

    class Stepping(Flap):
        """A flap whose clock is right once."""

        def _wall(self) -> datetime:
            now = super()._wall()
            self.clock = datetime(year, 1, 1, tzinfo=UTC)
            return now

    if not good:
        _expired("timestamp", flap)
    stepping = Stepping(flap.state, flap.repository)
    assert (ON_TRIAL if good else REFUSED) == stepping.update().status


@pytest.mark.attack("clock at 1970")
def test_a_clock_in_1970_keeps_no_honest_push_out(flap: Flap) -> None:
    """Without a battery the clock may be anywhere before; what is signed is then judged by the signed time."""
    flap.clock = datetime(1970, 1, 1, tzinfo=UTC)
    assert (ON_TRIAL, ON_TRIAL) == (flap.update().status, flap.push("0.5.0").status)
    assert NOW.isoformat() == flap.update().at


@pytest.mark.attack("two pushes at once")
def test_two_updates_at_once_are_one(flap: Flap) -> None:
    """A second update leaves everything, the first one's answer too, as it is."""
    lock = os.open(flap.trust / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        answer = flap.update()
    finally:
        os.close(lock)
    assert (REFUSED, [], []) == (answer.status, flap.events, flap.tried)
    assert not (flap.inbox / "answer.json").exists()
    assert ON_TRIAL == flap.update().status


@pytest.mark.attack("two pushes at once")
def test_a_push_during_an_update_is_the_next_update(flap: Flap) -> None:
    """What is verified is what was read: files that change under it are the old or refused, never a mixture."""
    honest = flap.update
    flap.offer(bundle_of("0.5.0"))
    for path in (flap.inbox / "targets").iterdir():
        path.unlink()
    for name, data in flap.repository.files.items():
        if "targets/" in name:
            (flap.inbox / name).write_bytes(data)
    assert REFUSED == honest().status
    flap.deliver()
    assert ON_TRIAL == honest().status


@pytest.mark.attack("push during inference")
def test_a_push_during_inference_does_not_reach_the_champion(flap: Flap) -> None:
    """The daemon runs the bytes it verified: an install and a trial beside it change no answer of its model."""
    champion = flap.slots.champion().bundle
    assert champion is not None
    interpreter, patches = open_interpreter(champion, "auto", 1), golden(champion).patches[:2]
    inputs = [tensor(Patch(pixels, Box(0, 0, pixels.shape[1], pixels.shape[0]))) for pixels in patches]
    before = [output.tolist() for one in inputs for output in interpreter.invoke(one)]
    assert ON_TRIAL == flap.update().status
    assert before == [output.tolist() for one in inputs for output in interpreter.invoke(one)]
    assert load(factory_directory()).manifest_sha256 == champion.manifest_sha256


def test_a_full_disk_refuses_before_anything_is_fetched(flap: Flap) -> None:
    """Free space is looked at first: a bundle that does not fit is not begun."""

    class Full(type(flap.files)):  # type: ignore[misc] # whatever the flap has, but full
        def free_bytes(self, path: Path) -> int:
            _ = path
            return 1000

    flap.files = Full()
    answer = flap.update()
    assert (REFUSED, []) == (answer.status, flap.tried)
    assert "needs" in answer.why


def test_a_flap_without_an_owner_takes_nothing(flap: Flap) -> None:
    """Before it is adopted there is nobody to believe."""
    (flap.trust / "root.json").unlink()
    assert (REFUSED, True) == (flap.update().status, "adopt the flap first" in flap.update().why)


def test_a_damaged_time_floor_is_no_way_in(flap: Flap) -> None:
    """What cannot be read is not taken for never."""
    flap.update()
    (flap.trust / "time_floor").write_bytes(b"{}")
    assert (REFUSED, "update_refused") == (flap.push("0.5.0").status, flap.events[-1][0])
