"""``catflap adopt``: a flap that is bound to an owner says so in its journal."""

from __future__ import annotations

import io
import json
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from tuf_made import Repository

from edge.cli import main
from edge.inbox import fingerprint
from edge.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_an_adoption_is_a_row_of_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The row names the root's fingerprint; where the daemon has no journal yet none is begun in its place."""
    root = Repository().files["metadata/1.root.json"]
    said = {"format": 1, "root": root.decode(), "push_key": f"ssh-ed25519 {'A' * 68} owner"}
    state, config = tmp_path / "state", tmp_path / "catflap.toml"
    config.write_text(f"[state]\ndirectory = '{state}'\n[pins]\nbolt = 17\n[door]\nidentity = 'any_cat'\n")

    def adopt() -> int:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(said).encode())))
        return main(["adopt", "--config", str(config), "--keys", str(tmp_path / "keys")])

    assert (0, False) == (adopt(), (state / "journal.sqlite").exists())
    assert "there is no journal yet" in capsys.readouterr().err
    with closing(Journal.open(state / "journal.sqlite")) as journal:
        assert 0 == adopt()
        rows = [(row.kind, row.detail) for row in journal.events(9)]
    assert [("adopted", f"root {fingerprint(root)} was bound to this root already")] == rows
