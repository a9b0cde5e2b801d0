"""``catflap model``: what is in the slots, and the owner's word on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from answering import AnsweringDaemon
from candidates import candidate, push

from edge.adapters.control_lines import reply_line
from edge.cli import main
from edge.files import DiskFiles
from edge.messages import Command, CommandKind, Reply
from edge.slots import MODELS, SlotName, Slots

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose flap has a candidate on trial and no daemon."""
    push(Slots(tmp_path / "state" / MODELS, DiskFiles()), candidate(tmp_path / "new", "9.0.0"))
    path = tmp_path / "catflap.toml"
    path.write_text(
        f"[control]\npath = '{tmp_path / 'control.sock'}'\n[state]\ndirectory = '{tmp_path / 'state'}'\n"
        "[pins]\nbolt = 17\n[door]\nidentity = 'any_cat'\n",
        encoding="utf-8",
    )
    return path


def said(capsys: pytest.CaptureFixture[str], *words: str, config: Path) -> tuple[int, list[str]]:
    """Return how a command ended and what it printed."""
    status = main(["model", *words, "--config", str(config)])
    return status, capsys.readouterr().out.splitlines()


def test_list_has_a_line_for_every_slot(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each slot says what is in it, since when, verified by which key, and what it is for."""
    status, lines = said(capsys, "list", "--json", config=config)
    rows = [json.loads(line) for line in lines]
    assert (0, [("factory", "champion"), ("a", "on_trial"), ("b", "empty")]) == (
        status, [(row["slot"], row["standing"]) for row in rows],
    )  # fmt: skip
    assert ("9.0.0", ["key"], "shadow", None) == (
        rows[1]["version"], rows[1]["keys"], rows[1]["trial"]["kind"], rows[1]["complaint"],
    )  # fmt: skip
    people = said(capsys, "list", config=config)[1]
    assert ["factory champion", "a       on_trial", "b       empty"] == [line[:16].rstrip() for line in people]


def test_show_has_the_card_and_the_history(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A slot is shown with its own history and its model card; without a name the one that decides is."""
    shown = json.loads(said(capsys, "show", "a", "--json", config=config)[1][0])
    assert (["installed", "trial_begun"], True) == (
        [line.split(":")[0] for line in shown["history"]], len(shown["card"]) > 100,
    )  # fmt: skip
    assert said(capsys, "show", config=config)[1][0].startswith("factory champion")


def test_a_word_goes_to_the_daemon(config: Path, tmp_path: Path) -> None:
    """Where a daemon runs it is told, and does it between two visits."""
    daemon = AnsweringDaemon(tmp_path / "control.sock")
    daemon.will_say(reply_line(Reply(ok=True, says="done")))
    status = main(["model", "promote", "--config", str(config)])
    daemon.close()
    assert (0, [Command(CommandKind.PROMOTE)]) == (status, daemon.heard)


def test_a_refusal_is_a_finding(config: Path, tmp_path: Path) -> None:
    """What the daemon refuses ends with 1."""
    daemon = AnsweringDaemon(tmp_path / "control.sock")
    daemon.will_say(reply_line(Reply(ok=False, says="nothing is on trial")))
    status = main(["model", "rollback", "--config", str(config)])
    daemon.close()
    assert 1 == status


def test_without_a_daemon_the_slots_are_changed_here(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Promote and then rollback work on the slots themselves; a third has nothing left to do."""
    slots = Slots(tmp_path / "state" / MODELS, DiskFiles())
    champions = []
    for word in ("promote", "rollback"):
        status, lines = said(capsys, word, "--json", config=config)
        champions.append((status, json.loads(lines[0])["ok"], slots.state().champion))
    assert [(0, True, SlotName.A), (0, True, SlotName.FACTORY)] == champions
    assert 2 == main(["model", "rollback", "--config", str(config)])


def test_one_bundle_has_no_slots(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the configuration names a bundle there is nothing to promote, in one line."""
    config.write_text(config.read_text(encoding="utf-8") + "[model]\nbundle = 'factory'\n", encoding="utf-8")
    assert 2 == main(["model", "promote", "--config", str(config)])
    assert capsys.readouterr().err.strip().endswith("names one bundle; there are no slots")


def test_a_damaged_slot_is_a_finding(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A champion that is not what was installed is named, with what runs in its place."""
    assert 0 == main(["model", "promote", "--config", str(config)])
    model = tmp_path / "state" / MODELS / "a" / "model.tflite"
    model.write_bytes(model.read_bytes()[:-1])
    capsys.readouterr()
    status, lines = said(capsys, "list", "--json", config=config)
    rows = {row["slot"]: row for row in map(json.loads, lines)}
    assert (1, True, True) == (status, rows["factory"]["running"], rows["a"]["complaint"] is not None)
