"""The owner of a scene: says each word at its time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from stand_ins import clock_at_1000_s

from edge.adapters.absent import AbsentControl
from edge.adapters.sim import parse_scene
from edge.adapters.sim.control import JoinedControl, SimControl
from edge.errors import HardwareError
from edge.messages import Command, CommandKind, Mode, Reply

if TYPE_CHECKING:
    from edge.adapters.clock import SimClock
    from edge.adapters.sim import Scene

DONE = Reply(ok=True, says="done")


def _scene() -> Scene:
    entries = [
        {"at_s": 12, "command": "lock"},
        {"at_s": 3, "command": "mode", "mode": "out_only"},
    ]
    return parse_scene({"duration_s": 20, "command": entries}, "test", Path())


def _said(control: SimControl, clock: SimClock, seconds: int) -> list[tuple[int, CommandKind]]:
    """Return what is said in so many seconds, and when, listening once a second."""
    said: list[tuple[int, CommandKind]] = []
    for second in range(seconds):
        said.extend((second, request.command.kind) for request in control.poll())
        clock.advance(1.0)
    return said


def test_each_word_is_said_at_its_time() -> None:
    """Words come in the order of their times, at their times, and once."""
    clock = clock_at_1000_s()
    control = SimControl(_scene(), clock)
    assert [(3, CommandKind.MODE), (12, CommandKind.LOCK)] == _said(control, clock, 60)


def test_an_endless_scene_says_them_again() -> None:
    """A scene that begins anew has its owner speak anew."""
    clock = clock_at_1000_s()
    control = SimControl(replace(_scene(), endless=True), clock)
    assert [3, 12, 23, 32, 43, 52] == [second for second, _ in _said(control, clock, 60)]


def test_a_scene_without_words_is_silent() -> None:
    """Most scenes have no owner."""
    clock = clock_at_1000_s()
    assert [] == _said(SimControl(parse_scene({}, "test", Path()), clock), clock, 30)


def test_the_replies_are_kept_with_what_was_said() -> None:
    """A test of a scene can see what the owner was told."""
    clock = clock_at_1000_s()
    control = SimControl(_scene(), clock)
    clock.advance(3.0)
    for request in control.poll():
        control.answer(request, DONE)
    assert [(Command(CommandKind.MODE, mode=Mode.OUT_ONLY), DONE)] == list(control.replies)


def test_nothing_is_said_after_the_end() -> None:
    """A closed script that is listened to is a mistake of the listener, named as such."""
    control = SimControl(_scene(), clock_at_1000_s())
    control.close()
    with pytest.raises(HardwareError, match="closed"):
        control.poll()


def test_a_joined_reply_goes_where_it_was_asked() -> None:
    """Of two scripts that say the same at the same time, each hears its own reply."""
    clock = clock_at_1000_s()
    scripts = SimControl(_scene(), clock), SimControl(_scene(), clock)
    joined = JoinedControl(scripts[0], AbsentControl(), scripts[1])
    clock.advance(3.0)
    for index, request in enumerate(joined.poll()):
        joined.answer(request, Reply(ok=True, says=str(index)))
    assert [["0"], ["1"]] == [[reply.says for _, reply in script.replies] for script in scripts]


def test_joined_ways_close_together() -> None:
    """Closing the joined control closes each."""
    script = SimControl(_scene(), clock_at_1000_s())
    JoinedControl(AbsentControl(), script).close()
    with pytest.raises(HardwareError, match="closed"):
        script.poll()
