"""Scenes: what happens in front of the flap, in TOML that an owner can read.

A key that is unknown or a value that is not allowed is a ConfigError of one line: file, key, what is allowed.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.adapters.control_lines import command_from
from edge.adapters.sim.animals import Species
from edge.adapters.sim.backdrop import Light
from edge.adapters.sim.coats import CoatKind
from edge.adapters.sim.people import Part
from edge.adapters.sim.prey import Carries
from edge.errors import ConfigError, InputError
from edge.messages import Label, VerdictKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge.messages import Command

KINDS = ("cat", *Species, "person", "leaf", "insect", "photos")
SIDES = ("left", "inside")


class Act(StrEnum):
    """What an actor can do, one after the other. Most take seconds: ``look 2``."""

    APPROACH = "approach"  # walk up to the flap
    LOOK = "look"  # stand with the mouth in sight
    FACE = "face"  # look towards the camera
    TURN = "turn"  # show the back of the head, or from behind
    SNIFF = "sniff"  # lower the head to the ground
    HESITATE = "hesitate"  # stop half way, look, step back, look again
    BACK_OUT = "back_out"  # go away, out of sight
    WAIT = "wait"  # stay where it is
    DROP = "drop"  # let go of what it carries
    PUSH = "push"  # push the flap until it opens or patience ends
    FORCE = "force"  # push so hard that the bolt gives way


class What(StrEnum):
    """Events that nobody in front of the flap causes."""

    LAMP_FAILS = "lamp_fails"
    LAMP_STEP = "lamp_step"  # ``level``: the lamp's light as a share of what it should be
    OVEREXPOSED = "overexposed"
    DAYLIGHT = "daylight"  # ``level``: other light than the lamp's
    CAMERA_FREEZES = "camera_freezes"  # the same picture again and again
    CAMERA_STALLS = "camera_stalls"  # and its timestamp stands still, too
    CAMERA_LOST = "camera_lost"
    CAMERA_HANGS = "camera_hangs"
    CAMERA_KNOCKED = "camera_knocked"
    LENS_WEB = "lens_web"
    LENS_DROPS = "lens_drops"
    RAIN = "rain"
    WIND = "wind"
    SUN = "sun"  # a patch of sunlight that wanders
    SHADOW = "shadow"
    INSECTS = "insects"
    PIR_FALSE = "pir_false"
    BUTTON = "button"
    KEY = "key"  # somebody draws the bolt back by hand
    REED_CUT = "reed_cut"  # the wire of the reed switch: reads as an open flap
    BOLT_STICKS = "bolt_sticks"  # stays where it is whatever the coil does
    LOOP_HANGS = "loop_hangs"  # the daemon stands still, or is dead
    CHIP_READER_FAILS = "chip_reader_fails"
    BOLT_FAILS = "bolt_fails"
    CLOCK_STEP = "clock_step"  # ``seconds``: the wall time jumps
    CLOCK_UNSYNCHRONISED = "clock_unsynchronised"  # nobody who knows the time can be asked
    DISK_FULL = "disk_full"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing an actor does, and for how long where that is asked of it."""

    act: Act
    seconds: float


@dataclass(frozen=True, slots=True)
class ActorPlan:
    """One actor of a scene."""

    kind: str
    name: str
    arrives_s: float
    side: str
    coat: CoatKind
    part: Part
    chip: str
    chip_miss: float
    chip_deaf_s: float
    carries: Carries
    behaviour: tuple[Step, ...]
    patience_s: float
    follows: str
    folder: str
    empty: str
    frames_each: int
    label: Label


@dataclass(frozen=True, slots=True)
class EventPlan:
    """One event of a scene."""

    what: What
    at_s: float
    for_s: float
    level: float
    seconds: float


@dataclass(frozen=True, slots=True)
class CommandPlan:
    """One word of the owner in a scene, as it would be said to the control socket."""

    at_s: float
    command: Command


@dataclass(frozen=True, slots=True)
class ExpectedVisit:
    """What a visit should come to: one of the verdicts, and whose it is (empty: nobody's)."""

    verdicts: tuple[VerdictKind, ...]
    resident: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a good flap makes of a scene. None: nothing is expected of it.

    ``visits`` in order; ``inside`` who is in the house at the end; ``bolt_openings`` least and most. ``told`` and
    ``never`` are kinds of events, of the journal or the world, that must be there or must not be; ``coil_total_s`` and
    ``coil_longest_s`` bound how long current may flow through the coil.
    """

    visits: tuple[ExpectedVisit, ...] | None = None
    inside: frozenset[str] | None = None
    bolt_openings: tuple[int, int] | None = None
    told: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    coil_total_s: float | None = None
    coil_longest_s: float | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene, read and checked. ``config`` is the owner's configuration of it, for ``edge.config.parse``.

    ``starts`` is what the wall clock shows as it begins, right or wrong (None: nightfall).
    """

    title: str
    about: str
    seed: int
    duration_s: float
    fps: float
    light: Light
    bolt_delay_s: float
    inside: tuple[str, ...]
    actors: tuple[ActorPlan, ...]
    events: tuple[EventPlan, ...]
    expect: Expectation
    commands: tuple[CommandPlan, ...] = ()
    starts: datetime | None = None
    endless: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()


def shipped_scene(name: str) -> Path:
    """Return the file of a scene that ships with the flap.

    Raises:
        ConfigError: there is none of that name.
    """
    folder = Path(__file__).parent / "scenes"
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(entry.stem for entry in folder.glob("*.toml")))
        raise ConfigError(f"{name}: no such scene (shipped: {known}; or name a .toml file)")
    return path


def load_scene(path: Path) -> Scene:
    """Read and check a scene.

    Raises:
        ConfigError: one line with file, key and what is allowed.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    return parse_scene(table, str(path), path.parent)


def parse_scene(table: Mapping[str, Any], origin: str, folder: Path) -> Scene:
    """Check a table that was read from ``origin``; folders of photographs are looked for beside ``folder``."""
    reader = _Table(table, origin, "")
    scene = Scene(
        title=reader.text("title", origin),
        about=reader.text("about", ""),
        seed=reader.whole("seed", 1, 0, 2**31 - 1),
        duration_s=reader.number("duration_s", 20.0, 1.0, 86400.0),
        fps=reader.number("fps", 10.0, 1.0, 30.0),
        light=Light(reader.choice("light", "front", tuple(Light))),
        bolt_delay_s=reader.number("bolt_delay_s", 0.15, 0.0, 5.0),
        inside=reader.texts("inside", ()),
        actors=tuple(_actor(entry) for entry in reader.tables("actor")),
        events=tuple(_event(entry) for entry in reader.tables("event")),
        expect=_expectation(reader.table("expect")),
        commands=tuple(_command(entry) for entry in reader.tables("command")),
        starts=reader.moment("starts") if reader.has("starts") else None,
        config=reader.raw("config"),
        folder=folder,
    )
    reader.finish()
    _check_names(scene, origin)
    _check_times(scene, origin)
    return scene


def _actor(reader: _Table) -> ActorPlan:
    kind = reader.choice("kind", "cat", KINDS)
    plan = ActorPlan(
        kind=kind,
        name=reader.text("name", kind),
        arrives_s=reader.number("arrives_s", 1.0, 0.0, 86400.0),
        side=reader.choice("from", "left", SIDES),
        coat=CoatKind(reader.choice("coat", "tabby", tuple(CoatKind))),
        part=Part(reader.choice("part", "hand", tuple(Part))),
        chip=reader.text("chip", "", r"|\d{15}", "15 digits"),
        chip_miss=reader.number("chip_miss", 0.2, 0.0, 1.0),
        chip_deaf_s=reader.number("chip_deaf_s", 0.0, 0.0, 600.0),
        carries=Carries(reader.choice("carries", "nothing", tuple(Carries))),
        behaviour=reader.steps("behaviour", _usual(kind)),
        patience_s=reader.number("patience_s", 8.0, 0.0, 600.0),
        follows=reader.text("follows", ""),
        folder=reader.text("folder", ""),
        empty=reader.text("empty", ""),
        frames_each=reader.whole("frames_each", 8, 1, 1000),
        label=Label(reader.choice("label", Label.EMPTY, tuple(Label))),
    )
    reader.finish()
    return plan


def _usual(kind: str) -> tuple[str, ...]:
    """Return what such an actor does when the scene does not say."""
    if kind == "cat":
        return ("approach", "look 1", "push")
    return ("wait 3",) if kind in {"leaf", "insect", "photos"} else ("approach", "look 2")


def _event(reader: _Table) -> EventPlan:
    what = What(reader.choice("what", None, tuple(What)))
    event = EventPlan(
        what=what,
        at_s=reader.number("at_s", 0.0, 0.0, 86400.0),
        for_s=reader.number("for_s", 0.3 if what is What.BUTTON else 5.0, 0.0, 86400.0),
        level=reader.number("level", 0.5, 0.0, 4.0),
        seconds=reader.number("seconds", 3600.0, -(10.0**9), 10.0**9),
    )
    reader.finish()
    return event


def _command(reader: _Table) -> CommandPlan:
    at_s = reader.number("at_s", 0.0, 0.0, 86400.0)
    return CommandPlan(at_s, reader.command())


def _expectation(reader: _Table) -> Expectation:
    visits = None
    if reader.has("visit"):
        visits = tuple(_expected_visit(entry) for entry in reader.tables("visit"))
    elif reader.has("visits"):
        reader.whole("visits", 0, 0, 0)
        visits = ()
    inside = frozenset(reader.texts("inside", ())) if reader.has("inside") else None
    expectation = Expectation(
        visits,
        inside,
        bolt_openings=_openings(reader) if reader.has("bolt_openings") else None,
        told=frozenset(reader.texts("told", ())),
        never=frozenset(reader.texts("never", ())),
        coil_total_s=reader.number("coil_total_s", 0.0, 0.0, 86400.0) if reader.has("coil_total_s") else None,
        coil_longest_s=reader.number("coil_longest_s", 0.0, 0.0, 86400.0) if reader.has("coil_longest_s") else None,
    )
    reader.finish()
    return expectation


def _expected_visit(reader: _Table) -> ExpectedVisit:
    allowed = tuple(VerdictKind)
    verdicts = tuple(VerdictKind(word) for word in reader.choices("verdict", allowed))
    visit = ExpectedVisit(verdicts, reader.text("resident", ""))
    reader.finish()
    return visit


def _openings(reader: _Table) -> tuple[int, int]:
    """Read a number, or a table of least and most."""
    if not isinstance(reader.peek("bolt_openings"), dict):
        exact = reader.whole("bolt_openings", 0, 0, 10_000)
        return exact, exact
    inner = reader.table("bolt_openings")
    low, high = inner.whole("min", 0, 0, 10_000), inner.whole("max", 10_000, 0, 10_000)
    inner.finish()
    return low, high


def _check_names(scene: Scene, origin: str) -> None:
    names = [actor.name for actor in scene.actors]
    for index, actor in enumerate(scene.actors):
        if actor.follows and actor.follows not in names:
            raise ConfigError(f"{origin}: actor[{index}].follows: {actor.follows!r} is nobody's name in this scene")
        if actor.kind == "photos" and not (scene.folder / actor.folder).is_dir():
            raise ConfigError(f"{origin}: actor[{index}].folder: {actor.folder!r} is no folder of photographs")


def _check_times(scene: Scene, origin: str) -> None:
    for index, plan in enumerate(scene.commands):
        if plan.at_s >= scene.duration_s:
            raise ConfigError(
                f"{origin}: command[{index}].at_s: {plan.at_s:g} is not before the scene's end ({scene.duration_s:g})"
            )


class _Table:
    """A table of a scene, read key by key; ``finish`` refuses the keys that nobody asked for."""

    def __init__(self, table: Mapping[str, Any], origin: str, prefix: str) -> None:
        self._table = table
        self._origin = origin
        self._prefix = prefix
        self._known: list[str] = []

    def _error(self, key: str, rest: str) -> ConfigError:
        return ConfigError(f"{self._origin}: {self._prefix}{key}: {rest}")

    def has(self, key: str) -> bool:
        return key in self._table

    def peek(self, key: str) -> object:
        return self._table.get(key)

    def raw(self, key: str) -> Mapping[str, Any]:
        self._known.append(key)
        value = self._table.get(key, {})
        if not isinstance(value, dict):
            raise self._error(key, f"must be a table, headed [{self._prefix}{key}]")
        return value

    def table(self, key: str) -> _Table:
        return _Table(self.raw(key), self._origin, f"{self._prefix}{key}.")

    def tables(self, key: str) -> Iterable[_Table]:
        self._known.append(key)
        entries = self._table.get(key, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self._error(key, f"must be a list of tables, each headed [[{self._prefix}{key}]]")
        return [_Table(entry, self._origin, f"{self._prefix}{key}[{index}].") for index, entry in enumerate(entries)]

    def text(self, key: str, default: str, pattern: str = "", rule: str = "") -> str:
        self._known.append(key)
        value = self._table.get(key, default)
        if not isinstance(value, str):
            raise self._error(key, f"{value!r} is not text in quotes")
        if pattern and not re.fullmatch(pattern, value):
            raise self._error(key, f"{value!r} is not {rule}")
        return value

    def choice(self, key: str, default: str | None, allowed: tuple[str, ...]) -> str:
        if default is None and key not in self._table:
            raise self._error(key, f"must be one of {', '.join(allowed)}")
        value = self.text(key, default or "")
        if value not in allowed:
            near = difflib.get_close_matches(value, allowed, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise self._error(key, f"{value!r} is not one of {', '.join(allowed)}{hint}")
        return value

    def choices(self, key: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
        """Return one word, or each of a list."""
        value = self._table.get(key)
        words = (value,) if isinstance(value, str) else self.texts(key, ())
        self._known.append(key)
        for word in words or ("",):
            if word not in allowed:
                raise self._error(key, f"{word!r} is not one of {', '.join(allowed)}")
        return words

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        self._known.append(key)
        value = self._table.get(key, list(default))
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self._error(key, f"{value!r} is not a list of texts in quotes")
        return tuple(value)

    def number(self, key: str, default: float, low: float, high: float) -> float:
        self._known.append(key)
        value = self._table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self._error(key, f"{value!r} is not a number from {low:g} to {high:g}")
        return float(value)

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        self._known.append(key)
        value = self._table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._error(key, f"{value!r} is not a whole number from {low} to {high}")
        return value

    def moment(self, key: str) -> datetime:
        self._known.append(key)
        value = self._table[key]
        if not isinstance(value, datetime) or value.tzinfo is None:
            raise self._error(key, f"{value!r} is not a date with time and offset such as 2026-11-21T22:00:00+01:00")
        return value

    def steps(self, key: str, default: tuple[str, ...]) -> tuple[Step, ...]:
        return tuple(self._step(key, word) for word in self.texts(key, default))

    def _step(self, key: str, word: str) -> Step:
        match = re.fullmatch(r"([a-z_]+)(?: (\d+(?:\.\d+)?))?", word)
        if match is None or match[1] not in tuple(Act):
            raise self._error(key, f'{word!r} is not one of {", ".join(Act)}, with seconds where wanted: "look 2"')
        return Step(Act(match[1]), float(match[2]) if match[2] else 1.0)

    def command(self) -> Command:
        """Return the command that all keys not read so far say."""
        said = {key: value for key, value in self._table.items() if key not in self._known}
        try:
            return command_from(said)
        except InputError as error:
            raise ConfigError(f"{self._origin}: {self._prefix}{error}") from error

    def finish(self) -> None:
        """Refuse what was not asked for.

        Raises:
            ConfigError: a key that is unknown here.
        """
        for key in self._table:
            if key not in self._known:
                near = difflib.get_close_matches(key, self._known, n=1, cutoff=0.5)
                hint = f"; did you mean {self._prefix}{near[0]}?" if near else ""
                raise self._error(key, f"no such key{hint} (known here: {', '.join(self._known)})")
