"""``catflap adopt``: bind this flap to its owner's root of trust. Floor 9.

Run by the owner through an account of their own, never by the push account: whoever could bind a flap anew could make
it run anything. What the root says about itself is verified; that it is the owner's is what the fingerprint is for.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from edge import config
from edge.codec import from_json
from edge.errors import ConfigError, InputError
from edge.files import DiskFiles, replace
from edge.inbox import BOUND, FORMAT, bound_to, fingerprint
from edge.journal import Journal
from edge.updater import bind

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

USUAL = Path("/etc/catflap/catflap.toml")
INSTALLED = Path("/usr/local/bin/catflap")
MAX_BYTES = 520_000
"""A root as long as python-tuf's client takes, 512 000 bytes, and the line of a key."""

_PUSH_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/]{68} [A-Za-z0-9@._-]{1,80}")


@dataclass(frozen=True, slots=True)
class Adoption:
    """What comes on standard input: the text of the owner's ``root.json`` and the public half of the push key."""

    format: int
    root: str
    push_key: str


def adopt(arguments: argparse.Namespace) -> int:
    """Bind the flap, let the push key in, and show the fingerprint.

    Raises:
        ConfigError: it is bound to another root already, or a directory may not be written.
        InputError: what came is not a root that vouches for itself, or no key.
    """
    trust = Path(config.load(arguments.config).state.directory) / "trust"
    receiver = _receiver(arguments.config)
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    said = take_owner(data, trust, arguments.keys, receiver=receiver, anew=arguments.again)
    with _as_its_owner(trust.parent):
        _note(trust.parent, f"root {said['fingerprint']} {said['says']}")
    print(json.dumps(said))
    return 0


def _note(state: Path, detail: str) -> None:
    """Put the adoption into the daemon's journal; one that cannot be written undoes nothing.

    None is begun here: it would be root's, and the daemon could not write it.
    """
    if not (state / "journal.sqlite").exists():
        print("catflap: adopted, but not noted: there is no journal yet", file=sys.stderr)
        return
    with closing(Journal(state / "journal.sqlite")) as journal:
        journal.add_event(datetime.now(UTC), "adopted", detail)
        failure = journal.failure
    if failure is not None:
        print(f"catflap: adopted, but not noted in the journal: {failure}", file=sys.stderr)


def take_owner(data: bytes, trust: Path, keys: Path, *, receiver: str, anew: bool) -> dict[str, str]:
    """Bind the flap whose trust lies in ``trust`` to what ``data`` says; return what there is to print.

    ``receiver`` is the one command that the push key, added to the file ``keys``, may run.

    Raises:
        ConfigError: it is bound to another root already, or a directory may not be written.
        InputError: what came is not a root that vouches for itself, or no key.
    """
    asked = _asked(data)
    root = asked.root.encode()
    _verify(root)
    try:
        with _as_its_owner(trust.parent):
            news = _bind(trust, root, anew=anew)
        _let_in(keys, asked.push_key, receiver)
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}; say it with sudo") from error
    return {"fingerprint": fingerprint(root), "says": news}


def _asked(data: bytes) -> Adoption:
    if len(data) > MAX_BYTES:
        raise InputError(f"standard input: has more than {MAX_BYTES} bytes")
    asked = from_json(Adoption, data, Path("standard input"))
    if asked.format != FORMAT:
        raise InputError(f"standard input: format: {asked.format} is not {FORMAT}")
    if _PUSH_KEY.fullmatch(asked.push_key) is None:
        raise InputError("standard input: push_key: is not one public key of type ssh-ed25519")
    return asked


def _verify(root: bytes) -> None:
    """Check that a root is signed by the keys that it names itself (TUF specification, 5.3.4)."""
    try:
        Metadata[Root].from_bytes(root).verify_delegate(Root.type, Metadata[Root].from_bytes(root))
    except (RepositoryError, ValueError) as error:
        raise InputError(f"root.json: is not a root that vouches for itself: {error}") from error


@contextmanager
def _as_its_owner(state: Path) -> Iterator[None]:
    """Be the account that the state directory belongs to, where root is asked: the update service writes there later.

    It also keeps root from following a link that somebody who took the daemon over may have laid there.
    """
    if os.geteuid() != 0 or not state.exists():
        yield
        return
    owner = state.stat()
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def _bind(trust: Path, root: bytes, *, anew: bool) -> str:
    files = DiskFiles()
    files.make_directory(trust)
    kept = trust / BOUND
    if kept.exists():
        if kept.read_bytes() == root:
            return "was bound to this root already"
        if not anew:
            bound = bound_to(trust)
            raise ConfigError(f"this flap is bound to root {bound}, not to {fingerprint(root)}; --again binds it anew")
    bind(trust, root, files)
    replace(files, kept, root)
    return "is bound to this root now"


def _let_in(keys: Path, push_key: str, receiver: str) -> None:
    """Add the push key with its one forced command; whatever else is in the file stays."""
    line = f'command="{receiver}",restrict {push_key}\n'
    there = keys.read_text(encoding="utf-8") if keys.exists() else ""
    if line not in there:
        keys.parent.mkdir(parents=True, exist_ok=True)
        replace(DiskFiles(), keys, (there + line).encode())
        keys.chmod(0o644)  # no secret, and sshd reads it as the account


def _receiver(configuration: Path) -> str:
    """Return the command that receives, for an account whose PATH may not have catflap."""
    beside = Path(sys.executable).with_name("catflap")
    if INSTALLED.exists() and INSTALLED.resolve() == beside.resolve():
        program = str(INSTALLED)  # not this release's own: it goes with the next but one
    else:
        program = str(beside) if beside.exists() else "catflap"
    return f"{program} receive" if configuration == USUAL else f"{program} receive --config {configuration}"
