"""A push over a real sshd on this machine: adoption, the forced command, the real update service."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import push_model
import pytest
from bundles_renamed import with_version
from loopback_flap import HOST, find_sshd, loopback_flap

from edge.bundle import factory_directory
from edge.errors import InputError
from edge.files import DiskFiles
from edge.slots import MODELS, Slots

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopback_flap import LoopbackFlap


@pytest.fixture(scope="module")
def flap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackFlap]:
    """A flap behind a real sshd."""
    try:
        find_sshd()
    except InputError as error:
        pytest.skip(str(error))
    with loopback_flap(tmp_path_factory.mktemp("loopback") / "flap") as made:
        yield made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An owner's place."""
    directory = tmp_path_factory.mktemp("owner")
    (directory / "words").write_text("six plain words in a row", encoding="utf-8")
    return directory


def _options(flap: LoopbackFlap, home: Path) -> tuple[str, ...]:
    return ("--home", str(home), "--passphrase-file", str(home / "words"), *flap.options)


def test_from_adoption_to_trial(
    flap: LoopbackFlap, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over a real sshd a flap is adopted, takes a signed model, verifies and tries it, and has it on trial."""
    options = _options(flap, home)
    assert 0 == push_model.main(["--adopt", HOST, *options]), capsys.readouterr().err
    shown = [
        line.split(":")[1].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  root at")
    ]
    higher = with_version(factory_directory(), tmp_path / "higher", "9.0.0")
    status = push_model.main([str(higher), HOST, *options])
    output = capsys.readouterr().out
    assert (0, True) == (status, "on trial" in output), (flap.root / "update.log").read_text(encoding="utf-8")
    state = Slots(flap.state / MODELS, DiskFiles()).state()
    assert (1, ["9.0.0"]) == (len(shown), [record.version for record in state.records])
    assert 0 == push_model.main([str(higher), HOST, *options])
    assert "nothing to do: on trial" in capsys.readouterr().out


@pytest.mark.attack("stolen push account")
def test_the_push_key_opens_nothing_else(flap: LoopbackFlap, home: Path) -> None:
    """Whatever a thief of the push key asks for, the one forced command runs and takes it for a broken request."""
    assert 0 == push_model.main(["--adopt", HOST, *_options(flap, home)])
    key = home / "ssh" / "push_ed25519"
    known = home / "ssh" / "known_hosts"
    command = ["ssh", "-F", "none", "-T", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", str(key),
               "-o", f"UserKnownHostsFile={known}", "-o", f"HostKeyAlias={HOST}", "-l", flap.options[1],
               "-p", _port(flap), "127.0.0.1", f"touch {flap.root}/evil"]  # fmt: skip
    done = subprocess.run(command, input=b"", capture_output=True, check=False, timeout=60)
    assert (b'{"said": "not_taken"', False) == (done.stdout[:20], (flap.root / "evil").exists())


def _port(flap: LoopbackFlap) -> str:
    text = (flap.root / "sshd_config").read_text(encoding="utf-8")
    return next(line.split()[1] for line in text.splitlines() if line.startswith("Port "))


def test_a_host_whose_key_changed_is_refused(
    flap: LoopbackFlap, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine that answers with another host key than at adoption is sent nothing."""
    options = _options(flap, home)
    assert 0 == push_model.main(["--adopt", HOST, *options])
    known = home / "ssh" / "known_hosts"
    kept = known.read_text(encoding="utf-8")
    other = (flap.root / "owner_key.pub").read_text(encoding="utf-8").split()[1]
    known.write_text(" ".join((kept.split()[0], "ssh-ed25519", other)) + "\n", encoding="utf-8")
    assert 1 == push_model.main(["--status", HOST, *options])
    assert "failed" in capsys.readouterr().out
    known.write_text(kept, encoding="utf-8")
