"""Before user space is there: fragment, wiring page and example configuration name the same pins, safe on every Pi."""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory

from edge import config
from edge.coils import PROFILES

ROOT = Path(__file__).parent.parent
FRAGMENT = (ROOT / "firmware" / "boot" / "config.txt.fragment").read_text(encoding="utf-8").splitlines()
WIRING = (ROOT / "docs" / "wiring.md").read_text(encoding="utf-8")
EXAMPLE = config.load(ROOT / "docs" / "catflap.toml").pins

# Raspberry Pi documentation, config_txt: gpio, conditional filters, "98-character line length limit".
LONGEST_LINE = 98
HARMLESS_ON_AN_OLDER_PI = {"dtparam=uart0=on"}
"""uart0 is on by default on every older model (raspberrypi/firmware, boot/overlays/README)."""


def _lines() -> list[tuple[str, str]]:
    """Return (filter, line) for every line that says something; before the first filter it is ``none``."""
    found, section = [], "none"
    for line in FRAGMENT:
        if line.startswith("["):
            section = line
        elif line and not line.startswith("#"):
            found.append((section, line))
    return found


def _gpio() -> dict[str, tuple[int, tuple[str, ...]]]:
    """Return name: (number, attributes) of every gpio line, by the name in the comment before it."""
    found = {}
    for before, line in itertools.pairwise(FRAGMENT):
        told = re.fullmatch(r"gpio=(\d+)=([a-z,]+)", line)
        if told:
            found[before.removeprefix("# pins.")] = (int(told[1]), tuple(told[2].split(",")))
    return found


def _wiring() -> dict[str, tuple[int, int, str]]:
    """Return name: (number, physical pin, what it is at boot) of the wiring page's table."""
    rows = re.findall(r"^\| `(\w+) = (\d+)` \| (\d+) \| (\d+) \| ([^|]+) \|", WIRING, re.MULTILINE)
    assert [] == [name for name, number, again, _, _ in rows if number != again]
    return {name: (int(number), int(physical), boot) for name, number, _, physical, boot in rows}


def _pins_of_the_example() -> dict[str, int]:
    fields = {entry.name: getattr(EXAMPLE, entry.name) for entry in dataclasses.fields(EXAMPLE)}
    return {name: value for name, value in fields.items() if type(value) is int and value >= 0}


def test_fragment_and_wiring_page_name_the_same_pins() -> None:
    """Every pin of the wiring page is set by the fragment, and no other."""
    fragment = {name: number for name, (number, _) in _gpio().items()}
    assert fragment == {name: number for name, (number, _, _) in _wiring().items()}


def test_the_example_configuration_names_the_same_pins() -> None:
    """Every pin that docs/catflap.toml sets has the fragment's number."""
    fragment = {name: number for name, (number, _) in _gpio().items()}
    example = _pins_of_the_example()
    assert example == {name: fragment.get(name) for name in example}


def test_every_pin_of_the_configuration_is_wired() -> None:
    """Every pin that the configuration knows has a line in the fragment, and every line a name it knows."""
    known = {entry.name for entry in dataclasses.fields(config.PinsConfig) if entry.default == -1}
    assert known == set(_gpio())


def test_physical_pins_are_those_of_the_header() -> None:
    """The wiring page's physical pin is where the 40-pin header has that GPIO, by gpiozero's own table of the board."""
    header = MockFactory().board_info.headers["J8"].pins.values()
    board = {pin.name: pin.number for pin in header}
    where = {f"GPIO{number}": physical for number, physical, _ in _wiring().values()}
    assert where == {name: board[name] for name in where}


@pytest.mark.parametrize("name", ["bolt", "bolt2", "lamp"])
def test_what_takes_power_is_held_low_before_user_space(name: str) -> None:
    """The lines of bolts and lamp are outputs, driven low, with the pull-down on for when nobody drives them."""
    _, attributes = _gpio()[name]
    assert ("op", {"op", "pd", "dl"}) == (attributes[0], set(attributes))


@pytest.mark.parametrize("name", ["bolt", "bolt2", "lamp"])
def test_what_takes_power_wakes_up_pulled_down(name: str) -> None:
    """Nothing that takes power hangs on GPIO 0 to 8, which a Pi 3, 4 or Zero wakes up pulled high."""
    assert _gpio()[name][0] in range(9, 28)


@pytest.mark.parametrize(("name", "pull"), [("pir", "pd"), ("reed", "pu"), ("bolt_sensor", "pu"), ("button", "pu")])
def test_inputs_are_pulled_where_a_cut_wire_is_safe(name: str, pull: str) -> None:
    """A cut wire reads as nobody there, flap open, bolt not drawn back, button not pressed."""
    assert ("ip", pull) == _gpio()[name][1]


def test_the_wiring_page_says_what_the_fragment_does() -> None:
    """The page's column "at boot" is the fragment's line in words."""
    words = {"op": "out", "ip": "in", "dl": "low", "pd": "pull-down", "pu": "pull-up"}
    order = ("op", "ip", "dl", "pd", "pu")
    said = {name: ", ".join(words[one] for one in order if one in told) for name, (_, told) in _gpio().items()}
    assert said == {name: boot for name, (_, _, boot) in _wiring().items()}


def test_no_pin_is_set_twice() -> None:
    """A later gpio line overrides an earlier one: each pin has one, and each one pin."""
    numbers = [number for number, _ in _gpio().values()]
    assert (len(numbers), len(numbers)) == (len(set(numbers)), sum("gpio=" in line for _, line in _lines()))


def test_pins_and_safety_hold_for_every_model() -> None:
    """Whatever keeps a coil off stands under [all], and the file ends there for whoever appends to it."""
    sections = {line: section for section, line in _lines()}
    everywhere = [line for line in sections if line.startswith(("gpio=", "dtparam=strict", "dtparam=watchdog"))]
    assert ({"[all]"}, 10, "[all]") == ({sections[line] for line in everywhere}, len(everywhere), FRAGMENT[-1])


def test_an_old_firmware_that_ignores_the_filter_does_no_harm() -> None:
    """Firmware from before October 2023 obeys [pi5] on every model: only what is harmless there stands there."""
    assert set() == {line for section, line in _lines() if section == "[pi5]"} - HARMLESS_ON_AN_OLDER_PI


def test_the_filters_are_ones_the_firmware_knows() -> None:
    """A filter that is misspelt would be obeyed on every model."""
    assert {"[all]", "[pi4]", "[pi5]"} == {line for line in FRAGMENT if line.startswith("[")}


def test_the_firmware_can_read_every_line() -> None:
    """No line is too long, no comment follows a setting, nothing stands around an equals sign."""
    assert [] == [line for line in FRAGMENT if len(line) > LONGEST_LINE or line != line.strip()]
    assert [] == [line for _, line in _lines() if not re.fullmatch(r"[a-z_]+=[\w=,-]+", line)]


def test_the_page_shows_the_guards_own_pins() -> None:
    """The wiring page draws gate and drain at the pins that the guard's firmware uses."""
    firmware = (ROOT / "firmware" / "guard" / "avr.c").read_text(encoding="utf-8")
    pins = dict(re.findall(r"#define (GATE|DRAIN) _BV\((PD\d)\)", firmware))
    drawn = {what.upper(): pin for pin, what in re.findall(r"(PD\d) ─.* (gate|drain) of Q1", WIRING)}
    assert pins == drawn


def test_the_page_shows_every_coil_as_it_is() -> None:
    """The wiring page's table of coils is the one that the configuration uses."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", WIRING, re.MULTILINE)
    shown = {name: tuple(float(value) for value in values) for name, *values in rows}
    assert shown == {
        name: (coil.max_on_s, coil.min_rest_s, coil.heat_budget_s, coil.duty) for name, coil in PROFILES.items()
    }
