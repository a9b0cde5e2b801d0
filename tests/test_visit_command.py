"""``catflap visit``: the visits there were, and the owner's word on one."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from answering import AnsweringDaemon
from trials_made import Reader, judging, visit

from edge.adapters.control_lines import reply_line
from edge.cli import main
from edge.journal import Journal
from edge.messages import Command, CommandKind, Label, Reply

if TYPE_CHECKING:
    from pathlib import Path

MOUSE = Label.CAT_PREY


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose journal has two visits; no daemon runs."""
    with closing(Journal.open(tmp_path / "state" / "journal.sqlite")) as journal:
        for number in (1, 2):
            journal.add_visit(visit(number, Label.CAT_CLEAR, judging("model 1", Reader())), None, "not_chosen")
    path = tmp_path / "catflap.toml"
    path.write_text(
        f"[control]\npath = '{tmp_path / 'control.sock'}'\n[state]\ndirectory = '{tmp_path / 'state'}'\n"
        "[pins]\nbolt = 17\n[door]\nidentity = 'any_cat'\n",
        encoding="utf-8",
    )
    return path


def listed(config: Path, capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str | None]]:
    """Return the visits' ids and owner's labels as they are listed."""
    assert 0 == main(["visit", "list", "--json", "--config", str(config)])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(row["visit"], row["owner_label"]) for row in rows]


def test_visits_are_listed_newest_first_and_labelled(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever knows better finds the visit's id and says what it was; the last word holds, and the journal tells it."""
    (newest, _), (oldest, _) = before = listed(config, capsys)
    says = [main(["visit", "label", newest, word, "--config", str(config)]) for word in ("empty", "cat_prey")]
    capsys.readouterr()
    assert ([(newest, None), (oldest, None)], newest > oldest, [0, 0]) == (before, True, says)
    assert [(newest, "cat_prey"), (oldest, None)] == listed(config, capsys)
    with closing(Journal(config.parent / "state" / "journal.sqlite")) as journal:
        assert f"label: done, visit {newest} was cat_prey, with no daemon running" == journal.events(1)[0].detail


def test_a_running_daemon_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a daemon listens the word is its to keep, and its refusal is a finding."""
    daemon = AnsweringDaemon(config.parent / "control.sock")
    daemon.will_say(reply_line(Reply(ok=False, says="the journal knows no visit 20261121T210000-0009")))
    status = main(["visit", "label", "20261121T210000-0009", "cat_prey", "--config", str(config)])
    daemon.close()
    command = Command(CommandKind.LABEL, visit="20261121T210000-0009", label=MOUSE)
    assert (1, [command]) == (status, daemon.heard)
    assert "the journal knows no visit 20261121T210000-0009\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status"),
    [(["20261121T210000-0999", "empty"], 1), (["yesterday", "empty"], 2), (["20261121T210000-0001", "mouse"], 2)],
    ids=["unknown visit", "no id", "no label"],
)
def test_what_is_no_visit_or_no_label_changes_nothing(
    config: Path, words: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A visit that is not there is a finding, a word that is none is one line on standard error."""
    assert status == main(["visit", "label", *words, "--config", str(config)])
    capsys.readouterr()
    assert {None} == {label for _, label in listed(config, capsys)}


def test_without_a_journal_there_are_no_visits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is made by looking."""
    path = tmp_path / "catflap.toml"
    path.write_text(f"[state]\ndirectory = '{tmp_path / 'no'}'\n[pins]\nbolt = 17\n[door]\nidentity = 'any_cat'\n")
    assert (2, False) == (main(["visit", "list", "--config", str(path)]), (tmp_path / "no").exists())
    assert "there is no journal yet" in capsys.readouterr().err
