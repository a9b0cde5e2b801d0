"""The language of the control socket: what is said comes out as it went in."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.adapters.control_lines import LINE_BYTES, command_from, command_of, line_of, reply_line, reply_of, status_text
from edge.cli import DOOR_WORDS
from edge.errors import InputError
from edge.messages import (
    LET_IN_HIGH_S,
    LET_IN_LOW_S,
    LET_IN_USUAL_S,
    Command,
    CommandKind,
    Label,
    Mode,
    Reply,
    Status,
    Verdict,
    VerdictKind,
)

PAGE = Path(__file__).parents[2] / "docs" / "control.md"

ADMITTED = Verdict(VerdictKind.ADMIT, "a clean mouth", "Mimi", 900_000_000, 4, 4.2, 0.0)
WELL = Status("watching", Mode.IN_AND_OUT, False, None, None, 0.25, None, "student 1.0", ADMITTED)
ILL = Status("fault", Mode.LOCKED, True, "the pin broke", "heat", 1.0, "it hangs", "student 1.0", None)

VISITS = st.sampled_from(["20261121T210000-0001", "20991231T235959-123456789"])
NAMES = st.sampled_from(["", "Mimi", "Frau Müller's", "Ю", "x" * 32])
WITH_MORE = (CommandKind.MODE, CommandKind.LET_IN, CommandKind.LABEL)
COMMANDS = st.one_of(
    st.sampled_from([Command(kind) for kind in CommandKind if kind not in WITH_MORE]),
    st.builds(Command, st.just(CommandKind.LABEL), visit=VISITS, label=st.sampled_from(Label)),
    st.sampled_from([Command(CommandKind.MODE, mode=mode) for mode in Mode]),
    st.builds(Command, st.just(CommandKind.LET_IN), cat=NAMES, for_s=st.floats(LET_IN_LOW_S, LET_IN_HIGH_S)),
)


@given(command=COMMANDS)
def test_a_command_is_a_line_and_comes_back(command: Command) -> None:
    """Every command fits one line, and reading that line gives the same command."""
    line = line_of(command)
    assert (command, 1, True) == (command_of(line), line.count(b"\n"), len(line) <= LINE_BYTES + 1)


LINES = st.binary(max_size=80) | st.builds(lambda line, at, byte: line[:at] + byte + line[at + 1 :],
    COMMANDS.map(line_of), st.integers(0, 80), st.binary(max_size=2))  # fmt: skip
"""Noise, and commands that were damaged on the way."""


@given(line=LINES)
def test_a_line_is_a_command_or_refused(line: bytes) -> None:
    """Whatever the bytes, reading them gives a command or an InputError of one line, and nothing else."""
    refusal = ""
    try:
        command_of(line)
    except InputError as error:
        refusal = str(error)
    assert len(refusal.splitlines()) <= 1


VALUES = st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["", "Mimi", *CommandKind, *Mode])
KEYS = st.sampled_from(["command", "mode", "cat", "for_s", "x"])


@given(table=st.dictionaries(KEYS, VALUES | st.lists(VALUES, max_size=2)), kind=st.sampled_from(CommandKind))
def test_what_comes_out_is_within_bounds(table: dict[str, object], kind: CommandKind) -> None:
    """No table gives a command that is not allowed: its values are those of its kind, and within their bounds."""
    try:
        command = command_from({"command": kind, **table})
    except InputError:
        return
    let_in = command.kind is CommandKind.LET_IN
    assert (command.kind is CommandKind.MODE, True) == (command.mode is not None, let_in or not command.cat)
    assert LET_IN_LOW_S <= command.for_s <= LET_IN_HIGH_S if let_in else command.for_s == 0


def test_a_let_in_needs_no_more_than_its_word() -> None:
    """Without a name and a time it is for whoever comes, for the usual time."""
    assert Command(CommandKind.LET_IN, cat="", for_s=LET_IN_USUAL_S) == command_of(b'{"command": "let_in"}')


@pytest.mark.parametrize("reply", [Reply(ok=False, says="two\nlines"), Reply(True, "", WELL), Reply(True, "", ILL)])
def test_a_reply_is_a_line_and_comes_back(reply: Reply) -> None:
    """Every reply fits one line whatever its text, and reading it gives the same reply."""
    line = reply_line(reply)
    assert (reply, 1) == (reply_of(line, Path("s")), line.count(b"\n"))


def test_a_number_json_has_no_word_for_is_a_refusal() -> None:
    """A status that cannot be written down is told as a refusal, not as broken JSON, and raises nothing."""
    broken = Status("watching", Mode.LOCKED, False, None, None, math.nan, None, "m", None)
    reply = reply_of(reply_line(Reply(ok=True, says="", status=broken)), Path("s"))
    assert (False, "Reply: holds a number that is not finite") == (reply.ok, reply.says)


WELL_TEXT = (
    "door watching; mode in_and_out; coil at 25% of its heat; model student 1.0; last verdict admit: a clean mouth"
)
ILL_TEXT = (
    "FAULT: the pin broke; camera lost: it hangs; panic lock on; door fault; mode locked; "
    "coil at 100% of its heat, refused (heat); model student 1.0; no verdict yet"
)


@pytest.mark.parametrize(("status", "text"), [(WELL, WELL_TEXT), (ILL, ILL_TEXT)])
def test_a_status_reads_as_one_line_with_the_trouble_first(status: Status, text: str) -> None:
    """People see what is wrong before how things are."""
    assert text == status_text(status)


def test_the_command_line_knows_every_word() -> None:
    """``catflap door`` has a word for each command, with a hyphen, but for what ``catflap model`` and ``visit`` say."""
    assert [kind.replace("_", "-") for kind in CommandKind] == [*DOOR_WORDS, "promote", "rollback", "label"]


def test_the_page_says_what_the_code_does() -> None:
    """docs/control.md lists every word, its commands are commands, and its bounds are the code's."""
    text = PAGE.read_text(encoding="utf-8")
    said = [command_of(line.encode()).kind for line in re.findall(r'^(\{"command".*\})$', text, re.MULTILINE)]
    replies = [json.loads(line) for line in re.findall(r'^(\{"ok".*\})$', text, re.MULTILINE)]
    listed = re.findall(r"^\| `catflap door ([a-z-]+)", text, re.MULTILINE)
    bounds = f"{LET_IN_LOW_S:g} to {LET_IN_HIGH_S:g} seconds"
    assert (list(CommandKind), list(DOOR_WORDS), True) == (said, listed, bounds in text)
    assert [reply_of(json.dumps(reply).encode(), PAGE).ok for reply in replies] == [True, False]
