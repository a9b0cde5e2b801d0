"""Without SSH: a model is put on a store, a flap that polls finds it there, verifies and tries it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import push_model
from bundles_renamed import with_version
from stand_ins import PATIENCE_S

from edge import update
from edge.answers import AnswerStatus
from edge.bundle import factory_directory
from edge.files import DiskFiles
from edge.inbox import Inbox
from edge.link import open_store
from edge.link.service import Outcome, poll
from edge.link.stores import Access, Limit
from edge.slots import MODELS, Slots
from edge.updater import bind

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CONFIG = """
[pins]
factory = "mock"
bolt = 17
[door]
identity = "any_cat"
[state]
directory = "{state}"
"""


def test_from_a_push_to_a_store_to_on_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--via file:` signs and serves, the link fetches, the update service believes it: the model is on trial."""
    home, state, shop = tmp_path / "owner", tmp_path / "state", f"file:{tmp_path}/shop"
    home.mkdir()
    (home / "words").write_text("six plain words in a row", encoding="utf-8")
    (tmp_path / "catflap.toml").write_text(CONFIG.format(state=state), encoding="utf-8")
    higher = str(with_version(factory_directory(), tmp_path / "higher", "9.0.0"))
    push = [higher, "--via", shop, "--home", str(home), "--passphrase-file", str(home / "words")]
    assert 0 == push_model.main(push), capsys.readouterr().err
    bind(state / "trust", (tmp_path / "shop" / "metadata" / "1.root.json").read_bytes(), DiskFiles())
    capsys.readouterr()

    def polled() -> Outcome:
        store = open_store(shop, Access())
        return poll(store, Inbox(state / "incoming", DiskFiles()), Limit(PATIENCE_S, lambda: None)).outcome

    assert Outcome.FETCHED is polled()
    assert 0 == update.main(["--config", str(tmp_path / "catflap.toml")])
    assert AnswerStatus.ON_TRIAL in capsys.readouterr().out
    slots = Slots(state / MODELS, DiskFiles()).state()
    assert (["9.0.0"], True) == ([record.version for record in slots.records], slots.trial is not None)
    assert (0, Outcome.UNCHANGED) == (push_model.main(push), polled())
