"""``catflap adopt``, as root runs it for the owner: what it leaves belongs to the account that goes on with it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root

from edge.commands.adopt import take_owner

SOMEBODY = 12345


def _owner() -> bytes:
    """Return what an owner's PC sends: a root that vouches for itself, and a push key."""
    root = Metadata(Root(consistent_snapshot=True))
    keys = {role: CryptoSigner.generate_ed25519() for role in ("root", "timestamp", "snapshot", "targets")}
    for role, key in keys.items():
        root.signed.add_key(key.public_key, role)
    root.sign(keys["root"])
    said = {"format": 1, "root": root.to_bytes().decode(), "push_key": f"ssh-ed25519 {'A' * 68} me@pc"}
    return json.dumps(said).encode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_what_root_binds_belongs_to_the_states_owner() -> None:
    """The update service, which replaces the root later, owns what `sudo catflap adopt` writes; root is root again."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own directories let nobody else through
        home = Path(name)
        home.chmod(0o755)
        state = home / "state"
        (state / "trust").mkdir(parents=True)
        for place in (state, state / "trust"):
            os.chown(place, SOMEBODY, SOMEBODY)
        take_owner(_owner(), state / "trust", home / "push_keys", receiver="catflap receive", anew=False)
        owners = {path.name: path.stat().st_uid for path in [*(state / "trust").iterdir(), home / "push_keys"]}
        assert {"root.json": SOMEBODY, "adopted_root": SOMEBODY, "push_keys": 0} == owners
        assert (0, 0) == (os.geteuid(), os.getegid())
