"""Scenes: read by an owner, refused in one line."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge.adapters.sim import load_scene, parse_scene, shipped_scene
from edge.adapters.sim.scene import Act, CommandPlan, Step
from edge.errors import ConfigError
from edge.messages import Command, CommandKind, VerdictKind

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))


def _complaint(table: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_scene(table, "s.toml", Path())
    return str(caught.value)


def test_an_unknown_key_names_file_key_and_neighbour() -> None:
    """A misspelt key is refused with the key that was probably meant."""
    complaint = _complaint({"actor": [{"kind": "cat", "arives_s": 2}]})
    assert complaint.startswith("s.toml: actor[0].arives_s: no such key; did you mean actor[0].arrives_s?")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"seed": "three"}, "s.toml: seed: 'three' is not a whole number from 0 to 2147483647"),
        ({"duration_s": 0}, "s.toml: duration_s: 0 is not a number from 1 to 86400"),
        ({"light": "above"}, "s.toml: light: 'above' is not one of front, back"),
        (
            {"starts": "22:00"},
            "s.toml: starts: '22:00' is not a date with time and offset such as 2026-11-21T22:00:00+01:00",
        ),
        ({"actor": {"kind": "cat"}}, "s.toml: actor: must be a list of tables, each headed [[actor]]"),
        ({"config": 3}, "s.toml: config: must be a table, headed [config]"),
        ({"actor": [{"chip": "12"}]}, "s.toml: actor[0].chip: '12' is not 15 digits"),
        ({"actor": [{"follows": "Otto"}]}, "s.toml: actor[0].follows: 'Otto' is nobody's name in this scene"),
        ({"actor": [{"kind": "photos", "folder": "no"}]}, "s.toml: actor[0].folder: 'no' is no folder of photographs"),
        (
            {"command": [{"command": "mode", "mode": "in"}]},
            "s.toml: command[0].mode: 'in' is not one of in_and_out, in_only, out_only, locked",
        ),
        (
            {"command": [{"command": "lock", "for_s": 3}]},
            "s.toml: command[0].for_s: no such key (known here: command)",
        ),
        (
            {"duration_s": 9, "command": [{"at_s": 9, "command": "lock"}]},
            "s.toml: command[0].at_s: 9 is not before the scene's end (9)",
        ),
        ({"expect": {"visits": 2}}, "s.toml: expect.visits: 2 is not a whole number from 0 to 0"),
        ({"expect": {"inside": "Mimi"}}, "s.toml: expect.inside: 'Mimi' is not a list of texts in quotes"),
    ],
)
def test_a_bad_value_names_file_key_and_what_is_allowed(table: dict[str, Any], says: str) -> None:
    """Every value that is not allowed is one line with file, key and bounds."""
    assert says == _complaint(table)


@pytest.mark.parametrize(
    ("table", "starts"),
    [
        ({"actor": [{"kind": "ct"}]}, "s.toml: actor[0].kind: 'ct' is not one of cat, "),
        ({"actor": [{"behaviour": ["look two"]}]}, "s.toml: actor[0].behaviour: 'look two' is not one of approach, "),
        ({"event": [{"at_s": 3}]}, "s.toml: event[0].what: must be one of lamp_fails, "),
        ({"command": [{"at_s": 3}]}, "s.toml: command[0].command: None is not one of status, "),
        ({"event": [{"what": "snow"}]}, "s.toml: event[0].what: 'snow' is not one of lamp_fails, "),
        ({"expect": {"visit": [{"verdict": "open"}]}}, "s.toml: expect.visit[0].verdict: 'open' is not one of admit, "),
    ],
)
def test_a_bad_word_names_the_words_that_are_known(table: dict[str, Any], starts: str) -> None:
    """A word that is not known is answered with those that are."""
    assert starts == _complaint(table)[: len(starts)]


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    """A broken scene file is a ConfigError that names it, not a traceback of the parser."""
    path = tmp_path / "broken.toml"
    path.write_text("title = ")
    with pytest.raises(ConfigError, match=r"broken\.toml: is not TOML"):
        load_scene(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A scene that is not there is said in one line."""
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        load_scene(tmp_path / "none.toml")


def test_a_shipped_scene_is_found_by_its_name() -> None:
    """The demonstration's night ships with the flap; another name lists what ships."""
    assert load_scene(shipped_scene("night")).duration_s > 200
    with pytest.raises(ConfigError, match=r"no such scene .shipped: .*night"):
        shipped_scene("dinner")


def test_behaviour_reads_as_words_with_seconds() -> None:
    """``look 2.5`` is two and a half seconds of looking; without a number it is one second."""
    scene = parse_scene({"actor": [{"behaviour": ["approach", "look 2.5"]}]}, "s.toml", Path())
    assert (Step(Act.APPROACH, 1.0), Step(Act.LOOK, 2.5)) == scene.actors[0].behaviour


def test_a_command_reads_as_it_would_be_said() -> None:
    """``[[command]]`` takes the words of the control socket, and when they are said."""
    entry = {"at_s": 4, "command": "let_in", "cat": "Mimi", "for_s": 60}
    scene = parse_scene({"command": [entry]}, "s.toml", Path())
    assert (CommandPlan(4.0, Command(CommandKind.LET_IN, cat="Mimi", for_s=60.0)),) == scene.commands


def test_a_scene_says_what_the_wall_clock_shows() -> None:
    """``starts`` is a moment with its offset, as TOML writes one; left out the scene leaves it to the stage."""
    shown = tomllib.loads("starts = 1970-01-01T01:00:00+01:00")
    begins = [parse_scene(table, "s.toml", Path()).starts for table in (shown, {})]
    assert [datetime(1970, 1, 1, tzinfo=UTC), None] == begins


def test_expectations_take_one_verdict_or_several() -> None:
    """Where two verdicts are right, a scene may allow both; openings may be a number or least and most."""
    table = {"visit": [{"verdict": "admit", "resident": "Mimi"}, {"verdict": ["unsure", "blind"]}], "bolt_openings": 1}
    expect = parse_scene({"expect": table}, "s.toml", Path()).expect
    assert expect.visits is not None
    assert [(VerdictKind.ADMIT,), (VerdictKind.UNSURE, VerdictKind.BLIND)] == [v.verdicts for v in expect.visits]
    assert (1, 1) == expect.bolt_openings
    assert expect.inside is None


def test_expectations_may_name_events_and_bound_the_coil() -> None:
    """Kinds that must be told or must not, and seconds of current in all and at a stretch."""
    table = {"told": ["exit"], "never": ["brown_out"], "coil_total_s": 17, "coil_longest_s": 8.1}
    expect = parse_scene({"expect": table}, "s.toml", Path()).expect
    assert (frozenset({"exit"}), frozenset({"brown_out"}), 17.0, 8.1) == (
        expect.told,
        expect.never,
        expect.coil_total_s,
        expect.coil_longest_s,
    )


def test_no_visits_can_be_expected() -> None:
    """``visits = 0`` expects that nobody was noticed, which is not the same as expecting nothing."""
    assert () == parse_scene({"expect": {"visits": 0}}, "s.toml", Path()).expect.visits
    assert parse_scene({}, "s.toml", Path()).expect.visits is None


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_scenario_can_be_read_and_expects_something(path: Path) -> None:
    """A scenario without an expectation tests nothing."""
    expect = load_scene(path).expect
    assert expect.bolt_openings is not None or expect.told
    assert expect.inside is not None
