"""Sign a model and push it to one flap or many.

    python tools/push_model.py BUNDLE HOST…                 sign, send, wait for each flap's answer
    python tools/push_model.py BUNDLE HOST… --stage 5%,50%,100%
    python tools/push_model.py BUNDLE --via file:/srv/flaps for flaps that poll a plain store
    python tools/push_model.py --adopt HOST                 once for each flap: bind it to your root
    python tools/push_model.py --status [HOST…]             keys, dates, and where every flap stands
    python tools/push_model.py --rollback HOST…             back to the model before
    python tools/push_model.py --refresh [--via …]          sign the dates anew (the daily key, no passphrase)
    python tools/push_model.py --rotate root|targets|timestamp
    python tools/push_model.py --revoke KEYID               a key is in wrong hands

Exit status: 0 done, 1 a flap did not take it or could not be reached, 2 what was asked cannot be done.
docs/push.md is the page for owners.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import push_ssh
from push_flaps import Flaps
from push_keys import Keyring, KeyRole, PassphraseFile, Terminal
from push_repository import Repository
from push_rollout import BAD, GOOD, Outcome, Push, Rollout, Row, shares_of, table
from push_ssh import UnreachableError, Wire
from push_stores import open_store, serve
from push_tar import pack, ustar

from edge.errors import CatflapError, InputError
from edge.inbox import MAX_WAIT_S
from edge.slots import rank

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FINDING = 1
USAGE = 2
SOON = timedelta(days=14)
"""Metadata that expire within this time are worth a warning."""


@dataclass(frozen=True, slots=True)
class Owner:
    """What lies on the owner's PC."""

    home: Path
    keys: Keyring
    repository: Repository
    flaps: Flaps
    wire: Wire


def main(arguments: Sequence[str]) -> int:
    """Run; see the module for the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options, _owner(options))
    except CatflapError as error:
        print(f"push_model: {error}", file=sys.stderr)
    except OSError as error:
        print(f"push_model: {error.filename or 'disk'}: {error.strerror}", file=sys.stderr)
    except KeyboardInterrupt:
        print("push_model: stopped; what a flap had not taken whole, it has not taken", file=sys.stderr)
    return USAGE


def _run(options: argparse.Namespace, owner: Owner) -> int:
    if options.status:
        return _status(owner, options.names)
    if options.rollback:
        return _roll_back(owner, _hosts(options.names))
    if options.adopt:
        return _adopt(owner, _hosts(options.names), again=options.again)
    if options.rotate or options.revoke or options.refresh:
        return _keep(owner, options)
    return _push(owner, options)


# --- pushing -------------------------------------------------------------------------------------------------------


def _push(owner: Owner, options: argparse.Namespace) -> int:
    if not options.names or not (options.names[1:] or options.via):
        raise InputError("name a bundle and the flaps that shall have it: push_model.py BUNDLE HOST…, or --via URL")
    bundle, hosts = pack(Path(options.names[0])), tuple(dict.fromkeys(options.names[1:]))
    stores = [(address, open_store(address)) for address in options.via]
    shares = shares_of(options.stage)
    repository = owner.repository
    with _alone(owner):
        _first_use(owner)
        wanted = repository.wanted()
        same = wanted is not None and (wanted.path, wanted.model_id) == (bundle.path, bundle.model_id)
        back = options.step_back or options.again or (same and wanted is not None and wanted.step_back)
        if wanted is not None and not same and not back and rank(bundle.version) <= rank(wanted.version):
            raise InputError(
                f"{bundle.model_id}: is not above {wanted.version}, the version that your flaps shall have; "
                "--step-back signs a permission to go back"
            )
        signed = repository.publish(bundle, step_back=back)
        files = repository.files()
        roots = repository.fingerprints()
    print(f"{bundle.model_id}: {'signed' if signed else 'was signed already'}")
    for address, store in stores:
        _serve(address, serve(files, store))
    if not hosts:
        return 0
    push = Push(bundle.sha256, bundle.model_id, ustar(files.items()), roots, options.wait, options.again or back)
    rows, stopped = Rollout(owner.wire, owner.flaps, push).staged(hosts, shares, options.settle)
    print(table(rows))
    if stopped:
        print(f"push_model: {stopped}", file=sys.stderr)
    return 0 if not stopped and all(row.outcome in GOOD for row in rows) else FINDING


def _serve(address: str, written: int) -> None:
    shown = address.partition("?")[0]
    print(f"{shown}: {f'{written} files written' if written else 'nothing to do: it is all there'}")


# --- trust ---------------------------------------------------------------------------------------------------------


def _first_use(owner: Owner) -> None:
    """Make the keys and say what to do with them."""
    if owner.repository.exists:
        return
    owner.repository.create()
    print(_where(owner))


def _where(owner: Owner) -> str:
    keys, repository = owner.keys, owner.repository
    paths = {role: keys.path(role, repository.key_ids(role)[0]) for role in KeyRole}
    return f"""New keys were made:
  root     {paths[KeyRole.ROOT]}
           signs which keys count; needed only to change keys
  targets  {paths[KeyRole.TARGETS]}
           signs models; needed for every new one
  daily    {paths[KeyRole.TIMESTAMP]}
           signs the dates; no passphrase, stays here
Back them up now: copy {keys.offline} to two sticks (cp -a), try one with --offline, put them into different
drawers, and write the passphrase on paper. Then remove the root key from this machine: you need it to change keys only.
Who loses the root key has to adopt every flap anew, standing beside it.
Fingerprint of your root: {repository.fingerprint}"""


def _adopt(owner: Owner, hosts: Sequence[str], *, again: bool) -> int:
    with _alone(owner):
        _first_use(owner)
        root, here = owner.repository.root_bytes(), owner.repository.fingerprint
    failed = 0
    for host in hosts:
        try:
            there, says = push_ssh.adopt(owner.wire, host, root, again=again)
        except UnreachableError as error:
            failed += 1
            print(f"push_model: {host}: {error}", file=sys.stderr)
            continue
        print(f"{host}: {says}\n  root here:         {here}\n  root at the flap:  {there}")
        if there != here:
            raise InputError(f"{host}: the two differ: somebody stands between you and the flap; it is not adopted")
        owner.flaps.note(push_ssh.bare(host), adopted=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    return FINDING if failed else 0


def _keep(owner: Owner, options: argparse.Namespace) -> int:
    """Rotate, revoke or refresh, then serve what changed."""
    repository = owner.repository
    stores = [(address, open_store(address)) for address in options.via]
    with _alone(owner):
        if options.rotate:
            role = KeyRole(options.rotate)
            key_id = repository.rotate(role)
            print(f"{role}: the key is {key_id} now, in {owner.keys.path(role, key_id)}; back it up as the one before")
        elif options.revoke:
            roles = repository.revoke(options.revoke)
            print(f"{options.revoke}: is trusted no more; new keys for {', '.join(roles)}; back them up")
        else:
            print("signed anew" if repository.refresh() else "nothing to do: the dates are fresh")
        files = repository.files()
    for address, store in stores:
        _serve(address, serve(files, store))
    if options.rotate or options.revoke:
        print("Flaps hear of it with their next push: push the same bundle with --again, or poll.")
    return 0


# --- looking -------------------------------------------------------------------------------------------------------


def _status(owner: Owner, hosts: Sequence[str]) -> int:
    repository, now = owner.repository, datetime.now(UTC)
    print(f"root     {repository.fingerprint}  ({owner.home})")
    for role in KeyRole:
        for key_id in repository.key_ids(role):
            print(f"key      {role:9}  {key_id}  {'here' if owner.keys.has(role, key_id) else 'not on this machine'}")
    expired = False
    for name, until in repository.expires().items():
        expired |= until <= now
        mark = "EXPIRED: flaps install nothing new" if until <= now else "soon" if until - now < SOON else ""
        print(f"signed   {name:9}  until {until:%Y-%m-%d}  {mark}".rstrip())
    wanted = repository.wanted()
    print(f"wanted   {'nothing yet' if wanted is None else wanted.model_id}")
    push = Push("" if wanted is None else wanted.sha256, "", b"", repository.fingerprints(), 0.0)
    rows = Rollout(owner.wire, owner.flaps, push).look(hosts or owner.flaps.hosts)
    if rows:
        print(table(tuple(_told(row) for row in rows)))
    return FINDING if expired or any(row.outcome in (*BAD, Outcome.FAILED) for row in rows) else 0


def _told(row: Row) -> Row:
    """Leave out what a push would say."""
    return Row(row.host, row.outcome, row.champion, row.why.removeprefix("nothing to do: "))


def _roll_back(owner: Owner, hosts: Sequence[str]) -> int:
    failed = 0
    for host in hosts:
        try:
            print(f"{host}: {push_ssh.roll_back(owner.wire, host)}")
        except UnreachableError as error:
            failed += 1
            print(f"push_model: {host}: {error}", file=sys.stderr)
    return FINDING if failed else 0


# --- the command line ----------------------------------------------------------------------------------------------


def _hosts(names: Sequence[str]) -> Sequence[str]:
    if not names:
        raise InputError("name the flaps, such as flap.local or pi@flap.local")
    return tuple(dict.fromkeys(names))


@contextmanager
def _alone(owner: Owner) -> Iterator[None]:
    """Change keys and repository one at a time; a second push waits for the first one's signing."""
    owner.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(owner.home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("push_model: waiting for another one that is signing", file=sys.stderr)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _owner(options: argparse.Namespace) -> Owner:
    home: Path = options.home
    asker = Terminal() if options.passphrase_file is None else PassphraseFile(options.passphrase_file)
    keys = Keyring(options.offline or home / "offline", home / "daily", asker)
    wire = Wire(home / "ssh", options.account, options.ssh_config)
    return Owner(home, keys, Repository(home / "repository", keys), Flaps(home / "flaps.json"), wire)


def _default_home() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "catflap-push"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="push_model", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="BUNDLE HOST", help="the bundle, then flaps; without --… only")
    _acts(parser.add_mutually_exclusive_group())
    parser.add_argument("--stage", default="100%", metavar="5%%,50%%,100%%", help="flap by flap, in the order given")
    parser.add_argument("--settle", type=_seconds, default=0.0, metavar="S", help="wait this long for a stage's trials")
    parser.add_argument("--wait", type=_wait, default=60.0, metavar="S", help="for each flap's first answer; 60")
    parser.add_argument("--via", action="append", default=[], metavar="URL", help="file:, https: or s3: to poll from")
    parser.add_argument("--step-back", action="store_true", help="sign a permission to go to a lower version")
    parser.add_argument(
        "--again", action="store_true", help="push what was thrown out, which is signed as a step back; adopt anew"
    )
    _places(parser)
    return parser


def _acts(group: argparse._MutuallyExclusiveGroup) -> None:
    group.add_argument("--adopt", action="store_true", help="bind HOST to your root, over SSH, once")
    group.add_argument("--status", action="store_true", help="keys, dates and flaps")
    group.add_argument("--rollback", action="store_true", help="back to the model before")
    group.add_argument("--refresh", action="store_true", help="sign the dates anew")
    group.add_argument("--rotate", choices=tuple(KeyRole), help="a new key for this role")
    group.add_argument("--revoke", metavar="KEYID", help="a key is in wrong hands; eight digits of it do", type=_key_id)


def _places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, metavar="DIR", default=_default_home(), help="keys, repository, flaps")
    parser.add_argument("--offline", type=Path, metavar="DIR", help="where root and targets keys are, such as a stick")
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="instead of asking")
    parser.add_argument("--account", default="catflap-push", metavar="NAME", help="the flap's account for pushes")
    parser.add_argument("--ssh-config", type=Path, metavar="FILE", help="for ssh -F")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 30 * 86400.0:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 2592000 seconds")
    return value


def _wait(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= MAX_WAIT_S:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to {MAX_WAIT_S:g} seconds")
    return value


def _key_id(text: str) -> str:
    if len(text) < 8 or not set(text) <= set("0123456789abcdef"):
        raise argparse.ArgumentTypeError(f"{text!r} is not eight or more hexadecimal digits of a key's id")
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
