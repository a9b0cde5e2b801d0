"""The trusted metadata when the power goes: at any call of the disk they are the old or the new, and never go back."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from faults import CutFiles, Fate, FaultFiles, PowerCut
from tuf_made import KEYS, NOW, Repository

from edge.adapters.tuf_fetch import DirectoryFetcher
from edge.updater import INBOX, DeviceUpdater, bind

if TYPE_CHECKING:
    from pathlib import Path


def refreshed(files: FaultFiles) -> dict[str, int]:
    """Refresh the trust under a disk's root from the repository beside it, and return the versions."""
    state = files.root
    with DeviceUpdater(
        state / "trust", INBOX, DirectoryFetcher(state.parent / "repository"), files, lambda: NOW
    ) as updater:
        updater.refresh()
        return updater.versions()


def published(repository: Repository, place: Path) -> None:
    """Lay the repository's files down as they are in an inbox."""
    for name, data in repository.files.items():
        path = place / "repository" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A flap that trusts the first version, before a repository whose root, keys and every other role are newer."""
    repository = Repository()
    published(repository, tmp_path)
    files = FaultFiles(tmp_path / "state")
    files.root.mkdir()
    bind(files.root / "trust", repository.files["metadata/1.root.json"], files)
    assert {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1} == refreshed(files)
    repository.now = NOW + timedelta(minutes=1)
    repository.set_keys("timestamp", [KEYS[10]])
    repository.release("root")
    published(repository, tmp_path)
    return tmp_path


@pytest.mark.parametrize("fate", Fate)
def test_a_power_cut_at_any_call_leaves_trust_that_goes_on(place: Path, fate: Fate) -> None:
    """After a cut at any call the next refresh comes to the newest of everything."""
    newest = {"root": 2, "timestamp": 2, "snapshot": 2, "targets": 2}
    template, state = place / "template", place / "state"
    state.rename(template)
    call, through = 1, False
    while not through:
        shutil.copytree(template, state)
        try:
            through = newest == refreshed(CutFiles(state, call, fate))
        except PowerCut:
            assert newest == refreshed(FaultFiles(state))
        shutil.rmtree(state)
        call += 1
    assert call > 10


def test_a_refresh_that_was_done_lasts(place: Path) -> None:
    """When ``refresh`` has returned, no power cut takes back what it has learnt, nor the time floor."""
    state, template = place / "state", place / "template"
    shutil.copytree(state, template)
    whole = FaultFiles(state)
    newest = refreshed(whole)
    floor = (state / "trust" / "time_floor").read_bytes()
    shutil.rmtree(state)
    template.rename(state)
    cut = CutFiles(state, whole.calls + 1, Fate.LOST)
    refreshed(cut)
    with pytest.raises(PowerCut):
        cut.names(state)
    kept = {path.stem: path.read_bytes() for path in (state / "trust").glob("*.json")}
    assert set(newest) <= set(kept)
    assert floor == (state / "trust" / "time_floor").read_bytes()
    (place / "repository" / "metadata" / "timestamp.json").write_bytes(kept["timestamp"])
    assert newest == refreshed(FaultFiles(state))


def test_a_root_that_was_adopted_lasts(tmp_path: Path) -> None:
    """When ``bind`` has returned, no power cut takes the root away, nor the directory that was made for it."""
    whole = FaultFiles(tmp_path / "whole")
    cuts = tmp_path / "cut"
    for root in (whole.root, cuts):
        root.mkdir()
    bind(whole.root / "trust", b"root", whole)
    cut = CutFiles(cuts, whole.calls + 1, Fate.LOST)
    bind(cuts / "trust", b"root", cut)
    with pytest.raises(PowerCut):
        cut.names(cuts)
    assert b"root" == (cuts / "trust" / "root.json").read_bytes()
