"""Nights drawn from a seed: who comes, what fails, what the owner says, what is pushed, and how a process ends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.adapters.sim.scene import What
from edge.messages import CommandKind, Mode

if TYPE_CHECKING:
    from numpy.random import Generator

FIRST_NIGHT = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
SHORT_S = 300.0
LONG_S = 28_800.0
LONG_EVERY = 100
"""One night in so many is a whole one of eight hours; the others leave out most hours in which nobody comes."""

LIFE_S = 80_000.0
"""No process lives longer: a scene may last a day."""

VISITORS = (2, 5)
SPACE_S = 20.0
"""Two visitors come at least so long after one another."""

CATS = {"Mimi": "tabby", "Otto": "bicolour", "Lilly": "ginger", "Paul": "grey"}
_COMES_IN = ["approach", "look 1", "push"]

CONFIG: dict[str, dict[str, Any]] = {
    "chip": {"kind": "sim"},
    "door": {"hold_off_s": 25.0, "on_blind": "shut"},
    "model": {"ab_share": 0.3},
    "spool": {"max_bytes": 4_000_000, "min_free_bytes": 0},
    "state": {"journal_rows": 2000},
}
"""Small bounds, so that spool and journal are full long before the soak ends."""

_EVENTS: tuple[tuple[What, float, float], ...] = (
    (What.LAMP_FAILS, 0.15, 25.0),
    (What.CAMERA_LOST, 0.12, 40.0),
    (What.CAMERA_HANGS, 0.06, 6.0),
    (What.CAMERA_FREEZES, 0.06, 20.0),
    (What.CAMERA_KNOCKED, 0.03, 30.0),
    (What.CHIP_READER_FAILS, 0.06, 30.0),
    (What.RAIN, 0.15, 20.0),
    (What.WIND, 0.15, 20.0),
    (What.INSECTS, 0.1, 10.0),
    (What.PIR_FALSE, 0.06, 20.0),
    (What.DISK_FULL, 0.12, 90.0),
    (What.BUTTON, 0.1, 0.4),
    (What.BOLT_STICKS, 0.04, 15.0),
    (What.BOLT_FAILS, 0.03, 15.0),
    (What.REED_CUT, 0.03, 20.0),
    (What.CLOCK_STEP, 0.05, 1.0),
    (What.CLOCK_UNSYNCHRONISED, 0.05, 120.0),
)
"""What may befall a night: the chance of it, and for how many seconds."""


@dataclass(frozen=True, slots=True)
class Word:
    """A line said to the control socket by a client that ``leaves`` without waiting for the answer, or does not."""

    at_s: float
    line: bytes
    leaves: bool


@dataclass(frozen=True, slots=True)
class Push:
    """A model that is pushed: version 1.number.0; one that is no ``good`` says of every cat that it carries prey."""

    at_s: float
    number: int
    good: bool


@dataclass(frozen=True, slots=True)
class Night:
    """One night of a life; all times count from the life's beginning."""

    number: int
    begins_s: float
    ends_s: float
    actors: tuple[dict[str, Any], ...]
    events: tuple[dict[str, Any], ...]
    words: tuple[Word, ...]
    push: Push | None


@dataclass(frozen=True, slots=True)
class Life:
    """What one process lives through. ``cut_s``: when it is killed; None: it is told to stop after its last night."""

    number: int
    nights: tuple[Night, ...]
    cut_s: float | None

    @property
    def ends_s(self) -> float:
        """When its last night is over."""
        return self.nights[-1].ends_s


def night(seed: int, number: int, begins_s: float) -> Night:
    """Draw a night: always the same one for a seed and a number."""
    rng = np.random.default_rng((seed, number))
    lasts_s = LONG_S if number % LONG_EVERY == LONG_EVERY // 2 else SHORT_S
    comers = int(rng.integers(VISITORS[0], VISITORS[1] + 1)) * (2 if lasts_s == LONG_S else 1)
    spare_s = lasts_s - 40.0 - comers * SPACE_S
    arrivals = np.sort(rng.uniform(0.0, spare_s, comers)) + np.arange(comers) * SPACE_S + begins_s + 5.0
    return Night(
        number=number,
        begins_s=begins_s,
        ends_s=begins_s + lasts_s,
        actors=tuple(_actor(rng, float(at_s)) for at_s in arrivals),
        events=tuple(_events(rng, begins_s, arrivals)),
        words=_words(rng, begins_s, lasts_s),
        push=Push(begins_s + 20.0, number, bool(rng.random() < 0.5)) if rng.random() < 1 / 8 else None,
    )


def life(seed: int, number: int, first_night: int, most: int) -> Life:
    """Draw a life of at most ``most`` nights that begins with the night ``first_night``."""
    rng = np.random.default_rng((seed, number, 1))
    length = int(rng.integers(30, 61)) if rng.random() < 1 / 3 else int(rng.integers(1, 11))
    nights: list[Night] = []
    begins_s = 0.0
    while len(nights) < min(length, most) and begins_s + LONG_S <= LIFE_S:
        nights.append(night(seed, first_night + len(nights), begins_s))
        begins_s = nights[-1].ends_s
    cut_s = float(rng.uniform(nights[-1].begins_s, nights[-1].ends_s)) if rng.random() < 0.5 else None
    return Life(number, tuple(nights), cut_s)


def scene(seed: int, drawn: Life) -> str:
    """Return a life as the scene that the simulated world plays."""
    first = drawn.nights[0].number
    starts = FIRST_NIGHT + timedelta(days=first)
    parts = [
        _lines(
            {"title": f"Nights from {first} on", "seed": (seed + first) % 2**31, "duration_s": drawn.ends_s},
        )
        + f"starts = {starts.isoformat()}\n",
        *(f"[config.{section}]\n{_lines(values)}" for section, values in CONFIG.items()),
        *(f"[[config.cat]]\n{_lines({'name': name, 'chip': _chip(name)})}" for name in CATS),
        *(f"[[actor]]\n{_lines(actor)}" for each in drawn.nights for actor in each.actors),
        *(f"[[event]]\n{_lines(event)}" for each in drawn.nights for event in each.events),
    ]
    return "\n".join(parts)


def _lines(values: dict[str, Any]) -> str:
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def _chip(name: str) -> str:
    return f"27609810000000{list(CATS).index(name) + 1}"


def _actor(rng: Generator, at_s: float) -> dict[str, Any]:
    """Draw who comes: mostly a resident, now and then with a mouse; else a stranger, another animal, a leaf."""
    name = str(rng.choice(list(CATS)))
    cat: dict[str, Any] = {"name": name, "coat": CATS[name], "chip": _chip(name), "arrives_s": at_s}
    kinds: tuple[tuple[float, dict[str, Any]], ...] = (
        (0.4, cat | {"behaviour": _COMES_IN}),
        (0.12, cat | {"behaviour": ["approach", "look 2", "push"], "carries": "mouse", "patience_s": 3}),
        (0.1, cat | {"from": "inside"}),
        (0.1, {"name": "Nachbar", "coat": "black", "arrives_s": at_s, "behaviour": _COMES_IN, "patience_s": 3}),
        (0.08, {"kind": "fox", "arrives_s": at_s, "behaviour": ["approach", "look 1"]}),
        (0.06, {"kind": "hedgehog", "arrives_s": at_s, "behaviour": ["approach", "sniff 1"]}),
        (0.05, {"kind": "person", "part": "hand", "arrives_s": at_s, "behaviour": ["approach", "look 1"]}),
        (0.05, {"kind": "leaf", "arrives_s": at_s}),
        (0.04, {"kind": "insect", "arrives_s": at_s, "behaviour": ["wait 3"]}),
    )
    return kinds[int(rng.choice(len(kinds), p=[share for share, _ in kinds]))][1]


def _events(rng: Generator, begins_s: float, arrivals: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """Draw what befalls the night: at a visitor, as often as at a moment when nobody is there."""
    told = []
    for what, chance, for_s in _EVENTS:
        if rng.random() < chance:
            beside_s = float(rng.choice(arrivals)) - begins_s + float(rng.uniform(-10.0, 10.0))
            at_s = begins_s + (beside_s if rng.random() < 0.5 else float(rng.uniform(0.0, SHORT_S - for_s)))
            told.append({"what": str(what), "at_s": max(at_s, begins_s), "for_s": for_s})
            if what is What.CLOCK_STEP:
                told[-1]["seconds"] = float(rng.uniform(-600.0, 600.0))
    return told


def _words(rng: Generator, begins_s: float, lasts_s: float) -> tuple[Word, ...]:
    """Draw what is said to the daemon; a latched fault is cleared and a panic lock lifted before the next night."""
    said: list[dict[str, Any]] = [{"command": str(rng.choice(_SAID))} for _ in range(int(rng.integers(0, 5)))]
    said += [{"command": "mode", "mode": str(rng.choice(list(Mode)))}] if rng.random() < 0.1 else []
    said += [{"command": "let_in", "cat": "Mimi", "for_s": 60}] if rng.random() < 0.2 else []
    said += [{"command": str(rng.choice((CommandKind.PROMOTE, CommandKind.ROLLBACK)))}] if rng.random() < 0.06 else []
    lines = [json.dumps(each).encode() + b"\n" for each in said]
    lines += [b"{}\n", b'{"command": "sta', b"\xff" * 5000] if rng.random() < 0.1 else []
    at = [begins_s + float(rng.uniform(10.0, lasts_s - 60.0)) for _ in lines]
    last = [
        _command(CommandKind.CLEAR),
        _command(CommandKind.UNLOCK_PANIC),
        _command(CommandKind.MODE, mode=str(Mode.IN_AND_OUT)),
    ]
    words = [Word(at_s, line, bool(rng.random() < 0.3)) for at_s, line in zip(at, lines, strict=True)]
    words += [Word(begins_s + lasts_s - 50.0 + i, line, leaves=False) for i, line in enumerate(last)]
    return tuple(sorted(words, key=lambda word: word.at_s))


_SAID = (CommandKind.STATUS, CommandKind.STATUS, CommandKind.UNLOCK, CommandKind.LOCK, CommandKind.UNLOCK_PANIC)


def _command(kind: CommandKind, **more: str) -> bytes:
    return json.dumps({"command": str(kind), **more}).encode() + b"\n"
