"""A model over SSH: from the owner's tool to the slot that decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bundles_renamed import with_version
from vm import image
from vm.bench import PYTHON
from vm.machine import SHARE

from edge.bundle import factory_directory

if TYPE_CHECKING:
    from pathlib import Path

    from vm.bench import Flap

VERSION = "9.0.0"
SSH_CONFIG = "Host localhost\nIdentityFile /root/owner_key\n"
OWNER = f"""
useradd --create-home --shell /bin/bash owner
echo 'owner ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/owner
ssh-keygen -q -t ed25519 -N '' -f /root/owner_key
install -d -m 700 -o owner -g owner /home/owner/.ssh
install -m 600 -o owner -g owner /root/owner_key.pub /home/owner/.ssh/authorized_keys
printf '{SSH_CONFIG}' > /root/ssh_config
echo six plain words in a row > /root/words
"""
PUSH = (
    f"{PYTHON} {SHARE}/catflap/tools/push_model.py --home /root/push --passphrase-file /root/words"
    " --ssh-config /root/ssh_config"
)


@pytest.fixture
def bundle(share: Path) -> str:
    """Put the project's tools, and the factory's bundle under a higher version, where the machine finds them."""
    image.stage(share)
    with_version(factory_directory(), share / "bundle", VERSION)
    return f"{SHARE}/bundle"


def test_a_push(flap: Flap, bundle: str) -> None:
    """A pushed model arrives through sshd's forced command, is tried in its sandbox, goes on trial and is promoted."""
    machine = flap.machine
    machine.expect(f"set -e; {OWNER}", 120.0)
    machine.expect(f"{PUSH} --adopt owner@localhost", 240.0)
    said = machine.run(f"{PUSH} {bundle} localhost --wait 400", 560.0)
    assert (0, True) == (said.status, "on trial" in said.output), said.output
    machine.await_true("catflap model list | grep --quiet trial:", 120.0)
    machine.expect("catflap model promote", 120.0)
    machine.await_true(f"catflap model list | grep --quiet 'champion *catflap-student {VERSION}'", 120.0)
    assert "a" == flap.slots()["champion"]
